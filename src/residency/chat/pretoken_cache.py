"""A cache of pre-tokens: byte-level BPE ids of ASCII text without running BPE again.

A byte-level BPE tokenizer first cuts the text into pre-tokens by a regular expression; what a
pre-token becomes depends on nothing else. Most pre-tokens of a data set recur, so their ids are
stored, and the regular expression is run by Python's ``re``, which is several times faster on
ASCII than the tokenizer's. Only ASCII text is taken (there the two agree on every class),
only known pre-tokenizers, and only if a seeded battery of strings gives identical ids; all else
goes to the tokenizer itself.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from itertools import chain
from typing import Any

from tokenizers import Tokenizer

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""The expression of GPT-2, which ``ByteLevel`` applies when told to use one."""

KNOWN = 1 << 18
SEGMENTS = 1 << 12
"""Pre-tokens and whole segments held; when full, no more are added."""
LONGEST = 64
"""Characters of a pre-token that is stored."""
_UNEVEN = ("  ", " \n", "\n ", "\t", "\r", "\f", "\v")
"""Where one of these stands, a space may lie beside other white space."""
_BATTERY = 400


class PretokenCache:
    """Encodes text as ``Tokenizer.encode(text, add_special_tokens=False)`` does, faster.

    Made by ``build``; gives None where it cannot be sure, and the tokenizer has to decide.
    """

    def __init__(
        self, backend: Tokenizer, added: dict[str, int], patterns: Sequence[re.Pattern[str]]
    ) -> None:
        self._backend, self._added, self._patterns = backend, added, list(patterns)
        marks = sorted(added, key=len, reverse=True)
        self._marks = re.compile("(" + "|".join(map(re.escape, marks)) + ")" if marks else "((?!))")
        self._known: dict[str, list[int]] = {}
        self._after_space: dict[str, list[int]] = {}
        self._segments: dict[str, list[int]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """What was learnt stays here; another process learns anew."""
        return {**vars(self), "_known": {}, "_after_space": {}, "_segments": {}}

    @classmethod
    def build_cache(cls, backend: Tokenizer) -> PretokenCache | None:
        """A cache for this tokenizer; None if its parts are not known or the battery disagrees."""
        raw = json.loads(backend.to_str())
        model, added = raw["model"], raw["added_tokens"]
        patterns = _read_patterns(raw["pre_tokenizer"])
        plain = all(not (t["lstrip"] or t["rstrip"] or t["single_word"]) for t in added)
        if (
            model["type"] != "BPE"
            or model.get("dropout")
            or model.get("byte_fallback")
            or raw["normalizer"] not in (None, {"type": "NFC"})
            or patterns is None
            or not plain
        ):
            return None
        cache = cls(backend, {t["content"]: t["id"] for t in added}, patterns)
        return cache if cache._agrees_with_backend() else None

    def encode(self, text: str, places: Sequence[int] = ()) -> tuple[list[int], list[int]] | None:
        """Ids of a text, and how many of them lie before each of ``places`` (ascending characters).

        None when the text before a position, alone, would not give the first of these ids.
        """
        ids: list[int] = []
        counts: list[int] = []
        position, wanted = 0, 0
        for number, segment in enumerate(self._marks.split(text)):
            end = position + len(segment)
            inner: list[int] = []
            while wanted < len(places) and places[wanted] <= end:
                # A position at the edge of two segments belongs to the first of them.
                inner.append(places[wanted] - position)
                wanted += 1
            if number & 1:
                if any(0 < border < len(segment) for border in inner):
                    return None
                counts += [len(ids) + (border > 0) for border in inner]
                ids.append(self._added[segment])
            elif segment:
                segment_ids = self._encode_segment(segment)
                for border in inner:
                    head = (
                        segment_ids
                        if border == len(segment)
                        else self._encode_segment(segment[:border])
                    )
                    if segment_ids[: len(head)] != head:
                        return None
                    counts.append(len(ids) + len(head))
                ids += segment_ids
            else:
                counts += [len(ids)] * len(inner)
            position = end
        return ids, counts

    def _encode_segment(self, segment: str) -> list[int]:
        known_ids = self._segments.get(segment)
        if known_ids is None:
            if not segment.isascii():
                known_ids = self._backend.encode(segment, add_special_tokens=False).ids
            elif any(run in segment for run in _UNEVEN):
                known_ids = self._encode_by_pattern(segment)
            else:
                known_ids = self._encode_by_spaces(segment)
            if len(segment) < 256 and len(self._segments) < SEGMENTS:
                self._segments[segment] = known_ids
        return known_ids

    def _encode_by_spaces(self, segment: str) -> list[int]:
        """Ids of ASCII text whose spaces stand alone.

        No pre-token then reaches over a space but the one that begins with it, so what follows
        each space can be looked up whole, without the regular expression.
        """
        first, *rest = segment.split(" ")
        after = self._after_space
        ids = self._encode_by_pattern(first)
        try:
            ids += chain.from_iterable(map(after.__getitem__, rest))
        except KeyError:
            ids = self._encode_by_pattern(first)
            for run in rest:
                known_ids = after.get(run)
                if known_ids is None:
                    known_ids = self._encode_by_pattern(" " + run)
                    if len(run) <= LONGEST and len(after) < KNOWN:
                        after[run] = known_ids
                ids += known_ids
        return ids

    def _encode_by_pattern(self, text: str) -> list[int]:
        """Ids of ASCII text, cut by the regular expressions."""
        pieces = [text]
        for pattern in self._patterns:
            pieces = list(chain.from_iterable(map(pattern.findall, pieces)))
        known = self._known
        try:
            return list(chain.from_iterable(map(known.__getitem__, pieces)))
        except KeyError:
            each = (known[p] if p in known else self._encode_pretoken(p) for p in pieces)
            return list(chain.from_iterable(each))

    def _encode_pretoken(self, piece: str) -> list[int]:
        ids = [t.id for t in self._backend.model.tokenize(piece.translate(_BYTES))]
        if len(piece) <= LONGEST and len(self._known) < KNOWN:
            self._known[piece] = ids
        return ids

    def _agrees_with_backend(self) -> bool:
        rng = random.Random(0)
        letters = "".join(map(chr, range(128)))
        words = [
            "the",
            "It's",
            "don't",
            "WE'LL",
            "3.14",
            "x=1",
            "\n\n",
            "   ",
            "\r\n",
            "\t",
            "a_b",
            *self._added,
        ]
        for number in range(_BATTERY):
            parts = rng.choices(words, k=rng.randint(1, 8)) if number % 2 else []
            parts += rng.choices(letters, k=rng.randint(0, 12))
            rng.shuffle(parts)
            text = rng.choice(("", " ")).join(parts)
            if number % 4 == 1:  # spaces that stand alone
                text = " ".join(text.split())
            known_ids = self.encode(text)
            if (
                known_ids is None
                or known_ids[0] != self._backend.encode(text, add_special_tokens=False).ids
            ):
                return False
        return True


_BYTES = {n: chr(n) if 33 <= n <= 126 else chr(256 + k) for k, n in enumerate([*range(33), 127])}
_BYTES |= {n: chr(n) for n in range(33, 127)}
"""ASCII characters as byte-level tokenizers write them (GPT-2's table)."""


def _read_patterns(raw: dict[str, Any] | None) -> list[re.Pattern[str]] | None:
    """Expressions that, one after the other, cut ASCII text as the pre-tokenizer does."""
    if raw is None:
        return None
    steps: list[dict[str, Any]] = raw["pretokenizers"] if raw["type"] == "Sequence" else [raw]
    out: list[re.Pattern[str]] = []
    for step in steps:
        kind = step["type"]
        if kind == "Digits":
            out.append(
                re.compile(r"[0-9]|[^0-9]+" if step["individual_digits"] else r"[0-9]+|[^0-9]+")
            )
        elif kind == "Split" and step["behavior"] == "Isolated" and not step["invert"]:
            pattern = _to_ascii_pattern(step["pattern"].get("Regex", ""))
            if pattern is None:
                return None
            out.append(pattern)
        elif kind == "ByteLevel" and step is steps[-1] and not step["add_prefix_space"]:
            if step["use_regex"]:
                expression = _to_ascii_pattern(GPT2)
                assert expression is not None
                out.append(expression)
        else:
            return None
    return out if steps and steps[-1]["type"] == "ByteLevel" else None


def _to_ascii_pattern(pattern: str) -> re.Pattern[str] | None:
    """The expression for ASCII text, with a last branch that keeps what no other takes."""
    text, within = "", False
    for part in re.split(r"(\\p\{[LN]\}|\\.|[\[\]])", pattern):
        if part in _CLASSES:
            text += _CLASSES[part] if within else f"[{_CLASSES[part]}]"
        else:
            within = {"[": True, "]": False}.get(part, within)
            text += part
    try:
        return re.compile(f"(?:{text})|[\\s\\S]", re.ASCII) if pattern else None
    except re.error:
        return None


_CLASSES = {r"\p{L}": "a-zA-Z", r"\p{N}": "0-9"}
"""Letters and numbers of Unicode, as far as ASCII goes."""
