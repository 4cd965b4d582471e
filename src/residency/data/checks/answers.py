"""What the answers look like: refusals, boilerplate, repetition, cut ends, ratio to the prompt."""

from __future__ import annotations

import re
import zlib
from array import array
from collections import Counter

import numpy as np

from residency.data.checks.figures import (
    Figure,
    Flags,
    Sighting,
    View,
    looks_like_code,
    shorten_text,
)
from residency.text.hinted_pattern import HintedPattern
from residency.text.percent import write_percent
from residency.text.words import list_ngrams

_REFUSAL = re.compile(
    r"\b(?:I(?:['’]m| am) (?:sorry|afraid),? (?:but )?(?:(?:as|because|since) an? [^,.]{2,30}, )?"
    r"(?:I )?(?:can(?:['’]t|not)|am unable|am not able|do(?:n['’]t| not) have)"
    r"|I (?:can(?:['’]t|not)|am unable to|am not able to)"
    r" (?:(?:help|assist)(?! (?:but\b|feeling|wondering|thinking|noticing))|provide|comply|fulfill?|answer|do that)"
    r"|as an? (?:AI|artificial intelligence)(?: language)?(?: model| assistant)?,? "
    r"I(?:['’]m| am) (?:not|unable)|as an? (?:AI|artificial intelligence)(?: language)?(?: model| assistant)?,? "
    r"I (?:can(?:['’]t|not)|do(?:n['’]t| not))"
    r"|I do(?:n['’]t| not) have (?:access to|the ability|the capability|personal (?:opinions|experiences|beliefs))"
    r"|es tut mir leid, (?:aber )?ich kann|(?:je suis )?désolée?, (?:mais )?je ne (?:peux|suis)"
    r"|lo siento, (?:pero )?no puedo)"
    r"|(?:抱歉|对不起|不好意思)[^。\n]{0,20}(?:无法|不能|没有能力)|作为[^。\n]{0,8}(?:AI|人工智能)[^。\n]{0,16}(?:无法|不能|没有)",
    re.IGNORECASE,
)
REFUSAL = HintedPattern(
    _REFUSAL,
    (
        *(
            "sorry",
            "afraid",
            "can't",
            "cannot",
            "unable",
            "not able",
            "artificial",
            "an ai",
            "a ai",
        ),
        *("don't have", "do not have", "es tut mir", "no puedo"),
    ),
)
_OPENING = re.compile(
    r"\s*(?:sure(?: thing)?[!,.]|certainly[!,.]|of course[!,.]|absolutely[!,.]|great question"
    r"|here(?:'s| is) (?:a|an|the|your) (?:possible|potential|sample|revised|updated)"
    r"|as an? (?:AI|artificial intelligence)|I hope this helps|happy to help)",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:I hope (?:this|that) helps|let me know if you (?:have|need|would)|feel free to ask)[^\n]{0,60}\s*$",
    re.IGNORECASE,
)
CLOSING = HintedPattern(_CLOSING, ("hope", "let me know", "feel free"))
OPEN_END = re.compile(r"(?:\b(?:and|or|the|a|an|to|of|with|for|in|by|that|which|is|are)|[,:(\[{])$")
"""How an answer ends that was cut off; white space after it does not count."""
_LONGEST_END = 16

REPEAT_WORDS = 30
"""Repetition is judged in answers of at least this many words."""
REPEAT_SHARE = 0.35
"""Share of repeated 4-grams (1 − distinct/total) from which an answer counts as repetitive;
above the .20 of corpus filters (Rae et al. 2021, appendix A), which are made for long documents."""
REFUSAL_WINDOW = 600
"""Characters from the start of an answer in which it would refuse."""
_KNOWN_ANSWERS = 200_000
_LONGEST = 200_000
"""Characters of an answer that are searched."""


