"""Raw text to training batches: documents, tokenizer, token files, packed steps.

Everything streams: a corpus is read document by document, its tokens lie in memory-mapped files,
and any step's rows can be read without the steps before it.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import itertools
import json
import lzma
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from residency.errors import DataError
from residency.types import Progress, ProgressEvent, TokenRow, no_progress

END_TOKEN = "<|endoftext|>"
PAD_TOKEN = "<|pad|>"
TEXT_SUFFIXES = {".txt", ".md", ".text"}
JSON_SUFFIXES = {".jsonl", ".ndjson"}
_OPENERS = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
_ENCODE_BYTES = 4 << 20
_HEAD = 100
"""Documents looked at first, to hold out at least one of a small corpus."""


@dataclass(frozen=True)
class Document:
    """One text, and where it was read (``file`` or ``file:line``)."""

    text: str
    where: str


@dataclass(frozen=True)
class Corpus:
    """One source of documents.

    Attributes:
        path: a file, or a folder read in order of names. field: the text's name in JSON or Parquet.
        share: its share of the training tokens.
        held_out: a file or folder of held-out documents, or the share of documents held out.
    """

    name: str
    path: Path
    share: float = 1.0
    field: str = "text"
    held_out: Path | float = 0.01


def corpus_files(path: Path) -> list[Path]:
    """The readable files of a corpus, by name.

    Raises:
        DataError: the path does not exist, or nothing in it is text, JSON lines or Parquet.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError("no such file or folder", where=str(path))
    found = sorted(p for p in path.rglob("*") if p.is_file() and _kind(p) != "unknown")
    if not found:
        raise DataError(
            "no text here",
            where=str(path),
            next_step="give .txt, .md, .jsonl (also .gz, .xz, .bz2) or .parquet files",
        )
    return found


def read_documents(path: Path, field: str = "text") -> Iterator[Document]:
    """Every non-empty document: a whole text file, a JSON line, or a Parquet row.

    Raises:
        DataError: a binary file, a line that is not JSON, a row without the field.
    """
    for file in corpus_files(path):
        kind = _kind(file)
        if kind == "text":
            documents = _read_text(file)
        elif kind == "json":
            documents = _read_json(file, field)
        elif kind == "parquet":
            documents = _read_parquet(file, field)
        else:
            raise DataError(
                f"cannot read {file.suffix or 'this'} files",
                where=str(file),
                next_step="give .txt, .md, .jsonl (also .gz, .xz, .bz2) or .parquet files",
            )
        for document in documents:
            if document.text.strip():
                yield document


def _kind(file: Path) -> str:
    suffix = file.suffix.lower()
    if suffix in _OPENERS:
        suffix = Path(file.stem).suffix.lower()
    if suffix in TEXT_SUFFIXES:
        return "text"
    if suffix in JSON_SUFFIXES:
        return "json"
    return "parquet" if suffix == ".parquet" else "unknown"


def _open(file: Path) -> IO[bytes]:
    opener: Any = _OPENERS.get(file.suffix.lower(), open)
    return opener(file, "rb")  # type: ignore[no-any-return]


def _decode(raw: bytes, where: str) -> str:
    if b"\0" in raw:
        raise DataError("a binary file, not text", where=where, next_step="leave it out")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"not UTF-8 text (byte {error.start})", where=where, next_step="convert it to UTF-8"
        ) from None


def _read_text(file: Path) -> Iterator[Document]:
    with _open(file) as handle:
        yield Document(_decode(handle.read(), str(file)), str(file))


def _read_json(file: Path, field: str) -> Iterator[Document]:
    with _open(file) as handle:
        try:
            for number, raw in enumerate(handle, 1):
                where = f"{file}:{number}"
                line = _decode(raw, where)
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise DataError(f"not JSON: {error}", where=where) from None
                if not isinstance(row, dict) or not isinstance(row.get(field), str):
                    raise DataError(
                        f"no text in the field {field!r}",
                        where=where,
                        next_step=f"name the field with `field`; this row has: "
                        f"{', '.join(row) if isinstance(row, dict) else type(row).__name__}",
                    )
                yield Document(row[field], where)
        except (EOFError, lzma.LZMAError, gzip.BadGzipFile, OSError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"the compressed file is damaged: {error}", where=str(file)) from None


def _read_parquet(file: Path, field: str) -> Iterator[Document]:
    import pyarrow.parquet as parquet
    from pyarrow.lib import ArrowInvalid

    try:
        table = parquet.ParquetFile(file)
    except ArrowInvalid as error:
        raise DataError(f"not a Parquet file: {error}", where=str(file)) from None
    if field not in table.schema_arrow.names:
        raise DataError(
            f"no column {field!r}",
            where=str(file),
            next_step=f"name the column with `field`; there are: {', '.join(table.schema_arrow.names)}",
        )
    number = 0
    for batch in table.iter_batches(batch_size=256, columns=[field]):
        for value in batch.column(0).to_pylist():
            number += 1
            if isinstance(value, str):
                yield Document(value, f"{file} row {number}")


# --- held-out documents ----------------------------------------------------------------------


