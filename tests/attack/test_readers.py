"""Mutated files of every kind are read, refused by row or refused as a whole; nothing else happens."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import resource
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from fuzz import Fuzz
from residency.config.data import DataConfig
from residency.data.reading.row_reader import Reject
from residency.data.reading.source_reader import ReadResult, read_sources
from residency.errors import DataError
from residency.nouns.example import Example

TURNS = [{"role": "user", "content": "Was kostet das?"}, {"role": "assistant", "content": "12 €."}]
CALL = {"function": {"name": "find", "arguments": {"a": 1.5, "b": ["x", None]}}}
ROWS: list[dict[str, Any]] = [
    {"messages": TURNS, "tags": ["a", "b"], "group": "g1", "weight": 1},
    {"messages": [*TURNS, TURNS[0], {**TURNS[1], "weight": 0, "tool_calls": [CALL]}]},
    {"messages": [{"role": "system", "content": "S"}, *TURNS], "tools": [{"function": {"name": "f"}}]},
    {"messages": TURNS, "label": True, "history": [["a", "b"]]},
]  # fmt: skip
FLAT = [
    {"question": f"Frage {n}?", "answer": f"Antwort, {n}.", "weight": n + 0.5} for n in range(6)
]
NASTY = (
    b"\x00", b"\xff", b"\xe9", b"\xed\xa0\x80", b'"', b"{", b"[", b"}", b"]", b",", b"\n", b"\r",
    b"\\ud83d", b"\\u0000", b"NaN", b"Infinity", b"1e999", b"9" * 5000, b"[" * 3000, b"\xef\xbb\xbf",
    b"\xff\xfe", b"null", b"true", b"-", b"&a", b"*a", b"!!python/object:os.system", b"\x1b[2J",
    b"\xe2\x80\xae", b"\x0b", b"\xc2\x85", b'""', b"\x1f\x8b", b"PAR1", b"ARROW1",
)  # fmt: skip


def as_arrow(rows: list[dict[str, Any]], *, stream: bool = False) -> bytes:
    table, out = pa.Table.from_pylist(rows), io.BytesIO()
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with new(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def as_parquet(rows: list[dict[str, Any]], codec: str) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out, compression=codec)
    return out.getvalue()


def as_sqlite(rows: list[dict[str, Any]]) -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("create table faq (question, answer, weight)")
    connection.executemany("insert into faq values (:question, :answer, :weight)", rows)
    connection.commit()
    return connection.serialize()


LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()
TABLE = b"question,answer,weight\r\n" + b"".join(
    f'"{r["question"]}","{r["answer"]}",{r["weight"]}\r\n'.encode() for r in FLAT
)
SEEDS: dict[str, bytes] = {
    "a.jsonl": LINES,
    "a.json": json.dumps(ROWS, indent=1).encode(),
    "b.json": json.dumps({"data": ROWS}).encode(),
    "a.csv": TABLE,
    "a.tsv": TABLE.replace(b",", b"\t"),
    "utf16.csv": TABLE.decode().encode("utf-16"),
    "utf16.jsonl": LINES.decode().encode("utf-16"),
    "a.txt": ("Ein Absatz.\n\n" * 40).encode(),
    "a.yaml": b"prompts: ['{{q}}']\ntests:\n- vars: {q: x}\n  assert: [{type: equals, value: y}]\n",
    "a.parquet": as_parquet(FLAT, "snappy"),
    "b.parquet": as_parquet(ROWS, "zstd"),
    "a.arrow": as_arrow(FLAT),
    "b.arrow": as_arrow(ROWS),
    "c.arrow": as_arrow(ROWS, stream=True),
    "a.db": as_sqlite(FLAT),
    "a.jsonl.gz": gzip.compress(LINES, mtime=0),
    "a.jsonl.zst": zstandard.compress(LINES),
    "a.jsonl.bz2": bz2.compress(LINES),
    "a.jsonl.xz": lzma.compress(LINES),
}


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to four changes: bits, bytes, cuts, doubled or swapped parts, what parsers trip over."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at, size = rng.randrange(len(out) + 1), rng.choice((1, 2, 8, 64))
        kind = rng.randrange(7)
        if kind == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at:at] = rng.choice(NASTY)
        elif kind == 2:
            out[at : at + rng.choice((1, 4))] = rng.choice(NASTY)
        elif kind == 3:
            del out[at : at + size]
        elif kind == 4:
            out[at:at] = out[max(0, at - size) : at]
        elif kind == 5:
            out[at : at + size] = rng.randbytes(size)
        elif rng.random() < 0.3:
            del out[at:]
    return bytes(out)


def read_file(folder: Path, name: str, data: bytes) -> ReadResult:
    """The rows of a file, or a ``DataError``."""
    (folder / name).write_bytes(data)
    spec = f"sqlite:///{name}?query=SELECT * FROM faq" if name.endswith(".db") else name
    result = read_sources([spec], DataConfig(), "train", folder)
    for item in (*result.examples, *result.rejects):
        if isinstance(item, Example):
            assert item.id and json.dumps(item.to_dict(), allow_nan=False).encode()
            "".join((*item.tags, item.group, item.source, item.prompt_text)).encode()
        elif isinstance(item, Reject):
            assert item.reason
            str(item).encode()
    return result


def damage_files(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of ``count`` mutated files of every kind."""
    rng = random.Random(seed)
    for _ in range(count):
        name = rng.choice(list(SEEDS))
        yield name, mutate(SEEDS[name], rng)


@pytest.mark.parametrize("name", SEEDS)
def test_a_file_of_each_kind_with_nothing_changed_is_read(tmp_path: Path, name: str) -> None:
    assert read_file(tmp_path, name, SEEDS[name]).examples


