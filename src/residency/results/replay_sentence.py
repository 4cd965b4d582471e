"""What general rows did beside those of the task, in a sentence."""

from __future__ import annotations

from residency.results.benchmark_change import tell_change
from residency.results.primary_change import describe_primary
from residency.results.run_figures import Forgetting
from residency.text.counts import write_count
from residency.text.percent import write_percent


def tell_replay(forgetting: Forgetting | None) -> str:
    """The final model against the same training without general rows; empty where that was not done.

    Both are one training: what is said is said of these two models.
    """
    if forgetting is None or forgetting.replay is None:
        return ""
    effect = forgetting.replay
    parts = [f"{row['task']} {row['metric']} {tell_change(row)}" for row in effect.differences]
    share = write_percent(effect.rows / (effect.rows + effect.of), 0)
    return (
        f"Replay: {write_count(effect.rows, 'general row')} beside {effect.of} of the task ({share} of all). "
        f"The final model against the same training without them, with 95 % intervals: {'; '.join(parts)}. "
        f"On dev: {describe_primary(effect.task)}. These are two models of one training each: "
        "what such rows do in other trainings it does not show."
    )
