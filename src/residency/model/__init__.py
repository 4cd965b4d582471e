"""Base models and adapters: fetch, load, attach, merge, and the kernels they run on.

Names are imported when first used: looking up a base model need not wait for PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from residency.model.base import BaseModel, resolve
    from residency.model.load import load_model, load_tokenizer
    from residency.model.lora import attach, load_adapter, save_adapter
    from residency.model.merging import Proof, merge

_HOMES = {
    "BaseModel": "base",
    "Proof": "merging",
    "attach": "lora",
    "load_adapter": "lora",
    "load_model": "load",
    "load_tokenizer": "load",
    "merge": "merging",
    "resolve": "base",
    "save_adapter": "lora",
}

__all__ = [
    "BaseModel",
    "Proof",
    "attach",
    "load_adapter",
    "load_model",
    "load_tokenizer",
    "merge",
    "resolve",
    "save_adapter",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
