"""What a pretraining run made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PretrainResult:
    """What a run made.

    Attributes:
        folder: the model, loadable by ``AutoModelForCausalLM`` and ``AutoTokenizer``.
        parameters, tokens, steps, seconds: of the run.
        bits_per_byte: on held-out text, by corpus; ``before``: the same before the first step
            (only with ``--from``). notes: what the user should know.
    """

    folder: Path
    parameters: int
    tokens: int
    steps: int
    seconds: float
    bits_per_byte: Mapping[str, float]
    before: Mapping[str, float]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {**asdict(self), "folder": str(self.folder), "notes": list(self.notes)}
