"""The selectors by name: those that are built in, and those that plugins add."""

from __future__ import annotations

from residency.errors import ConfigError
from residency.plugins import find_plugins
from residency.targeting.selectors.automatic import select_automatically
from residency.targeting.selectors.embedding import select_by_embedding
from residency.targeting.selectors.gradient import select_by_gradient
from residency.targeting.selectors.loss import select_by_loss, select_by_loss_drop
from residency.targeting.selectors.selector import Selector
from residency.targeting.selectors.slices import select_by_slice


def find_selector(name: str) -> Selector:
    """The selector of this name.

    Raises:
        ConfigError: there is none.
    """
    selectors: dict[str, Selector] = {
        "auto": select_automatically,
        "embedding": select_by_embedding,
        "slice": select_by_slice,
        "loss": select_by_loss,
        "loss-drop": select_by_loss_drop,
        "gradient": select_by_gradient,
    } | find_plugins("selectors")
    if name not in selectors:
        raise ConfigError(
            f"no selector is called {name!r}",
            where="residency.toml [target] selector",
            next_step=f"one of: {', '.join(selectors)}",
        )
    return selectors[name]
