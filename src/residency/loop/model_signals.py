"""What a model says of rows that might be trained on: the losses that selectors ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from residency.errors import SuiteError
from residency.interfaces import Choice, ProgressEvent
from residency.loop.encode_rows import encode_examples
from residency.nouns.example import Example
from residency.nouns.model import Model
from residency.project.named_models import require_local
from residency.project.step_needs import HasEngine


class StoredModelSignals:
    """Losses by a stored model and by its base, measured once a model and row; its gradients."""

    def __init__(self, ws: HasEngine, model: Model) -> None:
        self._ws, self._model = ws, model
        self._losses: dict[tuple[str, bool], float] = {}

    def measure_losses(
        self, rows: Sequence[Example], *, trained: bool
    ) -> np.ndarray[Any, np.dtype[Any]]:
        """Mean loss of each row's answer (nats a token); NaN for a row that the model cannot take.

        Raises:
            UserError: the model answers elsewhere, and only its texts are known.
        """
        missing = [row for row in rows if (row.id, trained) not in self._losses]
        if missing:
            require_local(self._ws, self._model, "only local models can tell a row's loss")
            self._ws.engine.use_adapter(self._find_adapter() if trained else None)
            for number, row in enumerate(missing):
                self._losses[row.id, trained] = self._measure_loss(row)
                if number % 50 == 49 or number + 1 == len(missing):
                    self._ws.progress(ProgressEvent("losses", number + 1, len(missing), "rows"))
        return np.array([self._losses[row.id, trained] for row in rows])

    def measure_gradients(self, rows: Sequence[Example]) -> np.ndarray[Any, np.dtype[Any]]:
        """Sketches of the rows' gradients on the trained model, one a row; zeros for a row that
        cannot be trained.

        Raises:
            UserError: the model answers elsewhere, so that it has no gradients here.
        """
        from residency.train.row_gradients import DIMENSIONS, sketch_row_gradients

        ws = self._ws
        require_local(ws, self._model, "only local models have gradients")
        encoded = encode_examples(ws, [replace(row, split="train") for row in rows])
        settings = ws.config.train
        sketches = sketch_row_gradients(
            ws.base.path,
            self._find_adapter(),
            encoded.rows,
            settings,
            seed=ws.config.project.seed,
            device=ws.config.model.device,
            on_row=lambda done: ws.progress(
                ProgressEvent("gradients", done, len(encoded.rows), "rows")
            ),
        )
        first = {row.example: n for n, row in reversed(list(enumerate(encoded.rows)))}
        out = np.zeros((len(rows), DIMENSIONS), np.float32)
        for n, row in enumerate(rows):
            if row.id in first:
                out[n] = sketches[first[row.id]]
        return out

    def _find_adapter(self) -> Path | None:
        adapter = self._model.adapter
        return self._ws.store.artifacts.folder(adapter) if adapter else None

    def _measure_loss(self, row: Example) -> float:
        context = self._ws.chat_format.render(row.prompt, prompt=True)
        try:
            ((score,),) = self._ws.engine.score([[Choice(context, row.reference or "")]])
        except SuiteError:  # no tokens, or longer than the model's context
            return float("nan")
        return -score.logprob / max(1, score.tokens)
