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
from residency.model.declared_ids import read_vocabulary

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
    size = read_vocabulary(config)
    tokenizer = _read_object(path / "tokenizer.json")
    if size is None or tokenizer is None:
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
    missing |= _number_new_ends(path, tokenizer, size)
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


def _number_new_ends(path: Path, tokenizer: Mapping[str, Any], size: int) -> dict[str, int]:
    """Ends that the settings name and the tokenizer lacks: loading it adds them behind its tokens."""
    vocabulary = (tokenizer.get("model") or {}).get("vocab")
    if not isinstance(vocabulary, dict | list) or not vocabulary:
        return {}
    texts = vocabulary if isinstance(vocabulary, dict) else {str(token[0]) for token in vocabulary}
    added = {str(t["content"]) for t in tokenizer.get("added_tokens") or [] if isinstance(t, dict)}
    known = added.union(texts)
    ends = [end for end in dict.fromkeys(_read_ends(path)) if end not in known]
    return {end: len(known) + n for n, end in enumerate(ends) if len(known) + n >= size}


def _read_ends(path: Path) -> list[str]:
    settings = _read_object(path / "tokenizer_config.json") or {}
    tokens = (settings.get(name) for name in _ENDS)
    texts = (str(t.get("content") if isinstance(t, dict) else t or "") for t in tokens)
    return [text for text in texts if text]


def _read_template(path: Path) -> str:
    """Everything in which a token of each conversation may stand: templates and the ends' names."""
    settings = _read_object(path / "tokenizer_config.json") or {}
    parts = [str(settings.get("chat_template") or ""), *_read_ends(path)]
    for file in path.glob("*.jinja"):
        parts.append(file.read_text(encoding="utf-8", errors="replace"))
    return "\n".join(parts)


def _read_object(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # told where the tokenizer is loaded
        return None
    return value if isinstance(value, dict) else None
