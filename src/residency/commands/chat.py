"""``residency chat``: a stored model answers, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from residency.nouns.example import Message
from residency.project.named_models import find_model, require_local
from residency.project.workspace import Workspace


def chat(ws: Workspace, messages: Sequence[Message], name: str) -> Iterator[str]:
    """Stream an answer of a stored model."""
    model = find_model(ws, name)
    require_local(ws, model, "only local models can be chatted with")
    ws.engine.use_adapter(ws.store.artifacts.folder(model.adapter) if model.adapter else None)
    return ws.engine.stream(messages, ws.sampling)
