"""The steps of a round: respond and assess. Each keeps its result and never does it twice."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from residency.diagnose.run_detectors import DETECTORS, detect
from residency.errors import UserError
from residency.evaluate.baselines.prompting import choose_shots, few_shot, prompting_name, zero_shot
from residency.evaluate.suites.grade import grade
from residency.evaluate.suites.scores import Scores, summarise
from residency.interfaces import Generation, Generator, Progress, ProgressEvent, Prompt
from residency.nouns.content_id import content_id
from residency.nouns.example import Example, Message, Split
from residency.nouns.finding import Finding
from residency.nouns.model import Model
from residency.nouns.response import Response
from residency.project.workspace import Workspace, rows_hash
from residency.text.field_lines import label_values
from residency.text.words import words

T = TypeVar("T")
ZERO_SHOT = "zero-shot"
ENDPOINT = "endpoint:"
"""How the base of a model at an endpoint begins."""
CALL = "endpoint call"
"""The kind of record that holds what one answered request took."""


@dataclass(frozen=True)
class Assessed:
    """A model's answers on some examples, with everything found in them."""

    model: Model
    examples: list[Example]
    responses: list[Response]
    findings: list[Finding]
    scores: Scores


def staged(ws: Workspace, key: str, make: Callable[[], T]) -> T:
    """Do a step whose result is JSON once; afterwards give the stored result."""
    stored = ws.store.stage(ws.run_id, key)
    if stored is not None:
        found: T = stored["result"]
        return found
    start = time.monotonic()
    result = make()
    ws.store.finish_stage(ws.run_id, key, time.monotonic() - start, {"result": result})
    return result


def named(progress: Progress, stage: str) -> Progress:
    """The same callback under another stage name."""

    def call(event: ProgressEvent) -> None:
        progress(ProgressEvent(stage, event.done, event.total, event.unit, event.detail))

    return call


# --- models -------------------------------------------------------------------------------


def base_model(ws: Workspace, shots: Sequence[Example] = ()) -> Model:
    """The bare base under zero-shot prompting, or under few-shot with these examples."""
    prompting = prompting_name(shots)
    model = Model(
        base=ws.base.identity, prompting=prompting, settings={"chat": ws.chat_format.hash}
    )
    ws.store.add_model(model)
    return model


def shots_of(ws: Workspace) -> list[Example]:
    """The fixed examples of the few-shot prompt, from train."""
    return choose_shots(ws.split("train"), ws.config.evaluate.few_shot, ws.config.project.seed)


def label_of(model: Model) -> str:
    """How a model is called in tables."""
    if model.base.startswith(ENDPOINT):
        return "endpoint " + model.base.removeprefix(ENDPOINT)
    if model.adapter is None:
        return "base, " + model.prompting.rsplit(":", 1)[0].replace(":", " ")
    return f"round {model.round}" + (", control" if model.arm == "control" else "")


# --- respond ------------------------------------------------------------------------------


def respond(
    ws: Workspace,
    model: Model,
    examples: Sequence[Example],
    *,
    shots: Sequence[Example] = (),
    stage: str,
    draft: Model | None = None,
    generator: Generator | None = None,
) -> list[Response]:
    """A model's answers; only those that are not stored yet are generated, each stored at once.

    ``draft`` names a model whose stored greedy answers may speed this one up; they never
    change the result. ``generator`` answers in place of the local engine (an endpoint's model).

    Raises:
        UserError: answers are missing, and this model is not one that the local engine can be.
    """
    sampling = ws.sampling
    count = ws.config.generate.samples
    stored = {(r.example, r.sample) for r in ws.store.responses(model.id, examples, sampling)}
    drafts: Mapping[str, tuple[int, ...]] = {}
    # A prompted base writes unlike a tuned model: guessing its answers costs more than it saves.
    if draft is not None and draft.adapter is not None and sampling.temperature == 0:
        drafts = {r.example: r.token_ids for r in ws.store.responses(draft.id, examples, sampling)}
    prompts, missing = [], []
    for example in examples:
        for sample in range(count):
            if (example.id, sample) not in stored:
                missing.append((example, sample))
                messages = prompt_of(example, shots)
                prompts.append(Prompt(messages, example.id, sample, drafts.get(example.id, ())))
    if prompts:
        ws.progress(ProgressEvent(stage, len(stored), len(stored) + len(prompts), "answers"))
        if generator is None:
            _refuse_others(ws, model, shots, len(prompts))
            adapter = ws.store.artifacts.folder(model.adapter) if model.adapter else None
            ws.engine.use_adapter(adapter)
        done = len(stored)

        def keep(place: int, g: Generation) -> None:
            nonlocal done
            example, sample = missing[place]
            done += 1
            if g.finish != "error":  # an answer that failed to arrive is asked for again
                ws.store.add_responses([response_of(ws, model, example, sample, g)])
                record_call(ws, model, example, generator)

        def shown(event: ProgressEvent) -> None:
            total = len(stored) + len(prompts)
            ws.progress(ProgressEvent(stage, done, total, "answers", event.detail))

        (generator or ws.engine).generate(prompts, sampling, on_result=keep, progress=shown)
        ws.progress(ProgressEvent(stage, done, done, "answers"))
    return ws.store.responses(model.id, examples, sampling)


