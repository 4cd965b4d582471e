"""Trackers get every step's metrics, and one that is not installed is named."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from residency.errors import MissingExtraError
from residency.train.trackers import open_tracker

EVENTS = [{"step": 1.0, "loss": 2.5}, {"step": 2.0, "loss": 2.0}]
WANTED = [(1, {"loss": 2.5}), (2, {"loss": 2.0})]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Doubles of the four packages, as far as they are called."""
    calls: list[Any] = []
    session = types.SimpleNamespace(
        log=lambda values, step: calls.append((step, values)), finish=lambda: calls.append("end")
    )

    class Writer:
        def __init__(self, folder: str) -> None:
            assert folder.endswith("tensorboard/run-1")

        def add_scalar(self, key: str, value: float, step: int) -> None:
            calls.append((step, {key.removeprefix("train/"): value}))

        def close(self) -> None:
            calls.append("end")

    doubles: dict[str, dict[str, Any]] = {
        "wandb": {"init": lambda **_: session},
        "mlflow": {
            "set_experiment": lambda _: None,
            "start_run": lambda **_: None,
            "log_metrics": session.log,
            "end_run": session.finish,
        },
        "trackio": {"init": lambda **_: None, "log": session.log, "finish": session.finish},
        "torch.utils.tensorboard": {"SummaryWriter": Writer},
    }
    for name, parts in doubles.items():
        module = types.ModuleType(name)
        module.__dict__.update(parts)
        monkeypatch.setitem(sys.modules, name, module)
    yield calls


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow", "trackio"])
def test_every_step_is_logged(name: str, seen: list[Any], tmp_path: Path) -> None:
    log, end = open_tracker(name, tmp_path, "run-1")
    for event in EVENTS:
        log(event)
    end()
    assert seen == [*WANTED, "end"]


def test_a_tracker_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtraError, match=r"train\.track = 'wandb'"):
        open_tracker("wandb", tmp_path, "run")
