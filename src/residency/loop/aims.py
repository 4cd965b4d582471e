"""What rows were drawn for: each issue, within the slice of it that drew them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from residency.diagnose.find_issues import title_issue
from residency.nouns.issue import Issue, Slice
from residency.nouns.proposal import Proposal


def list_aims(
    issues: Sequence[Issue], proposals: Sequence[Proposal], slices: Sequence[Slice]
) -> list[Issue]:
    """The issues that drew these rows, in their order, each narrowed to the parts that drew them.

    An issue of which some rows were drawn for the whole of it stays whole.

    Args:
        slices: the project's, by which a part's members are known.
    """
    known = {f"{where.by}: {where.value}": where for where in slices}
    parts: dict[str, set[str]] = {}
    for proposal in proposals:
        parts.setdefault(proposal.issue, set()).add(proposal.part)
    aims = []
    for issue in issues:
        names = parts.get(issue.id, set())
        slices_of_issue = [find_part(name, known) for name in sorted(names)]
        narrowed = [where for where in slices_of_issue if where is not None]
        if not names:
            continue
        if len(narrowed) < len(names):
            aims.append(issue)
            continue
        aims += [
            replace(issue, slice=where, title=title_issue(issue.kind, where)) for where in narrowed
        ]
    return aims


def find_part(name: str, known: dict[str, Slice]) -> Slice | None:
    """The slice that a proposal's ``part`` names; None where it names none that is known."""
    by, _, value = name.partition(": ")
    return Slice("tag", value) if by == "tag" else known.get(name)
