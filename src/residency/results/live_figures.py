"""What a run has made until now, for whoever watches it: the loss of its training, its first answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from residency.nouns.example import Example
from residency.nouns.response import Response
from residency.project.named_models import label_model
from residency.store.store import Store

SHOWN_ANSWERS = 3


@dataclass(frozen=True)
class LiveAnswer:
    """An answer as it was written, and its prompt."""

    example: Example
    response: Response
    label: str


def read_live_loss(store: Store) -> list[dict[str, Any]]:
    """Step by step the figures of the training that goes on, or that was interrupted."""
    work = store.folder / "work"
    folders = [path for path in work.glob("train-*") if path.is_dir()] if work.is_dir() else []
    return store.metrics(max(folders, key=_changed_at).name) if folders else []


def read_live_answers(store: Store) -> list[LiveAnswer]:
    """The answers that were stored last, the newest first; the sealed test's are not looked at."""
    answers: list[LiveAnswer] = []
    for response in store.newest_responses(4 * SHOWN_ANSWERS):
        example = store.example(response.example)
        if example.split == "test" or len(answers) == SHOWN_ANSWERS:
            continue
        model = store.model(response.model) if store.has_model(response.model) else None
        answers.append(LiveAnswer(example, response, label_model(model) if model else ""))
    return answers


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
