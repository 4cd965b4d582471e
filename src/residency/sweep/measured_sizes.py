"""The rows of the size table from what was measured: bare bases, trained ones, and an endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from residency.loop.assess import assess_answers
from residency.loop.respond import CALL_RECORD, respond
from residency.nouns.issue import Issue
from residency.project.endpoints import Endpoint
from residency.project.named_models import label_model
from residency.project.workspace import Workspace
from residency.sweep.measured_cells import Measured, fail_items, score_items
from residency.sweep.plan import VariantCost
from residency.sweep.size_table import SizeRow, average_items, measure_figure


def measure_endpoint(ws: Workspace, endpoint: Endpoint) -> Measured:
    """A named server's answers to dev; it gets no request for those that are stored.

    Its tokens are None where the server counted none, its cost where no price was given.

    Raises:
        EndpointError: nothing was answered.
    """
    model, dev = endpoint.model, ws.split("dev")
    ws.store.add_model(model)
    name = label_model(model)
    answers = respond(ws, model, dev, stage=f"sweep: {name}", generator=endpoint.generator)
    counted = [int(row["answer_tokens"]) for row in ws.store.records(CALL_RECORD, model.id)]
    tokens = sum(counted) if counted and all(counted) else None
    prompts = [answer.prompt_tokens for answer in answers if answer.prompt_tokens]
    seconds = sum(answer.seconds for answer in answers)
    cost = endpoint.price.price_request(
        sum(prompts) / len(prompts) if prompts else None,
        None if tokens is None else tokens / len(counted),
        seconds / len(answers),
    )
    figures = {
        "answers": len(answers),
        "answer_seconds": seconds,
        "answer_tokens": tokens,
        "cost": None if cost is None else 1000 * cost,
    }
    return Measured(name, None, figures, assess_answers(ws, model, dev, answers))


def list_sizes(
    measured: Sequence[Measured],
    issues: Sequence[Issue],
    half: set[str],
    groups: Mapping[str, str],
    costs: Mapping[str, VariantCost],
    hour_price: float,
) -> list[SizeRow]:
    """Each bare base and endpoint, and each variant at its most rows.

    Args:
        half: ids of the items that measure. groups: of items, by id.
        costs: of variants, by name. hour_price: of the machine that answers; 0: no cost.
    """
    most: dict[str, list[Measured]] = {}
    for one in measured:
        there = most.get(one.name, [])
        if not there or one.rows >= there[0].rows:
            most[one.name] = [*(m for m in there if m.rows == one.rows), one]
    return [
        _make_row(name, ones, issues, half, groups, costs.get(name), hour_price)
        for name, ones in most.items()
    ]


def _make_row(
    name: str,
    ones: Sequence[Measured],
    issues: Sequence[Issue],
    half: set[str],
    groups: Mapping[str, str],
    cost: VariantCost | None,
    hour_price: float,
) -> SizeRow:
    scores = [score_items(one, half) for one in ones]
    seconds = sum(one.value["answer_seconds"] for one in ones)
    answer = seconds / max(1, sum(one.value["answers"] for one in ones))
    counts = [one.value["answer_tokens"] for one in ones]
    trainings = [one.value["training"] for one in ones if "training" in one.value]
    cost = cost if trainings else None
    hourly = 1000 * answer / 3600 * hour_price if hour_price else None
    return SizeRow(
        name=name,
        rows=ones[0].rows,
        trainings=len(trainings),
        score=measure_figure(scores, groups),
        issues={
            issue.id: measure_figure([fail_items(issue, one, half) for one in ones], groups)
            for issue in issues
        },
        minutes=_mean([t["seconds"] / 60 for t in trainings]),
        predicted_minutes=cost.predict_training(ones[0].rows) / 60 if cost else None,
        memory=max((int(t["memory"]) for t in trainings), default=None),
        predicted_memory=cost.memory if cost else None,
        tokens_per_second=sum(counts) / seconds if seconds and None not in counts else None,
        answer_seconds=answer,
        cost=ones[0].value.get("cost", hourly),
        by_item=average_items(scores),
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
