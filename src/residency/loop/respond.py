"""Respond: a model's answers to examples, each stored as it comes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from residency.errors import EndpointError, UserError
from residency.evaluate.baselines.prompting import few_shot, prompting_name, zero_shot
from residency.interfaces import Generation, Generator, ProgressEvent, Prompt
from residency.model.free_memory import release_memory
from residency.nouns.example import Example, Message
from residency.nouns.model import Model
from residency.nouns.response import Response
from residency.project.named_models import label_model, require_local
from residency.project.step_needs import HasBase, HasEngine, HasRun
from residency.store.record_kind import RecordKind
from residency.text.counts import write_count

CALL_RECORD = RecordKind.ENDPOINT_CALL
"""The kind of record that holds what one answered request took."""


# --- respond ------------------------------------------------------------------------------


def respond(
    ws: HasEngine,
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
    change the result. ``generator`` answers instead of the local engine (an endpoint's model).

    Raises:
        UserError: answers are missing, and this model is not one that the local engine can be.
    """
    sampling = ws.sampling
    missing = _list_missing(ws, model, examples)
    if missing:
        name = f"answers {model.id} {sampling}"
        with ws.store.writer("eval"), ws.store.job(name, "eval", wait=math.inf):
            # Another machine may have answered while this one waited.
            missing = _list_missing(ws, model, examples)
            prompts = _build_prompts(ws, missing, examples, shots, draft)
            if prompts:
                done = len(examples) * ws.config.generate.samples - len(prompts)
                _generate(ws, model, shots, _Missing(missing, prompts, done), stage, generator)
    responses = ws.store.responses(model.id, examples, sampling)
    if missing and not responses and generator is not None:
        calls = getattr(generator, "calls", [])
        raise EndpointError(
            f"none of {len(missing)} requests was answered"
            + (f", the last: {calls[-1].error}" if calls else ""),
            where=label_model(model),
            next_step="look at the server, then run the same command: it asks again",
        )
    return responses


@dataclass(frozen=True)
class _Missing:
    """Examples and samples without an answer, their prompts, and how many answers there are."""

    pairs: Sequence[tuple[Example, int]]
    prompts: Sequence[Prompt]
    done: int


def _list_missing(
    ws: HasEngine, model: Model, examples: Sequence[Example]
) -> list[tuple[Example, int]]:
    """Examples and samples that the model has not answered yet, in order."""
    stored = {(r.example, r.sample) for r in ws.store.responses(model.id, examples, ws.sampling)}
    return [
        (example, sample)
        for example in examples
        for sample in range(ws.config.generate.samples)
        if (example.id, sample) not in stored
    ]


def _build_prompts(
    ws: HasEngine,
    missing: Sequence[tuple[Example, int]],
    examples: Sequence[Example],
    shots: Sequence[Example],
    draft: Model | None,
) -> list[Prompt]:
    drafts: Mapping[str, tuple[int, ...]] = {}
    # A prompted base writes unlike a tuned model: guessing its answers costs more than it saves.
    if draft is not None and draft.adapter is not None and ws.sampling.temperature == 0:
        drafted = ws.store.responses(draft.id, examples, ws.sampling)
        drafts = {r.example: r.token_ids for r in drafted}
    return [
        Prompt(build_prompt(example, shots), example.id, sample, drafts.get(example.id, ()))
        for example, sample in missing
    ]


def _generate(
    ws: HasEngine,
    model: Model,
    shots: Sequence[Example],
    missing: _Missing,
    stage: str,
    generator: Generator | None,
) -> None:
    """Answers to the prompts, each stored as it comes."""
    done = missing.done
    total = done + len(missing.prompts)
    ws.progress(ProgressEvent(stage, done, total, "answers"))
    if generator is None:
        _require_same_prompting(ws, model, shots, len(missing.prompts))
        ws.engine.use_adapter(ws.store.artifacts.folder(model.adapter) if model.adapter else None)

    def keep(index: int, g: Generation) -> None:
        nonlocal done
        example, sample = missing.pairs[index]
        done += 1
        if g.finish != "error":  # an answer that failed to arrive is requested again
            ws.store.add_responses([build_response(ws, model, example, sample, g)])
            record_call(ws, model, example, generator)

    def tell_progress(event: ProgressEvent) -> None:
        ws.progress(ProgressEvent(stage, done, total, "answers", event.detail))

    (generator or ws.engine).generate(
        missing.prompts, ws.sampling, on_result=keep, progress=tell_progress
    )
    release_memory()
    ws.progress(ProgressEvent(stage, done, done, "answers"))


def record_call(ws: HasRun, model: Model, example: Example, generator: Generator | None) -> None:
    """Keep the tokens that an endpoint counted for its latest answer; we see no ids of them."""
    if calls := getattr(generator, "calls", None):
        row = {"example": example.id, "answer_tokens": calls[-1].answer_tokens or 0}
        ws.store.add_record(CALL_RECORD, model.id, row)


def _require_same_prompting(
    ws: HasBase, model: Model, shots: Sequence[Example], missing: int
) -> None:
    what = f"{write_count(missing, 'answer is', 'answers are')} not stored"
    require_local(ws, model, what)
    if model.prompting != prompting_name(shots):
        raise UserError(
            f"{what}, and this model's prompts are made by residency baseline",
            where=label_model(model),
            next_step="residency baseline asks for them",
        )


def build_prompt(example: Example, shots: Sequence[Example]) -> tuple[Message, ...]:
    """The messages of a model's prompt."""
    return few_shot(example, shots) if shots else zero_shot(example)


def build_response(
    ws: HasEngine, model: Model, example: Example, sample: int, g: Generation
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
        prompt_tokens=g.prompt_tokens,
        seconds=g.seconds,
        error=g.error,
    )
