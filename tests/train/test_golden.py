"""The loss curves of every architecture and method are what they were (tests/train/golden/make.py)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location(
    "golden_make", Path(__file__).parent / "golden" / "make.py"
)
assert _spec is not None and _spec.loader is not None
golden = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(golden)
CURVES = json.loads(golden.FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "method"), golden.cases())
def test_the_loss_curve_is_what_it_was(name: str, method: str) -> None:
    """To 1e-3: processors round differently, and twelve steps carry that on."""
    want = CURVES[f"{name} {method}"]
    assert golden.curve(name, method) == pytest.approx(want, abs=1e-3)
    assert want[-1] < want[0]


def test_every_case_has_a_curve() -> None:
    assert set(CURVES) == {f"{name} {method}" for name, method in golden.cases()}
