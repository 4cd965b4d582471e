"""The last decoder layer at chosen positions only: nobody reads its other outputs.

In the last layer every token gives a key and a value, but what comes after attention (output
projection, norms, MLP) matters only where a token is predicted. The layer's modules are recognised
on the model itself, while it runs: no architecture is named here. Exact by construction, and
compared with the whole layer on each model before it is used (``Decoder``).

Shapes: T flat tokens, S chosen positions, d hidden size.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from residency.model.find_layers import is_linear


@dataclass(frozen=True)
class LastLayer:
    """Names, within the last layer, of what the short way needs.

    Attributes:
        attention: the module that mixes tokens. norm: what makes its input, or "" when the
            layer's input goes there as it is. output: attention's last linear module.
    """

    attention: str
    norm: str
    output: str

    @contextlib.contextmanager
    def at(self, layer: nn.Module, positions: Tensor) -> Iterator[None]:
        """In the block the layer takes [1, T, d] and gives [1, S, d], the states at ``positions``."""
        attention = layer.get_submodule(self.attention)
        norm = layer.get_submodule(self.norm) if self.norm else nn.Identity()
        all_states: list[Tensor] = []

        def choose(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            states = _find_states(args, kwargs)
            all_states.append(states)
            return _replace_states(args, kwargs, states.index_select(1, positions))

        def restore(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            return _replace_states(args, kwargs, norm(all_states.pop()))

        def narrow(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
            return (args[0].index_select(1, positions), *args[1:])

        output = attention.get_submodule(self.output)
        handles = [
            layer.register_forward_pre_hook(choose, with_kwargs=True),
            attention.register_forward_pre_hook(restore, with_kwargs=True),
            output.register_forward_pre_hook(narrow),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


class Watch:
    """Watches one forward of a layer and finds its ``LastLayer``."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer
        self._made: dict[int, tuple[str, Tensor]] = {}
        self._attention = self._norm = self._output = ""
        self._inside = False

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """The layer runs inside this block."""
        handles = []
        for name, module in self.layer.named_modules():
            if name:
                handles.append(
                    module.register_forward_pre_hook(self._before(name), with_kwargs=True)
                )
                handles.append(module.register_forward_hook(self._after(name)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            self._made.clear()

    def read_layer(self) -> LastLayer | None:
        """The names, or None when the layer is not of the known kind."""
        if not (self._attention and self._output):
            return None
        return LastLayer(self._attention, self._norm, self._output)

    def _before(self, name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            # transformers hands what attention needs through to it, and to no other child.
            if "layout" in kwargs and not self._attention:
                self._attention, self._inside = name, True
                maker = self._made.get(id(_find_states(args, kwargs)))
                self._norm = maker[0] if maker is not None else ""
            elif self._inside and is_linear(module):
                self._output = name.removeprefix(f"{self._attention}.")

        return hook

    def _after(self, name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if name == self._attention:
                self._inside = False
            if isinstance(output, Tensor):
                self._made[id(output)] = (name, output)  # held, so that nothing else gets its id

        return hook


def _find_states(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    states: Tensor = args[0] if args else kwargs["hidden_states"]
    return states


def _replace_states(args: tuple[Any, ...], kwargs: dict[str, Any], states: Tensor) -> Any:
    if args:
        return (states, *args[1:]), kwargs
    return args, {**kwargs, "hidden_states": states}
