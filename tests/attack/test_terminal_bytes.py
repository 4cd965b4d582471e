"""Hostile text in answers, tags, titles and names reaches the terminal as text and nothing else."""

from __future__ import annotations

import io
import json
import sqlite3
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finished_run import copy_run, spoil_answers
from residency.cli import terminal
from residency.cli.invoke import run_command_line
from residency.commands.project import Project
from residency.nouns.model import Model
from residency.nouns.response import Response
from residency.text.terminal_text import escape_in_json, make_safe

ESCAPES = (
    "\x1b[2J\x1b]8;;http://evil.example\x07here\x1b]8;;\x07\x1b]52;c;ZXZpbA==\x07\x9b31m\x0b\x07"
    "\u202egnp\u2066\u2069\u200f\u2028\u00ad\U000e0041"
)
MARKUP = "[bold red]loud[/] [link=http://evil.example]link[/link] :skull:"
HOSTILE = f"{ESCAPES} {MARKUP}"


def find_drivers(text: str) -> set[str]:
    """Characters of an output that act on a terminal."""
    return {
        c
        for c in text
        if c not in "\n\t\u200c\u200d" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    }


@pytest.fixture(scope="module")
def spoiled(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = copy_run(finished_run, tmp_path_factory.mktemp("spoiled") / "pro\u202eject [bold]x[/]")
    spoil_answers(root, HOSTILE)
    with sqlite3.connect(root / ".residency" / "store.db") as db:
        for identity, body in db.execute("SELECT id, body FROM issues").fetchall():
            issue = json.loads(body)
            issue["title"] = f"{HOSTILE} {issue['title']}"
            db.execute("UPDATE issues SET body = ? WHERE id = ?", (json.dumps(issue), identity))
    return root


def read_ids(root: Path) -> dict[str, str]:
    with sqlite3.connect(root / ".residency" / "store.db") as db:
        tables = {"issues": "id", "models": "id", "responses": "id", "run_examples": "example"}
        return {t: db.execute(f"SELECT {k} FROM {t}").fetchone()[0] for t, k in tables.items()}


def run_all(root: Path) -> None:
    """Every command that prints what was read or stored."""
    ids, folder = read_ids(root), str(root)
    lines = [
        ["status", folder],
        ["status", folder, "--json"],
        ["status", folder, "--stages"],
        *(["trace", folder, key] for key in ids.values()),
        *(["trace", folder, key, "--json"] for key in ids.values()),
        ["compare", folder, "base", "round-1", "--items"],
        ["diagnose", folder, "--model", "round-1", "--show", "3"],
        ["diagnose", folder, "--model", "round-1", "--json"],
        ["target", folder, ids["issues"], "--limit", "2"],
        ["eval", folder, "--model", "round-1"],
        ["report", folder],
        ["arena", "board", folder],
        ["data", "list", folder],
        ["check", folder, "--show", "1"],
        ["check", folder, "--json"],
        ["trace", folder, HOSTILE.replace("\x00", "")],
        ["compare", folder, HOSTILE, MARKUP],
        [HOSTILE],
        ["run", folder, f"--{HOSTILE}"],
        ["status", f"{folder}{HOSTILE}"],
    ]
    for line in lines:
        assert run_command_line(line) in (0, 2), line


def test_no_command_lets_hostile_text_drive_the_terminal(
    spoiled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_all(spoiled)
    out, err = capsys.readouterr()
    assert not find_drivers(out), {hex(ord(c)) for c in find_drivers(out)}
    assert not find_drivers(err), {hex(ord(c)) for c in find_drivers(err)}
    assert "[bold red]loud[/]" in out
    assert ":skull:" in out


def add_two_models(project: Project) -> tuple[str, str]:
    """Two models whose answers to dev differ, both hostile."""
    made = []
    with project.store.writer("test"):
        for number in (1, 2):
            model = Model(base=project.base.identity, adapter=f"sha256:{number}", round=number + 6)
            project.store.add_model(model)
            answers = [
                Response(model.id, e.id, f"{number} {HOSTILE}", sampling=project.sampling)
                for e in project.split("dev")
            ]
            project.store.add_responses(answers)
            made.append(model.id)
    return made[0], made[1]


def test_nor_do_the_commands_that_ask_people(
    spoiled: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chat, collect, label and review show what models wrote, between the keys that people type."""
    from residency.commands import collect

    worst = collect.find_worst_answers

    def spoil_items(*args: Any, **settings: Any) -> list[collect.Item]:
        return [
            replace(
                item,
                response=replace(item.response, text=HOSTILE),
                failures=(f"overlong {HOSTILE}",),
            )
            for item in worst(*args, **settings)
        ]

    def answer(*_: Any) -> Iterator[str]:
        yield from (HOSTILE[at : at + 3] for at in range(0, len(HOSTILE), 3))

    monkeypatch.setattr(collect, "find_worst_answers", spoil_items)
    monkeypatch.setattr(Project, "chat", answer)
    keys = iter(["1", "2", "y", "n", f"better {HOSTILE}", "hello", HOSTILE])
    monkeypatch.setattr(terminal.console, "input", lambda prompt="": next(keys, "q"))
    root, rater = str(spoiled), f"ann {HOSTILE}"
    a, b = add_two_models(Project.open(spoiled))
    asking = [
        ["arena", "review", root, a, b, "--rater", rater, "--repeats", "0", "--limit", "3"],
        ["judge", "label", root, "--rater", rater, "--criterion", HOSTILE, "--limit", "2"],
        ["collect", root, "--limit", "2", "--author", rater],
        ["chat", root, "--model", "base", "-m", HOSTILE],
        ["chat", root, "--model", "base", "-m", HOSTILE, "--json"],
        ["arena", "board", root],
        ["arena", "board", root, "--json"],
    ]
    for line in asking:
        assert run_command_line(line) == 0, (line, capsys.readouterr().err)
        out, err = capsys.readouterr()
        assert not find_drivers(out + err), (line, {hex(ord(c)) for c in find_drivers(out + err)})
        unbroken = "".join(out.split())  # a long line is broken where the terminal ends
        assert "board" in line or "[boldred]loud[/]" in unbroken, line


def test_nor_in_colour(
    spoiled: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal.console, "_force_terminal", True)
    run_all(spoiled)
    out = capsys.readouterr().out
    assert "\x1b]" not in out
    assert "\x1b[2J" not in out
    assert "http://evil.example\x07" not in out
    assert not find_drivers(out) - {"\x1b"}


def test_a_panel_a_table_and_a_title_are_made_safe() -> None:
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    console = terminal.SafeConsole()
    console.file = io.StringIO()
    table = Table(title=HOSTILE, caption=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    console.print(table, Panel(Text(HOSTILE), title=Text(HOSTILE)), HOSTILE, Text(HOSTILE))
    console.print(f"{HOSTILE}", style="bold")
    text = console.file.getvalue()
    assert not find_drivers(text)
    assert text.count(":skull:") >= 6


@given(st.text())
def test_safe_text_drives_nothing_and_json_says_the_same(text: str) -> None:
    assert not find_drivers(make_safe(text))
    assert len(make_safe(text)) == len(text)
    written = escape_in_json(json.dumps({"a": text}, ensure_ascii=False))
    assert not find_drivers(written) - {"\u200c", "\u200d"}
    assert json.loads(written)["a"] == text or any("\ud800" <= c <= "\udfff" for c in text)
