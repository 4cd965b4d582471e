"""What a text denies, and the same text turned around.

Negation is told by words (English, German, French, Spanish, Italian, Dutch): a negator denies the
few words that follow it in its clause, or those before it where nothing follows. That is a rule of
thumb in the manner of NegEx (Chapman and others 2001), not a parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from residency.text.function_words import FUNCTION_WORDS
from residency.text.words import split_words

NEGATORS = frozenset(
    [
        "not",
        "no",
        "never",
        "none",
        "nothing",
        "nobody",
        "neither",
        "nor",
        "without",
        "cannot",
        "cant",
        "wont",
        "dont",
        "isnt",
        "nicht",
        "kein",
        "keine",
        "keinen",
        "keinem",
        "keiner",
        "keines",
        "nie",
        "niemals",
        "ohne",
        "weder",
        "ne",
        "pas",
        "jamais",
        "aucun",
        "aucune",
        "sans",
        "nunca",
        "ningún",
        "ninguna",
        "sin",
        "senza",
        "mai",
        "niet",
        "geen",
        "nooit",
    ]
)
SCOPE = 5
"""Words after a negator that it denies."""
_BEFORE = 3
"""Words before a negator that it denies where none follows."""
_CLAUSE = re.compile(r"[.!?;:,\n()]+(?:\s|$)|\s[-–—]\s|\b(?:but|aber|sondern|mais|pero)\b")
_SENTENCE = re.compile(r"(?<=[.!?])(\s+)|(\n+)")
_AUXILIARY = re.compile(
    r"\b(is|are|was|were|am|can|could|will|would|should|must|may|might|has|have|had|do|does|did|shall)\b",
    re.IGNORECASE,
)
_GERMAN_VERB = re.compile(
    r"\b(ist|sind|war|waren|kann|können|wird|werden|hat|haben|muss|müssen|darf|dürfen|soll|sollte)\b",
    re.IGNORECASE,
)
_REMOVALS: tuple[tuple[str, str], ...] = (
    (r"\bcannot\b", "can"),
    (r"\bcan['’]t\b", "can"),
    (r"\bwon['’]t\b", "will"),
    (r"\b(\w+)n['’]t\b", r"\1"),
    (r"\bnever\b", "always"),
    (r"\bwithout\b", "with"),
    (r"\bnot\s+", ""),
    (r"\bno\s+(?=\w)", "a "),
    (r"\bnothing\b", "everything"),
    (r"\bnobody\b", "everybody"),
    (r"\b(?:nicht|niemals)\s+", ""),
    (r"\bkein(e|en|em|er|es)?\b", r"ein\1"),
    (r"\bohne\b", "mit"),
)
_YES_NO = {
    "yes": "no", "no": "yes", "ja": "nein", "nein": "ja", "oui": "non", "non": "oui",
    "true": "false", "false": "true",
}  # fmt: skip
_OPENING = re.compile(r"\s*(\w+)(?=\s*(?:[.,;:!?–—-]|\Z))")


def is_negator(word: str) -> bool:
    """Whether a lower-cased word denies what stands beside it."""
    return word in NEGATORS or word.endswith(("n't", "n’t"))


def find_polarity(text: str) -> dict[str, set[bool]]:
    """Each word that carries meaning, with how it occurs: denied (True), affirmed (False) or both."""
    out: dict[str, set[bool]] = {}
    for clause in _iterate_clauses(text):
        words = split_words(clause)
        denied = [0] * len(words)
        for position, word in enumerate(words):
            if is_negator(word):
                after = range(position + 1, min(len(words), position + 1 + SCOPE))
                for other in after or range(max(0, position - _BEFORE), position):
                    denied[other] += 1
        for word, times in zip(words, denied, strict=True):
            if _has_meaning(word):
                out.setdefault(word, set()).add(times % 2 == 1)
    return out


def find_flipped(reference: str, answer: str) -> list[str]:
    """Words that one of two texts affirms throughout and the other denies throughout.

    A *yes* at the beginning against a *no* counts as well.
    """
    wanted, written = find_polarity(reference), find_polarity(answer)
    flipped = [
        w for w, polarities in wanted.items() if w in written and not polarities & written[w]
    ]
    first, second = (_OPENING.match(text.casefold()) for text in (reference, answer))
    if first and second and _YES_NO.get(first[1]) == second[1]:
        flipped.insert(0, second[1])
    return flipped


def negate_text(text: str) -> str | None:
    """The text with each of its statements turned around; None where no way is known.

    A short text without a verb gets a *not* before it.
    """
    if not text.strip():
        return None
    if len(split_words(text)) <= 3 and not _AUXILIARY.search(text) and not text.endswith("."):
        opening = _OPENING.match(text)
        other = _YES_NO.get(opening[1].casefold()) if opening else None
        return text.replace(opening[1], other, 1) if opening and other else f"not {text.strip()}"
    pieces = _SENTENCE.split(text)
    turned = [_negate_sentence(piece) if piece and piece.strip() else piece for piece in pieces]
    result = "".join(piece for piece in turned if piece)
    return result if result != text else None


def _negate_sentence(sentence: str) -> str:
    opening = _OPENING.match(sentence)
    if opening and opening[1].casefold() in _YES_NO:
        rest = sentence[opening.end() :]
        other = _YES_NO[opening[1].casefold()]
        return (other.capitalize() if opening[1][0].isupper() else other) + _negate_rest(rest)
    return _negate_rest(sentence)


def _negate_rest(sentence: str) -> str:
    if any(is_negator(word) for word in split_words(sentence)):
        for pattern, other in _REMOVALS:
            changed = re.sub(pattern, other, sentence, flags=re.IGNORECASE)
            if changed != sentence:
                return changed
    if verb := _AUXILIARY.search(sentence):
        return f"{sentence[: verb.end()]} not{sentence[verb.end() :]}"
    if verb := _GERMAN_VERB.search(sentence):
        return f"{sentence[: verb.end()]} nicht{sentence[verb.end() :]}"
    words = split_words(sentence)
    if len(words) < 3 or not any(word in FUNCTION_WORDS for word in words):
        return sentence
    start = len(sentence) - len(sentence.lstrip())
    if words[0] == "please":
        return f"{sentence[: start + 6]} do not{sentence[start + 6 :]}"
    first = sentence[start : start + 1].lower()
    return f"{sentence[:start]}It is not true that {first}{sentence[start + 1 :]}"


def _iterate_clauses(text: str) -> Iterator[str]:
    yield from (clause for clause in _CLAUSE.split(text) if clause and clause.strip())


def _has_meaning(word: str) -> bool:
    return (
        len(word) >= 3
        and word not in FUNCTION_WORDS
        and not is_negator(word)
        and not any(character.isdigit() for character in word)
    )
