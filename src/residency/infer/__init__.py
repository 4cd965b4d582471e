"""Prompts → responses, contexts × choices → log-likelihoods.

Names are imported when first used: asking an endpoint need not wait for PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from residency.infer.endpoint import Call, EndpointGenerator
    from residency.infer.engine import LocalEngine

_HOMES = {"Call": "endpoint", "EndpointGenerator": "endpoint", "LocalEngine": "engine"}

__all__ = ["Call", "EndpointGenerator", "LocalEngine"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
