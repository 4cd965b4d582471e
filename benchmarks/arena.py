"""Figures of docs/arena.md and docs/judge.md, from public preference data.

python benchmarks/arena.py [FOLDER]     (FOLDER: layout in docs/arena.md)
"""

from __future__ import annotations

import itertools
import math
import os
import sys
import time
from pathlib import Path

if len(sys.argv) > 1:
    os.environ["RESIDENCY_REALDATA"] = sys.argv[1]
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))

import choix
import evalica
import numpy as np

from realdata import (
    alpaca_models,
    alpaca_published,
    alpaca_votes,
    pandalm_rows,
    vicuna_votes,
)
from residency.evaluate.arena.bradley_terry import ELO
from residency.evaluate.arena.leaderboard import informative_pairs, make_leaderboard
from residency.evaluate.arena.votes import Vote, rater_agreement, select_counted_votes, win_rate
from residency.evaluate.judge.agreement import corrected_rate, measure_agreement
from residency.stats.intervals import clopper_pearson


def alpaca() -> None:
    """Win rates against the published leaderboard."""
    print("AlpacaEval 1.0, GPT-4 annotations against text_davinci_003, per cent")
    published = alpaca_published()
    for model in alpaca_models():
        votes, _ = alpaca_votes(model)
        found, row = win_rate(votes, model, "text_davinci_003"), published[model]
        assert found is not None
        print(
            f"{model:22} ours {100 * found.rate:.4f} ± {100 * found.standard_error:.4f}  "
            f"published {row['win_rate']:.4f} ± {row['standard_error']:.4f}  "
            f"[{100 * found.low:.1f}, {100 * found.high:.1f}]  n {found.n}"
        )


def vicuna() -> None:
    """Ratings against two reference implementations."""
    votes, texts = vicuna_votes()
    used = select_counted_votes(votes)
    symbol = {"a": evalica.Winner.X, "b": evalica.Winner.Y, "tie": evalica.Winner.Draw}
    a, b = [v.a for v in used], [v.b for v in used]
    scores = evalica.bradley_terry(
        a, b, [symbol[v.outcome] for v in used], tolerance=1e-12, limit=10_000
    ).scores
    theirs = np.log(scores) * ELO
    theirs = theirs - theirs.mean() + 1000
    names = list(theirs.index)
    place = {name: i for i, name in enumerate(names)}
    # choix knows no ties: a tie is entered as a win for each, every other result twice.
    results = []
    for v in used:
        x, y = place[v.a], place[v.b]
        results += {"a": [(x, y)] * 2, "b": [(y, x)] * 2, "tie": [(x, y), (y, x)]}[v.outcome]
    other = choix.ilsr_pairwise(len(names), results, tol=1e-12) * ELO
    other = other - other.mean() + 1000
    start = time.perf_counter()
    board = make_leaderboard(votes, draws=500)
    seconds = time.perf_counter() - start
    exact = {s.model: s.score for s in make_leaderboard(votes, draws=2, ridge=1e-9).standings}
    style = {s.model: s for s in make_leaderboard(votes, texts=texts, draws=500).standings}
    print(f"\nVicuna's 80 questions, {len(used)} GPT-4 reviews; table in {seconds:.2f} s")
    for s in board.standings:
        c = style[s.model]
        print(
            f"{s.rank} {s.model:36} {s.score:7.1f} [{s.low:.0f}, {s.high:.0f}] "
            f"robust [{s.robust_low:.0f}, {s.robust_high:.0f}]  evalica {theirs[s.model]:7.1f} "
            f"choix {other[place[s.model]]:7.1f}  Elo {s.elo:.0f}  style {c.rank} {c.score:7.1f}"
        )
    gap = max(abs(exact[name] - theirs[name]) for name in names)
    ridge = max(abs(s.score - theirs[s.model]) for s in board.standings)
    print(f"largest difference from evalica: {gap:.1e} without ridge, {ridge:.2f} with it")
    print("style:", make_leaderboard(votes, texts=texts, draws=500).style)


