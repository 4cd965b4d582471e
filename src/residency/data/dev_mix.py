"""What ``data.oversample_dev`` made of dev, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from residency.nouns.example import Example
from residency.text.counts import write_count
from residency.text.percent import write_percent


def describe_oversampled(examples: Iterable[Example], wanted: Mapping[str, int]) -> list[str]:
    """A sentence for each tag of which dev was to get more groups than chance gives it.

    Args:
        wanted: tag → least groups in dev.
    """
    if not wanted:
        return []
    everywhere: dict[str, set[str]] = {tag: set() for tag in ("", *wanted)}
    dev: dict[str, set[str]] = {tag: set() for tag in ("", *wanted)}
    for example in examples:
        key = example.group or example.id
        for tag in ("", *set(example.tags).intersection(wanted)):
            everywhere[tag].add(key)
            if example.split == "dev":
                dev[tag].add(key)
    out = []
    for tag, least in wanted.items():
        here = len(dev[tag])
        share = write_percent(here / max(1, len(dev[""])), 0)
        of_all = write_percent(len(everywhere[tag]) / max(1, len(everywhere[""])), 0)
        sentence = f"dev has {write_count(here, 'group')} with {tag}, {share} of its groups ({of_all} of all)"
        if here < least:
            sentence += (
                f"; {least} were asked for, but at least half of what is not in the test stays to be "
                "trained on, and rows near others are left out"
            )
        out.append(sentence)
    return out
