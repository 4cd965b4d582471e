"""Raw text to batches: every format, every damage, boundaries, and a random-access order."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from residency.errors import DataError
from residency.pretraining.documents import Corpus, Document, read_documents, split_documents
from residency.pretraining.packed_batches import PackedBatches, cut_pieces
from residency.pretraining.token_files import TokenFile, token_file
from residency.pretraining.tokenizer import tokenizer_sample, train_tokenizer

TEXTS = [f"Document {i} tells of the number {i * 37} and of a friend. " * 4 for i in range(40)]


def as_token_file(documents: Sequence[Sequence[int]]) -> TokenFile:
    """Documents given as ids."""
    lengths = [len(d) for d in documents]
    flat = np.array([t for d in documents for t in d], np.uint16)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return TokenFile(flat, offsets, len(flat), "0")


def write_jsonl(path: Path, texts: Sequence[str] = TEXTS, field: str = "text") -> Path:
    """Texts as JSON lines, compressed when the name says so."""
    pack = {
        ".gz": gzip.compress,
        ".xz": lzma.compress,
        ".bz2": bz2.compress,
        ".zst": zstandard.compress,
    }.get(path.suffix, bytes)
    path.write_bytes(pack("".join(json.dumps({field: t}) + "\n" for t in texts).encode()))
    return path


# --- reading -------------------------------------------------------------------------------


COMPRESSED = ["a.jsonl.gz", "a.jsonl.xz", "a.jsonl.bz2", "a.jsonl.zst"]


@pytest.mark.parametrize("name", ["a.jsonl", *COMPRESSED])
def test_json_lines_are_read_compressed_or_not(tmp_path: Path, name: str) -> None:
    found = list(read_documents(write_jsonl(tmp_path / name)))
    assert [d.text for d in found] == TEXTS
    assert found[2].where.endswith(":3")


def test_parquet_and_text_files_of_a_folder_are_read_in_order(tmp_path: Path) -> None:
    import polars

    polars.DataFrame({"text": ["b", "", "c"], "n": [1, 2, 3]}).write_parquet(tmp_path / "2.parquet")
    (tmp_path / "1.txt").write_text("\ufeffa", encoding="utf-8")
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "x.md").write_text("d")
    (tmp_path / "ignored.png").write_bytes(b"\x89PNG\0")
    assert [d.text for d in read_documents(tmp_path)] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.txt", b"PK\x03\x04\0\0binary", "binary file"),
        ("a.txt", "grün".encode("latin-1"), "not UTF-8"),
        ("a.jsonl", b'{"text": "a"}\n{"text": ', "a.jsonl:2: not JSON"),
        ("a.jsonl", b'{"text": "a"}\n{"body": "b"}\n', "a.jsonl:2: no text in the field"),
        ("a.jsonl", b"[1]\n", "no text in the field"),
        ("a.jsonl.gz", b"\x1f\x8b not gzip at all", "damaged"),
        ("a.parquet", b"not parquet", "not a readable parquet file"),
        ("a.docx", b"x", "cannot read .docx files"),
    ],
)
def test_bad_files_are_named_with_what_is_wrong(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(read_documents(file))
    assert says in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", [*COMPRESSED, "a.txt.gz"])
def test_a_compressed_file_cut_in_half_is_an_error(name: str, tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / name)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match="damaged"):
        list(read_documents(file))


def test_an_empty_folder_and_a_missing_path_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no text here"):
        list(read_documents(tmp_path))
    with pytest.raises(DataError, match="no such file"):
        list(read_documents(tmp_path / "nowhere"))


def test_a_missing_parquet_column_lists_those_there(tmp_path: Path) -> None:
    import polars

    polars.DataFrame({"body": ["b"]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="body"):
        list(read_documents(tmp_path / "a.parquet"))


# --- held out ------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5])
def test_held_out_and_training_documents_are_a_partition(tmp_path: Path, share: float) -> None:
    corpus = Corpus("c", write_jsonl(tmp_path / "a.jsonl"), held_out=share)
    train = [d.text for d in split_documents(corpus, held_out=False)]
    held = [d.text for d in split_documents(corpus, held_out=True)]
    assert held
    assert sorted(train + held) == sorted(TEXTS)


def test_what_is_held_out_does_not_depend_on_the_order(tmp_path: Path) -> None:
    one = Corpus("c", write_jsonl(tmp_path / "a.jsonl"), held_out=0.2)
    two = Corpus("c", write_jsonl(tmp_path / "b.jsonl", TEXTS[::-1]), held_out=0.2)
    first = {d.text for d in split_documents(one, held_out=True)}
    assert first == {d.text for d in split_documents(two, held_out=True)}


def test_of_a_single_document_the_end_is_held_out(tmp_path: Path) -> None:
    text = "\n\n".join(f"Chapter {i}. " + "words " * 30 for i in range(20))
    (tmp_path / "book.txt").write_text(text)
    corpus = Corpus("c", tmp_path / "book.txt", held_out=0.2)
    train = next(split_documents(corpus, held_out=False)).text
    held = next(split_documents(corpus, held_out=True)).text
    assert train + held == text
    assert held.startswith("Chapter")
    assert 0.1 < len(held) / len(text) < 0.3


# --- tokenizer -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer of 280 entries trained on TEXTS."""
    out = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(TEXTS, 280, out)
    return out


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_any_text_round_trips_through_the_tokenizer(tokenizer_folder: Path, text: str) -> None:
    tokenizer = Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    if "<|" not in text:
        assert tokenizer.decode(ids, skip_special_tokens=False) == text


