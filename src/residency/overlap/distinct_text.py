"""What differs between rows: their text without what they all share.

Overlap, near-duplicates and contamination are computed on the user's side of a row, without
(rule 1) system messages; (rule 2) an instruction that stands in many rows beside a separate
input; (rule 3) words with which at least half of the rows begin or end. Otherwise every
row of a task with one instruction would look like every other. Where a text is needed and not its
words (for embeddings), the prompt's lines that a tenth of the rows have are left out
(``distinct_prompts``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from residency.nouns.example import Example
from residency.overlap.word_grams import I64, RowWords

SHARED_ROWS = 10
SHARED_SHARE = 0.05
"""An instruction is shared when it stands in this many rows and this share of them."""

LINE_ROWS, LINE_SHARE = 5, 0.1
"""A line is shared when it stands in this many prompts and this share of them."""

AFFIX_WORDS = 64
AFFIX_LEAST = 4
"""A common beginning or end counts from 4 words on, and up to 64."""


def user_parts(example: Example) -> tuple[str, str]:
    """The user's words in two parts: an instruction that may be shared, and the rest.

    The first part is empty unless the row is one instruction with a separate input.
    Raw text is all in the second part.
    """
    if not example.prompt:
        return "", example.messages[0].text
    requests = [m for m in example.prompt if m.role in ("user", "tool")]
    if len(requests) == 1 and requests[0].input:
        return requests[0].content, requests[0].input
    return "", "\n".join(m.text for m in requests)


def distinct_prompts(examples: Sequence[Example], beside: Sequence[Example] = ()) -> list[str]:
    """Each example's prompt without the lines that many prompts share, those of ``beside`` counted.

    A prompt of nothing but shared lines is taken whole, and so is a row without a prompt.
    """
    lines = [_prompt_lines(example) for example in examples]
    counts = Counter(line for prompt_lines in lines for line in set(prompt_lines))
    counts.update(line for example in beside for line in set(_prompt_lines(example)))
    limit = max(LINE_ROWS, LINE_SHARE * (len(examples) + len(beside)))
    return [
        "\n".join([line for line in prompt_lines if counts[line] < limit] or prompt_lines)
        for prompt_lines in lines
    ]


def _prompt_lines(example: Example) -> list[str]:
    turns = example.prompt or example.messages
    return [
        line.strip()
        for turn in turns
        for part in (turn.content, turn.input)
        for line in part.splitlines()
        if line.strip()
    ]


def distinct_words(words: RowWords, middles: I64, instructions: np.ndarray) -> RowWords:
    """The words that differ, row by row.

    Args:
        words: each row's words, instruction first.
        middles: where each row's words beside the instruction begin (its start when there is no instruction).
        instructions: a hash of each row's instruction, 0 where there is none.
    """
    values, inverse, counts = np.unique(instructions, return_inverse=True, return_counts=True)
    least = max(SHARED_ROWS, SHARED_SHARE * len(words))
    shared = (counts >= least) & (values != 0)
    starts = np.where(shared[inverse], middles, words.starts) if len(words) else words.starts
    return strip_affixes(replace(words, starts=starts))


def strip_affixes(words: RowWords) -> RowWords:
    """Without the beginning and the end that at least half of the rows have in common.

    Rows that consist of nothing else keep their words.
    """
    if len(words) < 2 * SHARED_ROWS:
        return words
    first, last = _count_common(words, from_end=False), _count_common(words, from_end=True)
    keep = words.stops - words.starts - first - last > 0
    return replace(
        words,
        starts=words.starts + np.where(keep, first, 0),
        stops=words.stops - np.where(keep, last, 0),
    )


def _count_common(words: RowWords, *, from_end: bool) -> I64:
    """Words to leave off each row at one end (0 where the row does not share them)."""
    rows = len(words)
    lengths = words.stops - words.starts
    active = np.arange(rows)
    depth = 0
    while depth < AFFIX_WORDS:
        longer = active[lengths[active] > depth]
        if len(longer) < rows / 2:
            break
        at = words.stops[longer] - 1 - depth if from_end else words.starts[longer] + depth
        here = words.values[at]
        values, counts = np.unique(here, return_counts=True)
        best = int(counts.argmax())
        if counts[best] < rows / 2:
            break
        active = longer[here == values[best]]
        depth += 1
    out = np.zeros(rows, np.int64)
    if depth >= AFFIX_LEAST:
        out[active] = depth
    return out
