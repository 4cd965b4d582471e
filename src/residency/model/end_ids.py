"""Which tokens end an answer, as declared, as trained, and as written into what leaves.

A base may declare ``<|endoftext|>`` while its chat template, and so every trained row, ends a turn
with ``<|im_end|>``. Whoever loads the trained model reads the declared ends alone, and the model
never stops. So training notes the ends that its rows taught, and every folder that leaves declares
them all, in each of the three files where programs look.

Neither PyTorch nor transformers is imported.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from residency.files.atomic_write import write_json
from residency.interfaces import TokenRow

GENERATION, CONFIG, TOKENIZER = "generation_config.json", "config.json", "tokenizer_config.json"


def read_declared_ends(folder: Path) -> list[int]:
    """End ids that a folder declares in its generation settings, configuration or tokenizer."""
    config = _read_json(folder / CONFIG)
    text = config.get("text_config")
    values = [
        _read_json(folder / GENERATION).get("eos_token_id"),
        config.get("eos_token_id"),
        text.get("eos_token_id") if isinstance(text, Mapping) else None,
        _added_tokens(folder).get(_token_text(_read_json(folder / TOKENIZER).get("eos_token"))),
    ]
    return _unique_ids(values)


def find_trained_ends(rows: Sequence[TokenRow], folder: Path, declared: Iterable[int]) -> list[int]:
    """End ids that rows train: special tokens, or declared ends, that close a trained span."""
    special = set(_added_tokens(folder).values()) | set(declared)
    ends: dict[int, None] = {}
    for row in rows:
        for ids, mask in ((row.ids, row.mask), (row.rejected_ids, row.rejected_mask)):
            for at in range(len(mask)):
                if not mask[at] or (at + 1 < len(mask) and mask[at + 1]):
                    continue
                # The template may train a line break after the end token.
                last = [i for i in (at, at - 1) if i >= 0 and mask[i] and ids[i] in special]
                if last:
                    ends.setdefault(ids[last[0]])
    return list(ends)


def find_leaving_ends(base: Path, adapter: Path | None = None) -> list[int]:
    """Every end id that a model made of this base must declare: what its training taught, what the
    base's chat format ends turns with, and what the base declares.
    """
    taught = read_declared_ends(adapter) if adapter is not None else []
    return _unique_ids([taught, _chat_ends(base), read_declared_ends(base)])


def write_ends(folder: Path, ends: Sequence[int]) -> None:
    """Declare end ids in a folder: in its generation settings and, where it has them, in its
    configuration and tokenizer.

    The tokenizer has room for one; it becomes the first, unless the chat template writes the
    tokenizer's end token, whose text would change then.
    """
    if not ends:
        return
    ids: int | list[int] = list(ends) if len(ends) > 1 else ends[0]
    generation = _read_json(folder / GENERATION)
    write_json(folder / GENERATION, {**generation, "eos_token_id": ids}, sort_keys=True)
    config = _read_json(folder / CONFIG)
    if config:
        config["eos_token_id"] = ids
        if isinstance(config.get("text_config"), dict):
            config["text_config"]["eos_token_id"] = ids
        write_json(folder / CONFIG, config, sort_keys=True)
    tokenizer = _read_json(folder / TOKENIZER)
    named = {number: text for text, number in _added_tokens(folder).items()}
    current = _added_tokens(folder).get(_token_text(tokenizer.get("eos_token")))
    if not tokenizer or current in ends[:1] or ends[0] not in named:
        return
    if "eos_token" not in _template_text(folder, tokenizer):
        write_json(folder / TOKENIZER, {**tokenizer, "eos_token": named[ends[0]]}, sort_keys=True)


def _chat_ends(base: Path) -> list[int]:
    """Ends of the base's chat format; none where it has no tokenizer that can be read."""
    from residency.chat.chat_format import ChatFormat
    from residency.errors import ResidencyError
    from residency.model.load_model import load_tokenizer

    try:
        return list(ChatFormat(load_tokenizer(base)).end_ids)
    except ResidencyError:
        return []


def _template_text(folder: Path, tokenizer: Mapping[str, Any]) -> str:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    return json.dumps(tokenizer.get("chat_template") or "")


def _added_tokens(folder: Path) -> dict[str, int]:
    """Special tokens of ``tokenizer.json`` by their text."""
    added = _read_json(folder / "tokenizer.json").get("added_tokens") or []
    return {str(t["content"]): int(t["id"]) for t in added if t.get("special")}


def _token_text(token: Any) -> str:
    return str(token.get("content", "")) if isinstance(token, Mapping) else str(token or "")


def _unique_ids(values: Iterable[Any]) -> list[int]:
    out: dict[int, None] = {}
    for value in values:
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, int) and not isinstance(one, bool) and one >= 0:
                out.setdefault(one)
    return list(out)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return raw if isinstance(raw, dict) else {}
