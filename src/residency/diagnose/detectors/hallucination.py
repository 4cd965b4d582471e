"""Values, numbers, dates and names in the answer that the source does not support.

The source is the prompt, and the reference where there is one. A ``key: value`` field is
supported when it says *none*, when it is a class label of that field, or when its words stand
in the source (a typo apart). In a field that holds labels, another value describes rather than
copies: one of its words, or of the same stem, is enough. Prose is scored when the prompt holds an
input text, or inside a ``key: value`` answer; there sentences of other words than the source's, and
such as deny it, count as well as numbers and names. An open question has no source: with three samples or more it is judged
by self-consistency (``meaning.py``; errors made with confidence escape that), else unscored.
What an answer *should* say is not judged here: a wrong value that stands in the source is not
a hallucination.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from wordfreq import zipf_frequency

from residency.diagnose.detectors.base import Context, Item, make_finding
from residency.diagnose.detectors.misspelling import edit_distance
from residency.diagnose.semantic_entropy import unsupported_sentences
from residency.diagnose.sentence_support import find_unsupported
from residency.diagnose.source_numbers import find_swapped, is_rounding
from residency.nouns.finding import Finding, Span
from residency.text.answer_fields import Field
from residency.text.number_words import SMALL_NUMBERS
from residency.text.percent import write_percent
from residency.text.words import split_words

NAME, VERSION = "hallucination", "6"
_NUMBER = re.compile(r"(?<![\w.])[#$€£]?(?:[A-Za-z]{1,5}[-#]?)?\d[\w,.:/-]*")
_LIST_MARK = re.compile(r"(?m)^[ \t]{0,16}(?:\d+[.)]|[-*•])\s")
_DATE = re.compile(
    r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b"
    r"|\b(?:january|february|april|june|july|august|september|october|november|december)\b",
    re.IGNORECASE,
)
_CAPITALISED = re.compile(r"(?<![\w'’])[A-Z][a-zà-öø-ÿ]+(?:['’-][A-Z]?[a-zà-öø-ÿ]+)*")
_ADDRESSED = re.compile(r"\b(?:Dear|Hi|Hello|Hey)\s+((?:Mr|Mrs|Ms|Dr)\.?\s+)?([A-Z][\w'’-]+)")
_NOBODY = frozenset(
    [
        "customer",
        "customers",
        "sir",
        "madam",
        "team",
        "all",
        "there",
        "client",
        "user",
        "friend",
        "everyone",
        "guest",
        "valued",
    ]
)
_COMMON_NAME = 4.4
_FEWEST_SAMPLES = 3
_EMPTY_WORDS = frozenset(["no", "not", "a", "an", "the", "of", "and", "or", "is", "it", "in", "to"])
_JOINED = re.compile(r"\s*(?:,|/|;|&|\band\b|\bor\b)\s*")
_COUNTS = {word: str(number) for number, word in enumerate(SMALL_NUMBERS[:13])}
"""As many as people write out in words."""


class _Source:
    """What an item's answer may rely on."""

    def __init__(self, prompt: str, reference: str) -> None:
        self.text = f"{prompt}\n{reference}"
        self.lowered = self.text.lower()
        self.words = set(split_words(f"{prompt}\n{reference}"))
        self.words |= {_COUNTS[word] for word in self.words if word in _COUNTS}
        ordered = [*split_words(prompt), "\n", *split_words(reference)]
        self.joined = {
            "".join(ordered[i : i + size]) for size in (1, 2, 3, 4) for i in range(len(ordered))
        }
        self.long = [word for word in self.words if len(word) >= 5 and word.isalpha()]

    def has(self, word: str) -> bool:
        """The word itself, its plural or possessive, or the same with one typo."""
        word = word.replace("’", "'").removesuffix("'s")
        if word in self.words or f"{word}s" in self.words or word.removesuffix("s") in self.words:
            return True
        if _COUNTS.get(word) in self.words:
            return True
        if len(word) == 1 and word.isalpha():
            return any(known.startswith(word) for known in self.words)
        if len(word) < 5 or not word.isalpha():
            return False
        return any(edit_distance(word, known, 1) <= 1 for known in self.long)

    def holds(self, name: str) -> bool:
        """Whether a name stands there as written, be it part of a longer one."""
        return name.lower() in self.lowered

    def holds_number(self, value: str) -> bool:
        """Whether a number stands there as written, not as part of a longer one."""
        return bool(re.search(rf"(?<![\d.,]){re.escape(value)}(?![\d])", self.text))

    def has_value(self, value: str) -> bool:
        """All its words, or the same letters and digits written together or apart."""
        words = split_words(value)
        return all(self.has(word) for word in words) or "".join(words) in self.joined

    def describes(self, value: str) -> bool:
        """Whether any word of content, or a word of its stem, stands in the source."""
        words = [word for word in split_words(value) if word not in _EMPTY_WORDS]
        return not words or any(self.has(word) or self._has_stem(word) for word in words)

    def _has_stem(self, word: str) -> bool:
        for known in self.words:
            pairs = enumerate(zip(word, known, strict=False))
            shared = next((i for i, (a, b) in pairs if a != b), min(len(word), len(known)))
            if shared >= 4 and shared >= 0.6 * max(len(word), len(known)):
                return True
        return False


def detect_hallucination(items: Sequence[Item], context: Context) -> list[Finding]:
    """One finding an item; value is the number of unsupported claims."""
    samples: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in items:
        samples[item.response.model, item.example.id].append(item)
    return [
        _against_source(item, context)
        if item.reference_fields or any(message.input for message in item.example.prompt)
        else _against_samples(item, samples[item.response.model, item.example.id], context)
        for item in items
    ]


