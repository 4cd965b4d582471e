"""``residency moderate``: what moderation would do with a text, and how far its judges can be trusted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from residency.config.guard import GuardConfig
from residency.config.moderation import ModerationConfig
from residency.moderation.measure_moderation import JudgeQuality, load_labelled, measure_judge
from residency.moderation.moderator import ModeratedText, Side
from residency.moderation.open_moderator import open_moderator, open_text_judges
from residency.nouns.example import Message
from residency.nouns.short_view import ShortView
from residency.project.workspace import Workspace


@dataclass(frozen=True, repr=False)
class Moderation(ShortView):
    """What moderation did with a text.

    Attributes:
        side: as what the text was judged. text: what is left of it. moderated: action and hits.
        judges: who judged, with versions. seconds: how long all of them took.
    """

    side: Side
    text: str
    moderated: ModeratedText
    judges: tuple[str, ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, with the text that is left."""
        hits = [
            {
                "kind": hit.kind,
                "group": hit.group,
                "action": action,
                "start": hit.start,
                "end": hit.end,
                "score": hit.score,
            }
            for hit, action in self.moderated.hits
        ]
        return {
            "side": self.side,
            "action": self.moderated.action,
            "text": self.text,
            "hits": hits,
            "judges": list(self.judges),
            "seconds": round(self.seconds, 4),
        }


def moderate(ws: Workspace | None, text: str, side: Side = "output") -> Moderation:
    """A text judged by a project's settings and the rules of its suite; by the defaults without one.

    Raises:
        ConfigError: the guard's key is not set. SuiteError: the suite cannot be read.
    """
    if ws is None:
        moderator = open_moderator(ModerationConfig(), GuardConfig(), side)
    else:
        from residency.serve.moderate_requests import open_project_moderator

        moderator = open_project_moderator(ws, side)
    moderator.load_judges()
    start = time.perf_counter()
    if side == "output":
        moderated = moderator.moderate_text(text)
        left = moderated.text
    else:
        messages, moderated = moderator.moderate_messages([Message("user", text)])
        left = moderated.text or messages[0].content
    return Moderation(side, left, moderated, moderator.versions, time.perf_counter() - start)


def measure_text_judges(threshold: float) -> list[JudgeQuality]:
    """Precision and recall of the judges that need no server, on the labelled texts of the package."""
    texts = load_labelled()
    return [measure_judge(judge, texts) for judge in open_text_judges(threshold)]
