"""A workspace in a job's work folder, on the rows that lie in its inputs.

A job needs neither the project's folder nor its store, so it can run on any machine.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from residency.config.settings import Config
from residency.data.corpus import Corpus
from residency.errors import UserError
from residency.files.atomic_write import write_json_lines
from residency.jobs.job import JobContext
from residency.jobs.job_store import JobStore
from residency.nouns.example import Example
from residency.nouns.response import Response
from residency.project.workspace import Workspace
from residency.store.stored_bodies import read_response

ROWS, ANSWERS, TEMPLATE = "rows.jsonl", "answers.jsonl", "template.jinja"
TRUNK = "trunk"
DECISIVE: Mapping[str, tuple[str, ...]] = {
    "model": ("max_length", "device", "fold_system"),
    "data": ("truncation", "instruction"),
    "generate": ("max_new_tokens", "temperature", "samples", "stop", "precision"),
    "evaluate": ("few_shot",),
}
"""Settings beside ``[train]`` that decide what a job gives; the template's text and the rows are inputs."""


def choose_job_settings(ws: Workspace) -> dict[str, Any]:
    """The part of the settings that a job's result hangs on; JSON-able, and without a secret."""
    config: dict[str, Any] = {
        name: {key: value for key, value in section.items() if key in DECISIVE[name]}
        for name, section in ws.config.model_dump(mode="json").items()
        if name in DECISIVE
    }
    if config["generate"]["precision"] == "fp32":
        del config["generate"]["precision"]  # old results keep their names
    train = ws.config.train.model_dump(mode="json", exclude={"track"})
    if "metric" in train:  # it needs the project's suite; the loss chooses the best step here
        train["metric"] = ""
    if not ws.config.data.replay:
        del train["replay"]  # it decides nothing then, and old results keep their names
    config["train"] = train
    config["project"] = {"seed": ws.config.project.seed}
    return config


def locate_base(ws: Workspace) -> str:
    """The base's name, or where its files lie when it is a folder or a file of the user's."""
    name = ws.config.model.base
    local = ws.root / name
    if local.exists():
        return str(local.resolve())
    return str(Path(name).resolve()) if Path(name).exists() else name


def read_template(ws: Workspace) -> str:
    """The text of the project's chat template; empty without one."""
    path = ws.config.model.template
    return (ws.root / path).read_text(encoding="utf-8") if path else ""


def open_workspace(
    arguments: Mapping[str, Any], context: JobContext, *, seed: int | None = None
) -> Workspace:
    """A workspace in the job's work folder, on the rows of its inputs.

    Args:
        seed: of the training. Beside it, all of dev that is there chooses the best step: what
            measures was left out of it (``write_rows``).

    Raises:
        UserError: this machine's base of that name has other weights.
    """
    config = Config.model_validate(arguments["config"])
    model = {"base": context.place["base"], "threads": context.place["threads"]}
    template = context.inputs["rows"] / TEMPLATE
    if template.exists():
        model["template"] = str(template)
    config = config.model_copy(update={"model": config.model.model_copy(update=model)})
    rows = read_rows(context.inputs["rows"])
    if seed is not None:
        finding = config.diagnose.model_copy(update={"finding_share": 1.0})
        project = config.project.model_copy(update={"seed": seed})
        config = config.model_copy(update={"diagnose": finding, "project": project})
        rows = [row for row in rows if row.split != "dev" or "finds" in row.tags]
    ws = Workspace(context.work, config, full=True, progress=context.progress)
    ws.corpus = Corpus(rows)
    if ws.base.identity != arguments["base"]:
        raise UserError(
            f"the base here is {ws.base.identity}, and the job is about {arguments['base']}",
            where=str(context.place["base"]),
            next_step="give every machine the same files of the base",
        )
    return ws


def put_rows(
    store: JobStore, examples: Sequence[Example], *, finding: set[str], template: str = ""
) -> str:
    """Rows as an artifact of the store, for a job's input; its content hash."""
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder), examples, finding, template)
        return store.put_folder(Path(folder))


def write_rows(folder: Path, examples: Sequence[Example], finding: set[str], template: str) -> None:
    """Rows as a job's input. The tags of a row say only whether it may find or choose."""
    rows = []
    for example in examples:
        row = example.to_dict()
        row["tags"] = ["finds"] if example.id in finding else []
        rows.append(row)
    write_json_lines(folder / ROWS, rows)
    if template:
        (folder / TEMPLATE).write_text(template, encoding="utf-8")


def read_rows(folder: Path) -> list[Example]:
    """The inverse of ``write_rows``."""
    with (folder / ROWS).open(encoding="utf-8") as lines:
        return [Example.from_dict(json.loads(line)) for line in lines]


def write_answers(folder: Path, answers: Sequence[Response]) -> None:
    """Answers as a file of a job."""
    write_json_lines(folder / ANSWERS, [asdict(answer) for answer in answers])


def read_answers(folder: Path) -> list[Response]:
    """The answers that a job wrote."""
    with (folder / ANSWERS).open(encoding="utf-8") as lines:
        return [read_response(json.loads(line)) for line in lines]


def link_trunk(source: Path, ws: Workspace) -> None:
    """The shared states of frozen layers where a training looks for them; what it adds stays with it."""
    target = ws.store.folder / "cache" / TRUNK
    if source.is_dir() and not target.exists():
        shutil.copytree(source, target, copy_function=_link_or_copy)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or a system without links
        shutil.copy2(source, target)
