"""Benchmark tasks by name: built-in ones, those of plugins, and task files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from residency.errors import SuiteError
from residency.evaluate.benchmarks.built_in import arc, everyday, hellaswag, mmlu, truthfulqa
from residency.evaluate.benchmarks.task import Task
from residency.evaluate.benchmarks.task_files import TASK_ENDINGS, read_task_file
from residency.plugins import find_plugins

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        *arc.TASKS,
        *hellaswag.TASKS,
        *mmlu.TASKS,
        *truthfulqa.TASKS,
        *everyday.TASKS,
    )
}
"""Every built-in task by name."""


def list_tasks() -> dict[str, Task]:
    """Built-in tasks and those of plugins: a plugin is a ``Task`` or several of them.

    Raises:
        SuiteError: a plugin is no task.
    """
    tasks = dict(TASKS)
    for name, plugin in find_plugins("benchmarks").items():
        added = [plugin] if isinstance(plugin, Task) else plugin
        if not isinstance(added, Iterable) or not all(isinstance(task, Task) for task in added):
            raise SuiteError(
                f"the plugin {name!r} is neither a Task nor several",
                where="plugins, group 'benchmarks'",
                next_step="CONTRIBUTING.md shows how a benchmark task is added",
            )
        tasks.update((task.name, task) for task in added)
    return tasks


def find_tasks(names: Sequence[str], *, folder: Path | None = None) -> list[Task]:
    """Tasks by name; ``arc``, ``mmlu``, ``mmlu_stem`` … and ``truthfulqa`` name several, and a path
    that ends in ``.toml``, ``.yaml`` or ``.yml`` names a task file.

    Args:
        folder: where the paths of task files begin.

    Raises:
        SuiteError: a name that is none of them, or a task file that cannot be used.
    """
    out: dict[str, Task] = {}
    known = list_tasks()
    for name in names:
        if name.endswith(TASK_ENDINGS):
            task = read_task_file((folder or Path()) / name)
            out[task.name] = task
            continue
        named = [
            task for task in known.values() if name in (task.name, task.benchmark, *task.groups)
        ]
        if not named:
            added = ", ".join(sorted(set(known) - set(TASKS)))
            shown = "arc_easy, arc_challenge, hellaswag, mmlu, mmlu_SUBJECT, truthfulqa, everyday"
            raise SuiteError(
                f"unknown benchmark {name!r}",
                next_step=f"known: {shown}{added and f', {added}'}, or the path of a task file",
            )
        out.update((task.name, task) for task in named)
    return list(out.values())
