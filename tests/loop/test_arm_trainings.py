"""Several trainings of each arm, the sealed test of all of them, and the project's ledger."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from residency.commands.project import Project
from residency.interfaces import ProgressEvent
from residency.loop.alpha_ledger import take_alpha, take_test_alpha
from residency.loop.arm_trainings import count_trainings
from residency.project.dev_split import split_dev
from residency.results.arm_sentences import tell_arms
from residency.results.run_results import RunResults
from residency.store.stage_key import StageKey, StageName
from small import save_model, save_project


class StoppedError(Exception):
    """The process dies here."""


def set_up(folder: Path, model: Path) -> Path:
    root = save_project(folder, model)
    change_settings(root, "[rounds]", "[rounds]\ntrainings = 2")
    return root


def change_settings(root: Path, old: str, new: str) -> None:
    file = root / "residency.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def done(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two trainings of each arm that died while the second one was answering dev."""
    root = set_up(tmp_path_factory.mktemp("done") / "project", model)

    def die(event: ProgressEvent) -> None:
        if event.stage == "arms: dev targeted 2":
            raise StoppedError

    with pytest.raises(StoppedError):
        Project.open(root, progress=die).run()
    Project.open(root).run()
    return root


def read_stage(root: Path, name: StageName) -> dict[str, object]:
    project = Project.open(root)
    body = project.store.stage(project.latest_run(), StageKey(name))
    assert body is not None
    result: dict[str, object] = body["result"]
    return result


def test_arms_are_of_equal_size_and_differ_as_they_should(done: Path) -> None:
    plan, trained = read_stage(done, StageName.ARMS_PLAN), read_stage(done, StageName.ARMS_TRAINED)
    assert plan["trainings"] == 2
    assert plan["needed"] == 4
    store = Project.open(done).store
    targeted = [store.model(str(key)) for key in trained["targeted"]]  # type: ignore[attr-defined]
    control = [store.model(str(key)) for key in trained["control"]]  # type: ignore[attr-defined]
    assert len({model.id for model in [*targeted, *control]}) == 4
    assert targeted[0].dataset == targeted[1].dataset  # the same rows, another seed
    assert control[0].dataset != control[1].dataset  # another draw
    assert [model.seed for model in targeted] == [model.seed for model in control] == [0, 1]
    sizes = {len(store.dataset(m.dataset or "").rows) for m in [*targeted, *control]}
    assert len(sizes) == 1


def test_every_arm_answered_the_sealed_items_and_only_the_two_rounds_are_models(done: Path) -> None:
    tested, trained = (
        read_stage(done, StageName.ARMS_TESTED),
        read_stage(done, StageName.ARMS_TRAINED),
    )
    project = Project.open(done)
    items = project.split("test")
    for key in [*trained["targeted"], *trained["control"]]:  # type: ignore[misc]
        assert len(project.store.responses(str(key), items, project.sampling)) == len(items)
    aimed = tested["questions"]["aimed"]  # type: ignore[index]
    assert len(aimed["control"]) == len(aimed["targeted"]) == 2
    summary = project.status()
    assert len(summary.rounds) == 5  # further trainings are no rounds
    assert summary.test_openings == 1


def test_two_trainings_claim_nothing_of_the_data_and_say_what_more_would_do(done: Path) -> None:
    results = RunResults(Project.open(done).store)
    said = " ".join(tell_arms(results.arms_tested, results.arms_plan))
    assert "of these two models" in said.lower() or "between these two models" in said
    assert "2 trainings of each arm can show nothing of the data; 4 could" in said
    assert "rounds.trainings = 4" in said
    for issue in results.issues:
        assert issue.noise is not None
        assert issue.noise.trainings == 2
    assert "rows mended more" not in said


def test_a_finished_run_has_nothing_to_do(done: Path) -> None:
    project = Project.open(done)
    before = [str(stage.key) for stage in project.store.stages(project.latest_run())]
    project.run()
    assert [str(stage.key) for stage in project.store.stages(project.latest_run())] == before


def test_statuses_speak_of_the_final_model(done: Path) -> None:
    results = RunResults(Project.open(done).store)
    assert results.test is not None
    for issue in results.issues:
        assert issue.latest is None or issue.latest.after == results.test.final
    one = results.issues[0]
    elsewhere = dataclasses.replace(one, final="m-of-nobody")
    assert (elsewhere.latest, elsewhere.status) == (None, "other model")
    assert elsewhere.compared_models  # its items can still be looked at


def test_another_seed_neither_redraws_the_halves_nor_opens_a_fresh_budget(
    done: Path, tmp_path: Path
) -> None:
    root = tmp_path / "again"
    shutil.copytree(done, root)
    first = Project.open(root)
    halves, alpha = split_dev(first), take_alpha(first)
    assert alpha == first.config.diagnose.alpha
    first.store.close()
    change_settings(root, 'name = "small"', 'name = "small"\nseed = 5')
    again = Project.open(root)
    assert again.run_id != first.run_id
    assert split_dev(again) == halves
    assert take_alpha(again) == pytest.approx(alpha / 2)
    assert take_alpha(again) == pytest.approx(alpha / 2)  # taken once
    assert take_test_alpha(again) == pytest.approx(0.2 * alpha / 2)
    again.store.close()
    change_settings(root, "seed = 5", "seed = 6")
    assert take_alpha(Project.open(root)) == pytest.approx(alpha / 6)


def test_rows_that_no_run_used_open_a_budget_of_their_own(done: Path, tmp_path: Path) -> None:
    root = tmp_path / "fresh"
    shutil.copytree(done, root)
    for split in ("dev", "test"):
        file = root / f"{split}.jsonl"
        file.write_text(file.read_text().replace("?", " today?").replace(".", " today."))
    fresh = Project.open(root)
    old = Project.open(done)
    assert not {e.id for e in fresh.split("dev")} & {e.id for e in old.split("dev")}
    assert take_alpha(fresh) == fresh.config.diagnose.alpha


def test_minutes_decide_how_many_trainings_there_are(model: Path, tmp_path: Path) -> None:
    root = save_project(tmp_path / "project", model)
    change_settings(root, "[rounds]", "[rounds]\nminutes = 10")
    ws = Project.open(root)
    assert [count_trainings(ws, each) for each in (20.0, 5.0, 2.0, 0.01)] == [1, 3, 6, 8]
