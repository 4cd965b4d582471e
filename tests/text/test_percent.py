"""One way to write a share."""

from __future__ import annotations

import re
from pathlib import Path

from residency.text.percent import write_percent

SOURCE = Path(__file__).parents[2] / "src" / "residency"
TICKS = {"issue_charts.py", "sweep_charts.py", "score_charts.py"}
"""Charts, whose ticks have no room for a space."""


def test_a_share_has_its_digits_a_space_and_a_dash_where_there_is_none() -> None:
    assert write_percent(0.1234) == "12.3 %"
    assert write_percent(0.47, 0) == "47 %"
    assert write_percent(1, 0) == "100 %"
    assert write_percent(None) == write_percent(float("nan")) == "–"


def test_no_sentence_writes_a_share_otherwise() -> None:
    others = [
        str(path)
        for path in SOURCE.rglob("*.py")
        if path.name not in TICKS and re.search(r":\.\d%\}", path.read_text(encoding="utf-8"))
    ]
    assert not others