def record_call(ws: Workspace, model: Model, example: Example, generator: Generator | None) -> None:
    """Keep the tokens that an endpoint counted for its latest answer; we see no ids of them."""
    if calls := getattr(generator, "calls", None):
        row = {"example": example.id, "answer_tokens": calls[-1].answer_tokens}
        ws.store.add_record(CALL, model.id, row)


def require_local(ws: Workspace, model: Model, what: str) -> None:
    """The loaded base must not answer in another model's name.

    Raises:
        UserError: the model is an endpoint's, or has another base.
    """
    if model.base.startswith(ENDPOINT):
        step = "residency eval --endpoint URL --endpoint-model NAME asks an endpoint"
        raise UserError(what, where=label_of(model), next_step=step)
    if model.base != ws.base.identity:
        raise UserError(
            f"{what}: its base is another than this project's",
            where=f"{model.id}, {model.base}",
            next_step="set model.base back to it",
        )


def _refuse_others(ws: Workspace, model: Model, shots: Sequence[Example], missing: int) -> None:
    what = f"{missing} answers are not stored"
    require_local(ws, model, what)
    if model.prompting != prompting_name(shots):
        raise UserError(
            f"{what}, and this model's prompts are made by residency baseline",
            where=label_of(model),
            next_step="residency baseline asks for them",
        )


def prompt_of(example: Example, shots: Sequence[Example]) -> tuple[Message, ...]:
    """The messages that a model is asked with."""
    return few_shot(example, shots) if shots else zero_shot(example)


def response_of(
    ws: Workspace, model: Model, example: Example, sample: int, g: Generation
) -> Response:
    """A generation, filed."""
    return Response(
        model=model.id,
        example=example.id,
        text=g.text,
        token_ids=g.token_ids,
        finish=g.finish,
        sample=sample,
        sampling=ws.sampling,
        logprob=g.logprob,
        prompt_tokens=g.prompt_tokens,
        seconds=g.seconds,
        error=g.error,
    )


# --- assess -------------------------------------------------------------------------------


def assess(
    ws: Workspace, model: Model, examples: Sequence[Example], responses: Sequence[Response]
) -> Assessed:
    """Grade and look for errors. Nothing is generated; stored findings are reused."""
    scope = content_id(
        "scope",
        {
            "suite": ws.suite.hash,
            "diagnose": ws.config.diagnose.model_dump(mode="json"),
            "detectors": {name: d.version for name, d in DETECTORS.items()},
            "budget": ws.config.generate.max_new_tokens,
            "examples": rows_hash(examples),
            "known": rows_hash(ws.split("train")),
        },
    )
    known_scopes = {record["scope"] for record in ws.store.records("scope", ws.run_id)}
    if scope not in known_scopes:  # by which the report finds the evidence of this run
        ws.store.add_record("scope", ws.run_id, {"scope": scope})
    findings = ws.store.findings(scope, responses)
    if {f.response for f in findings} != {r.id for r in responses}:
        findings = grade(ws.suite, examples, responses, embedder=ws.embedder)
        train = ws.split("train")
        findings += detect(
            examples,
            responses,
            known_words=known_words(train),
            embedder=ws.embedder,
            config=ws.config.diagnose,
            max_new_tokens=ws.config.generate.max_new_tokens,
            label_values=label_values(train),
        )
        ws.store.add_findings(scope, findings)
    scores = summarise(findings, examples, responses)
    return Assessed(model, list(examples), list(responses), findings, scores)


def known_words(train: Sequence[Example]) -> set[str]:
    """Words that are no misspelling here: all of the training answers, and of the prompts those
    that stand in three rows or more (a slip of one customer makes no word)."""
    answers = {w for e in train for m in e.messages if m.role == "assistant" for w in words(m.text)}
    asked = [{w for m in e.messages if m.role != "assistant" for w in words(m.text)} for e in train]
    often = Counter(w for row in asked for w in row)
    return answers | {word for word, rows in often.items() if rows >= 3}


def evaluate_on(
    ws: Workspace,
    model: Model,
    split: Split,
    *,
    stage: str,
    shots: Sequence[Example] = (),
    draft: Model | None = None,
) -> Assessed:
    """Answers of a model on a split, graded and diagnosed."""
    examples = ws.split(split)
    responses = respond(ws, model, examples, shots=shots, stage=stage, draft=draft)
    return assess(ws, model, examples, responses)
