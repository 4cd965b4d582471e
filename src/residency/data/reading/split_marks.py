"""Marks within raw texts that end a prompt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from residency.data.reading.clean_text import RowError
from residency.data.reading.layouts.raw_text import divide_text
from residency.data.reading.text_pieces import LABEL

_LEAST_SHARE = 0.8
"""Share of the texts that a mark must divide to be offered."""
_FIXED = (
    "### Response:",
    "### Assistant:",
    "### Answer:",
    "### Output:",
    "[/INST]",
    "<|assistant|>",
    "<|im_start|>assistant\n",
    "<start_of_turn>model\n",
    "\n\n###\n\n",
    " ->",
    " => ",
    " ==> ",
    " ||| ",
    "[SEP]",
    "<sep>",
    "<SEP>",
    "<|sep|>",
    "\nTL;DR:",
    "\n###\n",
    "\n---\n",
    "<answer>",
    " Answer: ",
    " A: ",
    "\t",
)
_LINE_MARK = re.compile(
    r"\n([#*]{0,4} ?(?:[A-ZÀ-Þ][A-Za-zÀ-ÿ]{0,19}|[^\s:：*#\x00-\x7f]{1,12}) ?[:：]\*{0,4}"
    r"|#{1,6} [^\W\d_]{1,20}(?=\n))"
)
_FEW = 8
"""Texts below which they are divided at their labels first: a short file is one text."""
_HEADING = re.compile(r"^#{1,6} +(.+)$", re.MULTILINE)
_HEADINGS_COMMAND = (
    """python -c 'import json, re, sys; [print(json.dumps({"question": q, "answer": a.strip()})) """
    """for q, a in re.findall(r"(?m)^#+ +(.+)\\n((?:(?!#+ ).*\\n?)*?)(?=^#+ |\\Z)", sys.stdin.read()) """
    """if a.strip()]' < FILE > rows.jsonl"""
)


def find_split_mark(texts: Sequence[str]) -> str:
    """The mark that divides most texts into prompt and answer; empty where none divides 80 %.

    Of marks that divide equally many the one that stands latest in the texts wins: of ``Q:`` and
    ``A:`` it is the answer's.
    """
    if len(texts) < _FEW:
        texts = [part for text in texts for part in _divide_at_label(text)]
    lines = Counter(mark for text in texts for mark in dict.fromkeys(_LINE_MARK.findall(text)))
    candidates = [f"\n{mark}" for mark, _ in lines.most_common(10)] + list(_FIXED)
    best = (0, 0.0, "")
    for mark in candidates:
        prompts = [prompt for text in texts if (prompt := _read_prompt(text, mark))]
        if len(prompts) >= max(2, _LEAST_SHARE * len(texts)):
            best = max(best, (len(prompts), sum(map(len, prompts)) / len(prompts), mark))
    return best[2]


def _divide_at_label(text: str) -> list[str]:
    """A text before each line that begins with the first label that comes again; else whole."""
    labels = LABEL.findall(text)
    label = next((label for label in labels if labels.count(label) > 1), None)
    if label is None:
        return [text]
    return re.split(rf"(?m)^(?={re.escape(label)})", text)[1:]


def suggest_division(texts: Sequence[str]) -> str:
    """How raw texts that hold prompts become rows with them; empty where nothing shows any."""
    mark = find_split_mark(texts)
    if mark:
        return f"they seem to hold prompts: {describe_mark(mark)}"
    headings = [heading for text in texts for heading in _HEADING.findall(text)]
    asking = sum(heading.rstrip().endswith(("?", "？", "؟")) for heading in headings)
    if asking < 3 or 2 * asking < len(headings):
        return ""
    return f"their headings seem to be questions; to write them as rows: {_HEADINGS_COMMAND}"


def _read_prompt(text: str, mark: str) -> str:
    try:
        return divide_text(text, mark, "text")[0]
    except RowError:
        return ""


def describe_mark(mark: str) -> str:
    """How a mark is written on the command line."""
    written = mark.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
    return f"--split-at '{written}'"


def parse_mark(written: str) -> str:
    """A mark from the command line: ``\\n`` and ``\\t`` stand for a line end and a tab."""
    pieces = {"\\n": "\n", "\\t": "\t", "\\\\": "\\"}
    return re.sub(r"\\[nt\\]", lambda match: pieces[match[0]], written)
