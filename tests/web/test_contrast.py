"""Every pair of colours that stands on a page can be read: contrast of WCAG AA, light and dark."""

from __future__ import annotations

import re

import pytest

from residency.report.templates_env import make_environment, read_asset

TEXT, LARGE = 4.5, 3.0
PAIRS = [
    *[(ink, paper, TEXT) for ink in ("ink", "soft", "accent", "good", "bad", "warn", "control")
      for paper in ("paper", "card")],
    *[(ink, "grey-bg", TEXT) for ink in ("ink", "soft")],
    ("good", "good-bg", TEXT), ("accent", "blue-bg", TEXT), ("warn", "warn-bg", TEXT),
    ("bad", "bad-bg", TEXT), ("violet", "violet-bg", TEXT), ("mark-ink", "mark", TEXT),
    ("ink", "good-bg", TEXT), ("ink", "bad-bg", TEXT), ("ink", "trained", TEXT),
    ("paper", "accent", TEXT), ("paper", "good", TEXT),
    ("focus", "paper", LARGE), ("focus", "card", LARGE), ("muted", "card", LARGE),
]  # fmt: skip
"""Ink, paper, and the least contrast. The borders of fields and what shows the focus are large."""


def read_colours() -> dict[str, dict[str, str]]:
    """Variables by scheme, as a browser reads them: what comes later counts."""
    env = make_environment("residency.web")
    style = str(read_asset(env, "style.css")) + str(read_asset(env, "web.css"))
    dark = r"@media \(prefers-color-scheme: dark\) \{\s*:root \{(.*?)\}"
    light = ";".join(re.findall(r":root \{(.*?)\}", re.sub(dark, "", style, flags=re.S), re.S))
    colour = r"--([a-z-]+):\s*(#[0-9a-f]{6})"
    lights = dict(re.findall(colour, light))
    darks = dict(re.findall(colour, ";".join(re.findall(dark, style, re.S))))
    return {"light": lights, "dark": lights | darks}


def measure_contrast(one: str, other: str) -> float:
    """WCAG 2: (L1 + 0.05) / (L2 + 0.05) of the relative luminances."""

    def luminance(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_measure_is_that_of_the_standard() -> None:
    assert measure_contrast("#ffffff", "#000000") == pytest.approx(21)
    assert measure_contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_pair_of_colours_can_be_read(scheme: str) -> None:
    colours = read_colours()[scheme]
    low = {
        (ink, paper): round(measure_contrast(colours[ink], colours[paper]), 2)
        for ink, paper, least in PAIRS
        if measure_contrast(colours[ink], colours[paper]) < least
    }
    assert low == {}
