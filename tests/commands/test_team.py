"""A team on one PostgreSQL store: what one member trained, another's machine uses without training it."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from object_store import KEY, run_object_store
from postgresql_server import run_postgresql
from residency.cli.invoke import run_command_line
from residency.commands.project import Project
from residency.nouns.example import Message
from residency.serve.catalogue import list_served_models
from residency.store.artifacts import name_artifact
from shared_store import share_run

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module", params=["folder", "s3"])
def team(
    request: pytest.FixtureRequest, finished_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Path, str]]:
    """Ann's folder, who trained; Bob's, who has no artifact; and where they share them."""
    base = tmp_path_factory.mktemp("team")
    folders = base / "ann", base / "bob"
    with run_postgresql() as uri, run_object_store("team") as bucket:
        url = uri.replace("postgresql:", "postgresql+psycopg:")
        share_run(finished_run, [*folders], url)
        address = f"{bucket}/demo" if request.param == "s3" else str(base / "share")
        for folder in folders:
            settings = folder / "residency.toml"
            line = f'[project]\nartifacts = "{address}"'
            settings.write_text(settings.read_text().replace("[project]", line, 1))
        yield (*folders, address)
        gc.collect()


@pytest.fixture
def bob(team: tuple[Path, Path, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Bob's machine, which has no artifact yet and trains nothing."""

    def refuse(*_: object) -> None:
        raise AssertionError("it was trained again")

    monkeypatch.setattr("residency.train.follow_ranks.lead_training", refuse)
    ann, bob, address = team
    if "://" not in address:
        Path(address).mkdir(exist_ok=True)
    shutil.rmtree(bob / ".residency" / "artifacts", ignore_errors=True)
    assert (
        run_command_line(["run", str(ann)]) == 0
    )  # sends what was trained before there was a place
    return bob


