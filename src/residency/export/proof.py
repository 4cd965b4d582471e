"""Proof on the exported file itself: what its program reads, asks and writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from residency.chat.chat_format import ChatFormat
from residency.errors import ParityError
from residency.interfaces import Generation, Generator, Prompt
from residency.nouns.example import Message
from residency.nouns.response import Sampling
from residency.text.counts import write_count

TEXTS = (
    "The quick brown fox jumps over the lazy dog.",
    "Order 48213 costs $1,299.50  (that's 3 x 433.17)",
    "  two  blanks   before 7 and tabs\t\t9\n\n\n1",
    "naïve café – ¿qué tal? 日本語 🙂 Ελλάδα",
    "def f(x):\n    return x ** 2  # 2nd power\n",
    "I'll say we've what they'd want: don't",
)
"""Texts whose tokens must be the same everywhere."""
NEAR_TIE = 0.05
"""Nats. llama.cpp's fp32 logits differ from transformers' by up to 0.05."""


class Consumer(Generator, Protocol):
    """A program that uses exported files.

    Attributes:
        own_ends: texts of control tokens at which it ends every answer, whatever the model says.
        stops: strings that end an answer, sent with every request.
    """

    own_ends: tuple[str, ...]
    stops: tuple[str, ...]

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Ids of the prompt, as the program makes them from messages."""
        ...

    def text_ids(self, text: str) -> list[int]:
        """Ids of plain text."""
        ...

    def measure_speed(self, messages: Sequence[Message]) -> float:
        """Tokens a second of one long answer."""
        ...


@dataclass(frozen=True)
class FileProof:
    """What the file's program did.

    Attributes:
        prompts: how many. same_text: answers equal to the model's, letter by letter.
        ended: answers that ended by themselves; expected_ends: how many of the model's did.
        bos: BOS tokens at the start of a prompt. speed: tokens a second, one answer at a time.
        stops: strings that were sent with every request; needed_stops: answers of the model that end
            only at one of them, and go on in a program that is not sent them.
    """

    prompts: int
    same_text: int
    ended: int
    expected_ends: int
    bos: int
    speed: float
    stops: tuple[str, ...] = ()
    needed_stops: int = 0


def prove_file(
    consumer: Consumer,
    chat: ChatFormat,
    prompts: Sequence[Prompt],
    expected: Sequence[Generation],
    sampling: Sampling,
    *,
    exact: bool,
    measure_lead: Callable[[Sequence[int]], float],
    where: str,
) -> FileProof:
    """Give a file the model's prompts, and compare.

    Args:
        expected: the model's answers to these prompts. exact: whether its weights are the
            model's, not rounded: then every answer must be the same, up to a token whose lead
            over the next one is less than ``NEAR_TIE``, where the order of sums decides.
        measure_lead: ids → nats by which the model's likeliest next token is ahead.

    Raises:
        ParityError: other tokens, another chat template, two BOS, answers that never end, or other
            answers from weights that are not rounded.
    """
    _check_tokens(consumer, chat, where)
    bos = 0
    for prompt in prompts:
        ours, theirs = chat.prompt_ids(prompt.messages), consumer.prompt_ids(prompt.messages)
        bos = _count_bos(theirs, chat)
        if ours != theirs:
            raise ParityError(
                f"the file's own chat template asks otherwise: {write_count(len(theirs), 'token')} instead of "
                f"{len(ours)}, {bos} BOS; it begins {chat.pieces(theirs[:24], [False] * 24)[0][0]!r}",
                where=where,
                next_step="use --format hf, and tell us which base this is",
            )
    answers = consumer.generate(prompts, sampling)
    wanted = [_cut_at_ends(e, chat, consumer.own_ends) for e in expected]
    pairs = list(zip(prompts, answers, expected, wanted, strict=True))
    different = [
        (prompt, answer, model_answer)
        for prompt, answer, model_answer, text in pairs
        if _without_half_letters(answer.text) != _without_half_letters(text)
    ]
    same = len(prompts) - len(different)
    ended = sum(a.finish == "stop" for a in answers)
    due = sum(e.finish == "stop" for e in expected)
    proof = FileProof(
        len(prompts), same, ended, due, bos, consumer.measure_speed(prompts[0].messages),
        consumer.stops, sum(_ends_at_stop(e, chat, consumer.stops) for e in expected),
    )  # fmt: skip
    # One short answer of a weak model, lost in rounding, says nothing about the file's end tokens.
    if 2 * due >= len(prompts) and not ended:
        raise ParityError(
            f"no answer of the file ends by itself; of the model's own {due} of {len(prompts)} do",
            where=where,
            next_step="use --format hf, and tell us which base this is",
        )
    wrong = [d for d in different if exact and not _is_near_tie(chat, measure_lead, *d)]
    if wrong:
        raise ParityError(
            f"{len(wrong)} of {len(prompts)} answers of the file differ from the model's own, "
            f"first {wrong[0][1].text[:60]!r} instead of {wrong[0][2].text[:60]!r}",
            where=where,
        )
    return proof


