"""``residency eval``: a model's answers on a split, graded."""

from __future__ import annotations

from collections import Counter

from residency.errors import UserError
from residency.evaluate.suites.check_result import is_raised
from residency.evaluate.suites.check_suite import check_suite
from residency.interfaces import Generator
from residency.loop.ask_servers import ask_servers, has_unanswered
from residency.loop.assess import Assessment, assess_answers
from residency.loop.respond import respond
from residency.nouns.example import Split
from residency.nouns.model import Model
from residency.project.endpoints import Endpoint
from residency.project.named_models import choose_model_shots, find_model, label_model
from residency.project.workspace import Workspace


def evaluate(
    ws: Workspace, name: str, split: Split, *, endpoint: Endpoint | None = None
) -> Assessment:
    """Answers of a model on a split, generated where missing, graded and diagnosed.

    ``endpoint`` answers instead of the named model; its answers are stored under its own id.

    Raises:
        UserError: for the sealed test split, which only ``run`` opens.
        EndpointError: it cannot be asked; what it answered before is kept.
    """
    if split == "test":
        raise UserError(
            "the test split is sealed: it confirms once, at the end of a run",
            next_step="use --split dev, or residency run",
        )
    with ws.store.writer("eval"):
        if endpoint is None:
            return _answer_and_assess(ws, find_model(ws, name), split, None)
        ws.store.add_model(endpoint.model)
        return _answer_and_assess(ws, endpoint.model, split, endpoint.generator)


def list_remarks(ws: Workspace, assessed: Assessment) -> list[str]:
    """What a reader of the scores should know: rules without items or that raise, kinds unscored."""
    lines = list(check_suite(ws.suite, assessed.examples)) if ws.suite.source else []
    for kind, rate in assessed.scores.kinds.items():
        findings = [f for f in assessed.findings if f.kind == kind]
        reasons = Counter(f.message for f in findings)
        if not rate.scored and reasons:
            reason, count = reasons.most_common(1)[0]
            share = "" if count == rate.total else f" (in {count} of {rate.total})"
            lines.append(f"{kind} was never scored: {reason}{share}")
            findings = [f for f in findings if f.message != reason]
        raised = [f.message for f in findings if is_raised(f)]
        if raised:
            lines.append(f"{kind} was not judged in {len(raised)} of {rate.total}: {raised[0]}")
    return lines


def _answer_and_assess(
    ws: Workspace, model: Model, split: Split, generator: Generator | None
) -> Assessment:
    examples = ws.split(split)
    shots = choose_model_shots(ws, model)
    stage = f"{split}: {label_model(model)}"
    if has_unanswered(ws, model, examples):
        ask_servers(ws)
    responses = respond(ws, model, examples, shots=shots, stage=stage, generator=generator)
    return assess_answers(ws, model, examples, responses)
