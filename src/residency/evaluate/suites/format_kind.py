"""The kind under which every breach of an answer's form is filed."""

from __future__ import annotations

FORMAT = "format"
