"""Every item, and which models failed it: the view that a mean score hides. A page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.results.judged_answers import JudgedAnswers
from residency.results.model_results import ModelResult
from residency.results.run_results import RunResults

ListedChange = Literal["fixed", "broken", "failing", "ok"]
LISTED_CHANGES: tuple[ListedChange, ...] = ("fixed", "broken", "failing", "ok")
"""What happened to an item between the first model that answered it and the last."""

Cell = tuple[str, ...] | None
"""Kinds that one model's answer failed; None where it did not answer."""


@dataclass(frozen=True)
class ItemRow:
    """An item and its cell for each model, in the order of the rounds."""

    example: Example
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class ItemPage:
    """Some of the items that fit the filters, and how many fit in all."""

    rows: list[ItemRow]
    total: int


@dataclass(frozen=True)
class ItemAnswer:
    """One model's answer to an item with everything that failed in it."""

    result: ModelResult
    response: Response
    failed: list[Finding]


def list_items(
    results: RunResults,
    *,
    kind: str = "",
    tag: str = "",
    change: str = "",
    offset: int = 0,
    limit: int = 50,
) -> ItemPage:
    """Dev items with the failures of each model, of all or of those that fit a filter.

    Args:
        kind: only items that some model failed in this kind; cells then show this kind alone.
        tag: only items with this tag.
        change: only items that were fixed, broken, are failing or ok between the first model
            and the last.
    """
    answers, models = results.answers, main_models(results)
    numbers = answers.number_checks(kind) if kind else None
    ids = [model.id for model in models]
    if numbers is None or numbers.are_few:
        can_count = not (kind or change) or answers.has_one_answer(*ids)
    else:
        can_count = False
    if can_count:
        failed = None if numbers is None else numbers.failed
        shown, total = results.store.filter_items(
            answers.make_item_filter("dev", tag=tag), ids, failed,
            change=change, offset=offset, limit=limit,
        )  # fmt: skip
    else:
        tags = answers.tags("dev")
        fitting = [key for key in answers.positions("dev") if not tag or tag in tags[key]]
        fitting = _filter_items(answers, models, fitting, kind, change)
        shown, total = fitting[offset : offset + limit], len(fitting)
    columns = [answers.outcomes(model.id, "dev", shown) for model in models]
    only = {kind} if kind else ()
    rows = [
        ItemRow(
            example,
            tuple(
                answers.failed_kinds(column[example.id], only) if example.id in column else None
                for column in columns
            ),
        )
        for example in answers.examples(shown)
    ]
    return ItemPage(rows, total)


def _filter_items(
    answers: JudgedAnswers,
    models: Sequence[ModelResult],
    ids: Sequence[str],
    kind: str,
    change: str,
) -> list[str]:
    only = {kind} if kind else ()
    columns = [answers.outcomes(model.id, "dev") for model in models]
    fitting = []
    for key in ids:
        failed = [
            bool(answers.failed_kinds(column[key], only)) for column in columns if key in column
        ]
        if kind and not any(failed):
            continue
        if change and listed_change(failed) != change:
            continue
        fitting.append(key)
    return fitting


def listed_change(failed: Sequence[bool]) -> ListedChange | None:
    """From the first model that answered to the last; None where fewer than two did."""
    if len(failed) < 2:
        return None
    if failed[0] == failed[-1]:
        return "failing" if failed[-1] else "ok"
    return "broken" if failed[-1] else "fixed"


def main_models(results: RunResults) -> list[ModelResult]:
    """The models in a row: prompted bases, then each round; control arms left out."""
    return [model for model in results.models if not model.is_control]


def list_answers(results: RunResults, example: Example) -> list[ItemAnswer]:
    """What every model answered to an item, each with what failed in it."""
    first: dict[str, Response] = {}
    for response in results.store.responses_to(example.id):
        first.setdefault(response.model, response)
    findings = results.answers.findings(list(first.values()))
    return [
        ItemAnswer(
            model,
            first[model.id],
            [f for f in findings[first[model.id].id] if f.status == "fail"],
        )
        for model in results.models
        if model.id in first
    ]


def list_tags(results: RunResults) -> list[str]:
    """Every tag of the dev items."""
    return results.store.split_tags(results.run, "dev")