def test_the_tokenizer_adds_nothing_and_has_its_special_tokens(tokenizer_folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    assert len(tokenizer) == 280
    assert tokenizer.eos_token != tokenizer.pad_token  # else the end would be masked as padding
    ids = tokenizer("Document 37").input_ids
    assert tokenizer.eos_token_id not in ids
    assert tokenizer.tokenize("37")[-2:] == ["3", "7"]


def test_a_vocabulary_larger_than_the_text_supports_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="supports a vocabulary of") as caught:
        train_tokenizer(["a few words only"], 5000, tmp_path)
    assert "or less" in str(caught.value)
    with pytest.raises(DataError, match="at least 258"):
        train_tokenizer(TEXTS, 100, tmp_path)


def test_the_sample_for_the_tokenizer_is_bounded_and_leaves_held_out_text_alone(
    tmp_path: Path,
) -> None:
    corpus = Corpus("c", write_jsonl(tmp_path / "a.jsonl"), held_out=0.3)
    held = {d.text for d in split_documents(corpus, held_out=True)}
    sample = list(tokenizer_sample([corpus], 2000))
    assert sum(map(len, sample)) == 2000
    assert not held & set(sample)


# --- token files ---------------------------------------------------------------------------


def test_a_token_file_holds_every_document_and_its_end(
    tmp_path: Path, tokenizer_folder: Path
) -> None:
    tokenizer = Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))
    documents = [Document(text, "x") for text in TEXTS]
    file = token_file(documents, tokenizer, 0, tmp_path / "tokens", "key")
    assert file.tokens.dtype == np.uint16
    for i, text in enumerate(TEXTS):
        ids = file.tokens[file.offsets[i] : file.offsets[i + 1]].tolist()
        assert ids[-1] == 0
        assert tokenizer.decode(ids[:-1]) == text
    assert file.text_bytes == sum(len(text.encode()) for text in TEXTS)


def test_pain_19_a_stale_token_file_is_never_used(tmp_path: Path, tokenizer_folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))

    def make(texts: Sequence[str], key: str) -> str:
        documents = [Document(text, "x") for text in texts]
        return token_file(documents, tokenizer, 0, tmp_path / "tokens", key).sha256

    first = make(TEXTS[:5], "one")
    assert make(TEXTS[5:9], "one") == first  # same key: taken from the file
    assert make(TEXTS[5:9], "two") != first


def test_a_token_file_cut_in_half_is_an_error(tmp_path: Path, tokenizer_folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))
    documents = [Document(text, "x") for text in TEXTS]
    token_file(documents, tokenizer, 0, tmp_path / "tokens", "key")
    binary = tmp_path / "tokens" / "tokens.bin"
    binary.write_bytes(binary.read_bytes()[:100])
    with pytest.raises(DataError, match="was cut"):
        token_file(documents, tokenizer, 0, tmp_path / "tokens", "key")


