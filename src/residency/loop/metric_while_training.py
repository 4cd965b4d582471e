"""``train.metric``: the best step by answers written while training, not by the loss.

Every so many steps the weights so far are written as an adapter, and a few rows are answered with
them by the engine that answers dev later. The rows are of the part of dev that finds issues, or are
held out of train: what measures chooses nothing, or its figures would flatter the chosen step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from residency.errors import DataError
from residency.evaluate.suites.primary_metric import PrimaryMetric, find_metric
from residency.evaluate.suites.scores import summarise_scores
from residency.interfaces import Prompt
from residency.loop.assess import find_errors
from residency.loop.respond import build_prompt, build_response
from residency.nouns.example import Example
from residency.nouns.model import Model
from residency.project.dev_split import split_dev
from residency.project.step_needs import HasAnswers, HasMeasures, HasRows

_TITLE = "checkpoint"


def make_metric(ws: HasAnswers) -> Callable[[Path], float] | None:
    """Score of the adapter (or full weights) in a folder, from 0 to 1; None without ``train.metric``.

    Answers are greedy and are not stored. What could not be judged counts as failed, so a model
    whose answers cannot be read is never the best.

    Raises:
        SuiteError: the metric's name is unknown. DataError: there is no row to answer.
    """
    if not ws.config.train.metric:
        return None
    metric, rows = choose_metric(ws), choose_metric_rows(ws)
    if not rows:
        raise DataError(
            "no row is left to answer while training",
            where="train.metric_rows",
            next_step='name the other rows ("dev" or "train"), or add rows',
        )
    sampling = replace(ws.sampling, temperature=0.0)
    prompts = [Prompt(build_prompt(row, ()), row.id) for row in rows]

    def score(folder: Path) -> float:
        ws.engine.use_adapter(folder)
        try:
            generations = ws.engine.generate(prompts, sampling)
        finally:
            ws.engine.use_adapter(None)  # the folder is gone soon, and its name may come again
        model = Model(base=ws.base.identity, settings={"title": _TITLE})
        responses = [
            build_response(ws, model, row, 0, answer)
            for row, answer in zip(rows, generations, strict=True)
        ]
        findings = find_errors(ws, model.id, rows, responses)
        primary = summarise_scores(findings, rows, responses, primary=metric).primary
        return primary.floor if primary else 0.0

    return score


def check_metric(ws: HasMeasures) -> None:
    """Refuse a metric that does not exist, before anything is trained.

    Raises:
        SuiteError: as ``choose_metric``.
    """
    if ws.config.train.metric:
        choose_metric(ws)


def choose_metric(ws: HasMeasures) -> PrimaryMetric:
    """The metric that ``train.metric`` names.

    Raises:
        SuiteError: neither a metric nor a rule of the suite has that name.
    """
    name = ws.config.train.metric
    return ws.primary_metric if name == "primary" else find_metric(ws.suite, name, "train.metric")


def choose_metric_rows(ws: HasRows) -> list[Example]:
    """The rows that are answered, at most ``train.metric_items`` of whole groups and more."""
    settings = ws.config.train
    if settings.metric_rows == "train":
        return _take_groups(ws, ws.split("train"), settings.metric_items)
    finding, _ = split_dev(ws)
    dev = [row for row in ws.split("dev") if row.id in finding]
    return _take_groups(ws, dev, settings.metric_items)


def hold_out_rows(ws: HasRows, rows: Sequence[Example]) -> list[Example]:
    """The rows that train: without those that ``train.metric`` answers, and without their groups.

    Raises:
        DataError: none is left.
    """
    settings = ws.config.train
    if not settings.metric or settings.metric_rows != "train":
        return list(rows)
    held = {row.group or row.id for row in choose_metric_rows(ws)}
    left = [row for row in rows if (row.group or row.id) not in held]
    if not left:
        raise DataError(
            f"all {len(rows)} training rows are held out for train.metric",
            where="train.metric_items",
            next_step="fewer items, or more training rows",
        )
    return left


def _take_groups(ws: HasRows, rows: Sequence[Example], count: int) -> list[Example]:
    """Whole groups in an order that follows from their names and the seed alone, until ``count``."""
    seed, groups = ws.config.project.seed, dict[str, list[Example]]()
    for row in rows:
        groups.setdefault(row.group or row.id, []).append(row)

    def hash_group(group: str) -> str:
        return hashlib.sha256(f"metric\x1f{seed}\x1f{group}".encode()).hexdigest()

    chosen: list[Example] = []
    for group in sorted(groups, key=hash_group):
        if len(chosen) >= count:
            break
        chosen += groups[group]
    return chosen
