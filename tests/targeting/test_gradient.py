"""Gradient similarity finds the rows that move a model as the failures ask."""

from __future__ import annotations

import numpy as np
import pytest

from residency.nouns.example import Example, Message
from residency.nouns.issue import Issue, Slice
from residency.targeting.selectors.gradient import (
    find_adam_direction,
    measure_influence,
    project_gradients,
    propose_by_gradient,
)


def test_projection_keeps_inner_products_and_follows_its_seed() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(6, 5000))
    rows[1] = rows[0] + 0.3 * rng.normal(size=5000)
    small = project_gradients(rows, dimensions=2048, seed=3)
    assert small.shape == (6, 2048)
    exact, kept = rows @ rows.T, small @ small.T
    assert np.abs(kept - exact).max() < 0.1 * exact[0, 0]
    together = project_gradients(rows[:2], dimensions=2048, seed=3)
    assert np.allclose(together, small[:2], rtol=1e-5, atol=1e-3)
    assert not np.allclose(project_gradients(rows, dimensions=2048, seed=4), small)


def test_adam_direction_is_the_optimisers_step() -> None:
    """Against three hand-rolled Adam steps."""
    rng = np.random.default_rng(1)
    gradients = rng.normal(size=(3, 7))
    m = v = np.zeros(7)
    for gradient in gradients[:2]:
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
    found = find_adam_direction(gradients[2], m, v, step=2)
    m, v = 0.9 * m + 0.1 * gradients[2], 0.999 * v + 0.001 * gradients[2] ** 2
    expected = (m / (1 - 0.9**3)) / (np.sqrt(v / (1 - 0.999**3)) + 1e-8)
    assert np.allclose(found, expected)


def test_a_candidates_influence_is_the_fall_of_the_targets_loss() -> None:
    """Logistic regression: the ranking agrees with what one SGD step really does."""
    rng = np.random.default_rng(2)
    weights = rng.normal(size=20)
    x, y = rng.normal(size=(40, 20)), rng.integers(0, 2, 40)
    target_x, target_y = rng.normal(size=(5, 20)), rng.integers(0, 2, 5)

    def gradient(w: np.ndarray, features: np.ndarray, label: np.ndarray) -> np.ndarray:
        return (1 / (1 + np.exp(-features @ w)) - label)[:, None] * features

    def loss(w: np.ndarray) -> float:
        margin = np.where(target_y == 1, 1, -1) * (target_x @ w)
        return float(np.log1p(np.exp(-margin)).mean())

    candidates = gradient(weights, x, y)
    targets = gradient(weights, target_x, target_y)
    unit = candidates / np.linalg.norm(candidates, axis=1, keepdims=True)
    falls = [loss(weights) - loss(weights - 0.01 * step) for step in unit]
    scores = measure_influence([candidates], [targets], [1.0]) * np.linalg.norm(targets, axis=1)
    assert np.corrcoef(scores.mean(axis=1), falls)[0, 1] > 0.99


def test_checkpoints_are_weighted_by_learning_rate() -> None:
    a, b = np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32)[::-1]
    mixed = measure_influence([a, b], [a, a], [0.75, 0.25])
    assert np.allclose(mixed, [[0.75, 0.25], [0.25, 0.75]])
    with pytest.raises(ValueError, match="checkpoints differ"):
        measure_influence([a], [a, a], [1.0])


def row(text: str, group: str = "") -> Example:
    return Example((Message("user", text),), split="pool", group=group)


def test_rows_serve_the_issue_they_help_most() -> None:
    issues = [Issue(kind, Slice(), kind, "1", 0.05, 0, "m") for kind in ("overlong", "format")]
    failing = {issues[0].id: [row("f1"), row("f2")], issues[1].id: [row("f3")]}
    pool = [row("a"), row("b"), row("c"), row("d", "g"), row("e", "g")]
    scores = np.array(
        [[0.9, 0.1, 0.2], [0.1, 0.1, 0.8], [-1, -1, -1], [0.3, 0.5, 0.0], [0.6, 0.6, 0.0]],
        np.float32,
    )
    chosen = propose_by_gradient(issues, failing, pool, scores, count=9, exclude=set())
    assert [p.example.prompt_text for p in chosen] == ["b", "e", "a"]  # one of group g, never c
    assert [p.issue for p in chosen] == [issues[1].id, issues[0].id, issues[0].id]
    assert chosen[2].near == failing[issues[0].id][0].id
    few = propose_by_gradient(issues, failing, pool, scores, count=1, exclude={pool[1].id})
    assert [p.example.prompt_text for p in few] == ["e"]
    with pytest.raises(ValueError, match="expected"):
        propose_by_gradient(issues, failing, pool[:2], scores, count=1, exclude=set())
