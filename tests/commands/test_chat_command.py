"""``residency chat`` as a user types it, on a tiny random model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from residency.cli.invoke import run_command_line
from residency.commands.project import Project
from residency.nouns.example import Message
from small import save_model, save_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("chat")
    return Project.open(save_project(root / "p", save_model(root / "model")))


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """What the user types; then the input ends."""
    waiting = iter(lines)

    def read(prompt: str = "") -> str:
        try:
            return next(waiting)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("residency.cli.terminal.console.input", read)


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[Message]]]:
    """A model that repeats the last message; what it was asked."""
    asked: list[tuple[str, list[Message]]] = []

    def chat(self: Project, messages: Sequence[Message], model: str = "final") -> Iterator[str]:
        asked.append((model, list(messages)))
        yield f"{model} says "
        yield messages[-1].content

    monkeypatch.setattr(Project, "chat", chat)
    return asked


def test_one_message_gets_the_models_answer(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    turn = Message("user", project.instruction, "I bought a red cup t123")
    expected = "".join(project.chat([turn], "base"))
    assert expected
    assert run_command_line(["chat", str(project.root), "--model", "base", "-m", turn.input]) == 0
    shown = capsys.readouterr().out
    assert "".join(c for c in expected if c.isalnum()) in "".join(c for c in shown if c.isalnum())


def test_two_models_answer_the_same_message(
    project: Project,
    echo: list[tuple[str, list[Message]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = ["--model", "round-1", "--versus", "base", "--no-instruct", "-m", "hello"]
    assert run_command_line(["chat", str(project.root), *flags]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("── round-1")
    assert lines[1] == "round-1 says hello"
    assert lines[2].startswith("── base")
    assert lines[3] == "base says hello"
    assert [m for _, m in echo] == [[Message("user", "hello")]] * 2


def test_a_conversation_goes_on_without_an_instruction(
    project: Project, echo: list[tuple[str, list[Message]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, "one", "two", "")
    assert run_command_line(["chat", str(project.root), "--model", "base", "--no-instruct"]) == 0
    assert [len(messages) for _, messages in echo] == [1, 3]
    assert [m.content for m in echo[1][1]] == ["one", "base says one", "two"]


def test_a_specialist_reads_one_message_at_a_time_with_the_instruction(
    project: Project, echo: list[tuple[str, list[Message]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, "one", "two")
    assert run_command_line(["chat", str(project.root), "--model", "base"]) == 0
    assert [messages for _, messages in echo] == [
        [Message("user", project.instruction, text)] for text in ("one", "two")
    ]


def test_a_models_text_cannot_drive_the_terminal(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Project, "chat", lambda *_: iter(["[bold]a\x1b[2J", "b\r"]))
    assert run_command_line(["chat", str(project.root), "-m", "x"]) == 0
    assert capsys.readouterr().out == "[bold]a\ufffd[2Jb\ufffd\n"


def test_a_model_that_is_not_there_is_told(
    project: Project, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run_command_line(["chat", str(project.root), "-m", "x"]) == 2  # nothing was trained yet
    assert "final" in capsys.readouterr().err
    assert run_command_line(["chat", str(tmp_path), "-m", "x"]) == 2