def describe_stops(proofs: Sequence[FileProof]) -> list[str]:
    """What to send with every request so that answers end, and how many need it: a line, or none."""
    proof = next((proof for proof in proofs if proof.stops), None)
    if proof is None:
        return []
    line = (
        f'send "stop": {json.dumps(proof.stops, ensure_ascii=False)} with every request, as was done '
        "here: a file cannot tell its program that answers end there. "
    )
    if not proof.needed_stops:
        return [f"{line}None of the model's {proof.prompts} answers needed it"]
    return [
        line
        + (
            f"{proof.needed_stops} of the model's {proof.prompts} answers end only there, and without it go "
            "on to the token limit; training longer or on more rows teaches the model its end token"
        )
    ]


def _is_near_tie(
    chat: ChatFormat,
    measure_lead: Callable[[Sequence[int]], float],
    prompt: Prompt,
    answer: Generation,
    model_answer: Generation,
) -> bool:
    """Whether the answers part at a token that is hardly ahead of the next one."""
    position = 0
    while position < len(model_answer.token_ids) and answer.text.startswith(
        _without_half_letters(chat.decode(model_answer.token_ids[: position + 1]))
    ):
        position += 1
    ids = chat.prompt_ids(prompt.messages)
    nearby = range(
        max(0, position - 3), min(position + 1, len(model_answer.token_ids))
    )  # letters of several tokens
    return any(measure_lead([*ids, *model_answer.token_ids[:at]]) < NEAR_TIE for at in nearby)


def _cut_at_ends(answer: Generation, chat: ChatFormat, ends: Sequence[str]) -> str:
    """The model's answer, up to a token at which the program ends every answer."""
    for position, token in enumerate(answer.token_ids):
        if token not in chat.end_ids and chat.pieces([token], [True])[0][0] in ends:
            return chat.decode(answer.token_ids[:position])
    return answer.text


def _ends_at_stop(answer: Generation, chat: ChatFormat, stops: Sequence[str]) -> bool:
    """Whether a string ended the model's answer, and no token."""
    return answer.finish == "stop" and any(s in chat.decode(answer.token_ids) for s in stops)


def _without_half_letters(text: str) -> str:
    """Without white space around, and without the letter that the budget cut in half."""
    return text.strip().rstrip("\ufffd").rstrip()


def _check_tokens(consumer: Consumer, chat: ChatFormat, where: str) -> None:
    for text in TEXTS:
        ours, theirs = chat.plain_ids(text), consumer.text_ids(text)
        if ours != theirs:
            raise ParityError(
                f"the file's own tokenizer cuts {text[:30]!r} otherwise: {theirs[:8]} instead of "
                f"{ours[:8]}",
                where=where,
                next_step="use --format hf, and tell us which base this is",
            )


def _count_bos(ids: Sequence[int], chat: ChatFormat) -> int:
    first = chat.prompt_ids([])  # the BOS, where there is one
    return next((n for n, token in enumerate(ids) if [token] != first), len(ids)) if first else 0
