"""The base's chance switched off for training: cached states and shared tokens must be exact."""

from __future__ import annotations

from torch import nn


def switch_chance_off(model: nn.Module) -> None:
    """Switch off what the base leaves to chance in training: its dropout, and routers that add noise or
    draw their experts (Phi-MoE). The loss is that of the model as it answers."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        # Others keep the probability under another name and hand it to a function.
        for name, value in list(vars(module).items()):
            if "drop" in name and isinstance(value, float):
                setattr(module, name, 0.0)
        if any("jitter" in name for name in vars(module)):
            _keep_evaluating(module)


def _keep_evaluating(module: nn.Module) -> None:
    """Leave a module as it is in evaluation, also when the model around it is set to training.

    Its noise cannot be set to 0: Phi-MoE compares scores with the same number.
    """
    module.eval()

    def stay(mode: bool = True) -> nn.Module:
        return module

    module.train = stay  # type: ignore[method-assign]
