"""Selection by gradient: rows that would move the model as the failing examples ask.

As in LESS (Xia et al. 2024) a row's score is the cosine of its gradient with that of a failing
example, the mean within an issue. The setting ``gradient`` takes plain gradients of fresh adapters
on the current model (Adam's shape breaks under LoRA; see docs/targeting.md). For programs that
keep checkpoints of a warm-up, ``find_adam_direction`` and ``measure_influence`` give LESS as
published. Shapes: C candidates, T targets, P parameters, D projected dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from residency.nouns.example import Example
from residency.nouns.issue import Issue
from residency.nouns.proposal import Proposal
from residency.targeting.selectors.selector import (
    SelectionRequest,
    sample_candidates,
    share_budget,
)

SELECTOR = "gradient-1"
_BLOCK = 2048

Array = np.ndarray[Any, np.dtype[Any]]


def project_gradients(gradients: Array, *, dimensions: int = 8192, seed: int = 0) -> Array:
    """Random ±1/√D projection (C, P) → (C, D), float32; inner products keep their expectation.

    The matrix is made block by block from the seed and never held whole, so the same seed
    projects candidates and targets alike.
    """
    rows, parameters = gradients.shape
    out = np.zeros((rows, dimensions), np.float32)
    for number, start in enumerate(range(0, parameters, _BLOCK)):
        rng = np.random.default_rng([seed, number])
        width = min(_BLOCK, parameters - start)
        bits = rng.integers(0, 2, (width, dimensions), dtype=np.int8)
        signs = bits.astype(np.float32) * 2 - 1
        out += gradients[:, start : start + width].astype(np.float32) @ signs
    return np.asarray(out / np.sqrt(dimensions))


def find_adam_direction(
    gradient: Array,
    first: Array,
    second: Array,
    *,
    step: int,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> Array:
    """The step that Adam would take for ``gradient`` from its moments after ``step`` ≥ 1 steps.

    ``first`` and ``second`` are the optimiser's running moments, uncorrected, any shape (P).
    """
    m = betas[0] * first + (1 - betas[0]) * gradient
    v = betas[1] * second + (1 - betas[1]) * gradient**2
    m_hat = m / (1 - betas[0] ** (step + 1))
    v_hat = v / (1 - betas[1] ** (step + 1))
    return np.asarray(m_hat / (np.sqrt(v_hat) + eps))


def measure_influence(
    candidates: Sequence[Array], targets: Sequence[Array], learning_rates: Sequence[float]
) -> Array:
    """Σ over checkpoints of η · cos(candidate, target), shape (C, T).

    Args:
        candidates, targets: one array a checkpoint, (C, D) and (T, D).
        learning_rates: mean learning rate of each checkpoint's epoch.

    Raises:
        ValueError: numbers of checkpoints differ.
    """
    if not len(candidates) == len(targets) == len(learning_rates) > 0:
        raise ValueError(
            f"checkpoints differ: {len(candidates)} of candidates, {len(targets)} of targets, "
            f"{len(learning_rates)} learning rates"
        )
    total = np.zeros((len(candidates[0]), len(targets[0])), np.float32)
    for rate, rows, wanted in zip(learning_rates, candidates, targets, strict=True):
        total += rate * (_unit(rows) @ _unit(wanted).T)
    return total


def average_by_issue(scores: Array, owner: Sequence[str]) -> dict[str, Array]:
    """Mean influence on each issue's targets: issue id → (C,). ``owner`` names each target's issue."""
    owners = np.array(owner)
    return {issue: scores[:, owners == issue].mean(axis=1) for issue in sorted(set(owner))}


def select_by_gradient(request: SelectionRequest) -> list[Proposal]:
    """For each issue its share of the rows whose gradients point most where its failures' do."""
    rows = sample_candidates(request)
    failing = {
        issue.id: [e for e in request.failing[issue.id] if e.reference] for issue in request.issues
    }
    issues = [issue for issue in request.issues if failing[issue.id]]
    if not rows or not issues:
        return []
    targets = [example for issue in issues for example in failing[issue.id]]
    sketches = request.signals.measure_gradients([*rows, *targets])
    scores = measure_influence([sketches[: len(rows)]], [sketches[len(rows) :]], [1.0])
    shares = share_budget(
        [len(rows)] * len(issues), most_each=request.rows_per_issue, most=request.max_rows
    )
    proposals: list[Proposal] = []
    begin = 0
    for issue, share in zip(issues, shares, strict=True):
        end = begin + len(failing[issue.id])
        drawn_ids = {p.example.id for p in proposals}
        proposals += propose_by_gradient(
            [issue], failing, rows, scores[:, begin:end], count=share, exclude=drawn_ids
        )
        begin = end
    return proposals


def propose_by_gradient(
    issues: Sequence[Issue],
    failing: Mapping[str, Sequence[Example]],
    pool: Sequence[Example],
    scores: Array,
    *,
    count: int,
    exclude: set[str],
) -> list[Proposal]:
    """The pool rows of highest influence, each for the issue that it serves best.

    Args:
        failing: issue id → its failing examples of the *finding* half, in the order of the
            targets: issues in the order of ``issues``, then as listed.
        scores: ``influence`` of the pool (rows, in its order) on those targets (columns).
        count: most rows, over all issues. A row with no positive influence is never proposed.
    """
    columns = [(issue.id, example) for issue in issues for example in failing.get(issue.id, ())]
    if scores.shape != (len(pool), len(columns)):
        raise ValueError(
            f"scores have shape {scores.shape}, expected {(len(pool), len(columns))} (pool, targets)"
        )
    if not columns:
        return []
    by_issue = average_by_issue(scores, [issue for issue, _ in columns])
    names = list(by_issue)
    table = np.stack([by_issue[name] for name in names])
    best = table.argmax(axis=0)
    order = np.argsort(-table.max(axis=0), kind="stable")
    proposals: list[Proposal] = []
    groups: set[str] = set()
    for position in order.tolist():
        row, score = pool[position], float(table[best[position], position])
        if len(proposals) >= count or score <= 0:
            break
        group = row.group or row.id
        if row.id in exclude or group in groups:
            continue
        groups.add(group)
        issue = names[best[position]]
        issue_columns = [j for j, (name, _) in enumerate(columns) if name == issue]
        near = columns[issue_columns[int(scores[position, issue_columns].argmax())]][1]
        proposals.append(Proposal(issue, row, "pool", SELECTOR, round(score, 6), near=near.id))
    return proposals


def _unit(rows: Array) -> Array:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(length == 0, 1, length), np.float32)
