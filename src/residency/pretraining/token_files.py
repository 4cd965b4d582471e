"""Documents as files of tokens, memory-mapped."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from residency.errors import DataError
from residency.files.atomic_write import draft_name, publish_folder
from residency.interfaces import Progress, ProgressEvent, no_progress
from residency.pretraining.documents import Document

_ENCODE_BYTES = 4 << 20


@dataclass(frozen=True)
class TokenFile:
    """Tokens of a corpus, memory-mapped: documents end to end, each with its end token.

    Attributes:
        tokens: [N] ids. offsets: [documents + 1] where each begins. text_bytes: UTF-8 bytes.
        sha256: of tokens and offsets.
    """

    tokens: np.ndarray[Any, np.dtype[Any]]
    offsets: np.ndarray[Any, np.dtype[np.int64]]
    text_bytes: int
    sha256: str


def token_file(
    documents: Iterable[Document],
    tokenizer: Any,
    end_id: int,
    folder: Path,
    key: str,
    *,
    progress: Progress = no_progress,
) -> TokenFile:
    """Encode documents into ``folder``, or open what an earlier call with the same key left.

    Args:
        tokenizer: a ``tokenizers.Tokenizer``. end_id: ends each document.
        key: changes when corpus, tokenizer or field do: a stale file is never used.

    Raises:
        DataError: there is no text.
    """
    meta = folder / "meta.json"
    if meta.is_file():
        known = json.loads(meta.read_text(encoding="utf-8"))
        if known["key"] == key:
            return open_tokens(folder, known)
    partial = draft_name(folder)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    kind = np.uint16 if tokenizer.get_vocab_size() <= 1 << 16 else np.uint32
    digest, total, count, text_bytes = hashlib.sha256(), 0, 0, 0
    lengths: list[int] = []
    with (partial / "tokens.bin").open("wb") as out:
        for batch in _by_size(documents):
            texts = [document.text for document in batch]
            for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False):
                ids = np.append(np.asarray(encoding.ids, kind), kind(end_id))
                out.write(ids.tobytes())
                digest.update(ids.tobytes())
                lengths.append(len(ids))
                total += len(ids)
            count += len(batch)
            text_bytes += sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
            progress(ProgressEvent("tokenise", count, 0, "documents", {"tokens": total}))
    if not lengths:
        shutil.rmtree(partial, ignore_errors=True)
        raise DataError(
            "no documents",
            where=folder.name,
            next_step="the corpus is empty, or too small for its held-out share",
        )
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    np.save(partial / "offsets.npy", offsets)
    digest.update(offsets.tobytes())
    known = {
        "key": key,
        "dtype": np.dtype(kind).name,
        "text_bytes": text_bytes,
        "sha256": digest.hexdigest(),
    }
    (partial / "meta.json").write_text(json.dumps(known, indent=1), encoding="utf-8")
    publish_folder(partial, folder)
    return open_tokens(folder, known)


def open_tokens(folder: Path, known: dict[str, Any]) -> TokenFile:
    """The token file in ``folder``, whose ``meta.json`` is ``known``.

    Raises:
        DataError: it was cut.
    """
    tokens = np.memmap(folder / "tokens.bin", dtype=known["dtype"], mode="r")
    offsets = np.load(folder / "offsets.npy", mmap_mode="r")
    if int(offsets[-1]) != len(tokens):
        raise DataError(
            "the token file was cut", where=str(folder), next_step="delete it and run again"
        )
    return TokenFile(tokens, offsets, int(known["text_bytes"]), str(known["sha256"]))


def _by_size(documents: Iterable[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.text)
        if size > _ENCODE_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
