"""Tokens that a tokenizer has and its model has no weights for.

Adding marks of a chat template to a tokenizer, and not resizing the embeddings, leaves ids beyond
the last row: the first conversation would end in an index error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from residency.errors import ModelError

_SHOWN = 4
_ENDS = ("bos_token", "eos_token")
"""Tokens that every conversation holds. (A padding token never reaches the embeddings here.)"""


def check_tokenizer_fits(path: Path, config: Mapping[str, Any]) -> None:
    """Refuse a tokenizer whose ordinary tokens, ends or chat template reach beyond the embeddings.

    Other added tokens may lie there: a row or a prompt that holds one is refused by itself.

    Args:
        path: the model's folder. config: its ``config.json``.

    Raises:
        ModelError: naming the tokens.
    """
    text = config.get("text_config")
    size = config.get("vocab_size") or (text.get("vocab_size") if isinstance(text, dict) else None)
    tokenizer = _read_object(path / "tokenizer.json")
    if not isinstance(size, int) or tokenizer is None:
        return
    added = tokenizer.get("added_tokens") or []
    beyond = {
        str(token["content"]): int(token["id"])
        for token in added
        if isinstance(token, dict) and int(token.get("id", 0)) >= size
    }
    wanted = _read_template(path)
    missing = {content: n for content, n in beyond.items() if content in wanted}
    vocabulary = (tokenizer.get("model") or {}).get("vocab")
    if isinstance(vocabulary, dict) and vocabulary:
        missing |= {t: n for t, n in vocabulary.items() if n >= size and t not in beyond}
    if not missing:
        return
    shown = ", ".join(f"{t!r} ({n})" for t, n in list(missing.items())[:_SHOWN])
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    raise ModelError(
        f"the tokenizer has tokens for which the model has no weights: {shown}{more}; its "
        f"embeddings have {size} rows",
        where=str(path / "tokenizer.json"),
        next_step="use the tokenizer that belongs to this model; or give the tokens rows with "
        "model.resize_token_embeddings(len(tokenizer)), save both, and train with method = "
        '"full" (adapters leave the embeddings as they are)',
    )


def _read_template(path: Path) -> str:
    """Everything in which a token of each conversation may stand: templates and the ends' names."""
    settings = _read_object(path / "tokenizer_config.json") or {}
    parts = [str(settings.get("chat_template") or "")]
    for name in _ENDS:
        token = settings.get(name)
        parts.append(str(token.get("content") if isinstance(token, dict) else token or ""))
    for file in path.glob("*.jinja"):
        parts.append(file.read_text(encoding="utf-8", errors="replace"))
    return "\n".join(parts)


def _read_object(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # told where the tokenizer is loaded
        return None
    return value if isinstance(value, dict) else None
