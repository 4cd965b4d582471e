"""A notebook's own kernel: what it shows of a project, and the bars that it shows without being asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finished_run import copy_run

pytestmark = pytest.mark.slow
SECONDS = 240


class Kernel:
    """A kernel that runs cells; gives what each shows, and fails with its traceback."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def run(self, cell: str) -> list[dict[str, Any]]:
        """The MIME bundles that a cell shows, in order."""
        shown: list[dict[str, Any]] = []

        def note(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] in ("display_data", "execute_result", "update_display_data"):
                shown.append(content["data"])
            elif message["msg_type"] == "stream":
                shown.append({"text/plain": content["text"]})

        answer = self._client.execute_interactive(cell, timeout=SECONDS, output_hook=note)
        content = answer["content"]
        assert content["status"] == "ok", "\n".join(content.get("traceback", []))
        return shown


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    from jupyter_client.manager import KernelManager

    folder = tmp_path_factory.mktemp("kernel")
    manager = KernelManager(kernel_name="python3", connection_file=str(folder / "connection.json"))
    manager.start_kernel(cwd=str(folder))
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=SECONDS)
        yield Kernel(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_a_kernel_shows_tables_charts_and_bars(
    kernel: Kernel, finished_run: Path, tmp_path: Path
) -> None:
    root = copy_run(finished_run, tmp_path / "project")
    opening = f"from residency import Project\nproject = Project.open({str(root)!r})\nproject"
    (shown,) = kernel.run(opening)
    assert "<svg" in shown["text/html"] and "--accent:" in shown["text/html"]
    assert shown["text/plain"] == f"<Project 'small' in {root}>"
    for call in (
        *("status()", "runs()", "models()", "issues()", "proposals()", "examples('dev')"),
        *("responses('final')", "findings('final')", "compare('base', 'final')", "gate()"),
        *("diagnose()", "trace('final')", "try_suite()", "rows()"),
    ):
        shown = kernel.run(f"project.{call}")[-1]  # bars may come before
        assert len(shown["text/plain"]) < 1000, call
        assert "<table" in shown["text/html"], call
        assert len(shown["text/html"]) < 200_000, call
        assert "<script>" not in shown["text/html"], call
    frames = kernel.run("print(type(project.responses('final').to_polars()).__module__)")
    assert "polars" in frames[-1]["text/plain"]
    bars = kernel.run("checked = project.check()")
    assert any("<progress" in data.get("text/html", "") for data in bars), json.dumps(bars)[:500]