def test_mutated_files_of_every_kind_end_in_rows_or_a_reason(tmp_path: Path, fuzz: Fuzz) -> None:
    files = damage_files(fuzz.count(400), fuzz.seed(20261127))
    outcomes = fuzz.attack(files, lambda file: read_file(tmp_path, *file), (DataError,))
    assert min(outcomes["read"], outcomes["refused"]) > outcomes.total() // 20


FAILED: dict[str, tuple[str, bytes, str]] = {
    "a quote inside the header": ("a.csv", b'ques"tion,"an"swer\nx,y\n', "header is not valid CSV"),
    "an empty header": ("a.csv", b"\n\n", "empty"),
    "bytes in place of text": ("a.jsonl", b"\x89PNG\r\n\x1a\n 1 2 3", "picture"),
    "a picture by name alone": ("photo.png", b"just text\n", "hold no rows of text"),
    "an anchor that is used often": ("a.yaml", b"a: &a [1]\nb: [*a, *a]\n", "aliases"),
    "half of UTF-16": ("a.csv", b"\xff\xfea\x00,\x00b\x00\n\x00\x00\xd8\n\x00", "not utf-16"),
}


@pytest.mark.parametrize("case", FAILED)
def test_what_failed_once_is_refused_with_its_reason(tmp_path: Path, case: str) -> None:
    name, data, reason = FAILED[case]
    with pytest.raises(DataError, match=reason):
        read_file(tmp_path, name, data)


ROW_FAULTS: dict[str, tuple[str, str]] = {
    "half of a surrogate pair in a name": ('{"\\ud83d": 1, "prompt": "p", "response": ""}', "no answer"),
    "half of a surrogate pair in a call": (
        '{"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "", '
        '"tool_calls": [{"function": {"name": "f", "arguments": {"\\ud83d": 1}}}]}]}',
        "surrogate",
    ),
    "NaN in a call": (
        '{"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "", '
        '"tool_calls": [{"function": {"name": "f", "arguments": {"x": NaN}}}]}]}',
        "number is expected",
    ),
    "a huge weight": ('{"prompt": "p", "response": "r", "weight": 1' + "0" * 400 + "}", "number"),
    "a number of 5000 digits": ('{"prompt": "p", "response": "r", "weight": ' + "9" * 5000 + "}", "Exceeds"),
    "an infinite weight": ('{"prompt": "p", "response": "r", "weight": Infinity}', "weight above 0"),
    "deep arguments": (
        '{"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "", '
        '"tool_calls": [{"function": {"name": "f", "arguments": ' + "[" * 900 + "]" * 900 + "}}]}]}",
        "nested",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", ROW_FAULTS)
def test_a_fault_of_one_row_is_that_rows_reject(tmp_path: Path, fault: str) -> None:
    line, reason = ROW_FAULTS[fault]
    good = '{"prompt": "p", "response": "r"}'
    if '"messages"' in line:
        good = json.dumps({"messages": TURNS})
    result = read_file(tmp_path, "a.jsonl", f"{good}\n{line}\n{good}\n".encode())
    assert len(result.examples) == 2 and [r.line for r in result.rejects] == [2]
    assert reason in result.rejects[0].reason


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_bytes_that_are_not_utf8_in_a_table_cost_their_row_alone(tmp_path: Path, kind: str) -> None:
    texts = pa.array([b"Wo?", b"Caf\xe9?", b"Wann?"]).cast(pa.binary())
    bad = pa.StringArray.from_buffers(3, texts.buffers()[1], texts.buffers()[2])
    table = pa.table({"question": bad, "answer": ["a", "b", "c"]})
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    result = read_sources([path.name], DataConfig(), "train", tmp_path)
    assert [e.source for e in result.examples] == [f"{path.name}:1", f"{path.name}:3"]
    assert "0xe9" in result.rejects[0].reason


def _bomb(kind: str, size: int) -> bytes:
    piece = b"a" * (1 << 20)
    out = io.BytesIO()
    openers: dict[str, Callable[[], Any]] = {
        "zst": lambda: zstandard.ZstdCompressor(level=3).stream_writer(out, closefd=False),
        "gz": lambda: gzip.GzipFile(fileobj=out, mode="wb"),
        "bz2": lambda: bz2.BZ2File(out, "wb"),
        "xz": lambda: lzma.LZMAFile(out, "wb", preset=0),  # noqa: SIM115
    }
    with openers[kind]() as writer:
        for _ in range(size >> 20):
            writer.write(piece)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["gz", "zst", "bz2", "xz"])
def test_an_archive_that_opens_far_beyond_its_size_is_named_and_stopped(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A gigabyte is free of questions; here 16 MB, so that the test is quick.
    monkeypatch.setattr("residency.files.decompress.FREE_BYTES", 16 << 20)
    path = tmp_path / f"a.jsonl.{kind}"
    path.write_bytes(_bomb(kind, 48 << 20))
    assert path.stat().st_size < 1 << 17
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=r"open to more than|more than 64 MB") as caught:
        read_sources([path.name], DataConfig(), "train", tmp_path)
    assert path.name in str(caught.value)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 1 << 20, f"{grown >> 10} MB"  # ru_maxrss counts kilobytes


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_a_table_of_few_bytes_that_names_one_value_often_is_stopped(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"a.{kind}"
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 150_000, pa.int8()), ["x" * 10_000])
    table = pa.table({"question": text, "answer": text})
    if kind == "parquet":
        pq.write_table(table, path, compression="zstd")
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(DataError, match="open to more than"):
        read_sources([path.name], DataConfig(), "train", tmp_path)
