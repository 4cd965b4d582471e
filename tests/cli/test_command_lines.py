"""Command lines: one order of arguments, help that is what was written, steps that can be pasted."""

from __future__ import annotations

import io
import itertools
import re
import shlex
from pathlib import Path

import pytest

from residency.cli.app import COMMANDS, load_command, name_folder
from residency.cli.invoke import run_command_line
from residency.cli.options import split_folder
from residency.cli.terminal import SafeConsole, print_line
from residency.errors import UserError


def read_help(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run_command_line([*words, "--help"]) == 0
    return capsys.readouterr().out


def list_commands() -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = []
    for name in COMMANDS:
        inner = getattr(load_command(name), "registered_commands", None)
        lines += [(name, command.name) for command in inner] if inner else [(name,)]
    return lines


@pytest.mark.parametrize("words", list_commands(), ids=" ".join)
def test_help_says_all_that_was_written(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    text = read_help(capsys, *words)
    assert f"Example: residency {' '.join(words)}" in text
    assert "[default: 0]" not in text or "0:" in text
    usage = text.splitlines()[0]
    assert "[[" not in usage
    assert "..." not in usage
    if "DIR" in usage:  # the folder comes first
        assert re.search(r"\[OPTIONS\] \[?DIR", usage), usage
    body = text.partition("\n\n")[2].partition("\n\nArguments")[0].partition("\n\nOptions")[0]
    for paragraph in body.split("\n\n"):
        lines = paragraph.split("\n")
        for line, following in itertools.pairwise(lines):
            if not following.strip().startswith("Example:"):
                first = following.split()[0]
                assert len(line) + 1 + len(first) > 78, f"broken early: {line!r}"


def test_square_brackets_in_help_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert "[teacher]" in read_help(capsys, "collect")
    assert "endpoint in [judge] of residency.toml" in " ".join(
        read_help(capsys, "judge", "run").split()
    )


def test_the_folder_comes_first_and_may_be_left_out(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert split_folder(["a", "b"], ["A", "B"]) == (Path(), ["a", "b"])
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "residency.toml").touch()
    with pytest.raises(UserError, match="ISSUE is missing after the project's folder"):
        split_folder([str(tmp_path / "project")], ["ISSUE"])
    assert split_folder([folder, "a", "b"], ["A", "B"]) == (tmp_path, ["a", "b"])
    assert split_folder(["a", "b", folder], ["A", "B"]) == (tmp_path, ["a", "b"])
    for wrong in ([], ["a"], [folder, "a", "b", "c"]):
        with pytest.raises(UserError):
            split_folder(wrong, ["A", "B"])


@pytest.mark.parametrize(
    ("step", "pasted"),
    [
        ("residency run", "residency run {}"),
        ("residency status lists them", "residency status {} lists them"),
        ("residency arena review DIR A B", "residency arena review {} A B"),
        ("residency judge label tells more", "residency judge label {} tells more"),
        ("residency eval --model m-1 --split dev", "residency eval {} --model m-1 --split dev"),
        ("residency init DIR --example tickets", "residency init {} --example tickets"),
        ("residency base fetch tiny", "residency base fetch tiny"),
        ("free some space", "free some space"),
    ],
)
def test_next_steps_name_the_folder_as_a_shell_reads_it(step: str, pasted: str) -> None:
    for folder in ("demo", "Projekt äöü #1", "it's", "a$b"):
        line = name_folder(step, folder)
        assert line == pasted.format(shlex.quote(folder))
        if "{}" in pasted:
            assert folder in shlex.split(line)
    assert name_folder(step, "") == step


def test_a_printed_next_step_can_be_pasted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "Projekt äöü #1 $HOME 'x'"
    assert run_command_line(["init", str(folder), "--example", "tickets", "--base", "tiny"]) == 0
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("Next: "))
    words = shlex.split(line.removeprefix("Next: "))
    assert words == ["residency", "check", str(folder), "&&", "residency", "run", str(folder)]
    assert run_command_line(["status", str(folder)]) == 2
    told = capsys.readouterr().out.splitlines()
    steps = [shlex.split(line.split("→ ")[1]) for line in told if "→ residency" in line]
    assert steps[0] == ["residency", "run", str(folder)]
    assert len(steps) == 3 and all(str(folder) in words for words in steps)


def test_a_text_longer_than_any_width_is_not_broken_in_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    text = " ".join(f"word{number}" for number in range(300))
    SafeConsole().print(text)
    print_line(text)
    assert capsys.readouterr().out == f"{text}\n{text}\n"


@pytest.mark.parametrize(
    ("text", "is_whole"),
    [
        ("Of the single checks more than half passed, and of the answers a third. " * 3, False),
        ("Go on with residency run 'Projekt äöü #1' --rounds 3 " * 3, True),
        ("Report: /a/long/path/to/a/report.html " * 3, True),
        ("Set rounds.trainings = 4 and run it again " * 3, True),
    ],
)
def test_at_a_terminal_sentences_are_broken_between_words_and_commands_stay_whole(
    text: str, is_whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = io.StringIO()
    terminal = SafeConsole()
    terminal.file, terminal._force_terminal = shown, True
    terminal.width = 60
    monkeypatch.setattr("residency.cli.terminal.console", terminal)
    print_line(text.strip())
    lines = [line.rstrip() for line in shown.getvalue().splitlines()]
    assert (len(lines) == 1) == is_whole
    assert " ".join(lines) == text.strip()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_is_given_each_command_and_each_of_its_options(
    shell: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_RESIDENCY_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("COLUMNS", "80")

    def complete(line: str) -> str:
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
        capsys.readouterr()
        assert run_command_line([]) == 0
        return capsys.readouterr().out

    shown = complete("residency ")
    for name in COMMANDS:
        assert re.search(rf"\b{name}\b", shown), name
    for words in list_commands():
        line = " ".join(["residency", *words])
        assert re.search(rf"\b{words[-1]}\b", complete(line)), line
        options = complete(f"{line} --")
        assert "--help" in options, line
        if shell == "fish":
            proposals = [row.partition("\t")[0] for row in options.splitlines()]
            assert all(re.fullmatch(r"--[\w-]+", proposal) for proposal in proposals), line
