"""``residency target``: rows proposed for one issue."""

from __future__ import annotations

from residency.loop.assess import assess_stored_answers
from residency.loop.select_rows import gather_failures, propose_rows
from residency.loop.settle_rows import list_rejected_rows
from residency.nouns.example import Example
from residency.nouns.issue import Issue
from residency.nouns.model import Model
from residency.nouns.proposal import Proposal
from residency.project.dev_split import split_dev
from residency.project.named_issues import find_issue
from residency.project.named_models import find_model
from residency.project.workspace import Workspace


def target(
    ws: Workspace, key: str, *, count: int | None = None, selector: str | None = None
) -> list[Proposal]:
    """Pool rows for one stored issue (id or prefix), drawn by the final model's failures.

    Args:
        count: most rows. selector: in place of ``target.selector``.

    Raises:
        ConfigError: no selector has that name.
        StoreError: no such issue, or its failures are not stored.
    """
    issue, failing, model = find_issue_failures(ws, key)
    return propose_rows(
        ws,
        [issue],
        {issue.id: failing},
        model,
        exclude=list_rejected_rows(ws),
        count=count,
        selector=selector,
    )


def find_issue_failures(ws: Workspace, key: str) -> tuple[Issue, list[Example], Model]:
    """A stored issue (id or prefix), the items of dev's finding part that fail it, and whose answers
    they are: the final model's.

    Raises:
        StoreError: no such issue, or its failures are not stored.
    """
    issue = find_issue(ws.store, ws.latest_run(), key)
    assessed = assess_stored_answers(ws, find_model(ws, "final"), "dev")
    half, _ = split_dev(ws)
    failing = gather_failures([issue], assessed, half)[issue.id]
    return issue, failing, assessed.model
