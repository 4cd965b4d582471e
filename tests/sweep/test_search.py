"""A search for settings: what may be varied, what is proposed again, and how sure the end is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from residency.cli.invoke import run_command_line
from residency.commands.project import Project
from residency.commands.sweep import KnownEstimate
from residency.config.train import TrainConfig
from residency.errors import ConfigError, UserError
from residency.store.record_kind import RecordKind
from residency.sweep.search_options import SearchOptions
from residency.sweep.search_result import SearchResult, describe_gain, measure_gain
from residency.sweep.search_settings import Search, _open_study
from residency.sweep.search_space import Range, choose_space, read_space
from small import save_model, save_project

ESTIMATE = KnownEstimate(memory=2**20, step_seconds=0.05, frozen_seconds=0.1)


def test_every_seed_that_the_settings_take_opens_a_search() -> None:
    """Generators of NumPy take 32 bits, settings 53."""
    for seed in (0, 2**32, 2**53):
        assert _open_study(seed).ask().number == 0


# --- what is varied ---------------------------------------------------------------------------


def test_ranges_and_lists_are_read_and_hold_the_projects_own_values() -> None:
    train = TrainConfig(learning_rate=5e-3, rank=64, epochs=3)
    space = read_space(
        ["learning_rate=1e-4..3e-3", "rank=4, 8", "epochs=1..6", "layers=all,top-4"], train
    )
    assert space["learning_rate"] == Range(1e-4, 5e-3)
    assert space["learning_rate"].is_logarithmic and not space["epochs"].is_logarithmic
    assert space["rank"] == (4, 8, 64)
    assert space["layers"] == ("all", "top-4", "top-10")
    assert read_space(["rank=2..9"], TrainConfig(rank=4))["rank"] == Range(2, 9, whole=True)
    for name, values in choose_space(train).items():
        own = getattr(train, name)
        inside = values.low <= own <= values.high if isinstance(values, Range) else own in values
        assert inside, name


@pytest.mark.parametrize(
    "word", ["track=wandb", "micro_tokens=1..9", "rank", "rank=", "rank=9..2", "layers=1..4", ""]
)
def test_what_cannot_be_searched_is_refused(word: str) -> None:
    with pytest.raises(UserError):
        read_space([word], TrainConfig())


@pytest.mark.parametrize("word", ["rank=0..4", "learning_rate=-1,1e-3", "layers=top10", "rank=x"])
def test_a_value_that_the_setting_does_not_take_is_refused(word: str) -> None:
    with pytest.raises((ConfigError, UserError)) as caught:
        read_space([word], TrainConfig())
    assert "--vary" in str(caught.value)


# --- how sure it is ---------------------------------------------------------------------------


def test_the_interval_covers_the_noise_of_items_and_of_trainings() -> None:
    """Equal settings: a common effect of each training, and items that flip. At most 5 % claims."""
    random = np.random.default_rng(0)
    items = [f"i{n}" for n in range(60)]
    groups = {item: item for item in items}
    wrong = 0
    for _ in range(400):
        skill = random.normal(0, 1, len(items))
        sides: list[list[dict[str, float | None]]] = []
        for _ in range(2):
            side = []
            for _ in range(3):
                luck = random.normal(0, 0.5)
                share = 1 / (1 + np.exp(-(skill + luck)))
                passed = (random.random(len(items)) < share).astype(float)
                side.append(dict(zip(items, map(float, passed), strict=True)))
            sides.append(side)
        gain = measure_gain(sides[0], sides[1], groups)
        assert gain is not None
        wrong += gain.low > 0 or gain.high < 0
    assert wrong / 400 <= 0.05


def test_an_item_that_was_not_judged_wins_nothing() -> None:
    items = [f"i{n}" for n in range(40)]
    groups = {item: item for item in items}
    right = [dict.fromkeys(items, 1.0)] * 3
    silent: list[dict[str, float | None]] = [dict.fromkeys(items, None)] * 3
    gain = measure_gain(silent, right, groups)
    assert gain is not None and gain.mean == -1.0 and gain.high < 0
    assert "Keep" in describe_gain({"rank": 4}, gain, "accuracy", 5)[0]
    assert measure_gain([], [], groups) is None


# --- a whole search ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    return save_project(folder / "project", save_model(folder / "model"))


def search(root: Path, **options: Any) -> SearchResult:
    chosen = {"vary": ("learning_rate=1e-5..3e-2", "rank=2,4"), "trials": 3, "minutes": 0.0}
    project = Project.open(root)
    with project.store.writer("search"):
        opened = Search(project, SearchOptions(**{**chosen, **options}), lambda ws: ESTIMATE)
        return opened.run(opened.plan())


@pytest.mark.slow
def test_a_search_tries_confirms_afresh_and_goes_on_where_it_was(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = search(root, trials=2)
    assert first.trials[0].settings == {}, "the project's own settings come first"
    whole = search(root)
    assert whole.trials[:2] == first.trials, "proposals hang on the seed and the measures alone"
    assert len(whole.trials) == 3 and all(trial.trainings in (1, 2) for trial in whole.trials)
    stored = Project.open(root).store.records(RecordKind.SEARCH, whole.run)[-1]
    assert json.loads(json.dumps(whole.to_dict())) == {k: v for k, v in stored.items() if k != "at"}
    if whole.best:
        assert whole.gain is not None and whole.gain.trainings == 3

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a training was done again")

    monkeypatch.setattr("residency.sweep.cell_functions.fine_tune_base", refuse)
    again = search(root)
    assert (again.trials, again.best, again.gain) == (whole.trials, whole.best, whole.gain)


@pytest.mark.slow
def test_settings_that_were_tried_are_not_tried_again(root: Path) -> None:
    result = search(root, vary=("rank=2,4",), trials=9, seeds=1, confirm=2)
    tried = [json.dumps(dict(trial.settings)) for trial in result.trials]
    assert len(set(tried)) == len(tried) <= 3
    assert len(tried) >= 2 and result.notes == (
        f"{len(tried)} choices of settings: no others were proposed",
    )
    assert f"None of {len(tried)} settings" in result.words[0] or result.best


@pytest.mark.slow
def test_the_command_shows_plan_and_trials(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna")
    flags = [
        "--vary",
        "rank=2,4",
        "--trials",
        "2",
        "--seeds",
        "1",
        "--confirm",
        "2",
        "--minutes",
        "0",
    ]
    assert run_command_line(["search", str(root), *flags, "--dry-run"]) == 0
    assert "2 trials of rank" in " ".join(capsys.readouterr().err.split())
    assert run_command_line(["search", str(root), *flags, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert len(result["trials"]) == 2 and result["words"]
