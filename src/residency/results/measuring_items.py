"""Which dev items measure, by the store alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from residency.diagnose.dev_halves import split_halves
from residency.nouns.example import Example
from residency.store.store import Store


def find_measuring(
    store: Store, settings: Mapping[str, Any], examples: Sequence[Example]
) -> frozenset[str]:
    """Items that found no issue in any run of the project; the seed is that of its first run.

    ``settings``: of the run that is looked at.
    """
    known = [store.run(run).get("settings", {}) for run in store.runs()]
    seed = int(known[0].get("project", {}).get("seed", 0)) if known else 0
    measuring = {e.id for e in examples}
    for each in (*known, settings):
        share = float(each.get("diagnose", {}).get("finding_share", 0.4))
        measuring &= split_halves(examples, seed, share=share)[1]
    return frozenset(measuring)
