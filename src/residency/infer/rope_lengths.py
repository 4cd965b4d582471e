"""Rotary positions whose frequencies depend on the longest sequence of a forward.

LongRoPE (the Phi-3 family) has two sets of frequencies and takes the second one for the whole
batch as soon as one sequence is longer than the length that the model was first trained at;
``dynamic`` scaling computes them anew for every length. A sequence must not be computed otherwise
because of its neighbours, so sequences on either side of that length never share a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RopeLengths:
    """Where a model's rotary frequencies change.

    Attributes:
        switch: longest sequence with the first frequencies; None where they never change.
        two_sets: all longer sequences share one set (LongRoPE), so they may share a batch that is
            computed at once.
        computes_anew: ``generate`` computes the whole sequence again when it grows over the switch.
    """

    switch: int | None = None
    two_sets: bool = False
    computes_anew: bool = False

    def is_long(self, length: int) -> bool:
        """Whether a sequence of this length uses other frequencies than short ones."""
        return self.switch is not None and length > self.switch


def find_rope_lengths(model: Any) -> RopeLengths:
    """Where this causal LM's rotary frequencies change, by its configuration."""
    config = model.config.get_text_config()
    switches: list[tuple[int, str]] = []
    for parameters in _list_rope_parameters(config):
        kind = parameters.get("rope_type", "default")
        if kind == "longrope":
            length = parameters.get(
                "original_max_position_embeddings",
                getattr(config, "original_max_position_embeddings", None),
            )
            switches.append((int(length or config.max_position_embeddings), kind))
        elif kind == "dynamic":
            switches.append((int(config.max_position_embeddings), kind))
    if not switches:
        return RopeLengths()
    kinds = {kind for _, kind in switches}
    return RopeLengths(
        switch=min(length for length, _ in switches),
        two_sets=kinds == {"longrope"} and len({length for length, _ in switches}) == 1,
        computes_anew="longrope" in kinds and _prepares_inputs_itself(model),
    )


def _list_rope_parameters(config: Any) -> Iterator[Mapping[str, Any]]:
    """Of every kind of layer: some models have one set of parameters for each."""
    parameters = getattr(config, "rope_parameters", None) or {}
    if any(isinstance(value, Mapping) for value in parameters.values()):
        yield from (value for value in parameters.values() if isinstance(value, Mapping))
    else:
        yield parameters


def _prepares_inputs_itself(model: Any) -> bool:
    from transformers import GenerationMixin

    prepare = type(model).prepare_inputs_for_generation
    return bool(prepare is not GenerationMixin.prepare_inputs_for_generation)
