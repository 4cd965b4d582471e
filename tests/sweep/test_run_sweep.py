"""A whole sweep of a small project: the same bits in one process and in several, resumed and stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from colour_server import Server, serve_colours
from residency.commands.doctor import check_store
from residency.commands.project import Project
from residency.commands.sweep import KnownEstimate
from residency.errors import TrainingError
from residency.jobs.job_store import FolderJobStore
from residency.jobs.job_workspace import read_answers
from residency.nouns.response import Response
from residency.project.endpoints import open_named_endpoint
from residency.store.record_kind import RecordKind
from residency.sweep.run_sweep import Sweep
from residency.sweep.sweep_options import SweepOptions
from residency.sweep.sweep_result import SweepResult
from small import save_model, save_project

pytestmark = pytest.mark.slow

ESTIMATE = KnownEstimate(memory=2**20, step_seconds=0.05, frozen_seconds=0.1)


def run_sweep(project: Project, **options: Any) -> SweepResult:
    asked = {"shares": (0.25, 0.5, 1.0), "seeds": 2, "minutes": 0.0, **options}
    with project.store.writer("sweep"):
        sweep = Sweep(project, SweepOptions(**asked), lambda ws: ESTIMATE)
        return sweep.run(sweep.plan())


def read_cells(folder: Path) -> dict[str, tuple[Any, list[Response]]]:
    """Model, loss and answers of every training, by job id."""
    store, cells = FolderJobStore(folder), {}
    for path in sorted((folder / "results").glob("*.json")):
        result = store.find_result(path.stem)
        assert result is not None
        if "training" in result.value:
            answers = [
                (r.example, r.text, r.token_ids)
                for r in read_answers(store.open_folder(result.artifact))
            ]
            value = result.value
            cells[path.stem] = (value["model"], value["training"]["final_loss"], answers)
    return cells  # type: ignore[return-value]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, SweepResult]:
    folder = tmp_path_factory.mktemp("sweep")
    project = Project.open(save_project(folder / "project", save_model(folder / "model")))
    return project, run_sweep(project)


def test_a_sweep_measures_every_cell_and_is_kept(swept: tuple[Project, SweepResult]) -> None:
    project, result = swept
    assert [p.cell.rows for p in result.plan.cells] == [4, 4, 8, 8, 16, 16]
    assert result.curves[0].issue == "" and result.curves[0].curve.repeats == (2, 2, 2)
    assert {row.rows for row in result.sizes} == {0, 16}
    trained = next(row for row in result.sizes if row.rows)
    assert trained.trainings == 2 and trained.memory and trained.minutes
    stored = project.store.records(RecordKind.SWEEP, result.run)[-1]
    assert json.loads(json.dumps(result.to_dict())) == {
        k: v for k, v in stored.items() if k != "at"
    }
    assert "measuring part" in result.advice[-1] or "above 0" in result.advice[-1]
    # Each training is a model of the project, with its answers.
    cells = read_cells(project.store.folder / "sweep")
    models = {cell[0]["dataset"] for cell in cells.values()}
    assert len(cells) == 6 and len(models) == 5  # all rows are the same rows under any seed


def test_a_sweeps_models_are_no_lost_artifacts(swept: tuple[Project, SweepResult]) -> None:
    project, _ = swept
    assert any(model.adapter for model in project.store.models())
    assert check_store(project.root, project.config.project).problems == []


def test_what_is_done_is_not_done_again(
    swept: tuple[Project, SweepResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, before = swept

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a training was done again")

    monkeypatch.setattr("residency.sweep.cell_functions.fine_tune_base", refuse)
    again = run_sweep(project)
    kept = ("curves", "sizes", "advice", "issue_titles")
    old, new = before.to_dict(), again.to_dict()
    assert {name: new[name] for name in kept} == {name: old[name] for name in kept}


def test_several_processes_give_the_same_bits(
    swept: tuple[Project, SweepResult], tmp_path: Path
) -> None:
    project, one = swept
    several = run_sweep(project, jobs=2, artifacts=str(tmp_path / "several"))
    assert read_cells(tmp_path / "several") == read_cells(project.store.folder / "sweep")
    assert [c.words for c in several.curves] == [c.words for c in one.curves]


def test_an_endpoint_is_a_row_of_the_size_table_and_asked_once(
    swept: tuple[Project, SweepResult],
) -> None:
    project, before = swept
    with serve_colours() as url:
        endpoint = open_named_endpoint(url, "big", price_in=1.0, price_out=2.0)
        result = run_sweep(project, endpoint=endpoint)
        asked = len(Server.asked)
        again = run_sweep(project, endpoint=open_named_endpoint(url, "big"))
        assert len(Server.asked) == asked == len(project.split("dev"))
    (row,) = [row for row in result.sizes if row.name not in {one.name for one in before.sizes}]
    assert "big" in row.name and row.rows == row.trainings == 0 and row.memory is None
    assert row.cost == pytest.approx(1000 * (20 * 1.0 + 6 * 2.0) / 1e6)
    assert row.tokens_per_second and row.score.mean == 1.0 and row.on_front
    assert result.curves[0].words == before.curves[0].words, "what was trained is what it was"
    assert [one.cost for one in again.sizes if one.name == row.name] == [None]


def test_a_training_that_fails_is_told_and_the_rest_is_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A grid with one spoilt setting must not cost the whole table."""
    from residency.sweep import cell_functions

    project = Project.open(save_project(tmp_path / "project", save_model(tmp_path / "model")))
    train = cell_functions.fine_tune_base

    def burst(ws: Any, *args: Any, **options: Any) -> Any:
        if ws.config.train.learning_rate == 9.0:
            raise TrainingError("the loss is not finite")
        return train(ws, *args, **options)

    monkeypatch.setattr(cell_functions, "fine_tune_base", burst)
    probed: list[float] = []

    def estimate(ws: Any) -> KnownEstimate:
        probed.append(ws.config.train.learning_rate)
        return ESTIMATE

    grid = {"shares": (0.25, 0.5, 1.0), "seeds": 1, "minutes": 0.0}
    with project.store.writer("sweep"):
        sweep = Sweep(project, SweepOptions(**grid, learning_rates=(1e-3, 9.0)), estimate)
        result = sweep.run(sweep.plan())
        assert probed == [1e-3], "the same work is probed once"
        assert {row.name for row in result.sizes if row.rows} == {
            f"{project.config.model.base}, learning rate 0.001"
        }
        assert "failed: " in result.notes[0] and "the loss is not finite" in result.notes[0]
        assert result.notes[3].startswith("3 trainings are missing")
        assert sweep.plan().done == 3
        alone = Sweep(project, SweepOptions(**grid, learning_rates=(9.0,)), estimate)
        with pytest.raises(TrainingError, match="not finite"):
            alone.run(alone.plan())
