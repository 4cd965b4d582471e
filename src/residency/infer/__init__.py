"""Prompts → responses, contexts × choices → log-likelihoods."""

from residency.infer.endpoint import Call, EndpointGenerator
from residency.infer.engine import LocalEngine

__all__ = ["Call", "EndpointGenerator", "LocalEngine"]
