"""Responses → findings → issues → verdicts."""
