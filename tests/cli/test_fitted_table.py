"""Tables on terminals of every width: no figure is lost, and nothing is wider than the terminal."""

from __future__ import annotations

import io

import pytest
from rich.table import Table
from rich.text import Text

from residency.cli.terminal import SafeConsole


def make_table() -> Table:
    table = Table(title="Rounds", caption="of dev")
    table.add_column("")
    for name in ("zero-shot", "round 1", "round 2"):
        table.add_column(name, justify="right")
    table.add_row("score: checks passed, of 180", "12.5 %", "63.25 % of 180", Text("64.0 %"))
    table.add_row("fails repetition", "", "3.0 %", "–", style="bold")
    return table


@pytest.mark.parametrize("width", [20, 30, 40, 50, 60, 80, 120])
def test_no_figure_is_lost(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    console = SafeConsole()
    console.file = io.StringIO()
    console.print(make_table())
    written = console.file.getvalue()
    for figure in ("12.5", "63.25", "64.0", "3.0"):
        assert figure in written, (width, written)
    for word in ("Rounds", "repetition", "checks", "zero-shot", "round", "dev"):
        assert word in written, (width, written)
    assert max(map(len, written.splitlines())) <= width
