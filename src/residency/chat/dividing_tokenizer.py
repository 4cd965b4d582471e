"""Text → ids, such that given places in the text are borders between tokens."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from tokenizers import AddedToken, Tokenizer

from residency.chat.pretoken_cache import PretokenCache
from residency.chat.special_text import MARK
from residency.errors import TemplateError


class DividingTokenizer:
    """The model's tokenizer, which also says where a position of the text lies among the ids.

    Args:
        backend: without truncation and padding. added: its added tokens by id.
    """

    def __init__(self, backend: Tokenizer, added: Mapping[int, AddedToken]) -> None:
        self._backend, self._added = backend, added
        self._tails: dict[str, list[int]] = {}
        # A token that divides the text like any control token, and is taken out of the ids again.
        backend.add_special_tokens([AddedToken(MARK, special=True, normalized=False)])
        self._mark_id = backend.token_to_id(MARK)
        self.cache = PretokenCache.build_cache(backend)
        """Pre-tokens that were met before; None for tokenizers of a kind that it does not know."""

    def encode(
        self, text: str, cuts: Sequence[int], ends: Sequence[int]
    ) -> tuple[list[int], list[int], list[int]]:
        """Ids, the token index of every cut, and the number of tokens up to every end.

        The text is tokenised as a whole, as the model's tokenizer does. Where a token would
        reach over a cut (an answer that begins with a line break, after a prompt that ends
        with one), the text is divided there, because at inference the prompt ends there.
        """
        ids, firsts, stops = self._encode_marked(text, cuts, ends)
        if MARK not in text:
            return ids, firsts, stops
        marks = [border for border, token in enumerate(ids) if token == self._mark_id]
        return (
            [token for token in ids if token != self._mark_id],
            [border - bisect_left(marks, border) for border in firsts],
            [border - bisect_left(marks, border) for border in stops],
        )

    def _encode_marked(
        self, text: str, cuts: Sequence[int], ends: Sequence[int]
    ) -> tuple[list[int], list[int], list[int]]:
        if self.cache is not None:
            places = sorted({*cuts, *ends})
            cached = self.cache.encode(text, places)
            if cached is not None:
                at = dict(zip(places, cached[1], strict=True))
                return cached[0], [at[cut] for cut in cuts], [at[end] for end in ends]
        ids, starts = self._encode_slowly(text, cuts)
        firsts = [bisect_left(starts, cut) for cut in cuts]
        return ids, firsts, [bisect_left(starts, end) for end in ends]

    def _encode_slowly(self, text: str, cuts: Sequence[int]) -> tuple[list[int], list[int]]:
        """Ids and where each token begins, by the tokenizer itself."""
        encoding = self._backend.encode(text, add_special_tokens=False)
        ids: list[int] = encoding.ids
        starts = [a for a, _ in encoding.offsets]
        places = [bisect_left(starts, cut) for cut in cuts]
        broken = [
            cut
            for cut, border in zip(cuts, places, strict=True)
            if not self._is_clean(text, cut, border, ids, encoding.offsets)
        ]
        if not broken:
            return ids, starts
        ids, starts = [], []
        for begin, end in zip([0, *broken], [*broken, len(text)], strict=True):
            piece = self._backend.encode(text[begin:end], add_special_tokens=False)
            ids += piece.ids
            # Byte-level tokenizers trim spaces off the offsets: a piece starts at its cut.
            starts += [begin + (0 if n == 0 else a) for n, (a, _) in enumerate(piece.offsets)]
        if self._backend.decode(ids, skip_special_tokens=False) != self._backend.decode(
            encoding.ids, skip_special_tokens=False
        ):
            raise TemplateError(
                "a token reaches from the prompt into the answer, and cannot be divided: "
                "the loss mask cannot be proved",
                next_step="strip white space from the start of the answer",
            )
        return ids, starts

    def _is_clean(
        self, text: str, cut: int, border: int, ids: list[int], offsets: list[tuple[int, int]]
    ) -> bool:
        """Whether the ids before ``border`` are those of ``text[:cut]`` alone."""
        if border > 0 and offsets[border - 1][1] > cut:
            return False
        # Added tokens divide the text before anything else, so only what follows the last one
        # before the cut can depend on what comes after the cut.
        mark = border - 1
        while mark >= 0 and ids[mark] not in self._added:
            mark -= 1
        if mark >= 0:
            tail = text[offsets[mark][1] : cut]
            known = self._tails.get(tail)
            if known is None:
                known = self._backend.encode(tail, add_special_tokens=False).ids
                if len(tail) < 64:
                    self._tails[tail] = known
            if known == ids[mark + 1 : border]:
                return True
        return bool(self._backend.encode(text[:cut], add_special_tokens=False).ids == ids[:border])
