"""The jobs that carry out a run's orders: what each is made of. Nothing is done here."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from residency.jobs.job import Job, Resources
from residency.jobs.job_store import JobStore
from residency.jobs.job_workspace import (
    choose_job_settings,
    locate_base,
    put_rows,
    read_template,
    write_answers,
)
from residency.loop.work_ahead import AnswerOrder, TrainingOrder
from residency.nouns.example import Example
from residency.nouns.model import Model
from residency.nouns.response import Response
from residency.project.dev_split import split_dev
from residency.project.workspace import Workspace

TRAIN = "residency.jobs.loop_functions:train_order"
ANSWER = "residency.jobs.loop_functions:answer_order"
LEAST_ITEMS = 16
"""Fewer items are not worth a separate job: each loads the model."""


class OrderJobs:
    """Makes jobs from orders.

    Args:
        ws: the project. store: where rows, adapters and drafts are put.
        threads, memory: of each job.
    """

    def __init__(self, ws: Workspace, store: JobStore, *, threads: int, memory: int) -> None:
        self._ws, self._store = ws, store
        self._resources = Resources(
            memory, max(1, threads), 0.0 if ws.config.model.device == "cpu" else None
        )
        self._threads = threads

    def make_training(self, order: TrainingOrder, trunk: Mapping[str, Mapping[str, Any]]) -> Job:
        """A training. ``trunk``: inputs and place by which it finds the frozen layers."""
        ws = self._ws
        finding, _ = split_dev(ws)
        rows = list(order.rows)
        if ws.config.train.eval_every:
            rows += [row for row in ws.split("dev") if row.id in finding]
        control = " control" if order.arm == "control" else ""
        stage = order.stage or f"round {order.round_}: train{control}"
        arguments = {
            "round": order.round_,
            "arm": order.arm,
            "parent": order.parent,
            "note": order.note,
            "seed": order.seed,
            "project_seed": ws.config.project.seed,
            "stage": stage,
        }
        inputs = {"rows": self._put_rows(rows, finding), **trunk.get("inputs", {})}
        return self._make(TRAIN, stage, arguments, inputs, place=trunk.get("place"))

    def make_answers(
        self, order: AnswerOrder, model: Model | None, training: Job | None, *, parts: int
    ) -> list[Job]:
        """A model's answers to what it has not answered yet, in so many jobs at most.

        Args:
            model: that answers; None for the one that ``training`` makes.
        """
        items = self._list_missing(order, model)
        parts = min(parts, max(1, len(items) // LEAST_ITEMS))
        shares = [
            items[n * len(items) // parts : (n + 1) * len(items) // parts] for n in range(parts)
        ]
        return [self._make_part(order, model, share, training) for share in shares if share]

    def _list_missing(self, order: AnswerOrder, model: Model | None) -> list[Example]:
        ws = self._ws
        items = ws.split(order.split)
        if model is None:
            return items
        stored = Counter(r.example for r in ws.store.responses(model.id, items, ws.sampling))
        return [item for item in items if stored[item.id] < ws.config.generate.samples]

    def _make_part(
        self,
        order: AnswerOrder,
        model: Model | None,
        items: Sequence[Example],
        training: Job | None,
    ) -> Job:
        ws = self._ws
        inputs = {"rows": self._put_rows(items, set())}
        arguments: dict[str, Any] = {
            "stage": order.stage,
            "shots": [shot.to_dict() for shot in order.shots],
        }
        if model is not None:
            arguments["model"] = asdict(model)
            if model.adapter:
                inputs["adapter"] = self._store.put_folder(ws.store.artifacts.folder(model.adapter))
        draft = order.draft
        written = ws.store.responses(draft.id, items, ws.sampling) if draft is not None else []
        if draft is not None and draft.adapter is not None and written:
            arguments["draft"] = asdict(draft)
            inputs["drafts"] = self._put_drafts(written)
        needs = {"training": training.id} if training is not None else {}
        return self._make(ANSWER, order.stage, arguments, inputs, needs=needs)

    def _make(
        self,
        function: str,
        title: str,
        arguments: Mapping[str, Any],
        inputs: Mapping[str, str],
        *,
        needs: Mapping[str, str] | None = None,
        place: Mapping[str, Any] | None = None,
    ) -> Job:
        ws = self._ws
        return Job(
            function,
            {**arguments, "base": ws.base.identity, "config": choose_job_settings(ws)},
            inputs=inputs,
            needs=needs or {},
            place={"base": locate_base(ws), "threads": self._threads, **(place or {})},
            resources=self._resources,
            title=title,
        )

    def _put_rows(self, rows: Sequence[Example], finding: set[str]) -> str:
        template = read_template(self._ws)
        return put_rows(self._store, rows, finding=finding, template=template)

    def _put_drafts(self, answers: Sequence[Response]) -> str:
        with tempfile.TemporaryDirectory() as folder:
            write_answers(Path(folder), answers)
            return self._store.put_folder(Path(folder))
