"""A server that is needed later and does not answer ends a command before its work begins."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from residency.commands.baseline import baseline
from residency.commands.project import Project
from residency.commands.sweep import KnownEstimate
from residency.errors import EndpointError
from residency.project.endpoints import Endpoint, open_named_endpoint
from residency.sweep.run_sweep import Sweep
from residency.sweep.sweep_options import SweepOptions
from small import save_model, save_project


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "base")


@pytest.fixture
def root(model: Path, tmp_path: Path) -> Path:
    return save_project(tmp_path / "project", model)


@pytest.fixture
def dead_url(monkeypatch: pytest.MonkeyPatch) -> str:
    """An address at which nobody listens; nothing waits before it is asked again."""
    monkeypatch.setattr("residency.http.endpoint_generator.choose_pause", lambda *_: 0.0)
    monkeypatch.setattr("residency.http.embeddings.choose_pause", lambda *_: 0.0)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{bound.getsockname()[1]}/v1"


def use_dead_embedder(root: Path, url: str) -> None:
    settings = root / "residency.toml"
    text = settings.read_text().replace("[evaluate]", '[evaluate]\nembedder = "endpoint"')
    settings.write_text(f'{text}\n[embedding]\nurl = "{url}"\n')


def use_dead_judge(root: Path, url: str) -> None:
    settings = root / "residency.toml"
    settings.write_text(f'{settings.read_text()}\n[judge]\nurl = "{url}"\n')
    kind = 'name = "rude"\nby = "judge"\ncriterion = "Is it polite?"\nusable = true\n'
    (root / "kinds.toml").write_text(f"[[kinds]]\n{kind}")


def sweep(project: Project, endpoint: Endpoint | None = None) -> None:
    options = SweepOptions(shares=(0.5, 1.0), seeds=1, minutes=0.0, endpoint=endpoint)
    with project.store.writer("sweep"):
        opened = Sweep(project, options, lambda ws: KnownEstimate(2**20, 0.05, 0.1))
        opened.ask()
        opened.run(opened.plan())


COMMANDS: dict[str, Callable[[Project], object]] = {
    "run": lambda project: project.run(),
    "eval": lambda project: project.evaluate("base"),
    "baseline": lambda project: project.baseline(),
    "sweep": sweep,
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("section", "use"), [("embedding", use_dead_embedder), ("judge", use_dead_judge)]
)
def test_servers_that_measure_are_asked_before_anything_is_answered(
    root: Path, dead_url: str, command: str, section: str, use: Callable[[Path, str], None]
) -> None:
    use(root, dead_url)
    project = Project.open(root)
    with pytest.raises(EndpointError, match=rf"residency\.toml \[{section}\]") as caught:
        COMMANDS[command](project)
    assert dead_url in str(caught.value) and f"correct [{section}]" in str(caught.value)
    assert project.store.newest_responses(9) == []
    assert not (project.store.folder / "sweep" / "results").exists()


def test_a_server_that_answers_beside_our_models_is_asked_first(root: Path, dead_url: str) -> None:
    project = Project.open(root)
    for command in (sweep, lambda p, e: baseline(p, endpoint=e)):
        with pytest.raises(EndpointError, match="cannot be reached"):
            command(project, open_named_endpoint(dead_url))
    assert {answer.finish for answer in project.store.newest_responses(9)} <= {"error"}
    assert not list((project.store.folder / "sweep").glob("results/*"))
