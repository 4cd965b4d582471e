"""A Hugging Face tokenizer as GGUF metadata: tokens, kinds, merges, ends, chat template."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from residency.errors import ModelError

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_NUMBERS_BY_THREE, _UNICODE_CASES, _MARKS = r"\p{N}{1,3}", r"\p{Lu}", r"\p{M}"


def write_tokenizer(writer: Any, tokenizer: Any, folder: Path, vocabulary: int) -> None:
    """The vocabulary of a tokenizer, filled up to the rows of the embedding.

    Args:
        tokenizer: as transformers loads it from ``folder`` (its class may set what the file does not).

    Raises:
        ModelError: a tokenizer of a kind that llama.cpp does not have, or that is not known here.
    """
    raw = json.loads(tokenizer.backend_tokenizer.to_str())
    if raw["model"]["type"] != "BPE":
        raise ModelError(
            f"a tokenizer of the kind {raw['model']['type']} is not written to GGUF",
            where=str(folder),
            next_step="use --format hf",
        )
    pieces = bool(raw["model"].get("byte_fallback"))
    tokens, kinds = _list_tokens(raw, vocabulary, pieces)
    if pieces:
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_scores([-float(number) for number in range(vocabulary)])
        writer.add_add_space_prefix(_adds_space(raw))
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(_name_pre_tokenizer(raw["pre_tokenizer"], folder))
        merges = raw["model"]["merges"]
        writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)


def _list_tokens(raw: dict[str, Any], vocabulary: int, pieces: bool) -> tuple[list[str], list[int]]:
    from gguf import TokenType

    tokens = [f"[PAD{number}]" for number in range(vocabulary)]
    kinds = [int(TokenType.UNUSED)] * vocabulary
    unknown = raw["model"].get("unk_token")
    for text, number in raw["model"]["vocab"].items():
        if number >= vocabulary:
            raise ModelError(f"token {number} has no row in the embedding")
        kind = TokenType.NORMAL
        if pieces and _BYTE.fullmatch(text):
            kind = TokenType.BYTE
        elif pieces and text == unknown:
            kind = TokenType.UNKNOWN
        tokens[number], kinds[number] = text, int(kind)
    for added in raw["added_tokens"]:
        number = added["id"]
        if number >= vocabulary:
            raise ModelError(f"token {number} ({added['content']}) has no row in the embedding")
        tokens[number] = added["content"]
        if not (pieces and added["content"] == unknown):
            kinds[number] = int(TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED)
    return tokens, kinds


def _adds_space(raw: dict[str, Any]) -> bool:
    """Whether a space is put before a text (SentencePiece's dummy prefix)."""
    text = json.dumps([raw["normalizer"], raw["pre_tokenizer"]])
    return (
        '"Prepend"' in text
        or '"prepend_scheme": "first"' in text
        or ('"prepend_scheme": "always"' in text)
    )


def _name_pre_tokenizer(raw: dict[str, Any] | None, folder: Path) -> str:
    """llama.cpp's name of the way in which text is cut before the merges."""
    steps = (raw or {}).get("pretokenizers", [raw] if raw else [])
    kinds = [step["type"] for step in steps]
    patterns = [step["pattern"].get("Regex", "") for step in steps if step["type"] == "Split"]
    if kinds == ["Digits", "ByteLevel"] and steps[0]["individual_digits"]:
        return "smollm"
    if kinds == ["ByteLevel"] and steps[0]["use_regex"]:
        return "gpt-2"
    if len(patterns) == 1 and kinds in (["Split"], ["Split", "ByteLevel"]):
        pattern = patterns[0]
        if _UNICODE_CASES in pattern:
            return "tekken"
        if _MARKS in pattern:
            return "qwen35"
        return "llama-bpe" if _NUMBERS_BY_THREE in pattern else "qwen2"
    raise ModelError(
        f"the tokenizer cuts text in a way that has no known name in llama.cpp: {kinds}",
        where=str(folder),
        next_step="use --format hf",
    )


def write_special_tokens(
    writer: Any, tokenizer: Any, template: str, ends: Sequence[int], *, adds_bos: bool
) -> None:
    """Begin and end tokens, and the chat template in use.

    Args:
        ends: every token that ends an answer, the one after a plain answer first.
    """
    if tokenizer.bos_token_id is not None:
        writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_add_bos_token(adds_bos)
    ordered = list(ends)
    declared = tokenizer.eos_token_id
    if declared is not None and "eos_token" in template:  # its text is written by the template
        ordered = [declared, *(end for end in ordered if end != declared)]
    writers = (writer.add_eos_token_id, writer.add_eot_token_id, writer.add_eom_token_id)
    for write, end in zip(writers, ordered, strict=False):
        write(end)
    if tokenizer.pad_token_id is not None:
        writer.add_pad_token_id(tokenizer.pad_token_id)
    if tokenizer.unk_token_id is not None:
        writer.add_unk_token_id(tokenizer.unk_token_id)
    writer.add_chat_template(template)
