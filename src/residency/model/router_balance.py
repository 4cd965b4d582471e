"""The router's load-balancing loss of mixtures of experts (Switch Transformer, arXiv 2101.03961).

Each architecture in transformers brings a function and a coefficient; both are used as they
are, on the tokens of the examples and nothing else, so that losses equal those of a trainer that
runs the model's forward on padded batches.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from residency.model.lora_experts import count_experts


@dataclass(frozen=True)
class RouterBalance:
    """An architecture's balancing loss.

    Attributes:
        coefficient: its factor in the loss. experts: a layer. chosen: experts a token.
    """

    coefficient: float
    experts: int
    chosen: int
    function: Callable[..., Any]

    def measure(self, router_logits: Sequence[Tensor]) -> Tensor:
        """The loss, coefficient included, from [tokens, experts] logits of each layer."""
        value: Tensor = self.function(tuple(router_logits), self.experts, self.chosen)
        return self.coefficient * value


def find_router_balance(model: Any) -> RouterBalance | None:
    """The model's balancing loss; None for models without one, or whose coefficient is 0."""
    config = model.config.get_text_config()
    coefficient = float(getattr(config, "router_aux_loss_coef", 0.0) or 0.0)
    function = getattr(sys.modules[type(model).__module__], "load_balancing_loss_func", None)
    experts = count_experts(model)
    chosen = getattr(model, "num_experts_per_tok", None) or getattr(
        config, "num_experts_per_tok", 0
    )
    if function is None or not hasattr(config, "output_router_logits"):
        return None
    if not (coefficient and experts and chosen):
        return None
    return RouterBalance(coefficient, experts, int(chosen), function)
