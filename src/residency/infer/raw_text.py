"""Raw text, with no chat template: what a model writes after it, and how likely it is as a whole.

Tokenisation, truncation, windows and what ends an answer are those of lm-evaluation-harness 0.4.13.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from residency.errors import SuiteError
from residency.infer.choice_items import Item
from residency.infer.encode_requests import Encoder, Request
from residency.infer.scoring import score_fused, score_generic
from residency.infer.sequences import Ending, Run
from residency.interfaces import Progress, ProgressEvent, TextRequest, no_progress
from residency.nouns.response import Sampling

if TYPE_CHECKING:
    from residency.infer.local_engine import LocalEngine


def complete_texts(
    engine: LocalEngine, requests: Sequence[TextRequest], *, progress: Progress = no_progress
) -> list[str]:
    """What the model writes after each text, greedily, without the stop text and what follows it.

    A text that is too long is cut on the left, so that the answer has its room.

    Raises:
        SuiteError: an empty text, or an answer's budget as long as the model's context.
    """
    encoder = Encoder(engine.tokenizer, engine.context)
    by_stop: dict[tuple[str, ...], list[Run]] = {}
    for index, request in enumerate(requests):
        run = _start_text(engine, encoder, index, request)
        by_stop.setdefault(request.stop, []).append(run)
    results: dict[int, str] = {}
    for stop, runs in by_stop.items():
        stops = (*stop, *_read_end_text(engine))
        ending = Ending(_list_ends(engine), stops, partial(_decode_text, engine))
        for ended in engine.generate_steps(runs, ending, None):
            for run in ended:
                results[run.index] = _cut_text(_decode_text(engine, run.tokens), stops)
                progress(ProgressEvent("complete", len(results), len(requests)))
    return [results[index] for index in range(len(requests))]


def _start_text(engine: LocalEngine, encoder: Encoder, index: int, request: TextRequest) -> Run:
    room = engine.context - request.max_tokens
    if room < 1:
        raise SuiteError(
            f"answers of {request.max_tokens} tokens leave no room in a context of {engine.context}",
            next_step="give the task a smaller max_gen_toks",
        )
    ids = encoder.encode_text(request.prompt)[-room:]
    if not ids:
        raise SuiteError("an empty text has nothing to go on from")
    rules = engine.make_rules(ids, request.max_tokens)
    sampling = Sampling(max_new_tokens=request.max_tokens, stop=request.stop)
    return Run(index=index, ids=ids, budget=request.max_tokens, sampling=sampling, rules=rules)


def _list_ends(engine: LocalEngine) -> list[int]:
    """The ids that end a text: the model's settings, else the tokenizer's."""
    tokenizer_end = engine.tokenizer.eos_token_id
    return sorted({*engine.settings.end_ids, *([] if tokenizer_end is None else [tokenizer_end])})


def _read_end_text(engine: LocalEngine) -> tuple[str, ...]:
    tokenizer_end = engine.tokenizer.eos_token_id
    return (
        ()
        if tokenizer_end is None
        else (str(engine.tokenizer.decode(tokenizer_end, skip_special_tokens=False)),)
    )


def _decode_text(engine: LocalEngine, ids: Sequence[int]) -> str:
    return str(engine.tokenizer.decode(list(ids), skip_special_tokens=True))


def _cut_text(text: str, stops: Sequence[str]) -> str:
    for stop in stops:
        if stop:
            text = text.split(stop)[0]
    return text


def score_whole_texts(
    engine: LocalEngine, texts: Sequence[str], *, progress: Progress = no_progress
) -> list[float]:
    """log p of all tokens of each text (nats), the first after the tokenizer's begin or end token.

    A text longer than the context is read in windows; each begins one token before what it predicts,
    and the last is filled up with what stands before it.

    Raises:
        SuiteError: the tokenizer has neither a begin nor an end token.
    """
    encoder = Encoder(engine.tokenizer, engine.context)
    if encoder.first_id is None:
        raise SuiteError("the tokenizer has no token that a text can begin after")
    items: list[Item] = []
    of: list[int] = []
    for index, text in enumerate(texts):
        for window in _split_into_windows(
            encoder.encode_text(text), encoder.first_id, engine.context
        ):
            items.append(Item(len(items), [window]))
            of.append(index)
    scored = (
        score_fused(engine.fused, items)
        if engine.fused is not None
        else score_generic(engine.generic, items, engine.batch_size)
    )
    sums = [0.0] * len(items)
    for done, (number, scores) in enumerate(scored, start=1):
        sums[number] = scores[0].logprob
        progress(ProgressEvent("score texts", done, len(items), "windows"))
    totals = [0.0] * len(texts)
    for index, value in zip(of, sums, strict=True):
        totals[index] += value
    return totals


def _split_into_windows(ids: list[int], first: int, size: int) -> Iterator[Request]:
    """Every token predicted once, in windows of ``size`` inputs."""
    if not ids:
        return
    begin = min(size, len(ids))
    yield Request((first, *ids[: begin - 1]), tuple(ids[:begin]))
    while begin < len(ids):
        end = min(begin + size, len(ids))
        inputs = ids[max(end - size - 1, 0) : end - 1]
        yield Request(tuple(inputs), tuple(ids[begin:end]))
        begin = end
