"""Issues by the names that people give them: an id, or the beginning of one."""

from __future__ import annotations

from residency.errors import StoreError
from residency.nouns.content_id import id_begins
from residency.nouns.issue import Issue
from residency.store.store import Store


def find_issue(store: Store, run: str, key: str) -> Issue:
    """The issue of a run whose id begins so.

    Raises:
        StoreError: none or several begin so.
    """
    fitting = [issue for issue in store.issues(run) if id_begins(issue.id, key)]
    if len(fitting) != 1:
        raise StoreError(
            f"{len(fitting)} issues begin with {key!r}", next_step="residency status lists them"
        )
    return fitting[0]
