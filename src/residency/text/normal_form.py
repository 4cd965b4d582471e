"""The form in which answers are compared: without what people and chat models put around a text."""

from __future__ import annotations

import re
import unicodedata

from residency.text.json_answers import strip_fence

_EDGE = " \t\n\r\"'`“”„‚‘’«»‹›「」『』《》〈〉.,;:!?¡¿。、，；：！？…،؛؟۔।॥։՝"
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"))
_PLAIN: dict[int, str | None] = {
    **dict.fromkeys(_INVISIBLE),
    **dict.fromkeys([0x0640, *range(0x064B, 0x0653)]),
    0x0307: None,  # what case folding leaves of İ
    **dict.fromkeys(map(ord, "\u2018\u2019\u02bc"), "'"),
    **dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212"), "-"),
}
_AROUND = (
    ("***", "***"), ("**", "**"), ("__", "__"), ("*", "*"), ("_", "_"), ("~~", "~~"),
    ("$$", "$$"), ("$", "$"), ("(", ")"), ("[", "]"), ("\\(", "\\)"), ("\\[", "\\]"),
)  # fmt: skip
_BULLET = re.compile(r"(?:[-*•>]|—|–) +(?=[^\d\s])")
_MATHS_BOX = re.compile(r"\\(?:boxed|text|mathrm|textbf|mathbf)\{(?P<inner>[^{}]+)\}")
_OPEN_FENCE = re.compile(r"\A```[\w+-]*\s*")
_OPEN_MARKS = re.compile(r"\A(?:\\[a-z]{0,8}\{?|[^\w\\])+")
_LETTERED = re.compile(r"\w[)\]]")


def normalise_answer(text: str) -> str:
    """A text as exact comparisons read it.

    NFKC, case folded, runs of white space as one space, without invisible characters and vowel
    points of Arabic; typeset apostrophes and hyphens are plain. At both ends it has no quotes, full
    stops, commas, colons and question marks (of any script), nor Markdown emphasis, brackets,
    ``\\boxed{}``, a list mark or a fence around all of it. A text of such signs alone keeps
    them: ``?`` is not ``!``.
    """
    folded = unicodedata.normalize("NFKC", strip_fence(text)[0]).casefold().translate(_PLAIN)
    spaced = " ".join(folded.split())
    plain = spaced.strip(_EDGE) or spaced
    while (inner := _strip_around(plain)) != plain:
        plain = inner
    return plain


def could_become(text: str, wanted: str) -> bool:
    """Whether a cut answer could still become the wanted one by going on; both in normal form.

    A mark around it may be open yet, as in ``**par``.
    """
    begun = _OPEN_MARKS.sub("", _OPEN_FENCE.sub("", text))
    return wanted.startswith(text) or wanted.startswith(begun)


def _strip_around(text: str) -> str:
    """The text without one layer of what stands around all of it."""
    if bullet := _BULLET.match(text):
        text = text[bullet.end() :]
    if boxed := _MATHS_BOX.fullmatch(text):
        text = boxed["inner"]
    for opening, closing in _AROUND:
        inner = text[len(opening) : -len(closing)]
        is_around = text.startswith(opening) and text.endswith(closing)
        if is_around and inner.strip() and opening not in inner and closing not in inner:
            text = inner
            break
    else:
        text = text[:-1] if _LETTERED.fullmatch(text) else text
    return text.strip(_EDGE) or text
