"""The base's dropout, switched off for training: cached states and shared tokens must be exact."""

from __future__ import annotations

from torch import nn


def switch_dropout_off(model: nn.Module) -> None:
    """Switch the base's dropout off: cached states and packed examples must be exact."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        # Others keep the probability under another name and hand it to a function.
        for name, value in list(vars(module).items()):
            if "drop" in name and isinstance(value, float):
                setattr(module, name, 0.0)
