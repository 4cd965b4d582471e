"""One side's moderation: hits of all judges, what the settings do with each, and the text that is left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from residency.config.moderation import PERSONAL, Action, JudgeGroup, ModerationConfig
from residency.moderation.judge import Hit, TextJudge, WholeJudge
from residency.moderation.segments import split_segments
from residency.nouns.example import Message

Side = Literal["input", "output"]
_GRAVITY: dict[Action, int] = {"off": 0, "flag": 1, "mask": 2, "refuse": 3}
_BEFORE = 8
"""Characters before a segment that judges see with it: forms look at what stands before them."""
_CACHED_SEGMENTS = 2048


@dataclass(frozen=True)
class ModeratedText:
    """What is left of a text.

    Attributes:
        text: with masks, or ended by the refusal; of a text that is still being written, what may
            leave by now.
        action: the gravest that was taken. hits: in the order of the text, with their action.
    """

    text: str
    action: Action
    hits: tuple[tuple[Hit, Action], ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of the gravest action, sorted."""
        return tuple(sorted({hit.kind for hit, action in self.hits if action == self.action}))


class Moderator:
    """Moderates texts of one side.

    Args:
        judges: of pieces of text. whole: of complete texts.
    """

    def __init__(
        self,
        config: ModerationConfig,
        side: Side,
        judges: Iterable[TextJudge],
        whole: Iterable[WholeJudge] = (),
    ) -> None:
        self._config, self._side = config, side
        self._judges = [judge for judge in judges if self._is_wanted(judge)]
        self._whole = [judge for judge in whole if self._choose(judge.group) != "off"]
        self._find_in_segment = lru_cache(maxsize=_CACHED_SEGMENTS)(self._judge_segment)

    @property
    def versions(self) -> tuple[str, ...]:
        """The judges, with their versions."""
        return (*(j.version for j in self._judges), *(j.version for j in self._whole))

    def load_judges(self) -> None:
        """Read forms and weights now, and not when the first request waits for them."""
        for judge in self._judges:
            judge.find("a word that is as long as a key: 0123456789abcdef0123")

    @property
    def holds_all(self) -> bool:
        """Whether nothing of a text leaves before it is complete."""
        changes = any(_GRAVITY[self._choose(judge.group)] > 1 for judge in self._whole)
        return changes or (self._config.hold == "answer" and self._changes_text)

    @property
    def may_change(self) -> bool:
        """Whether a text may leave otherwise than it came: masked, or refused."""
        return self.holds_all or self._changes_text

    @property
    def _changes_text(self) -> bool:
        groups = {group for judge in self._judges for group in _list_groups(judge)}
        return any(_GRAVITY[self._choose(group)] > 1 for group in groups)

    def moderate_text(self, text: str, *, final: bool = True) -> ModeratedText:
        """What may leave of a text; with ``final`` False, of one that is still being written.

        What is given for a beginning of a text is a beginning of what is given for all of it.
        """
        if not final and self.holds_all:
            return ModeratedText("", "off", ())
        whole = self._judge_whole([Message("assistant", text)]) if final and text else []
        if any(action == "refuse" for _, action in whole):
            return _conclude(self._config.refusal, whole)
        if not final and not self._changes_text:
            return ModeratedText(text, "off", ())
        return self._moderate_segments(text, final, whole)

    def moderate_messages(
        self, messages: Sequence[Message]
    ) -> tuple[tuple[Message, ...], ModeratedText]:
        """A conversation with masks in it, and what was decided; its text is the refusal, or empty."""
        hits: list[tuple[Hit, Action]] = []
        changed = []
        for message in messages:
            parts = {
                name: self._moderate_segments(text, True, [])
                for name, text in (("content", message.content), ("input", message.input))
            }
            calls = tuple(self._moderate_value(call, hits) for call in message.tool_calls)
            changed.append(
                replace(
                    message,
                    content=parts["content"].text,
                    input=parts["input"].text,
                    tool_calls=calls,
                )
            )
            hits += [*parts["content"].hits, *parts["input"].hits]
        if messages:
            hits += self._judge_whole(messages)
        refused = any(action == "refuse" for _, action in hits)
        return tuple(changed), _conclude(self._config.refusal if refused else "", hits)

    def _moderate_value(self, value: Any, hits: list[tuple[Hit, Action]]) -> Any:
        """A JSON value with masks in its texts; hits are added to the list."""
        if isinstance(value, str):
            moderated = self._moderate_segments(value, True, [])
            hits += moderated.hits
            return moderated.text
        if isinstance(value, list):
            return [self._moderate_value(item, hits) for item in value]
        if isinstance(value, dict):
            return {key: self._moderate_value(item, hits) for key, item in value.items()}
        return value

    def _moderate_segments(
        self, text: str, final: bool, whole: list[tuple[Hit, Action]]
    ) -> ModeratedText:
        parts: list[str] = []
        hits: list[tuple[Hit, Action]] = []
        for start, end in split_segments(text, final, self._find_spans):
            before = text[max(0, start - _BEFORE) : start]
            segment_hits = self._find_in_segment(before, text[start:end])
            hits += [
                (replace(hit, start=hit.start + start, end=hit.end + start), action)
                for hit, action in segment_hits
            ]
            if any(action == "refuse" for _, action in segment_hits):
                return _conclude(self._end_text(parts), hits)
            parts.append(_mask(text[start:end], segment_hits))
        masked = [hit.kind for hit, action in whole if action == "mask"]
        left = f"[{masked[0]}]" if masked else "".join(parts)
        return _conclude(left, [*hits, *whole])

    def _end_text(self, parts: Sequence[str]) -> str:
        """A refused text: the refusal alone, or after what may stand."""
        written = "".join(parts) if self._config.hold == "sentence" and not self.holds_all else ""
        gap = "" if not written or written[-1].isspace() else "\n"
        return f"{written}{gap}{self._config.refusal}"

    def _judge_segment(self, before: str, segment: str) -> tuple[tuple[Hit, Action], ...]:
        """Hits that begin in the segment, by their position in it."""
        hits = []
        for judge in self._judges:
            # a sentence is judged alone; forms look at what stands before them
            context = "" if judge.group == "offensive" else before
            for hit in judge.find(context + segment):
                action = self._choose(hit.group)
                start = hit.start - len(context)
                if start >= 0 and action != "off":
                    end = min(hit.end - len(context), len(segment))
                    hits.append((replace(hit, start=start, end=end), action))
        return tuple(sorted(hits, key=lambda pair: (pair[0].start, -pair[0].end)))

    def _find_spans(self, text: str) -> list[tuple[int, int]]:
        return [
            (hit.start, hit.end)
            for judge in self._judges
            if judge.group != "offensive"
            for hit in judge.find(text)
        ]

    def _judge_whole(self, messages: Sequence[Message]) -> list[tuple[Hit, Action]]:
        return [
            (hit, self._choose(judge.group))
            for judge in self._whole
            for hit in judge.judge(messages)
        ]

    def _choose(self, group: JudgeGroup) -> Action:
        return self._config.choose_action(self._side, group)

    def _is_wanted(self, judge: TextJudge) -> bool:
        return any(self._choose(group) != "off" for group in _list_groups(judge))


def _list_groups(judge: TextJudge) -> tuple[JudgeGroup, ...]:
    return PERSONAL if judge.group == "personal" else (judge.group,)


def _conclude(text: str, hits: Sequence[tuple[Hit, Action]]) -> ModeratedText:
    gravest: Action = max((action for _, action in hits), key=_GRAVITY.__getitem__, default="off")
    return ModeratedText(text, gravest, tuple(hits))


def _mask(text: str, hits: Sequence[tuple[Hit, Action]]) -> str:
    """The text with each hit that is to be masked replaced by its kind in brackets."""
    out, position = [], 0
    for hit, action in hits:
        if action != "mask" or hit.end <= position:
            continue
        out += [text[position : max(position, hit.start)], f"[{hit.kind}]"]
        position = hit.end
    return "".join([*out, text[position:]])
