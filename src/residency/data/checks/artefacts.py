"""Traces of templates, markup and broken encodings in the text, and turns out of order."""

from __future__ import annotations

import re

from residency.data.checks.figures import Figure, Flags, View, cut_around
from residency.text.hinted_pattern import HintedPattern

_TEMPLATE = re.compile(
    r"<\|(?:im_start|im_end|endoftext|eot_id|start_header_id|end_header_id|user|assistant|system|end)\|>"
    r"|\[/?INST\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>"
    r"|^###\s*(?:Instructions?|Input|Response|Human|Assistant):"
    r"|^(?:Human|Assistant|USER|ASSISTANT|SYSTEM):",
    re.MULTILINE,
)
TEMPLATE = HintedPattern(
    _TEMPLATE,
    ("<", "[INST]", "[/INST]", "###", *("Human:", "Assistant:", "USER:", "ASSISTANT:", "SYSTEM:")),
)
PLACEHOLDER = re.compile(
    r"\{\{\s*\w+\s*\}\}"
    r"|(?<![$\w{])\{(?:name|user|input|instruction|company|author|date)\}"
    r"|\[(?:your |insert |company |user |recipient(?:'s)? )?(?:name|company|date|address|email|phone)[^\]\n(){}=]{0,20}\](?!\()"
    r"|<insert[ _-][^>\n]{1,30}>|<your[ _-][^>\n]{1,30}>|<\s*no ?input\s*>"
    r"|\bTODO:|\bLorem ipsum dolor",
    re.IGNORECASE,
)
EMPTY_INPUT = re.compile(
    r"^(?:no input|not applicable|n/?a|none)\.?$", re.IGNORECASE | re.MULTILINE
)
"""What people write into a field that they leave out."""
_LONGEST_EMPTY = len("not applicable.")
_PLACEHOLDER_MARKS = ("[", "{", "<", "todo:", "lorem")
"""What every text with a placeholder holds, in lower case (quick to look for)."""
_CODE_AROUND = re.compile(r"""\bf["']|[`;]|==?|\(\)|\+\s*["']|["']\s*\+""")
MOJIBAKE = HintedPattern(
    re.compile(r"\ufffd|Ã[\u0080-\u00bf©¨ªº§¶¼]|â€[™œ“”˜¦]|Â[°£§»«©®]|ï»¿"),
    ("\ufffd", "Ã", "â€", "Â", "ï»¿"),
)
ENTITIES = HintedPattern(
    re.compile(r"&(?:amp|lt|gt|quot|nbsp|#\d{2,5});|</?(?:div|span|br|p|a|li|td)\b[^>]*>"),
    ("&", "<"),
)
_LONGEST = 200_000


class Artefacts:
    """Template marks, placeholders, broken encodings, HTML, and turns out of order."""

    def __init__(self) -> None:
        self.template, self.placeholder = Flags(), Flags()
        self.mojibake, self.markup, self.turns = Flags(), Flags(), Flags()
        self._rows = 0

    def add(self, view: View) -> None:
        """One more row."""
        self._rows += 1
        text = f"{view.prompt}\n{view.answer}"[:_LONGEST]
        for pattern, flags in (
            (TEMPLATE, self.template),
            (MOJIBAKE, self.mojibake),
            (ENTITIES, self.markup),
        ):
            if match := pattern.search(text):
                flags.add(view, cut_around(text, match.start(), match.end()))
        if match := _find_placeholder(text) or _find_empty_input(view.prompt[:_LONGEST]):
            self.placeholder.add(view, cut_around(match.string, match.start(), match.end()))
        roles = [m.role for m in view.example.messages if m.role != "system"]
        wrong = next(
            (
                n
                for n in range(1, len(roles))
                if roles[n] == roles[n - 1] and roles[n] in ("user", "assistant")
            ),
            None,
        )
        if len(roles) > 1 and (roles[0] == "assistant" or wrong is not None):
            self.turns.add(view, " → ".join(roles[:8]))

    def merge(self, later: Artefacts, offset: int) -> None:
        """Add what another saw in the rows after these."""
        self._rows += later._rows
        for flags, more in (
            (self.template, later.template),
            (self.placeholder, later.placeholder),
            (self.mojibake, later.mojibake),
            (self.markup, later.markup),
            (self.turns, later.turns),
        ):
            flags.merge(more, offset)

    def figures(self) -> list[Figure]:
        """What was seen."""
        n = self._rows
        return [
            self.template.figure(
                "template_marks",
                "marks of a chat template in the text",
                n,
                "remove them: the template writes its own, and these end or forge turns",
            ),
            self.placeholder.figure(
                "placeholders", "placeholders never filled in", n, "fill them in, or drop the rows"
            ),
            self.mojibake.figure(
                "mojibake",
                "broken characters (wrong encoding)",
                n,
                "export again as UTF-8, or repair with ftfy",
            ),
            self.markup.figure(
                "markup", "HTML in the text", n, "strip it, unless your task is HTML", level="info"
            ),
            self.turns.figure(
                "turn_order",
                "turns out of order (two of one side, or the assistant first)",
                n,
                "many chat templates refuse such rows: join or reorder the turns",
            ),
        ]


def _find_placeholder(text: str) -> re.Match[str] | None:
    """The first placeholder that does not stand in a line of code, where braces are filled in."""
    lowered = text.lower()
    if not any(mark in lowered for mark in _PLACEHOLDER_MARKS):
        return None
    for match in PLACEHOLDER.finditer(text):
        start = text.rfind("\n", 0, match.start()) + 1
        line = text[start : text.find("\n", match.end()) if "\n" in text[match.end() :] else None]
        if not _CODE_AROUND.search(line):
            return match
    return None


def _find_empty_input(prompt: str) -> re.Match[str] | None:
    """A line that says that nothing was entered."""
    shortest = min(map(len, prompt.split("\n")))
    return EMPTY_INPUT.search(prompt) if shortest <= _LONGEST_EMPTY else None
