"""Prompts → responses, contexts × choices → log-likelihoods."""

from residency.infer.engine import LocalEngine

__all__ = ["LocalEngine"]
