"""The files of public benchmarks that a project names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from residency.errors import UserError
from residency.evaluate.benchmarks.load_rows import HubSplits, LocalSplits, Splits
from residency.evaluate.benchmarks.task import Task
from residency.project.step_needs import HasFolder


def open_benchmark_files(ws: HasFolder, tasks: Sequence[Task], data: str = "") -> Splits:
    """The benchmark files that ``data`` or the settings name, or the hub's.

    Tasks from files that name their data need none.

    Raises:
        UserError: no folder is named. SuiteError: it is not there.
    """
    if data == "hub":
        return HubSplits()
    folder = data or ws.config.data.benchmarks
    if not folder and all(task.files for task in tasks):
        return LocalSplits(ws.root)
    if not folder:
        raise UserError(
            "no benchmark files are named",
            next_step="name their folder with --data or data.benchmarks, or use --data hub",
        )
    return LocalSplits(Path(folder) if data else ws.root / folder)
