"""Text that a pretraining run is measured on: held out of its corpora, or from elsewhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from residency.pretraining.documents import Corpus
from residency.pretraining.recipe import RunConfig
from residency.pretraining.token_files import TokenFile

if TYPE_CHECKING:
    from residency.pretraining.bits_per_byte import HeldOut

ELSEWHERE = "elsewhere-"
"""Begins the name of text that is only measured: what does the model forget?"""


class HeldOutText:
    """Measures a model on every text of a run.

    Args:
        rows: the texts as rows of tokens. tokenizer: the run's. run: its settings.
    """

    def __init__(self, rows: Sequence[HeldOut], tokenizer: Any, run: RunConfig) -> None:
        self.rows, self.tokenizer, self.run = list(rows), tokenizer, run

    @classmethod
    def of(
        cls,
        corpora: Sequence[Corpus],
        others: Sequence[Path],
        tokens: Callable[[Corpus], TokenFile],
        tokenizer: Any,
        run: RunConfig,
    ) -> HeldOutText:
        """What the corpora hold out, then the ``others``; ``tokens`` encodes each.

        Raises:
            DataError: a text is empty or cannot be read.
        """
        from residency.pretraining.bits_per_byte import held_out_rows, token_bytes

        sizes = token_bytes(tokenizer)
        measured = [corpus for corpus in corpora if corpus.held_out != 0]
        rows = [
            held_out_rows(
                corpus.name,
                tokens(corpus),
                context=run.context,
                limit=run.eval_tokens,
                sizes=sizes,
            )
            for corpus in [*measured, *_name_elsewhere(others)]
        ]
        return cls(rows, tokenizer, run)

    def bits(self, model: Any) -> dict[str, float]:
        """Bits per byte by name of the text."""
        return {held.name: self._bits(model, held) for held in self.rows}

    def before(self, base: Path, identity: str, out: Path, device: str) -> dict[str, float]:
        """``bits`` of the model that a run starts from; stored in ``out`` and measured once.

        Args:
            base, identity: the model's folder and what tells it from others.
        """
        from residency.model.load_model import load_model, pick_device

        file = out / "before.json"
        known: dict[str, float] = {}
        if file.is_file():
            known = json.loads(file.read_text(encoding="utf-8"))
        keys = [self._key(held, identity) for held in self.rows]
        missing = [(k, held) for k, held in zip(keys, self.rows, strict=True) if k not in known]
        if missing:
            model = load_model(base, dtype="fp32", device=pick_device(device))
            known.update({key: self._bits(model, held) for key, held in missing})
            file.write_text(json.dumps(known, indent=1), encoding="utf-8")
        return {held.name: known[key] for key, held in zip(keys, self.rows, strict=True)}

    def samples(self, model: Any) -> Mapping[str, str]:
        """Greedy continuations of the run's prompts."""
        from residency.pretraining.bits_per_byte import sample_texts

        return sample_texts(model, self.tokenizer, self.run.samples)

    def _bits(self, model: Any, held: HeldOut) -> float:
        import torch

        from residency.pretraining.bits_per_byte import bits_per_byte

        dtype = torch.bfloat16 if self.run.precision == "bf16" else torch.float32
        return bits_per_byte(model, held, dtype=dtype)

    def _key(self, held: HeldOut, identity: str) -> str:
        """Changes with the model, the text and the precision."""
        parts = [identity, self.run.precision, [row.ids for row in held.rows]]
        digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        return f"{held.name} {digest[:16]}"


def _name_elsewhere(paths: Sequence[Path]) -> list[Corpus]:
    """Each path as a corpus of held-out text alone, with a separate name."""
    out: list[Corpus] = []
    for number, path in enumerate(paths, 1):
        name = f"{ELSEWHERE}{path.name.split('.')[0] or path.resolve().name}"
        if any(name == known.name for known in out):
            name = f"{name}-{number}"
        out.append(Corpus(name, path, held_out=path))
    return out
