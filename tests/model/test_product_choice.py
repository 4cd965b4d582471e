"""The library of products is measured once for a machine and kept; threads wait without spinning."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from residency.model import product_choice
from residency.model.product_choice import (
    SingleRowWay,
    most_split_rows,
    onednn_available,
    onednn_preferred,
    single_row_way,
)
from residency.model.thread_waiting import SETTINGS, limit_spinning

needs_onednn = pytest.mark.skipif(not onednn_available(), reason="this PyTorch has no oneDNN")


@pytest.fixture
def times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[float, float]]]:
    """What the next measurement finds; empty: measuring again is a fault."""
    found: list[tuple[float, float]] = []
    monkeypatch.setenv("RESIDENCY_CACHE", str(tmp_path))
    monkeypatch.setattr(product_choice, "time_products", lambda: found.pop())
    onednn_preferred.cache_clear()
    yield found
    onednn_preferred.cache_clear()


@needs_onednn
@pytest.mark.parametrize(
    ("onednn", "mkl", "chosen"),
    [(1.0, 2.0, True), (1.0, 0.98, True), (1.0, 0.9, False), (1.0, 0.5, False)],
)
def test_the_faster_is_chosen_and_kept(
    onednn: float, mkl: float, chosen: bool, times: list[tuple[float, float]], tmp_path: Path
) -> None:
    times.append((onednn, mkl))
    assert onednn_preferred() is chosen
    onednn_preferred.cache_clear()  # as another process
    assert onednn_preferred() is chosen
    (kept,) = json.loads((tmp_path / "products.json").read_text()).values()
    assert kept["mkl_seconds"] == mkl


@needs_onednn
@pytest.mark.parametrize(
    ("packed", "plain", "split", "chosen"),
    [
        (1.0, 2.0, 3.0, "packed"),
        (1.0, 0.98, 0.99, "packed"),
        (1.0, 0.8, 0.9, "plain"),
        (1.0, 0.8, 0.5, "split"),
    ],
)
def test_single_rows_have_a_choice_of_their_own_for_each_number_of_threads(
    packed: float, plain: float, split: float, chosen: SingleRowWay,
    times: list[tuple[float, float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    times.append((1.0, 2.0))
    singles = {
        2: [{"packed": packed, "plain": plain, "split": split}],
        1: [{"packed": 1.0, "plain": 2.0}],
    }
    monkeypatch.setattr(product_choice, "time_single_rows", lambda threads: singles[threads].pop())
    for _ in range(2):  # the second time as another process
        single_row_way.cache_clear()
        onednn_preferred.cache_clear()
        assert single_row_way(2) == chosen
        assert single_row_way(1) == "packed"
    single_row_way.cache_clear()
    (kept,) = json.loads((tmp_path / "products.json").read_text()).values()
    assert kept["onednn"] is True and kept["single_row_2"] == chosen


@needs_onednn
@pytest.mark.parametrize(("faster_up_to", "chosen"), [(1, 1), (3, 3), (8, 8)])
def test_few_rows_take_the_parts_as_long_as_these_are_faster(
    faster_up_to: int,
    chosen: int,
    times: list[tuple[float, float]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times.append((1.0, 2.0))
    asked: list[int] = []

    def time_rows(threads: int, rows: int) -> dict[str, float]:
        asked.append(rows)
        return {"packed": 1.0, "plain": 2.0, "split": 0.5 if rows <= faster_up_to else 0.99}

    monkeypatch.setattr(product_choice, "time_few_rows", time_rows)
    for _ in range(2):  # the second time as another process
        for choice in (single_row_way, most_split_rows, onednn_preferred):
            choice.cache_clear()
        assert most_split_rows(2) == chosen
    assert asked.count(1) == 1 and asked.count(2) == 1
    for choice in (single_row_way, most_split_rows, onednn_preferred):
        choice.cache_clear()


@needs_onednn
@pytest.mark.parametrize("text", ["", "[]", '{"x": 1}', "{"])
def test_a_damaged_note_is_measured_again(
    text: str, times: list[tuple[float, float]], tmp_path: Path
) -> None:
    (tmp_path / "products.json").write_text(text)
    times.append((1.0, 2.0))
    assert onednn_preferred()


@needs_onednn
def test_the_measurement_times_every_way() -> None:
    onednn, mkl = product_choice.time_products()
    assert 0 < onednn < 60 and 0 < mkl < 60
    seconds = product_choice.time_single_rows(2)
    assert set(seconds) == {"packed", "plain", "split"}
    assert all(0 < value < 60 for value in seconds.values())


def test_threads_spin_for_a_moment_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (*SETTINGS, "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    limit_spinning()
    assert os.environ["GOMP_SPINCOUNT"] == "7"
    assert os.environ["KMP_BLOCKTIME"] == SETTINGS["KMP_BLOCKTIME"]
    monkeypatch.delenv("GOMP_SPINCOUNT")
    limit_spinning()
    assert os.environ["GOMP_SPINCOUNT"] == SETTINGS["GOMP_SPINCOUNT"]
    monkeypatch.delenv("KMP_BLOCKTIME")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    limit_spinning()
    assert "KMP_BLOCKTIME" not in os.environ


def test_the_setting_is_made_before_pytorch_is_loaded() -> None:
    code = "import sys, residency.model.thread_waiting; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
