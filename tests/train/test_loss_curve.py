"""The loss curve: a well-formed SVG whose lines are the losses."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

import pytest

from residency.train.loss_curve import HEIGHT, WIDTH, draw, smooth, write_curve

SVG = "{http://www.w3.org/2000/svg}"


def points(svg: str) -> list[list[tuple[float, float]]]:
    lines = ElementTree.fromstring(svg).iter(f"{SVG}polyline")
    return [
        [tuple(map(float, p.split(","))) for p in line.get("points", "").split()] for line in lines
    ]  # type: ignore[misc]


def test_the_line_falls_as_the_loss_does_and_stays_inside() -> None:
    losses = [3 * math.exp(-step / 30) + 0.2 for step in range(120)]
    raw, mean = points(draw([("loss", losses)], title="a < b & c"))
    assert len(raw) == len(mean) == 120
    assert [x for x, _ in raw] == sorted(x for x, _ in raw)
    assert [y for _, y in raw] == sorted(y for _, y in raw)  # SVG counts downwards
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in raw)
    heights = [(y - raw[0][1]) / (raw[-1][1] - raw[0][1]) for _, y in raw]
    want = [(v - losses[0]) / (losses[-1] - losses[0]) for v in losses]
    assert heights == pytest.approx(want, abs=1e-3)


@pytest.mark.parametrize("losses", [[2.0], [1.0, 1.0], [0.0, 0.0, 0.0], [1e-9, 5e4, -3.0]])
def test_any_run_can_be_drawn(losses: list[float]) -> None:
    assert len(points(draw([("loss", losses)], title="x"))[0]) == len(losses)


def test_the_file_says_steps_last_loss_and_best_step(tmp_path: Path) -> None:
    path = write_curve(tmp_path, [2.0, 1.0, 1.5], [(2, -0.7), (3, -0.9)], best_step=2)
    text = "".join(ElementTree.fromstring(path.read_text()).itertext())
    assert "3 steps" in text and "last 1.500" in text and "best score -0.700 at step 2" in text
    assert path.name == "loss.svg" and "stroke-dasharray" in path.read_text()


def test_the_moving_mean_keeps_the_mean_of_a_straight_line() -> None:
    straight = [0.5 * step for step in range(100)]
    assert smooth(straight) == pytest.approx(straight)
    assert max(smooth([0.0] * 50 + [1.0] + [0.0] * 49)) == pytest.approx(1 / 5)