def test_no_documents_is_an_error_and_leaves_nothing(
    tmp_path: Path, tokenizer_folder: Path
) -> None:
    tokenizer = Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))
    with pytest.raises(DataError, match="no documents"):
        token_file([], tokenizer, 0, tmp_path / "tokens", "key")
    assert list(tmp_path.iterdir()) == []


# --- packing -------------------------------------------------------------------------------

lengths = st.lists(st.integers(1, 90), min_size=2, max_size=30)


@settings(max_examples=60, deadline=None)
@given(lengths, st.integers(4, 40))
def test_pieces_cover_each_document_and_never_cross_its_end(sizes: list[int], context: int) -> None:
    file = as_token_file([[i + 1] * n for i, n in enumerate(sizes)])
    cut = cut_pieces(file, context)
    covered = np.zeros(len(file.tokens), int)
    for begin, end in cut:
        assert 2 <= end - begin <= context
        assert len(set(file.tokens[begin:end].tolist())) == 1  # one document's tokens only
        covered[begin:end] += 1
    # Left out is only what has nothing before it to be predicted from: single tokens.
    assert covered.max() <= 1
    left = int((covered == 0).sum())
    assert left == sum(1 for n in sizes if n % context == 1 % context and (n % context or 1) == 1)


def batches_of(build: Callable[[], PackedBatches]) -> list[list[tuple[int, ...]]]:
    """Ids of every row of every step."""
    made = build()
    return [[row.ids for row in made.batch(step)] for step in range(made.steps)]


def test_a_step_depends_on_the_step_alone() -> None:
    file = as_token_file([[i] * (5 + i % 20) for i in range(1, 200)])

    def build() -> PackedBatches:
        return PackedBatches([file], [1.0], context=16, batch_tokens=64, steps=50, seed=3)

    inorder = batches_of(build)
    again = build()
    assert [row.ids for row in again.batch(37)] == inorder[37]
    assert [row.ids for row in again.batch(2)] == inorder[2]


def test_every_piece_is_seen_once_a_pass_and_shares_are_kept() -> None:
    one = as_token_file([[i] * 8 for i in range(1, 101)])
    two = as_token_file([[1000 + i] * 8 for i in range(1, 401)])
    batches = PackedBatches([one, two], [1.0, 3.0], context=8, batch_tokens=128, steps=25, seed=0)
    rows = [row for step in range(25) for row in batches.batch(step)]
    mine = [row.ids[0] for row in rows if row.ids[0] < 1000]
    theirs = [row.ids[0] for row in rows if row.ids[0] >= 1000]
    assert abs(len(mine) * 3 - len(theirs)) <= 6
    assert len(set(mine)) == len(mine)  # 100 pieces, one pass: none twice
    assert len(set(theirs)) == len(theirs)
    assert batches.epochs == pytest.approx([1.0, 0.75])


def test_a_corpus_that_is_used_up_begins_anew_in_another_order() -> None:
    file = as_token_file([[i] * 8 for i in range(1, 17)])
    batches = PackedBatches([file], [1.0], context=8, batch_tokens=64, steps=4, seed=0)
    seen = [row.ids[0] for step in range(4) for row in batches.batch(step)]
    assert sorted(seen[:16]) == sorted(seen[16:32]) == list(range(1, 17))
    assert seen[:16] != seen[16:32]


def test_the_fingerprint_changes_with_whatever_changes_a_batch() -> None:
    file = as_token_file([[i] * 8 for i in range(1, 101)])

    def fingerprint(**changed: int) -> str:
        options = {"context": 8, "batch_tokens": 64, "steps": 5, "seed": 0, **changed}
        return PackedBatches([file], [1.0], **options).fingerprint

    same = fingerprint()
    assert fingerprint() == same
    assert fingerprint(steps=9) == same  # more steps of the same order
    for changed in ({"context": 4}, {"batch_tokens": 32}, {"seed": 1}):
        assert fingerprint(**changed) != same


@pytest.mark.parametrize("text", ["word " * 500, "one line\n" + "word " * 500, "x" * 300, "a b"])
def test_a_single_document_leaves_text_to_train_on_and_to_measure(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text)
    corpus = Corpus("c", path, held_out=0.1)
    train, held = (next(split_documents(corpus, held_out=side)).text for side in (False, True))
    assert train + held == text
    assert len(train) >= 0.4 * len(text)
    assert held
