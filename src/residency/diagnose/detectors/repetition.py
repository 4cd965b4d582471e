"""Answers that say the same again: loops at the end, repeated 4-grams, repeated lines.

rep-n = 1 − unique/total n-grams (Welleck et al. 2020). Limits for whole web documents are
too strict for short structured answers, so a reference that repeats itself raises the limit.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from residency.diagnose.detectors.base import Context, Item, make_finding
from residency.nouns.finding import Finding, Span
from residency.text.percent import write_percent
from residency.text.words import list_ngrams, place_words

NAME, VERSION = "repetition", "4"
_SENTENCE = re.compile(r"[^\n.!?。！？]+[.!?。！？]*")
_FEWEST_NGRAMS = 12
_MOSTLY = 0.6
_NEW_WORDS = 0.3
_LONG_TEXT = 120
_LONGEST_UNIT = 60
_CHARACTERS = re.compile(r"(.{1,24}?)\1{7,}\s*\S{0,24}$", re.DOTALL)


def detect_repetition(items: Sequence[Item], context: Context) -> list[Finding]:
    """One finding an item; value is rep-4."""
    return [_judge_repeats(item, context) for item in items]


def _judge_repeats(item: Item, context: Context) -> Finding:
    text, config = item.response.text, context.config
    tokens = place_words(text.lower()) if len(text.lower()) == len(text) else place_words(text)
    plain = [token.strip(".,;:!?*\"'") for token, _, _ in tokens]
    share = repeated_share(plain)
    reasons: list[str] = []
    spans: list[Span] = []
    severity = 0.0
    loop = find_tandem(plain, config.repetition_tandem)
    if loop:
        unit, times = loop
        first = tokens[len(tokens) - unit * (times - 1)][1]
        spans.append(Span(first, len(text), f"the same {unit} word(s) {times} times in a row"))
        reasons.append(spans[-1].note)
        severity = max(severity, 0.5 + 0.05 * times)
    elif match := _CHARACTERS.search(text[-400:]):
        offset = max(0, len(text) - 400)
        spans.append(Span(offset + match.start() + len(match[1]), offset + match.end(), "a loop"))
        reasons.append(f"{match[1]!r} again and again")
        severity = max(severity, 0.8)
    limit = max(config.repetition_share, repeated_share(_strip_words(item.reference)) + 0.1)
    if share >= limit and (share >= _MOSTLY or _says_little_new(plain)):
        spans += _span_repeats(plain, tokens)
        reasons.append(f"{write_percent(share, 0)} of the 4-grams are repeats")
        severity = max(severity, 0.3 + 0.7 * share)
    double = _double_sentences(text)
    if double and not _double_sentences(item.reference):
        spans += double
        reasons.append(f"{len(double)} sentence(s) said again")
        severity = max(severity, 0.4)
    return make_finding(
        NAME,
        VERSION,
        item,
        "fail" if reasons else "pass",
        severity=severity,
        spans=spans[:20],
        message="; ".join(reasons),
        value=share,
    )


def _strip_words(text: str) -> list[str]:
    return [word.strip(".,;:!?*\"'") for word, _, _ in place_words(text.lower())]


def repeated_share(tokens: Sequence[str], n: int = 4) -> float:
    """rep-n: 1 − unique/total n-grams; 0 when there are too few to tell."""
    grams = list_ngrams(tokens, n)
    return 1 - len(set(grams)) / len(grams) if len(grams) >= _FEWEST_NGRAMS else 0.0


def find_tandem(tokens: Sequence[str], times: int) -> tuple[int, int] | None:
    """(words in the unit, repeats in a row) of a loop at the end; a cut last repeat counts not.

    A loop must span at least six words, so that "very very very" is not one.
    """
    for cut in range(0, min(_LONGEST_UNIT, len(tokens))):
        end = len(tokens) - cut
        for unit in range(max(1, cut + 1 if cut else 1), _LONGEST_UNIT + 1):
            if unit * times > end:
                break
            piece = tokens[end - unit : end]
            # The words cut off at the end must themselves begin the next repeat.
            if list(tokens[end:]) != list(piece[:cut]):
                continue
            count = 1
            while end - unit * (count + 1) >= 0 and (
                tokens[end - unit * (count + 1) : end - unit * count] == piece
            ):
                count += 1
            if count >= times and unit * count >= 6:
                return unit, count
    return None


def _says_little_new(tokens: Sequence[str]) -> bool:
    """Whether the second half of a text holds hardly a word that the first half does not.

    Clauses, itineraries and dialogue repeat their forms around new matter; a loop has none.
    """
    middle = len(tokens) // 2
    before, after = set(tokens[:middle]), set(tokens[middle:])
    return len(after - before) < _NEW_WORDS * max(1, len(after))


def _span_repeats(plain: Sequence[str], tokens: Sequence[tuple[str, int, int]]) -> list[Span]:
    """Spans of words covered by a 4-gram that has stood before."""
    seen: set[tuple[object, ...]] = set()
    covered = [False] * len(plain)
    for i, gram in enumerate(list_ngrams(plain, 4)):
        if gram in seen:
            covered[i : i + 4] = [True] * 4
        seen.add(gram)
    spans: list[Span] = []
    start: int | None = None
    for i, again in enumerate([*covered, False]):
        if again and start is None:
            start = i
        elif not again and start is not None:
            spans.append(Span(tokens[start][1], tokens[i - 1][2], "said before"))
            start = None
    return spans


def _double_sentences(text: str) -> list[Span]:
    """Sentences of five words or more said again, where they make up a tenth of the text.

    In a long list, contract or transcript lines may rightly stand twice: there a quarter.
    """
    counts: Counter[str] = Counter()
    spans = []
    doubled = 0
    for match in _SENTENCE.finditer(text):
        words = _strip_words(match[0])
        key, size = " ".join(words), len(words)
        if size < 5 or "|" in key:
            continue
        counts[key] += 1
        if counts[key] > 1:
            doubled += size
            lead = len(match[0]) - len(match[0].lstrip())
            spans.append(Span(match.start() + lead, match.end(), "said before"))
    size = len(place_words(text))
    return spans if doubled >= (0.1 if size < _LONG_TEXT else 0.25) * size else []
