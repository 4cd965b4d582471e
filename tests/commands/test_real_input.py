"""Projects as a newcomer makes them: own columns, own layouts, other architectures, real files."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from residency.cli.invoke import run_command_line
from residency.commands.project import Project
from small import make_rows, save_model

REAL = Path(__file__).parents[3] / "shared" / "realdata"
SETTINGS = """
[train]
epochs = 1
layers = "all"
rank = 4
[generate]
max_new_tokens = 12
[evaluate]
few_shot = 1
[diagnose]
min_items = 2
max_issues = 3
[rounds]
max = 1
"""


def finish(folder: Path, *, limit: str = "") -> None:
    """Shorten the settings that init wrote, and run."""
    path = folder / "residency.toml"
    text = path.read_text().replace("[model]", "[model]\nthreads = 1\nmax_length = 400")
    if limit:
        text = text.replace("[data]", f"[data]\nlimit = {limit}")
    for table in SETTINGS.strip().split("\n["):
        name, settings = table.strip("[").split("]\n", 1)
        head = re.search(rf"^\[{name}\].*\n", text, re.MULTILINE)
        at = head.end() if head else len(text)  # init may have written this table already
        text = text[:at] + ("" if head else f"\n[{name}]\n") + f"{settings}\n" + text[at:]
    path.write_text(text)
    assert run_command_line(["run", str(folder)]) == 0
    summary = Project.open(folder).status()
    assert summary.complete
    assert summary.test is not None
    assert run_command_line(["report", str(folder), "--out", str(folder / "report.html")]) == 0
    assert "</html>" in (folder / "report.html").read_text()


def test_a_csv_with_own_columns_on_a_qwen3_model(tmp_path: Path) -> None:
    own = tmp_path / "rows.csv"
    with own.open("w", newline="") as handle:
        writer = csv.writer(handle, delimiter=";")
        writer.writerow(["Nr", "Frage", "Text", "Antwort", "Farbe"])
        for number, row in enumerate(make_rows(60, "train")):
            tag = str(row["tags"]).split("=")[1].strip("']")
            writer.writerow([number, row["instruction"], row["input"], row["response"], tag])
    model = save_model(tmp_path / "model", architecture="qwen3")
    columns = [
        "--column",
        "instruction=Frage",
        "--column",
        "input=Text",
        "--column",
        "response=Antwort",
    ]
    project = tmp_path / "project"
    assert (
        run_command_line(
            ["init", str(project), "--train", str(own), "--base", str(model), *columns]
        )
        == 0
    )
    finish(project)
    splits = {e.split for e in Project.open(project).examples()}
    assert splits == {"train", "dev", "test", "pool"}


def test_openai_messages_on_the_shipped_model(tmp_path: Path) -> None:
    own = tmp_path / "chats.jsonl"
    with own.open("w") as handle:
        for row in make_rows(40, "train"):
            messages = [
                {"role": "system", "content": "You sort things."},
                {"role": "user", "content": f"{row['instruction']} {row['input']}"},
                {"role": "assistant", "content": row["response"]},
            ]
            handle.write(json.dumps({"messages": messages}) + "\n")
    project = tmp_path / "project"
    assert run_command_line(["init", str(project), "--train", str(own), "--base", "tiny"]) == 0
    finish(project)


def test_offline_the_shipped_model_takes_the_defaults_place_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from residency.errors import OfflineError
    from residency.model import base_model as bases

    real = bases.resolve_base

    def no_network(name: str, **options: object) -> object:
        if name == "smollm2-135m":
            raise OfflineError("the registry does not answer")
        return real(name, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(bases, "resolve_base", no_network)
    assert run_command_line(["init", str(tmp_path / "p"), "--example", "tickets"]) == 0
    project = Project.open(tmp_path / "p")
    assert project.base.name == "tiny"
    assert "cannot be fetched without a network" in project.base.note
    hub = Project.open(tmp_path / "p", overrides={"model.base": "someone/else"})
    monkeypatch.setattr(bases, "resolve_base", lambda *_, **__: no_network("smollm2-135m"))
    with pytest.raises(OfflineError):
        _ = hub.base


@pytest.mark.skipif(not REAL.exists(), reason="needs the real data beside the checkout")
@pytest.mark.slow
def test_a_real_llama2c_checkpoint_on_a_real_instruction_set(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "convert_stories260k.py"
    weights = REAL / "weights_stories260K"
    model = tmp_path / "stories"
    command = [sys.executable, script, weights / "stories260K.bin", weights / "tok512.bin", model]
    told = subprocess.run(
        [str(part) for part in command],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert told.stdout.startswith("Once upon a time, there was a little girl named Lily.")
    rows = REAL / "instr_llamafactory_demo" / "data" / "alpaca_en_demo.json"
    project = tmp_path / "project"
    assert run_command_line(["init", str(project), "--train", str(rows), "--base", str(model)]) == 0
    finish(project, limit="{ train = 24, dev = 12, test = 8, pool = 12 }")
