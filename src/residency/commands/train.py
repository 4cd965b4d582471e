"""``residency train``: one training on stored rows."""

from __future__ import annotations

from collections.abc import Sequence

from residency.loop.fine_tune import fine_tune_base
from residency.loop.metric_while_training import check_metric
from residency.loop.replay_rows import mix_replay
from residency.loop.settle_rows import decide_proposals
from residency.nouns.model import Model
from residency.project.named_issues import find_issue
from residency.project.workspace import Workspace


def train(ws: Workspace, *, issues: Sequence[str] = (), extend: float = 0.0) -> Model:
    """Train once on the train split and the accepted rows of these issues (ids or prefixes), with
    general rows where the settings name some.

    ``extend`` adds so many epochs to the last such training, from its checkpoint.

    Raises:
        ModelError: the base asks for answers that the local engine does not give.
        StoreError: no such issue. SuiteError: no such metric.
        UserError: no training of these rows and settings is kept to be extended.
    """
    _ = ws.model_settings  # what evaluation would refuse is refused before anything is trained
    check_metric(ws)
    with ws.store.writer("train"):
        rows = list(ws.split("train"))
        run = ws.latest_run() if issues else ws.record_run()
        wanted = {find_issue(ws.store, run, key).id for key in issues}
        for proposal in decide_proposals(ws, ws.store.proposals(run)):
            if proposal.issue in wanted and proposal.accepted and proposal.arm == "main":
                rows.append(proposal.example)
        note = "residency train"
        rows = mix_replay(ws, rows)
        return fine_tune_base(
            ws, rows, round_=1, arm="main", parent=None, note=note, extendable=True, extend=extend
        )