def pandalm() -> None:
    """Two real judges against three people."""
    rows = pandalm_rows()
    people = {str(i): max(set(r["people"]), key=r["people"].count) for i, r in enumerate(rows)}
    names = {0: "tie", 1: "a", 2: "b"}
    votes = [
        Vote(f"p{i}", "x", "y", names[label], f"rater {k}")  # type: ignore[arg-type]
        for i, row in enumerate(rows)
        for k, label in enumerate(row["people"])
    ]
    print(f"\nPandaLM, {len(rows)} pairs: α of three people {rater_agreement(votes):.3f}")
    second = {key: label == 2 for key, label in people.items()}
    for judge in ("gpt-3.5-turbo", "pandalm-7b"):
        judged = {str(i): None if r[judge] is None else r[judge] == 2 for i, r in enumerate(rows)}
        found = measure_agreement(judged, second)
        usable = np.array([key for key in second if judged[key] is not None])
        rng = np.random.default_rng(0)
        hits = naive = 0
        for _ in range(1000):
            order = rng.permutation(usable)
            labels = measure_agreement(judged, {key: second[key] for key in order[:200]})
            rest = order[200:]
            passes = sum(bool(judged[key]) for key in rest)
            truth = np.mean([second[key] for key in rest])
            fixed = corrected_rate(passes, len(rest), labels)
            low, high = clopper_pearson(passes, len(rest))
            hits += fixed.low <= truth <= fixed.high
            naive += low <= truth <= high
        print(
            f"{judge:14} TPR {found.tpr:.3f} TNR {found.tnr:.3f} κ {found.kappa:.3f} "
            f"unscored {found.unscored}; people {np.mean([second[k] for k in usable]):.3f}, judge "
            f"{np.mean([judged[k] for k in usable]):.3f}; covered: corrected {hits / 10:.1f} %, "
            f"naive {naive / 10:.1f} %"
        )


def newcomer() -> None:
    """Votes needed to place a new model: chosen pairs against random pairs (simulated)."""
    print("\nA new model among five known ones (simulated), r.m.s. error in Elo points")
    strengths = {"v": -3.0, "w": -1.0, "x": 0.0, "y": 1.0, "z": 3.0, "new": 2.0}
    names = list(strengths)
    rng = np.random.default_rng(0)

    def duel(a: str, b: str) -> Vote:
        p = 1 / (1 + math.exp(strengths[b] - strengths[a]))
        return Vote(f"q{rng.integers(1 << 60)}", a, b, "a" if rng.random() < p else "b", "r")

    known = [duel(a, b) for a, b in itertools.combinations(names[:-1], 2) for _ in range(80)]
    steps = (8, 16, 32, 64)
    errors: dict[tuple[bool, int], list[float]] = {(c, n): [] for c in (True, False) for n in steps}
    for _ in range(100):
        for chosen in (True, False):
            votes = list(known)
            for count in range(1, max(steps) + 1):
                if chosen:
                    a, b, _ = informative_pairs(votes, names, focus="new")[0]
                else:
                    a, b = "new", str(rng.choice(names[:-1]))
                votes.append(duel(a, b))
                if count in steps:
                    found = {s.model: s.score for s in make_leaderboard(votes, draws=2).standings}
                    middle = np.mean([found[n] for n in names[:-1]])
                    errors[chosen, count].append(
                        float(found["new"] - middle - strengths["new"] * ELO) ** 2
                    )
    for count in steps:
        ours, random = (math.sqrt(np.mean(errors[c, count])) for c in (True, False))
        print(f"after {count:3} votes: chosen {ours:5.0f}, random {random:5.0f}")


def ties() -> None:
    """Coverage of the 95 % intervals with Davidson's ties, on 40 items of four models."""
    from test_arena_ratings import three_way

    for spread in (0.0, 0.7):
        limit = make_leaderboard(
            three_way(1, 12_000, 0.5, spread), davidson=True, draws=2, ridge=1e-9
        )
        gap, share = limit.contrast("round 2", "base").difference, limit.ties or 0.0
        boot = robust = shares = 0
        for seed in range(200):
            votes = three_way(5000 + seed, 40, 0.5, spread)
            board = make_leaderboard(votes, davidson=True, draws=200)
            found = board.contrast("round 2", "base")
            boot += found.low <= gap <= found.high
            robust += found.robust_low <= gap <= found.robust_high
            low, high = board.ties_interval or (0.0, 1.0)
            shares += low <= share <= high
        print(
            f"items favour models by {spread}: bootstrap {boot / 2:.0f} %, sandwich "
            f"{robust / 2:.0f} %, share of ties {shares / 2:.0f} %"
        )


if __name__ == "__main__":
    ties()
    alpaca()
    vicuna()
    pandalm()
    newcomer()
