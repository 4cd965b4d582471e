"""A Python file that came with somebody's data is not run because it has the name of a library."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from residency.config.data import DataConfig
from residency.data.local_workers import LocalWorkers
from residency.data.reading.source_reader import read_sources
from residency.files.python_command import make_python_command

SOURCE = Path(__file__).parents[2] / "src"
NAMES = ("json", "struct", "pickle", "socket", "random", "pyarrow", "numpy", "pip", "residency")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of data with such files, in which the user is."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text("open('was_run', 'w').write(__name__)\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def square(value: int) -> int:
    return value * value


def test_a_table_is_read(folder: Path) -> None:
    rows = {"prompt": ["a question"] * 3, "response": ["an answer"] * 3}
    pq.write_table(pa.table(rows), folder / "rows.parquet")
    read = read_sources(["rows.parquet"], DataConfig(), "train", folder)
    assert len(read.examples) == 3
    assert not (folder / "was_run").exists()


def test_blocks_are_spread(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    with LocalWorkers(2, first=1) as spread:
        assert list(spread(square, range(9))) == [n * n for n in range(9)]
    assert not (folder / "was_run").exists()


@pytest.mark.parametrize("module", ["residency", "pip"])
def test_a_module_is_started(folder: Path, module: str) -> None:
    subprocess.run(make_python_command(module, "--help"), capture_output=True, check=False)
    assert not (folder / "was_run").exists()


def test_no_module_is_started_otherwise() -> None:
    started = [
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if re.search(r"sys\.executable,", path.read_text(encoding="utf-8"))
    ]
    assert started == ["residency/files/python_command.py"]
