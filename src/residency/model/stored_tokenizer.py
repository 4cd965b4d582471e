"""A tokenizer folder read without transformers, for chat formats: neither it nor PyTorch is imported.

Tests prove that a chat format made of it is that of ``AutoTokenizer``, hash and all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from residency.errors import ModelError

_VERBATIM = frozenset({"TokenizersBackend", "PreTrainedTokenizerFast"})
"""Tokenizer classes that take ``tokenizer.json`` as it is."""
_SPECIAL = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")  # fmt: skip


class StoredTokenizer:
    """What a chat format reads of a tokenizer: backend, special tokens and chat template.

    Raises:
        ModelError: the tokenizer's class changes what ``tokenizer.json`` says.
    """

    def __init__(self, folder: Path) -> None:
        raw: dict[str, Any] = json.loads(
            (folder / "tokenizer_config.json").read_text(encoding="utf-8")
        )
        if raw.get("tokenizer_class") not in _VERBATIM:
            raise ModelError(
                f"a tokenizer of class {raw.get('tokenizer_class')}", where=str(folder)
            )
        self.backend_tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.special_tokens_map = {name: raw[name] for name in _SPECIAL if raw.get(name)}
        template = folder / "chat_template.jinja"
        self.chat_template = template.read_text(encoding="utf-8") if template.is_file() else None

    @property
    def bos_token_id(self) -> int | None:
        """Id of the token that begins a text, where there is one."""
        return self._id("bos_token")

    @property
    def eos_token_id(self) -> int | None:
        """Id of the token that ends a text."""
        return self._id("eos_token")

    def _id(self, name: str) -> int | None:
        token = self.special_tokens_map.get(name)
        number: int | None = self.backend_tokenizer.token_to_id(token) if token else None
        return number
