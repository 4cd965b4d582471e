"""``residency mcp``: the commands as tools, tried with a client of the same SDK."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from finished_run import copy_run
from residency.cli.invoke import run_command_line
from residency.commands.shorten_result import shorten_result
from residency.commands.skill import read_skill
from residency.commands.tool_server import ProjectTools, ToolLimits, build_tool_server, check_name
from residency.errors import ConfigError, UserError

pytestmark = pytest.mark.slow

mcp = pytest.importorskip("mcp", reason="mcp is not installed")


def call_tools(server: Any, calls: list[tuple[str, dict[str, Any]]]) -> list[Any]:
    """Names of all tools, then what each call gave."""

    async def talk() -> list[Any]:
        async with mcp.Client(server) as client:
            listed = await client.list_tools()
            out: list[Any] = [{tool.name: tool for tool in listed.tools}]
            for name, arguments in calls:
                out.append(await client.call_tool(name, arguments))
            return out

    return asyncio.run(talk())


def test_a_client_over_stdio_asks_what_the_commands_say(finished_run: Path, tmp_path: Path) -> None:
    root = copy_run(finished_run, tmp_path / "p")
    parameters = mcp.StdioServerParameters(
        command=sys.executable, args=["-m", "residency", "mcp", str(root)], cwd=str(tmp_path)
    )
    tools, status, gate, wrong, missing = call_tools(
        mcp.stdio_client(parameters),
        [
            ("status", {}),
            ("gate", {"baseline": "round-1"}),
            ("trace", {"id": "--debug"}),
            ("compare", {"before": "base", "after": "no-such"}),
        ],
    )
    assert {"status", "check", "trace", "compare", "gate", "target", "chat"} <= set(tools)
    assert "run_start" not in tools
    assert all(tool.annotations.read_only_hint for tool in tools.values())
    assert not status.is_error
    assert status.structured_content["schema"] == "residency.status/1"
    assert status.structured_content["complete"] is True
    assert gate.structured_content["passed"] in (True, False)
    assert wrong.is_error and "is no id" in wrong.content[0].text
    assert missing.is_error and "no stored model" in missing.content[0].text


def test_tools_that_train_are_there_when_they_are_allowed(
    finished_run: Path, tmp_path: Path
) -> None:
    root = copy_run(finished_run, tmp_path / "p")
    server = build_tool_server(root, ToolLimits(allow_run=True))
    tools, stopped = call_tools(server, [("run_stop", {})])
    assert {"run_start", "run_stop"} <= set(tools)
    assert not tools["run_start"].annotations.read_only_hint
    assert stopped.is_error and "no run that was started here" in stopped.content[0].text


def test_a_run_is_a_child_process(finished_run: Path, tmp_path: Path) -> None:
    tools = ProjectTools(copy_run(finished_run, tmp_path / "p"), ToolLimits(allow_run=True))
    assert tools.start_run()["started"]
    with pytest.raises(UserError, match="going on already"):
        tools.start_run()
    assert tools._run is not None
    assert tools._run.wait(timeout=120) == 0  # the run is complete already
    state = tools.read_run_state()
    assert state["exit_code"] == 0 and state["complete"] and not state["going_on"]
    assert any("Nothing to do" in line for line in state["last_lines"])
    with pytest.raises(UserError, match="may not start"):
        ProjectTools(tools.root, ToolLimits()).start_run()


def test_a_tool_ends_at_its_time_limit(finished_run: Path) -> None:
    tools = ProjectTools(finished_run, ToolLimits(seconds=0.05))
    with pytest.raises(UserError, match="took longer"):
        tools.call("status")


def test_no_project_no_server(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        build_tool_server(tmp_path, ToolLimits())


@pytest.mark.parametrize(
    "name", ["", "-m", "--json", "../x", "/etc/passwd", "a b", "a\n", "x" * 101, "\x1b[2J"]
)
def test_names_that_are_options_or_paths_are_refused(name: str) -> None:
    with pytest.raises(UserError):
        check_name(name, "id")


def test_long_results_are_cut_and_say_so() -> None:
    body = {
        "schema": "s/1", "rows": [{"text": "x" * 5000, "by_item": {"a": 1}} for _ in range(500)]
    }  # fmt: skip
    for most in (2000, 20_000, 60_000):
        short = shorten_result(body, most)
        assert len(json.dumps(short, indent=2)) <= most  # as the SDK writes it
        assert short["schema"] == "s/1" and short["shortened"]
    small = {"schema": "s/1", "a": [1, 2]}
    assert shorten_result(small, 2000) == small


def test_the_skill_is_printed_and_written_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["skill"]) == 0
    text = capsys.readouterr().out
    assert text == read_skill() and text.startswith("---\nname: residency\n")
    assert run_command_line(["skill", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "SKILL.md").read_text() == text
    assert run_command_line(["skill", "--out", str(tmp_path)]) == 2
    assert run_command_line(["skill", "--out", str(tmp_path), "--force", "--json"]) == 0


def test_commands_that_the_skill_names_exist() -> None:
    import re

    from residency.cli.app import COMMANDS

    named = set(re.findall(r"residency ([a-z]+)", read_skill())) - {"command"}
    assert named and named <= set(COMMANDS)


@pytest.mark.parametrize("most", [60_000, 5_000, 700])
def test_what_is_too_long_loses_its_largest_fields_and_keeps_the_others(most: int) -> None:
    """A status says whether its run is complete, however much the run measured."""
    heavy = {f"m-{n}": {f"kind {k}": ["x" * 90] * 9 for k in range(60)} for n in range(20)}
    body = {"schema": "residency.status/1", "complete": True, "running": None, "test": heavy}
    short = shorten_result(body, most)
    assert len(json.dumps(short, indent=2)) <= most
    assert short["complete"] is True and short["running"] is None
    assert short["left_out"] == ["test"] and "residency COMMAND --json" in short["shortened"]
