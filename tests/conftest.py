"""Shared by every test: quiet libraries, one thread, no network, and caches of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from fuzz import Fuzz
from residency import plugins, secrets

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# How long an example takes depends on the machine and its load: no property is about that.
settings.register_profile("residency", deadline=None)
settings.load_profile("residency")


@pytest.fixture(scope="module", autouse=True)
def _forget_secrets_and_plugins() -> Iterator[None]:
    """What the projects of one file taught this process, the next file does not know."""
    secrets_before = (list(secrets._in_messages), list(secrets._in_data))
    plugins_before = {group: dict(known) for group, known in plugins._registered.items()}
    files_before = dict(plugins._files)
    yield
    secrets._in_messages[:], secrets._in_data[:] = secrets_before
    for group, known in plugins_before.items():
        plugins._registered[group] = known
    plugins._files.clear()
    plugins._files.update(files_before)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of a small real run, shared by all tests of the session. Not to be written to."""
    from finished_run import share_finished_run

    return share_finished_run(tmp_path_factory)


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long the attacks with damaged inputs run."""
    parser.addoption("--fuzz", type=int, default=0, help="damaged inputs for each attack")
    parser.addoption("--fuzz-seed", type=int, default=0, help="added to each attack's seed")


@pytest.fixture
def fuzz(request: pytest.FixtureRequest, tmp_path: Path) -> Fuzz:
    """Damaged inputs: a few, or as many as ``--fuzz`` says."""
    options = request.config
    return Fuzz(tmp_path, options.getoption("--fuzz"), options.getoption("--fuzz-seed"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests go first, so that no worker is left with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
