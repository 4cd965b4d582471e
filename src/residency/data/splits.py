"""Train, dev, test and pool by group hash: an old row never changes split when rows are added."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

from residency.errors import ConfigError
from residency.nouns.example import DEALT_SPLITS, DealtSplit


def hash_to_key(name: str) -> int:
    """A 64-bit number for a group or row, from its name alone, evenly spread."""
    digest = hashlib.sha256(b"residency split\0" + name.encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big")


def place_key(key: int) -> float:
    """A fixed point in [0, 1) for a key."""
    return key / 2**64


def normalise_shares(
    shares: Mapping[DealtSplit, float], wanted: Sequence[DealtSplit]
) -> dict[DealtSplit, float]:
    """The shares of the wanted splits, scaled to sum to 1.

    Raises:
        ConfigError: an unknown split, a negative share, or nothing left for the training rows.
    """
    unknown = set(shares) - set(DEALT_SPLITS)
    if unknown or any(value < 0 for value in shares.values()):
        raise ConfigError(
            f"shares must be 0 or more, of {', '.join(DEALT_SPLITS)}; found {dict(shares)}",
            where="residency.toml [data] split",
        )
    chosen_shares: dict[DealtSplit, float] = {
        s: shares.get(s, 0.0) for s in DEALT_SPLITS if s in wanted
    }
    total = sum(chosen_shares.values())
    if chosen_shares.get("train", 0.0) <= 0:
        raise ConfigError(
            "no share is left for train",
            where="residency.toml [data] split",
            next_step="e.g. split = {train = 0.7, dev = 0.15, test = 0.15}",
        )
    return {name: value / total for name, value in chosen_shares.items()}


def assign_splits(
    keys: Sequence[int],
    shares: Mapping[DealtSplit, float],
    strata: Sequence[Hashable] | None = None,
) -> list[DealtSplit]:
    """The split of every row. Rows with one key share one split.

    Without strata the key's hash alone decides. With strata, groups are taken in order and each
    goes to the split that is furthest below its share within the stratum of the group's first
    row (the hash breaks ties): within each stratum the counts are as close to the shares as the
    groups allow, and rows added at the end change nothing before them.
    """
    if strata is None:
        chosen = {key: _by_hash(place_key(key), shares) for key in dict.fromkeys(keys)}
        return [chosen[key] for key in keys]
    decided: dict[int, DealtSplit] = {}
    counts: dict[Hashable, dict[DealtSplit, float]] = defaultdict(
        lambda: dict.fromkeys(shares, 0.0)
    )
    out: list[DealtSplit] = []
    for key, stratum in zip(keys, strata, strict=True):
        counts_here = counts[stratum]
        if key not in decided:
            total = sum(counts_here.values()) + 1
            start = place_key(key)
            decided[key] = max(
                shares,
                key=lambda s: (
                    round(shares[s] * total - counts_here[s], 9),
                    (start + place_key(hash_to_key(s))) % 1,
                ),
            )
        counts_here[decided[key]] += 1
        out.append(decided[key])
    return out


def oversample_dev(
    keys: Sequence[int], splits: Sequence[DealtSplit], tagged: Sequence[bool], least: int
) -> set[int]:
    """The keys that move to dev so that ``least`` of the tagged ones are there.

    They come from the pool, then from train, in the order of their hashes. Nothing leaves test, whose
    mix stays that of all rows, and at least half of the tagged keys outside test stay to be trained on.
    """
    places = {key: split for key, split, has in zip(keys, splits, tagged, strict=True) if has}
    outside = [key for key, split in places.items() if split != "test"]
    here = sum(places[key] == "dev" for key in outside)
    wanted = max(0, min(least, len(outside) // 2) - here)
    order = sorted((places[key] != "pool", key) for key in outside if places[key] != "dev")
    return {key for _, key in order[:wanted]}


def _by_hash(at: float, shares: Mapping[DealtSplit, float]) -> DealtSplit:
    edge = 0.0
    last: DealtSplit = "train"
    for name, share in shares.items():
        edge += share
        if share > 0:
            last = name
            if at < edge:
                return name
    return last


def limit_groups(keys: Sequence[int], most: int) -> list[bool]:
    """Which rows to keep: whole groups in order of first appearance while they fit into ``most``."""
    sizes: dict[int, int] = defaultdict(int)
    for key in keys:
        sizes[key] += 1
    chosen_shares: set[int] = set()
    used = 0
    for key, size in sizes.items():
        if used + size <= most:
            chosen_shares.add(key)
            used += size
        if used == most:
            break
    return [key in chosen_shares for key in keys]
