"""Should I fine-tune at all? Prompting, retrieval and the tuned model on the same items.

Every answer is stored as it arrives and never generated twice. Prompts go to the local engine;
only an endpoint that the caller names is sent anything.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from residency.config.read_text import read_text_file
from residency.errors import DataError, StoreError, UserError
from residency.evaluate.baselines.baseline_report import BaselineReport, Contender, Price, Way
from residency.evaluate.baselines.compare_ways import compare_ways
from residency.evaluate.baselines.prompting import (
    CONTEXT_HEADER,
    Retriever,
    SimilarShots,
    as_document,
    few_shot,
    split_passages,
    with_context,
    zero_shot,
)
from residency.evaluate.suites.grade import read_judged
from residency.interfaces import Generation, Generator, ProgressEvent, Prompt
from residency.loop.ask_servers import ask_servers, has_unanswered
from residency.loop.assess import assess_answers
from residency.loop.respond import CALL_RECORD, build_response, record_call
from residency.nouns.content_id import content_id
from residency.nouns.example import Example, Message, Split
from residency.nouns.model import Model
from residency.nouns.response import Response
from residency.project.endpoints import Endpoint
from residency.project.named_models import (
    choose_project_shots,
    find_model,
    label_model,
    register_base_model,
    require_local,
)
from residency.project.workspace import Workspace, hash_rows
from residency.store.record_kind import RecordKind

__all__ = ["BaselineReport", "Endpoint", "baseline"]

Ask = Callable[[Sequence[Example]], list[tuple[Message, ...]]]


@dataclass(frozen=True)
class _Way:
    name: str
    way: Way
    model: Model
    ask: Ask
    generator: Generator | None = None
    price: Price = field(default_factory=Price)
    remote: bool = False


def baseline(
    ws: Workspace,
    *,
    split: Split = "dev",
    tuned: str = "final",
    shots: int = 4,
    documents: Sequence[Path] = (),
    retrieved: int = 3,
    limit: int = 0,
    latency_items: int = 8,
    per_hour: float = 0.0,
    endpoint: Endpoint | None = None,
) -> BaselineReport:
    """The same items by zero-shot prompt, few-shot prompt, retrieval, and the tuned model.

    A run's few-shot prompt (fixed examples) joins when its answers are stored.

    Args:
        tuned: the fine-tuned model's name; left out when no such model is stored.
        shots: examples in the few-shot prompt, the training rows most similar to each item.
        documents: text files for retrieval; none: the training rows.
        retrieved: texts put into the retrieval prompt.
        limit: items at most; 0 takes all.
        latency_items: single requests timed one at a time for p50 and p95; 0 times none.
        per_hour: price of an hour of this machine.
        endpoint: also ask this endpoint. It is sent the prompts of every item.

    Raises:
        UserError: the test split is sealed. DataError: a document cannot be read.
    """
    if split == "test":
        raise UserError("the test split is sealed", next_step="use --split dev")
    if min(shots, retrieved, limit, latency_items) < 0 or not 0 <= per_hour < math.inf:
        raise UserError("shots, texts, items and prices count from 0", where="baseline")
    with ws.store.writer("baseline"):
        examples = ws.split(split)
        examples = examples[:limit] if limit else examples
        local = Price(per_hour=per_hour)
        ways = _ways(ws, tuned, shots, documents, retrieved, local, endpoint)
        if any(has_unanswered(ws, way.model, examples) for way in ways):
            ask_servers(ws)
        # The endpoint first: one that does not answer is told before this machine works.
        order = sorted(ways, key=lambda way: way.generator is None)
        done = {way.name: _contender(ws, way, examples, latency_items) for way in order}
        contenders = [done[way.name] for way in ways]
        report = compare_ways(
            contenders,
            examples,
            split=split,
            reduce=ws.config.evaluate.reduce,
            primary=ws.primary_metric,
            classes=ws.classes,
            read=partial(
                read_judged, ws.suite, keep_reasoning=ws.config.evaluate.reasoning == "keep"
            ),
        )
        ws.store.add_record(
            RecordKind.BASELINE, ws.store.latest_run() or ws.run_id, report.to_dict()
        )
        return report


def _ways(
    ws: Workspace,
    tuned: str,
    shots: int,
    documents: Sequence[Path],
    retrieved: int,
    local: Price,
    endpoint: Endpoint | None,
) -> list[_Way]:
    tuned_model = _find_tuned(ws, tuned)
    train = ws.split("train")
    near = SimilarShots(train, ws.embedder)
    texts = _documents(ws, documents) or [as_document(row) for row in train]
    retriever = Retriever(texts)

    def zero(examples: Sequence[Example]) -> list[tuple[Message, ...]]:
        return [zero_shot(e) for e in examples]

    def few(examples: Sequence[Example]) -> list[tuple[Message, ...]]:
        nearest = near(examples, shots)
        return [few_shot(e, s) for e, s in zip(examples, nearest, strict=True)]

    def retrieval(examples: Sequence[Example]) -> list[tuple[Message, ...]]:
        passages = retriever([e.prompt_text for e in examples], retrieved)
        pairs = zip(examples, passages, strict=True)
        return [with_context(zero_shot(e), t) for e, t in pairs]

    ways = [_Way("zero-shot prompt", "prompt", register_base_model(ws), zero, price=local)]
    if shots:
        prompting = f"similar-shots:{shots}:{_short(hash_rows(train))}"
        name = f"{shots} similar shots"
        ways.append(_Way(name, "prompt", _prompted(ws, prompting), few, price=local))
    fixed = choose_project_shots(ws)
    if fixed and ws.store.responses(register_base_model(ws, fixed).id):  # round 0 of a run

        def same(examples: Sequence[Example]) -> list[tuple[Message, ...]]:
            return [few_shot(e, fixed) for e in examples]

        name = f"{len(fixed)} fixed shots"
        ways.append(_Way(name, "prompt", register_base_model(ws, fixed), same, price=local))
    if retrieved and texts:
        wording = [CONTEXT_HEADER, *texts]
        prompting = f"retrieval:{retrieved}:{_short(content_id('texts', wording))}"
        model = _prompted(ws, prompting)
        ways.append(_Way("prompt + retrieval", "prompt", model, retrieval, price=local))
    if tuned_model is not None and tuned_model.adapter is not None:
        name = f"fine-tuned ({label_model(tuned_model)})"
        ways.append(_Way(name, "fine-tuned", tuned_model, zero, price=local))
    if endpoint is not None:
        remote = endpoint.model
        ws.store.add_model(remote)
        name = label_model(remote)
        generator, price = endpoint.generator, endpoint.price
        ways.append(_Way(name, "endpoint", remote, zero, generator, price, endpoint.remote))
    return ways


def _find_tuned(ws: Workspace, name: str) -> Model | None:
    """The fine-tuned model; None where nothing was trained yet and none was asked for."""
    try:
        return find_model(ws, name)
    except StoreError:
        if name != "final":
            raise
        return None


def _prompted(ws: Workspace, prompting: str) -> Model:
    model = Model(
        base=ws.base.identity, prompting=prompting, settings={"chat": ws.chat_format.hash}
    )
    ws.store.add_model(model)
    return model


def _short(key: str) -> str:
    return key.partition("-")[2][:8]


def _documents(ws: Workspace, paths: Sequence[Path]) -> list[str]:
    """Passages of the user's text files."""
    out = []
    for path in paths:
        file = path if path.is_absolute() else ws.root / path
        try:
            out += split_passages(read_text_file(file))
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"the document cannot be read as UTF-8 text: {error}",
                where=str(file),
                next_step="name text or Markdown files",
            ) from None
    return out


