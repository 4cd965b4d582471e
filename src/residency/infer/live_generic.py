"""A live batch for models that only their forward can compute: one model's runs at a time.

The runs that wait longest choose the model; up to a whole batch of its runs is answered together,
then the next model has its turn. Runs join between batches, not within one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

import torch

from residency.infer.generic_model import GenericModel
from residency.infer.live_fused import note_prompt_scores
from residency.infer.live_run import LiveRun, OwnEndings
from residency.infer.sequences import Run


class LiveGeneric:
    """A live batch on the generic path.

    Args:
        put_model: writes a model's weights into ``generic``. slots: runs answered at one time.
    """

    def __init__(
        self, generic: GenericModel, put_model: Callable[[str], None], *, slots: int
    ) -> None:
        self.generic = generic
        self.put_model = put_model
        self.slots = slots
        self.waiting: deque[LiveRun] = deque()
        self.active: list[LiveRun] = []
        self._steps: Iterator[list[Run]] = iter(())

    @property
    def waiting_count(self) -> int:
        """Runs that have not begun."""
        return len(self.waiting)

    @property
    def active_count(self) -> int:
        """Runs that are being answered."""
        return len(self.active)

    def clear(self) -> list[LiveRun]:
        """Forget every run, after a step that failed; those that were in hand."""
        runs = [*self.active, *self.waiting]
        self.active, self.waiting = [], deque()
        self._steps = iter(())
        return runs

    def add(self, runs: Sequence[LiveRun]) -> None:
        """Put runs into the queue."""
        self.waiting.extend(runs)

    def step(self) -> list[LiveRun]:
        """One forward: the runs that were given a token or ended in it."""
        dropped = [run for run in self.waiting if run.cancelled]
        if dropped:
            self.waiting = deque(run for run in self.waiting if not run.cancelled)
        if not self.active:
            self._take_batch()
        if not self.active:
            return dropped
        for run in self.active:
            if run.cancelled and run.finish is None:
                run.finish = "error"  # it leaves the batch after this forward
        lengths = [len(run.tokens) for run in self.active]
        next(self._steps, None)
        pairs = list(zip(self.active, lengths, strict=True))
        changed = [run for run, length in pairs if len(run.tokens) > length]
        self.active = [run for run in self.active if run.finish is None]
        return dropped + changed

    def _take_batch(self) -> None:
        if not self.waiting:
            return
        name = self.waiting[0].model
        batch = [run for run in self.waiting if run.model == name][: self.slots]
        chosen = set(map(id, batch))
        self.waiting = deque(run for run in self.waiting if id(run) not in chosen)
        self.put_model(name)
        for run in batch:
            run.started = True
            if run.wants_prompt and len(run.ids) > 1:
                self._score_prompt(run)
        self.active = batch
        self._steps = self.generic.generate_steps(batch, OwnEndings(), self.slots)

    def _score_prompt(self, run: LiveRun) -> None:
        with torch.inference_mode():
            logits, _, _ = self.generic.compute_logits([run.ids], len(run.ids))
            note_prompt_scores(run, logits[0], run.ids[1:])
