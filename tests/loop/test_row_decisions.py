"""Nothing that a person rejected is trained, by no arm, in no round; what is edited is trained as edited."""

from __future__ import annotations

from pathlib import Path

import pytest

from residency.commands.project import Project
from residency.commands.rows import decide_row, finish_review, list_rows
from residency.errors import DataError, StoreError
from residency.loop.select_rows import draw_control
from residency.loop.settle_rows import ReviewWaitingError, list_rejected_rows
from residency.nouns.proposal import Proposal
from residency.project.row_decisions import RowDecision, apply_decisions, read_decisions
from small import save_model, save_project


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str, str]:
    """A run that waited for a person, who rejected a row, edited one, and let it go on."""
    folder = tmp_path_factory.mktemp("reviewed")
    root = save_project(folder / "project", save_model(folder / "model"))
    settings = root / "residency.toml"
    settings.write_text(settings.read_text().replace("[target]", "[target]\nreview = true"))
    with pytest.raises(ReviewWaitingError, match="round 2"):
        Project.open(root).run()
    with pytest.raises(ReviewWaitingError):  # it waits however often one asks
        Project.open(root).run()
    project = Project.open(root)
    assert not [r for r, _ in project.store.rounds(project.latest_run()) if r.index == 2]
    rows = [r.proposal.example for r in list_rows(project.store) if r.proposal.accepted]
    away, changed, control = rows[0], rows[1], list_rows(project.store, arm="control")[0]
    decide_row(project, away.id, "reject", who="Ada", reason="the colour is wrong")
    decide_row(project, control.proposal.example.id, "reject", who="Ada")
    edited = decide_row(project, changed.id, "edit", who="Bo", answer="colour: pink\nthing: cup")
    assert edited.edited is not None
    assert finish_review(project, who="Ada") == 2
    project.run()
    return root, away.id, changed.id, edited.edited.id


def trained_rows(root: Path) -> dict[str, set[str]]:
    store = Project.open(root).store
    run = store.latest_run()
    assert run
    return {
        f"{r.index} {r.arm}": set(store.dataset(r.dataset).rows)
        for r, _ in store.rounds(run)
        if r.dataset
    }


def test_a_rejected_row_is_in_no_dataset_and_an_edited_one_as_edited(
    reviewed: tuple[Path, str, str, str],
) -> None:
    root, away, changed, edited = reviewed
    rows = trained_rows(root)
    assert {"1 main", "2 main"} <= rows.keys()
    for name, ids in rows.items():
        assert away not in ids, name
    assert edited in rows["2 main"] and changed not in rows["2 main"]
    if "2 control" in rows:
        rejected = [d.example for d in read_decisions(Project.open(root).store).values()]
        assert not rows["2 control"] & (set(rejected) - {changed})
        assert len(rows["2 control"]) <= len(rows["2 main"])


def test_a_decision_after_the_run_changes_no_round_that_is_done(
    reviewed: tuple[Path, str, str, str],
) -> None:
    root, *_ = reviewed
    before = trained_rows(root)
    project = Project.open(root)
    other = [r.proposal.example.id for r in list_rows(project.store) if r.decision is None]
    decide_row(project, other[0], "reject", who="Cy", reason="too late")
    Project.open(root).run()
    assert trained_rows(root) == before


def test_decisions_are_kept_with_who_when_and_why_and_the_last_counts(
    reviewed: tuple[Path, str, str, str],
) -> None:
    root, away, changed, _ = reviewed
    project = Project.open(root)
    decision = read_decisions(project.store)[away]
    assert (decision.who, decision.reason) == ("Ada", "the colour is wrong")
    assert decision.at[:2] == "20"
    row = next(r for r in list_rows(project.store) if r.proposal.example.id == away)
    assert row.decision == decision
    kept = apply_decisions([row.proposal], {away: RowDecision(away, "accept", who="Bo")})
    assert kept == [row.proposal]
    (turned_down,) = apply_decisions([row.proposal], {away: decision})
    assert not turned_down.accepted
    assert turned_down.reason == "rejected by Ada: the colour is wrong"
    with pytest.raises(DataError, match="nothing was changed"):
        decide_row(project, changed, "edit", who="Bo")
    with pytest.raises(DataError, match="empty"):
        decide_row(project, changed, "edit", who="Bo", answer="  ")
    with pytest.raises(StoreError, match="0 proposed rows"):
        decide_row(project, "ex-nothing", "accept", who="Bo")


def test_a_rejected_row_is_drawn_no_more_by_any_way(reviewed: tuple[Path, str, str, str]) -> None:
    root, away, _, _ = reviewed
    project = Project.open(root)
    pool = {row.id for row in project.split("pool")}
    assert away in pool
    rejected = {row.id for row in list_rejected_rows(project)}
    assert away in rejected
    everything = draw_control(
        project,
        [r.proposal for r in list_rows(project.store) if r.proposal.accepted] * 9,
        len(pool),
        list_rejected_rows(project),
        1000,
        [],
        project.model("final"),
    )
    drawn = {p.example.id for p in everything}
    assert drawn and not drawn & rejected
    for issue in project.issues():
        assert not {p.example.id for p in project.target(issue.id, count=30)} & rejected


def test_a_person_cannot_accept_what_the_firewall_turned_down(
    reviewed: tuple[Path, str, str, str],
) -> None:
    root, away, _, _ = reviewed
    project = Project.open(root)
    row = next(r for r in list_rows(project.store) if r.proposal.example.id == away)
    near = Proposal(
        "is-x", row.proposal.example, "pool", "embedding", 1.0, accepted=False, reason="near dev"
    )
    assert apply_decisions([near], {away: RowDecision(away, "accept")}) == [near]


def test_an_edit_that_comes_near_dev_is_refused(reviewed: tuple[Path, str, str, str]) -> None:
    root, away, _, _ = reviewed
    project = Project.open(root)
    dev = project.store.corpus(project.latest_run(), "dev")[0]
    text = dev.prompt[-1].input
    with pytest.raises(DataError, match="may not be trained"):
        decide_row(project, away, "edit", who="Bo", prompt=text, answer=dev.reference)