class Answers:
    """Refusals, boilerplate, repetition, cut ends, answers given many times, lengths."""

    def __init__(self) -> None:
        self.refusals, self.boilerplate = Flags(), Flags()
        self.repetitive, self.cut = Flags(), Flags()
        self._same: Counter[int] = Counter()
        self._first: dict[int, Sighting] = {}
        self._lengths, self._prompts = array("i"), array("i")

    def add(self, view: View) -> None:
        """One more row."""
        answer = view.answer[:_LONGEST]
        self._lengths.append(len(view.words))
        self._prompts.append(view.prompt.count(" ") + 1 if view.prompt else 0)
        if not answer or not view.prompt:
            return
        if refusal := REFUSAL.search(answer[:REFUSAL_WINDOW]):
            self.refusals.add(view, answer[refusal.start() :])
        elif _OPENING.match(answer) or CLOSING.search(answer):
            self.boilerplate.add(view, answer)
        if (
            len(view.words) >= REPEAT_WORDS
            and (share := repeated_share(view.words)) >= REPEAT_SHARE
        ):
            self.repetitive.add(view, f"{write_percent(share, 0)} of its 4-grams repeat: {answer}")
        end = answer.rstrip()[-_LONGEST_END:]
        if len(view.words) >= 8 and OPEN_END.search(end) and not looks_like_code(answer):
            self.cut.add(view, "…" + answer[-80:])
        key = zlib.crc32(answer.encode()) << 32 | len(answer)
        if key in self._same or len(self._same) < _KNOWN_ANSWERS:
            self._same[key] += 1
            if self._same[key] == 1:
                self._first[key] = Sighting(view.example.source, shorten_text(answer, 80))

    def merge(self, later: Answers, offset: int) -> None:
        """Add what another saw in the rows after these."""
        for flags, more in (
            (self.refusals, later.refusals),
            (self.boilerplate, later.boilerplate),
            (self.repetitive, later.repetitive),
            (self.cut, later.cut),
        ):
            flags.merge(more, offset)
        self._lengths.extend(later._lengths)
        self._prompts.extend(later._prompts)
        for key, count in later._same.items():  # in the order of their first rows
            if key in self._same or len(self._same) < _KNOWN_ANSWERS:
                self._same[key] += count
                self._first.setdefault(key, later._first[key])

    def figures(self) -> list[Figure]:
        """What was seen."""
        rows = len(self._lengths)
        flagged = (
            (
                self.refusals,
                "refusals",
                "answers that refuse",
                "keep only those that your model shall learn to give; drop the rest",
            ),
            (
                self.boilerplate,
                "boilerplate",
                "answers with chatbot phrases (Sure! …, I hope this helps)",
                "cut the phrases, or the model will write them every time",
            ),
            (
                self.repetitive,
                "repetitive",
                "answers that repeat themselves",
                "drop or shorten: repetition is learnt at once",
            ),
            (
                self.cut,
                "cut_off",
                "answers that seem to be cut off",
                "complete or drop them: the model learns to stop there",
            ),
        )
        return [
            *self._measure_lengths(rows),
            *(flags.figure(name, title, rows, action) for flags, name, title, action in flagged),
            self._count_same(rows),
        ]

    def _measure_lengths(self, rows: int) -> tuple[Figure, Figure]:
        lengths = np.frombuffer(self._lengths, np.int32) if rows else np.zeros(1, np.int32)
        prompts = np.frombuffer(self._prompts, np.int32) if rows else np.zeros(1, np.int32)
        has_prompt = prompts > 0
        ratio = (
            float(np.median(lengths[has_prompt] / prompts[has_prompt])) if has_prompt.any() else 0.0
        )
        return (
            Figure(
                "answer_words",
                "length of the answers, median",
                rows,
                rows,
                value=float(np.median(lengths)),
                unit="words",
                details=(
                    ("95 % up to", float(np.quantile(lengths, 0.95))),
                    ("longest", float(lengths.max())),
                ),
            ),
            Figure(
                "answer_ratio", "answer to prompt, median ratio of words", rows, rows, value=ratio
            ),
        )

    def _count_same(self, rows: int) -> Figure:
        often = [(k, n) for k, n in self._same.most_common(5) if n > max(2, 0.01 * rows)]
        return Figure(
            "same_answer",
            "answers given to many prompts",
            sum(n for _, n in often),
            rows,
            "warn" if often else "info",
            examples=tuple(
                Sighting(self._first[k].source, f"{n} times: {self._first[k].excerpt}")
                for k, n in often
            ),
            action="right for labels; for free text keep a few" if often else "",
        )


def repeated_share(words: list[str], n: int = 4) -> float:
    """Share of repeated n-grams: 1 − distinct/total; 0 when there is none."""
    runs = list_ngrams(words, n)
    return 1 - len(set(runs)) / len(runs) if runs else 0.0
