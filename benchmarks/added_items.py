"""Dev items are added after a comparison: decide by the e-value, or by p and a share of α a look?

    python benchmarks/added_items.py [--projects 20000]

One issue between two models. First some items measure it, then as many again are added, and again: after
each addition it is asked whether the issue changed, until a claim is made. Both ways claim something false
with a chance of at most α over all looks together: the *e-value* claims when E ≥ 1/α at any look (Ville's
inequality); *p* is the exact test of all items so far, and the k-th look may spend α/(k(k+1)). The items'
outcomes change in 30 % where nothing truly falls, and a fall adds fixes.
"""

from __future__ import annotations

import argparse

import numpy as np

from residency.stats.exact_tests import mcnemar_p, sign_e_value

ALPHA = 0.05
ISSUES = 6
"""Issues that share a round's α."""
CHANGES = 0.3


def count_claims(
    rng: np.random.Generator, projects: int, items: int, looks: int, fall: float
) -> tuple[float, float]:
    """Shares of projects in which a change is claimed at any look: by the e-value, by p."""
    fixes, breaks = CHANGES / 2 + fall / 2, max(0.0, CHANGES / 2 - fall / 2)
    drawn = rng.multinomial(items, [fixes, breaks, 1 - fixes - breaks], (projects, looks))
    better, worse = (drawn[:, :, side].cumsum(1) for side in (0, 1))
    alpha = ALPHA / ISSUES
    by_e, by_p = np.zeros(projects, bool), np.zeros(projects, bool)
    for look in range(looks):
        pairs = list(zip(better[:, look].tolist(), worse[:, look].tolist(), strict=True))
        by_e |= np.asarray([sign_e_value(b, w) >= 1 / alpha for b, w in pairs])
        level = alpha / ((look + 1) * (look + 2))
        by_p |= np.asarray([mcnemar_p(b, w) <= level for b, w in pairs])
    return float(by_e.mean()), float(by_p.mean())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=20_000)
    args = parser.parse_args()
    print("| items at first, and added each time | looks | nothing falls | falls by 10 points | falls by 20 points |")  # fmt: skip
    print("|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    for items in (30, 60, 120):
        for looks in (1, 2, 3, 5, 10):
            cells = [
                count_claims(rng, args.projects, items, looks, fall) for fall in (0.0, 0.1, 0.2)
            ]
            shown = " | ".join(f"{100 * e:.1f}, {100 * p:.1f} %" for e, p in cells)
            print(f"| {items} | {looks} | {shown} |")


if __name__ == "__main__":
    main()
