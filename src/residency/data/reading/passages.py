"""The context of a question, written as a list of passages, as one text.

Read are lists of texts (Ragas' ``contexts``), of ``[title, sentences]`` (HotpotQA), and the columns
of either (``{"title": […], "sentences": […]}``, PubMedQA's ``{"contexts": […]}``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CONTEXT_COLUMNS = (
    "context",
    "contexts",
    "passage",
    "passages",
    "document",
    "paragraph",
    "background",
)
_TITLES, _TEXTS = ("title", "titles"), ("sentences", "text", "texts", "contexts", "passages")


def join_passages(value: Any) -> Any:
    """Passages as one text, a blank line between two; another value as it is."""
    if isinstance(value, Mapping):
        titles = next((value[name] for name in _TITLES if name in value), None)
        texts = next((value[name] for name in _TEXTS if name in value), None)
        if not isinstance(texts, list):
            return value
        paired = isinstance(titles, list) and len(titles) == len(texts)
        passages = list(zip(titles, texts, strict=True)) if paired and titles else texts
    else:
        passages = value
    if not isinstance(passages, list) or not passages:
        return value
    written = [_write_passage(passage) for passage in passages]
    return value if None in written else "\n\n".join(text for text in written if text)


def _write_passage(passage: Any) -> str | None:
    """A passage's title and sentences; None for what is no passage."""
    if isinstance(passage, str):
        return passage.strip()
    if not isinstance(passage, list | tuple) or len(passage) != 2:
        return None
    title, sentences = passage
    if isinstance(sentences, list) and all(isinstance(part, str) for part in sentences):
        sentences = "".join(part if part[:1].isspace() else f" {part}" for part in sentences)
    if not isinstance(title, str) or not isinstance(sentences, str):
        return None
    return f"{title.strip()}\n{sentences.strip()}"
