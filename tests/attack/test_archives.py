"""Small archives that open to very much, and files that are no rows: named, soon, in little memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from residency.commands.check import check
from residency.config.data import DataConfig
from residency.data.reading.source_reader import read_sources
from residency.errors import DataError, SuiteError
from residency.evaluate.benchmarks.row_layouts import read_rows
from residency.evaluate.benchmarks.task_registry import find_tasks
from residency.files.decompress import open_bytes
from residency.interfaces import ProgressEvent
from residency.pretraining.documents import read_documents

ROW = b'{"question": "q", "answer": "a"}\n'
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.compress,
}


def read(folder: Path, name: str, data: bytes) -> str:
    """What is said of a file that is refused."""
    (folder / name).write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_sources([name], DataConfig(), "train", folder)
    assert name in str(caught.value) and caught.value.next_step
    return str(caught.value)


@pytest.mark.parametrize("kind", PACK)
def test_an_archive_is_opened_a_piece_at_a_time(tmp_path: Path, kind: str) -> None:
    path, size = tmp_path / "a", 100 << 20
    path.write_bytes(PACK[kind](bytes(size)))
    tracemalloc.start()
    try:
        with open_bytes(path) as handle:
            assert sum(len(piece) for piece in iter(lambda: handle.read(1 << 20), b"")) == size
        assert tracemalloc.get_traced_memory()[1] < 48 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("outer", PACK)
@pytest.mark.parametrize("inner", PACK)
def test_what_is_compressed_twice_is_said_to_be(tmp_path: Path, outer: str, inner: str) -> None:
    data = PACK[outer](PACK[inner](ROW * 100))
    assert "compressed twice" in read(tmp_path, f"a.jsonl.{outer}", data)


def pack_tar(*, mark: bool) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo("rows.jsonl")
        entry.size = len(ROW) * 1000
        archive.addfile(entry, io.BytesIO(ROW * 1000))
    data = bytearray(out.getvalue())
    if not mark:  # as tar wrote before 1988; its sum counts the mark
        data[257:265] = bytes(8)
        total = sum(data[:148]) + 8 * 32 + sum(data[156:512])
        data[148:156] = b"%06o\0 " % total
    return bytes(data)


def pack_zip(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, ROW * 1000)
    return out.getvalue()


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("a tar archive", pack_tar(mark=True)),
        ("a tar archive", pack_tar(mark=False)),
        ("a zip archive", pack_zip("rows.jsonl")),
        ("an empty zip archive", pack_zip()),
    ],
)
def test_archives_of_files_are_named_by_their_kind(
    tmp_path: Path, name: str, what: str, data: bytes
) -> None:
    assert what in read(tmp_path, name, gzip.compress(data) if name.endswith(".gz") else data)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.jsonl.xz", ROW + b"\n" * 3000, "empty lines"),
        ("a.csv.xz", b"question,answer\n" + b"\r\n" * 3000, "empty lines"),
        ("a.txt.bz2", b"a" * 200_000, "a row of more than"),
        ("a.json.gz", b"{" + b" " * 200_000, "one JSON object of more than"),
        ("a.json.gz", b'{"data": [' + b"[" * 200_000, "one JSON object of more than"),
        ("a.yaml.gz", b"- " + b"x" * 200_000, "YAML of more than"),
    ],
)
def test_what_is_read_whole_has_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes, reason: str
) -> None:
    monkeypatch.setattr("residency.files.bounded_lines.MOST_EMPTY_LINES", 2000)
    monkeypatch.setattr("residency.files.bounded_lines.LONGEST_LINE", 100_000)
    monkeypatch.setattr("residency.files.json_records._MOST_WHOLE", 100_000)
    monkeypatch.setattr("residency.files.yaml_records._MOST_BYTES", 100_000)
    assert reason in read(tmp_path, name, PACK[name.rpartition(".")[2]](data))


def test_more_rows_than_the_settings_expect_are_refused_by_their_name(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.zst").write_bytes(zstandard.compress(ROW * 5000))
    told: list[ProgressEvent] = []
    config = DataConfig.model_validate({"most_rows": 3000})
    with pytest.raises(DataError, match=r"more than 3,000 rows \(data\.most_rows\)"):
        read_sources(["a.jsonl.zst"], config, "train", tmp_path, progress=told.append)
    assert [event.done for event in told] == [1000, 2000, 3000, 4000]
    (tmp_path / "residency.toml").write_text(
        '[data]\ntrain = ["a.jsonl.zst"]\nmost_rows = 3000\n', encoding="utf-8"
    )
    with pytest.raises(DataError, match=r"data\.most_rows"):
        check(tmp_path)


@pytest.mark.parametrize("name", ["arc_test.jsonl.bz2", "arc_test.jsonl"])
def test_benchmark_files_have_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("residency.evaluate.benchmarks.row_layouts._MOST_BYTES", 100_000)
    path, [task] = tmp_path / name, find_tasks(["arc_easy"])
    for data, reason in ((b" " * 200_000, "larger than"), (b"[" * 90_000, "cannot be read")):
        path.write_bytes(bz2.compress(data) if name.endswith("bz2") else data)
        with pytest.raises(SuiteError, match=reason):
            read_rows(path, task)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.txt.gz", gzip.compress(b"a" * 200_000), "opens to one text of more than"),
        ("a.jsonl", b"[" * 90_000, "not JSON"),
        ("a.jsonl", b'{"text": "' + b"a" * 200_000, "a row of more than"),
        ("a.parquet", b"PAR1" + bytes(50) + b"\xff\xff\xff\x7fPAR1", "not a readable parquet"),
    ],
)
def test_texts_to_pretrain_on_have_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes, reason: str
) -> None:
    monkeypatch.setattr("residency.pretraining.documents._LONGEST_TEXT", 100_000)
    monkeypatch.setattr("residency.files.bounded_lines.LONGEST_LINE", 100_000)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=reason):
        list(read_documents(tmp_path))
