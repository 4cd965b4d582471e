"""What is told to be done next can be done: each command exists, and each page."""

from __future__ import annotations

import ast
import inspect

import typer
from typer.main import get_command

from residency.cli.app import COMMANDS, load_command
from residency.results import next_actions
from residency.results.next_actions import NextAction
from residency.web.page_list import LINKS


def list_written_actions() -> list[tuple[str, str]]:
    """The commands and pages that the source names; what is put into them is one word."""
    tree = ast.parse(inspect.getsource(next_actions))
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "NextAction"
    ]
    return [
        (_write(command), _write(call.args[3]))
        for call in calls
        for command in _list_branches(call.args[2])
    ]


def _list_branches(node: ast.expr) -> list[ast.expr]:
    return [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node]


def _write(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_write(part) for part in node.values)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return _write(node.func.value)
    return node.value if isinstance(node, ast.Constant) else "1"


def test_every_next_action_names_a_command_and_a_page_that_are_there() -> None:
    written = list_written_actions()
    assert len(written) >= 10
    pages = {link.path for link in LINKS}
    for command, page in written:
        words = command.split()
        name, *rest = words[: words.index("DIR")]
        body = load_command(name)
        assert name in COMMANDS
        if isinstance(body, typer.Typer):
            assert rest and rest[0] in get_command(body).commands, command
        else:
            assert not rest, command
        path = page.split("?")[0].split("#")[0]
        assert path in pages or path == "/rows" or path.startswith("/issues/"), page


def test_a_command_stands_with_the_folder_or_for_inside_it() -> None:
    action = NextAction("t", "r", "suite draft DIR --use", "/start", 1.0)
    assert action.write_command("my-folder") == "residency suite draft my-folder --use"
    assert action.write_command() == "residency suite draft --use"
