"""What follows from the table of ways, in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from residency.evaluate.baselines.baseline_report import BaselineRow, Difference
from residency.text.counts import write_count
from residency.text.percent import write_percent


def recommend_way(
    rows: Sequence[BaselineRow],
    differences: Sequence[Difference],
    values: Mapping[str, Mapping[str, float]],
    split: str,
    title: str,
) -> list[str]:
    """Sentences: fine-tune or not, at which price, and what this rests on."""
    tuned = [row for row in rows if row.way == "fine-tuned"]
    prompts = [row for row in rows if row.way == "prompt"]
    if not prompts:
        return ["There is no prompted baseline to compare with."]
    best = max(prompts, key=lambda row: average_values(values[row.name]))
    sentences = []
    if tuned:
        row = max(tuned, key=lambda r: average_values(values[r.name]))
        difference = next(d for d in differences if d.better == row.name)
        sentences.append(_write_verdict(row, best, difference))
        sentences += _price_of_it(row, best)
    else:
        worst = _worst_kinds(best)
        sentences.append(
            f"No fine-tuned model yet. The best prompt is {best.name}: "
            f"{title} {write_percent(average_values(values[best.name]), 0)}"
            + (f"; it fails most in {worst}." if worst else ".")
        )
        sentences.append("Whether fine-tuning does better is measured by: residency run")
    sentences += [
        _describe_endpoint(row, best, d)
        for row in rows
        for d in differences
        if row.way == "endpoint" and d.better == row.name
    ]
    for row in rows:
        if row.leaves_machine:
            sentences.append(f"{row.name} sends every prompt to another machine.")
    sentences += _describe_majority(rows)
    sentences.append(_rests_on(rows, split))
    return sentences


def _write_verdict(row: BaselineRow, best: BaselineRow, d: Difference) -> str:
    points = f"{100 * d.mean:+.1f} points [{100 * d.low:+.1f}, {100 * d.high:+.1f}]"
    if d.low > 0:
        return (
            f"Fine-tune: {row.name} is better than the best prompt ({best.name}), {d.metric} "
            f"{points} on {write_count(d.n, 'item')}."
        )
    if d.high < 0:
        return (
            f"Do not fine-tune (yet): the best prompt ({best.name}) is better than {row.name}, "
            f"{d.metric} of {row.name} {points} on {write_count(d.n, 'item')}."
        )
    if d.n and not d.changed:
        return f"No difference: {row.name} and {best.name} are alike on all {d.n} items."
    return (
        f"Undecided: {row.name} against the best prompt ({best.name}) is {points} on {write_count(d.n, 'item')}; "
        f"a difference smaller than about {50 * (d.high - d.low):.0f} points cannot be seen here."
    )


def _describe_endpoint(row: BaselineRow, best: BaselineRow, d: Difference) -> str:
    """How an endpoint's model stands to the best prompt, on the items that it answered."""
    if not d.n:
        return f"{row.name} answered no item that {best.name} answered: nothing can be said of it."
    word = (
        "better than" if d.low > 0 else "worse than" if d.high < 0 else "not shown to differ from"
    )
    items = f"all {row.items}" if d.n == row.items else f"{d.n} of {row.items}"
    return (
        f"{row.name} is {word} the best prompt ({best.name}): {d.metric} {100 * d.mean:+.1f} points "
        f"[{100 * d.low:+.1f}, {100 * d.high:+.1f}] on {items} items, answered by both."
    )


def _price_of_it(row: BaselineRow, best: BaselineRow) -> list[str]:
    """What else changes for a request, where both were measured."""
    sentences = []
    if row.prompt_tokens and best.prompt_tokens:
        ratio = best.prompt_tokens / row.prompt_tokens
        sentences += _describe_ratio("Its prompts are", ratio, "shorter", "longer")
    if row.p50 and best.p50:
        ratio = best.p50 / row.p50
        sentences += _describe_ratio("A single request (median) is", ratio, "faster", "slower")
    return sentences


def _describe_ratio(what: str, ratio: float, more: str, less: str) -> list[str]:
    """A sentence about a ratio; silence when it is within a tenth of 1."""
    if 1 / 1.1 < ratio < 1.1:
        return []
    return [f"{what} {max(ratio, 1 / ratio):.1f} times {more if ratio > 1 else less}."]


def _worst_kinds(row: BaselineRow) -> str:
    rates = [(k, r.rate) for k, r in row.scores.kinds.items() if r.rate]
    worst = sorted(rates, key=lambda pair: -(pair[1] or 0.0))[:3]
    return ", ".join(f"{kind} ({write_percent(rate or 0.0, 0)})" for kind, rate in worst)


def _describe_majority(rows: Sequence[BaselineRow]) -> list[str]:
    """The line that every way has to beat where answers are classes."""
    closed = next((row.scores.closed_set for row in rows if row.scores.closed_set), None)
    if closed is None:
        return []
    return [
        f"Always answering “{closed.majority}” would be right in "
        f"{write_percent(closed.majority_share, 0)} of the items."
    ]


def _rests_on(rows: Sequence[BaselineRow], split: str) -> str:
    coverage = ", ".join(
        f"{row.name} {write_percent(row.scores.score.coverage, 0)}" for row in rows
    )
    errors = sum(row.errors for row in rows)
    word = "request" if errors == 1 else "requests"
    lost = f" {errors} {word} failed and are left out." if errors else ""
    answers = write_count(max(row.items for row in rows), "answer")
    fewer = [f"{row.name} {row.items - row.errors}" for row in rows if row.errors]
    but = f" (but {', '.join(fewer)})" if fewer else ""
    return (
        f"This rests on {answers} each{but} on {split}, one seed, and the "
        "suite; differences are paired by item, intervals are 95 % over groups, "
        f"what could not be scored counts as failed. Scored: {coverage}.{lost}"
    )


def average_values(values: Mapping[str, float]) -> float:
    """The mean over the items; 0 without any."""
    return sum(values.values()) / len(values) if values else 0.0
