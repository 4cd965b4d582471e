"""Which candidates become issues: the worst, and of a kind the slices that say where it fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.candidates import Candidate
from residency.stats.exact_tests import hypergeometric_tail

_NOTABLE = 0.1
_CHANCE = 0.05
_WITHIN, _EXPLAINED = 0.9, 0.8


def select_candidates(candidates: Sequence[Candidate], config: DiagnoseConfig) -> list[Candidate]:
    """The candidates that become issues, worst first.

    A candidate needs ``min_rate``, and failures in ``min_items`` groups. Of a kind that is an issue
    over all items, only slices that say more stay (``choose_telling_slices``); a kind that only
    sums up its causes gives way to them. Of two slices whose failing
    items are nearly the same (Jaccard ≥ 0.8) the worse stays; so does one of two detectors that
    report the same kind on the same items.
    """
    good = [c for c in candidates if c.rate >= config.min_rate and c.groups >= config.min_items]
    good.sort(key=lambda c: (-c.weight, c.slice.by != "all", c.kind, c.slice.value, c.detector))
    slices: dict[tuple[str, str], list[Candidate]] = {}
    for c in good:
        if c.slice.by != "all":
            slices.setdefault((c.kind, c.detector), []).append(c)
    looked_at = Counter((c.kind, c.detector) for c in candidates if c.slice.by != "all")
    parents = {(c.kind, c.detector): c for c in good if c.slice.by == "all"}
    whole = {(c.kind, c.detector): c for c in candidates if c.slice.by == "all"}
    telling = [
        c
        for key, parent in whole.items()
        for c in choose_telling_slices(
            parent, slices.get(key, []), _CHANCE / max(1, looked_at[key])
        )
    ]
    chosen: list[Candidate] = []
    for c in good:
        # Tags are the user's; what we made ourselves must always say more than the whole.
        must_tell = (c.kind, c.detector) in parents or c.slice.by in ("field", "words")
        if c.slice.by != "all" and must_tell and c not in telling:
            continue
        if c.slice.by == "all" and _is_umbrella(c, parents.values()):
            continue
        if any(_same_failures(c, other) for other in chosen):
            continue
        chosen.append(c)
    return chosen


def _is_umbrella(c: Candidate, wholes: Iterable[Candidate]) -> bool:
    """Whether a suite's kind only sums up its causes: other kinds of the suite that fail within it.

    A wrong answer beside a wrong column and a wrong condition: where two kinds or more lie almost
    wholly within its failures and make up four fifths of them, they are the issues.
    """
    if not c.detector.startswith("suite:"):
        return False
    failures = set(c.failures)
    causes = [
        set(other.failures)
        for other in wholes
        if other is not c
        and other.detector.startswith("suite:")
        and other.kind != c.kind
        and len(other.failures) < len(failures)
        and len(failures & set(other.failures)) >= _WITHIN * len(other.failures)
    ]
    covered: set[int] = set().union(*causes) if len(causes) > 1 else set()
    return len(covered & failures) >= _EXPLAINED * len(failures) > 0


def choose_telling_slices(
    parent: Candidate, slices: Sequence[Candidate], chance: float
) -> list[Candidate]:
    """The slices that say where a kind fails, the most surprising first.

    A slice stays when, on the items that no slice before it holds, it fails ten points more
    often than all of them, beyond ``chance`` (hypergeometric tail). So a tag that only goes
    along with a telling one does not stay beside it (sequential covering, as in subgroup discovery).
    """
    left, failing = set(parent.items), set(parent.failures)
    out: list[Candidate] = []
    rest = list(slices)
    while rest and left:
        ranked = [(_hypergeometric_tail(c, left, failing), i) for i, c in enumerate(rest)]
        tail, at = min(ranked)
        best = rest.pop(at)
        inside = left & set(best.items)
        rate = len(inside & failing) / max(1, len(inside))
        if tail > chance:
            break
        if rate - len(left & failing) / len(left) < _NOTABLE:
            continue
        out.append(best)
        left -= inside
    return out


def _hypergeometric_tail(c: Candidate, left: set[int], failing: set[int]) -> float:
    """Chance of as many failures in as many items drawn blindly from those left."""
    inside = left & set(c.items)
    bad = len(inside & failing)
    return hypergeometric_tail(bad, len(inside), len(left & failing), len(left))


def _same_failures(c: Candidate, other: Candidate) -> bool:
    if c.kind != other.kind or (c.slice.by == "all") != (other.slice.by == "all"):
        return False
    a, b = set(c.failures), set(other.failures)
    return len(a & b) >= 0.8 * len(a | b)
