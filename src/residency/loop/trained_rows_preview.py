"""A few training rows as the model sees them, stored with the run for its report."""

from __future__ import annotations

from residency.data.token_rows import encode_example
from residency.errors import TemplateError
from residency.project.step_needs import HasBase

Pieces = list[tuple[str, bool]]
"""A row as texts in order, each with whether its tokens are trained."""


def preview_trained_rows(ws: HasBase, count: int = 2) -> list[Pieces]:
    """The first training rows, as text and loss mask; rows that the template refuses are passed
    over (training reports them)."""
    chat = ws.chat_format
    out: list[Pieces] = []
    for example in ws.split("train"):
        if len(out) >= count:
            break
        try:
            rows = encode_example(example, chat)
        except TemplateError:
            continue
        out += [chat.pieces(row.ids, row.mask) for row in rows]
    return out[:count]