def _against_samples(item: Item, samples: Sequence[Item], context: Context) -> Finding:
    if len(samples) < _FEWEST_SAMPLES:
        return make_finding(NAME, VERSION, item, "unscored", message="no source to check against")
    others = [other.response.text for other in samples if other is not item]
    text = item.response.text
    spans = unsupported_sentences(text, others, context.embedder, context.config.similar)
    covered = sum(len(split_words(text[span.start : span.end])) for span in spans)
    share = covered / max(1, len(split_words(text)))
    failed = 2 * share > 1
    return make_finding(
        NAME,
        VERSION,
        item,
        "fail" if failed else "pass",
        severity=0.3 + 0.3 * share,
        spans=spans if failed else (),
        message=f"self-consistency: other samples do not say {write_percent(share, 0)} of it"
        if failed
        else "",
        value=share,
    )


def _against_source(item: Item, context: Context) -> Finding:
    structured = bool(item.reference_fields)
    source = _Source(item.prompt, item.reference)
    spans: list[Span] = []
    checked: list[tuple[int, int]] = []
    if structured:
        values = "\n".join(field.value for field in item.reference_fields.values())
        message = _Source(_read_message(item), values)
        for key, field in item.response_fields.items():
            if key not in item.reference_fields:
                continue
            if item.reference_fields[key].is_prose or field.is_prose:
                continue
            checked.append((field.start, field.end))
            spans += _check_field(key, field, message, context)
    spans += _check_prose(item, source, checked, computes=_reference_computes(item))
    if not structured:
        number_spans = [(span.start, span.end) for span in spans]
        for span in find_unsupported(item.prose, _read_message(item), item.reference):
            if not any(span.start < end and start < span.end for start, end in number_spans):
                spans.append(span)
    spans.sort(key=lambda span: span.start)
    in_fields = any(span.note.startswith("field ") for span in spans)
    return make_finding(
        NAME,
        VERSION,
        item,
        "fail" if spans else "pass",
        severity=(0.7 if in_fields else 0.6) + 0.05 * len(spans),
        spans=spans,
        message="; ".join(span.note for span in spans[:5]),
        value=float(len(spans)),
    )


def _read_message(item: Item) -> str:
    """The prompt without instructions: a turn with an input is its input. The instruction names
    the fields, and their names are no support for their values."""
    return "\n".join(turn.input or turn.content for turn in item.example.prompt)


def _check_field(key: str, field: Field, source: _Source, context: Context) -> Iterator[Span]:
    if field.is_empty:
        return
    value = field.value.strip(" .").lower()
    labels = context.label_values.get(key)
    # Two labels joined are two labels, whether or not training held that pair.
    if labels and all(part in labels for part in _JOINED.split(value)):
        return
    supported = source.describes(value) if labels else source.has_value(value)
    if not supported:
        yield Span(field.start, field.end, f"field {key}: {field.value!r} is not in the message")


def _reference_computes(item: Item) -> tuple[bool, bool]:
    """Whether the reference itself holds numbers, and names, that the prompt does not."""
    prompt = set(split_words(item.prompt))
    prompt |= {_COUNTS[word] for word in prompt if word in _COUNTS}
    reference = _LIST_MARK.sub(" ", item.reference)
    numbers = any(not set(split_words(m[0])) <= prompt for m in _NUMBER.finditer(reference))
    names = any(word.lower() not in prompt for _, _, word in _find_names(item.reference))
    return numbers, names


def _check_prose(
    item: Item,
    source: _Source,
    skip: Sequence[tuple[int, int]],
    *,
    computes: tuple[bool, bool],
) -> Iterator[Span]:
    text = item.prose
    for start, end in skip:
        text = text[:start] + " " * (end - start) + text[end:]
    makes_numbers, makes_names = computes
    if not makes_numbers:
        marks = [(m.start(), m.end()) for m in _LIST_MARK.finditer(text)]
        for match in _NUMBER.finditer(text):
            if any(start <= match.start() < end for start, end in marks):
                continue
            value = match[0].rstrip(".,:;/-")
            end = match.start() + len(value)
            supported = source.has_value(value) or source.holds_number(value)
            if not supported and not is_rounding(text, match.start(), end, source.text):
                yield Span(
                    match.start(),
                    match.start() + len(value),
                    f"number {value!r} is not in the source",
                )
        yield from find_swapped(text, _read_message(item))
    for match in _DATE.finditer(text):
        if not source.has(match[0].lower()):
            yield Span(match.start(), match.end(), f"date {match[0]!r} is not in the source")
    if makes_names:
        return
    for start, end, name in _find_names(text):
        if not (_DATE.fullmatch(name) or source.has(name.lower()) or source.holds(name)):
            yield Span(start, end, f"name {name!r} is not in the source")


def _find_names(text: str) -> Iterator[tuple[int, int, str]]:
    """Capitalised words that are not just the start of a sentence or a common word."""
    addressed = set()
    for match in _ADDRESSED.finditer(text):
        if match[2].lower() not in _NOBODY:
            addressed.add(match.start(2))
            yield match.start(2), match.end(2), match[2]
    for match in _CAPITALISED.finditer(text):
        if match.start() in addressed or match[0].lower() in _NOBODY:
            continue
        before = text[: match.start()].rstrip(" \t\"'“‘(*->#")
        if not before or before[-1] in ".!?:;\n":
            continue
        if zipf_frequency(match[0].lower(), "en") < _COMMON_NAME:
            yield match.start(), match.end(), match[0]