def _contender(
    ws: Workspace, way: _Way, examples: Sequence[Example], latency_items: int
) -> Contender:
    responses = _answers(ws, way, examples)
    assessed = assess_answers(ws, way.model, examples, responses)
    return Contender(
        name=way.name,
        way=way.way,
        responses=responses,
        findings=assessed.findings,
        latencies=_latencies(ws, way, examples[:latency_items]) if latency_items else [],
        answer_tokens=[
            int(row["answer_tokens"])
            for row in ws.store.records(CALL_RECORD, way.model.id)
            if row["answer_tokens"]
        ],
        leaves_machine=way.remote,
        price=way.price,
    )


def _generator(ws: Workspace, way: _Way) -> Generator:
    """Who answers; the local engine is loaded only when something has to be generated."""
    if way.generator is not None:
        return way.generator
    adapter = way.model.adapter
    if adapter:
        require_local(ws, way.model, "the fine-tuned model cannot answer beside this base")
    ws.engine.use_adapter(ws.store.artifacts.folder(adapter) if adapter else None)
    return ws.engine


def _answers(ws: Workspace, way: _Way, examples: Sequence[Example]) -> list[Response]:
    """Stored answers, and new ones for what is missing; an error counts for this table only."""
    stored = {
        (r.example, r.sample) for r in ws.store.responses(way.model.id, examples, ws.sampling)
    }
    samples = range(ws.config.generate.samples)
    unanswered = [e for e in examples if any((e.id, s) not in stored for s in samples)]
    missing: list[tuple[Example, int]] = []
    prompts: list[Prompt] = []
    for example, messages in zip(unanswered, way.ask(unanswered), strict=True):
        for sample in samples:
            if (example.id, sample) not in stored:
                missing.append((example, sample))
                prompts.append(Prompt(messages, example.id, sample))
    failed: list[Response] = []
    generator = _generator(ws, way) if prompts else None
    stage = f"baseline: {way.name}"

    def keep(position: int, generation: Generation) -> None:
        example, sample = missing[position]
        response = build_response(ws, way.model, example, sample, generation)
        if generation.finish == "error":
            failed.append(response)
        else:
            ws.store.add_responses([response])
            record_call(ws, way.model, example, generator)

    def shown(event: ProgressEvent) -> None:
        ws.progress(ProgressEvent(stage, event.done, event.total, event.unit, event.detail))

    if generator is not None:
        generator.generate(prompts, ws.sampling, on_result=keep, progress=shown)
    return ws.store.responses(way.model.id, examples, ws.sampling) + failed


def _latencies(ws: Workspace, way: _Way, examples: Sequence[Example]) -> list[float]:
    """Seconds of single requests, one at a time, the first (warm-up) left out when there are more."""
    generator = _generator(ws, way)
    seconds = []
    for number, messages in enumerate(way.ask(examples), 1):
        stage = f"baseline: {way.name}, single requests"
        start = time.perf_counter()
        (answer,) = generator.generate([Prompt(messages, f"latency {number}")], ws.sampling)
        if answer.finish != "error":
            seconds.append(time.perf_counter() - start)
        ws.progress(ProgressEvent(stage, number, len(examples), "requests"))
    return seconds[1:] if len(seconds) > 2 else seconds
