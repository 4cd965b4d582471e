"""Token ids that a folder's files name must be tokens of its model.

``{"eos_token_id": 50256}`` in the folder of a model with a vocabulary of 1000 says that no answer ever
ends; transformers loads it without a word, and whoever deploys the trained model finds out. (It comes
of a configuration made small without its defaults.) Neither PyTorch nor transformers is imported.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from residency.errors import ModelError

_FILES = ("config.json", "generation_config.json")
_DEPTHS: Mapping[str, tuple[int, ...]] = {
    "bos_token_id": (0,),
    "pad_token_id": (0,),
    "eos_token_id": (0, 1),
    "decoder_start_token_id": (0, 1),
    "forced_bos_token_id": (0,),
    "forced_eos_token_id": (0, 1),
    "suppress_tokens": (1,),
    "begin_suppress_tokens": (1,),
    "bad_words_ids": (2,),
}
"""Settings that hold ids, and in lists of which depth: 0 is an id alone, 2 a list of lists."""
_MAYBE_NONE = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
"""Older files write −1 where there is no such token."""
NO_TOKEN = -1


def read_vocabulary(config: Mapping[str, Any]) -> int | None:
    """Rows of the embeddings by a ``config.json``; None where it does not say."""
    text = config.get("text_config")
    size = config.get("vocab_size") or (text.get("vocab_size") if isinstance(text, dict) else None)
    return size if isinstance(size, int) else None


def check_declared_ids(path: Path, config: Mapping[str, Any]) -> None:
    """Refuse a folder that names ids which are no tokens of its model.

    Args:
        path: the model's folder. config: its ``config.json``.

    Raises:
        ModelError: naming file, setting and id.
    """
    size = read_vocabulary(config)
    for name in _FILES:
        values = config if name == "config.json" else _read_object(path / name)
        text = values.get("text_config")
        for part in (values, text if isinstance(text, Mapping) else {}):
            for setting, depths in _DEPTHS.items():
                for wrong in _list_wrong(setting, part.get(setting), depths, size):
                    raise ModelError(
                        f"{setting} names {wrong!r}, which is no token of the model"
                        + (f": its embeddings have {size} rows" if size else ""),
                        where=str(path / name),
                        next_step=f"in a copy of the folder, write the token's number into {name} "
                        "(null where there is none)",
                    )


def _list_wrong(
    setting: str, value: Any, depths: tuple[int, ...], size: int | None, depth: int = 0
) -> Iterator[Any]:
    """What stands in a setting and is no id below ``size``."""
    if value is None and depth == 0:
        return
    if isinstance(value, list) and depth < max(depths):
        for part in value:
            yield from _list_wrong(setting, part, depths, size, depth + 1)
    elif isinstance(value, bool) or not isinstance(value, int) or depth not in depths:
        yield value
    elif value == NO_TOKEN and setting in _MAYBE_NONE:
        return
    elif value < 0 or (size is not None and value >= size):
        yield value


def _read_object(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # told where the settings are read
        return {}
    return value if isinstance(value, dict) else {}