def split_documents(corpus: Corpus, *, held_out: bool) -> Iterator[Document]:
    """The training documents of a corpus, or those held out.

    With a share, a document is held out by the hash of its text, so the choice does not depend
    on the order. Of a corpus of a single document the end is held out, from a paragraph on.
    """
    if isinstance(corpus.held_out, Path):
        yield from read_documents(corpus.held_out if held_out else corpus.path, corpus.field)
        return
    share = corpus.held_out
    stream = read_documents(corpus.path, corpus.field)
    head = list(itertools.islice(stream, _HEAD))
    if len(head) == 1 and share > 0:
        only = head[0]
        cut = only.text.rfind("\n", 0, int(len(only.text) * (1 - share))) + 1
        yield Document(only.text[cut:] if held_out else only.text[:cut], only.where)
        return
    lowest = min((_fraction(document.text) for document in head), default=1.0)
    for document in itertools.chain(head, stream):
        fraction = _fraction(document.text)
        # A small corpus may have no document below the share: then its lowest is held out.
        if (fraction < share or (share > 0 and fraction == lowest)) == held_out:
            yield document


def _fraction(text: str) -> float:
    """A number in [0, 1) that depends on the text alone."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return float(int.from_bytes(digest[:8]) / 2**64)


# --- tokenizer -------------------------------------------------------------------------------


def train_tokenizer(texts: Iterable[str], vocab_size: int, out: Path) -> None:
    """A byte-level BPE tokenizer (digits one by one) as a Hugging Face folder.

    It adds nothing by itself: no beginning token; documents end with ``<|endoftext|>``.

    Raises:
        DataError: the text does not support so many tokens.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    from residency.train.pretrain import save_tokenizer

    smallest = 256 + 2
    if vocab_size < smallest:
        raise DataError(
            f"a byte-level vocabulary needs at least {smallest} entries, not {vocab_size}",
            where="tokenizer.vocab_size",
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[END_TOKEN, PAD_TOKEN],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    found = tokenizer.get_vocab_size()
    if found < vocab_size:
        raise DataError(
            f"the text supports a vocabulary of {found} entries, not {vocab_size}",
            where="tokenizer.vocab_size",
            next_step=f"set it to {found} or less, or give more text",
        )
    save_tokenizer(tokenizer, out)


def tokenizer_sample(corpora: Sequence[Corpus], characters: int) -> Iterator[str]:
    """Beginnings of training documents, in equal parts from each corpus."""
    for corpus in corpora:
        left = characters // len(corpora)
        for document in split_documents(corpus, held_out=False):
            if left <= 0:
                break
            part = document.text[: min(left, 40_000)]
            left -= len(part)
            yield part


# --- token files -----------------------------------------------------------------------------


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
    partial = folder.with_name(folder.name + ".partial")
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
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)
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


def pieces(file: TokenFile, context: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """[P, 2] begin and end of every piece of at most ``context`` tokens; none crosses a document.

    Pieces of a single token are left out: nothing stands before it to predict it from.
    """
    begins, ends = np.asarray(file.offsets[:-1]), np.asarray(file.offsets[1:])
    number = -(-(ends - begins) // context)
    first = np.repeat(begins, number)
    within = np.arange(len(first)) - np.repeat(np.cumsum(number) - number, number)
    begin = first + within * context
    end = np.minimum(begin + context, np.repeat(ends, number))
    cut = np.stack([begin, end], axis=1)
    kept: np.ndarray[Any, np.dtype[np.int64]] = cut[end - begin > 1]
    return kept


class PackedBatches:
    """Steps of ``batch_tokens`` tokens, mixed from corpora by their shares.

    Each corpus is passed through in a shuffled order, again and anew when it is used up. A
    step's rows depend on the step alone, so a resumed run sees exactly what it would have seen.

    Attributes:
        steps: optimizer steps. fingerprint: changes when any batch would.
        epochs: passes over each corpus, by position.
    """

    def __init__(
        self,
        files: Sequence[TokenFile],
        shares: Sequence[float],
        *,
        context: int,
        batch_tokens: int,
        steps: int,
        seed: int,
    ) -> None:
        self.files, self.steps = list(files), steps
        total = sum(shares)
        self._quota = [batch_tokens * share / total for share in shares]
        self._pieces = [pieces(file, context) for file in files]
        self._order: list[np.ndarray[Any, np.dtype[np.int64]]] = []
        self._ends: list[np.ndarray[Any, np.dtype[np.int64]]] = []
        self.epochs: list[float] = []
        for number, (cut, quota) in enumerate(zip(self._pieces, self._quota, strict=True)):
            lengths = cut[:, 1] - cut[:, 0]
            needed = quota * steps
            passes = max(1, int(np.ceil(needed / lengths.sum())) + 1)
            order = np.concatenate(
                [
                    np.random.default_rng([seed, number, turn]).permutation(len(cut))
                    for turn in range(passes)
                ]
            )
            self._order.append(order)
            self._ends.append(np.cumsum(lengths[order]))
            self.epochs.append(needed / float(lengths.sum()))
        parts = [file.sha256 for file in files] + [context, batch_tokens, seed, *self._quota]
        self.fingerprint = hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def batch(self, step: int) -> list[TokenRow]:
        """Rows of a step (0-based): whole pieces, about ``batch_tokens`` tokens in all."""
        rows: list[TokenRow] = []
        for number, (file, cut) in enumerate(zip(self.files, self._pieces, strict=True)):
            edges = [step * self._quota[number], (step + 1) * self._quota[number]]
            low, high = np.searchsorted(self._ends[number], edges, side="right")
            for at in self._order[number][low:high]:
                begin, end = cut[at]
                ids = tuple(int(token) for token in file.tokens[begin:end])
                rows.append(TokenRow(f"{number}:{begin}", ids, (True,) * len(ids)))
        return rows