def list_artifacts(root: Path) -> set[str]:
    folder = root / ".residency" / "artifacts"
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_another_member_uses_what_one_trained(
    bob: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for line in (
        ["run", str(bob)],
        ["status", str(bob)],
        ["doctor", str(bob)],
        ["report", str(bob)],
    ):
        assert run_command_line(line) == 0, line
        assert not list_artifacts(bob), line  # nothing is fetched before it is needed
    assert run_command_line(["gate", str(bob)]) in (0, 1)
    capsys.readouterr()
    for number, line in enumerate(
        (
            ["chat", str(bob), "-m", "I bought a red cup"],
            ["merge", str(bob), "--out", str(tmp_path / "merged")],
            ["export", str(bob), "--format", "adapter", "--out", str(tmp_path / "out"), "--force"],
        )
    ):
        if number:
            shutil.rmtree(bob / ".residency" / "artifacts")
        assert run_command_line(line) in (0, 1), capsys.readouterr().err
        assert "artifact" not in capsys.readouterr().err
        assert list_artifacts(bob), line
    shutil.rmtree(bob / ".residency" / "artifacts")
    project = Project.open(bob)
    assert {"base", "round-1", "final"} <= set(list_served_models(project).names)
    final = project.model("final").adapter
    assert final and name_artifact(final) in list_artifacts(bob)
    assert "".join(project.chat([Message("user", "I bought a red cup")])) is not None
    project.store.close()


def test_answers_that_nobody_made_yet_are_made_by_another_member(bob: Path) -> None:
    settings = bob / "residency.toml"
    text = settings.read_text()
    settings.write_text(text.replace("max_new_tokens = 12", "max_new_tokens = 7"))
    try:
        project = Project.open(bob, as_opened=False)
        assert project.evaluate("final", "dev").responses
        assert list_artifacts(bob)
        project.store.close()
    finally:
        settings.write_text(text)


def test_a_damaged_shared_artifact_is_found_told_and_mended(
    team: tuple[Path, Path, str], bob: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import fsspec

    ann, _, address = team
    project = Project.open(bob)
    adapter = project.model("final").adapter
    project.store.close()
    assert adapter
    where = address if "://" in address else f"file://{address}"
    files, root = fsspec.url_to_fs(where, use_listings_cache=False)
    files.pipe_file(f"{root}/artifacts/{name_artifact(adapter)}/adapter_config.json", b"{}")
    capsys.readouterr()
    assert run_command_line(["chat", str(bob), "-m", "hello"]) == 2
    told = capsys.readouterr().err
    assert "the team's copy was changed" in told and "residency doctor" in told and address in told

    assert run_command_line(["doctor", str(ann), "--json"]) == 2
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert "the team's artifact is changed" in problem
    assert run_command_line(["doctor", str(ann), "--repair"]) == 0
    assert run_command_line(["doctor", str(bob)]) == 0
    assert run_command_line(["chat", str(bob), "-m", "hello"]) == 0


def test_a_place_that_is_gone_starts_no_training(
    team: tuple[Path, Path, str],
    bob: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ann, _, address = team
    if address.startswith("s3://"):
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    else:
        Path(address).rename(f"{address}-away")
    try:
        capsys.readouterr()
        for line in (["run", str(bob)], ["chat", str(bob), "-m", "x"], ["doctor", str(bob)]):
            assert run_command_line([*line]) == 2, line
            told = capsys.readouterr()
            assert address in told.err + told.out and KEY not in told.err + told.out, line
        assert run_command_line(["doctor", str(bob), "--repair"]) == 2
        assert run_command_line(["run", str(ann)]) == 0  # who has them is not held up
        assert "next residency run sends it" in capsys.readouterr().err
    finally:
        if not address.startswith("s3://"):
            Path(f"{address}-away").rename(address)
        else:
            monkeypatch.undo()
            s3fs.S3FileSystem.clear_instance_cache()
    assert run_command_line(["run", str(bob)]) == 0  # no training was opened again meanwhile


def test_a_run_of_another_member_makes_anew_only_what_nobody_has(
    team: tuple[Path, Path, str], bob: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A removed artifact is trained again, to the same bytes, and sent to the team."""
    ann, _, address = team
    import fsspec

    where = address if "://" in address else f"file://{address}"
    files, root = fsspec.url_to_fs(where, use_listings_cache=False)
    files.rm(f"{root}/artifacts", recursive=True)
    away = (ann / ".residency" / "artifacts").rename(ann / "away")
    monkeypatch.undo()
    assert run_command_line(["run", str(bob)]) == 0
    assert list_artifacts(bob) == {path.name for path in away.iterdir()}
    project = Project.open(ann)
    final = project.model("final").adapter
    assert final and project.store.artifacts.folder(final)
    project.store.close()


def test_a_server_offers_by_id_what_others_trained_and_fetches_it_when_it_is_named(
    team: tuple[Path, Path, str], bob: Path, tmp_path: Path
) -> None:
    """An adapter of an older run, with Ann and the team alone; then with nobody but a place that is gone."""
    ann, _, _ = team
    trained = Project.open(ann)
    folder = tmp_path / "older"
    shutil.copytree(trained.store.artifacts.folder(trained.model("final").adapter or ""), folder)
    (folder / "loss.json").write_text("[]")
    digest = trained.store.artifacts.put_folder(folder)
    older = replace(trained.model("final"), adapter=digest, seed=77)
    nowhere = replace(older, adapter="sha256:" + "0" * 64, seed=78)
    with trained.store.writer("train"):
        trained.store.add_model(older)
    project = Project.open(bob)
    catalogue = list_served_models(project)
    assert older.id in catalogue.names and catalogue.notes == []
    assert name_artifact(digest) not in list_artifacts(bob)
    find_adapter = catalogue.find(older.id).find_adapter
    assert find_adapter is not None and (find_adapter() / "adapter_config.json").is_file()
    assert name_artifact(digest) in list_artifacts(bob)
    with trained.store.writer("train"):
        trained.store.add_model(nowhere)
    catalogue = list_served_models(Project.open(bob))
    assert nowhere.id not in catalogue.names
    (note,) = catalogue.notes
    assert note.startswith("1 stored model is not served by its id") and "project.artifacts" in note
