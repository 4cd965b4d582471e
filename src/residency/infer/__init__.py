"""Prompts → responses, contexts × choices → log-likelihoods."""
