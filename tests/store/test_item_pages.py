"""What the database counts and cuts is what counting in memory gives, whatever was judged."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from residency.nouns.example import Example, Message
from residency.nouns.finding import Finding
from residency.nouns.issue import Issue, Slice
from residency.nouns.model import Model
from residency.nouns.response import Response
from residency.nouns.round import Round
from residency.results import issue_items, item_list
from residency.results.issue_items import page_changes
from residency.results.issue_results import IssueResult
from residency.results.item_list import LISTED_CHANGES, list_items
from residency.results.run_results import RunResults
from residency.store.record_kind import RecordKind
from residency.store.stage_key import StageKey, StageName
from residency.store.store import Store

KINDS = ("format", "overlong", "wrong:x")
TAG = 'lang="de" 100%_'
RUN = "run-1"


def fill(root: Path, seed: int, items: int = 40) -> Store:
    """Three models, of which two leave items out; checks that fail, pass or could not be scored."""
    rng = random.Random(seed)
    store = Store(root)
    rows = [
        Example(
            (Message("user", f"{n} {TAG}"), Message("assistant", "a")),
            split="dev",
            tags=(TAG,) if n % 3 == 0 else ("other",),
        )
        for n in range(items)
    ]
    models = [Model("base", adapter=f"sha256:{n}", round=n) for n in range(3)]
    with store.writer("test"):
        store.add_run(RUN, {"settings": {}})
        store.add_record(RecordKind.RUN_OPENED, RUN, {"full": True})
        store.add_record(RecordKind.SCOPE, RUN, {"scope": "dev"})
        store.add_corpus(RUN, rows)
        store.finish_stage(RUN, StageKey(StageName.DATA), 0.0, {"result": {"rows": {}}})
        rate = {"rate": 0.2, "low": 0.1, "high": 0.3, "failed": 1, "scored": 5, "total": 5}
        score = {"mean": 0.5, "low": 0.4, "high": 0.6, "floor": 0.5, "items": 5, "coverage": 1.0}
        score |= {"scored_items": 5, "checks": 5, "scored_checks": 5}
        kinds = dict.fromkeys(KINDS, rate | {"coverage": 1.0})
        for number, model in enumerate(models):
            store.add_model(model)
            figures = {"label": f"round {number}", "scores": {"score": score, "kinds": kinds}}
            store.add_round(RUN, Round(number, "main", None, model.id, 0, 1.0), figures)
            for row in rows:
                if number and rng.random() < 0.15:
                    continue
                response = Response(model.id, row.id, f"answer {rng.random()}")
                store.add_responses([response])
                statuses: Any = ("fail", "pass", "pass", "unscored")
                store.add_findings(
                    "dev",
                    [
                        Finding(response.id, kind, rng.choice(statuses), "d", "1", 0.5)
                        for kind in KINDS
                        if rng.random() < 0.9
                    ],
                )
    return store


@pytest.mark.parametrize("seed", range(3))
def test_pages_of_items_are_those_of_memory(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = RunResults(fill(tmp_path, seed))
    asked = [
        {"kind": kind, "tag": tag, "change": change}
        for kind in ("", KINDS[0], "no such kind")
        for tag in ("", TAG, "no such tag")
        for change in ("", *LISTED_CHANGES, "no such change")
    ]
    told = [list_items(results, **one, limit=1000) for one in asked]
    assert sum(page.total for page in told) > 100
    for one, page in zip(asked, told, strict=True):
        assert page.total == len(page.rows)
        parts = [
            list_items(results, **one, offset=n, limit=7).rows for n in range(0, page.total, 7)
        ]
        assert [row for part in parts for row in part] == page.rows
    monkeypatch.setattr(results.answers, "has_one_answer", lambda *_: False)
    for one, page in zip(asked, told, strict=True):
        counted = item_list.list_items(results, **one, limit=1000)
        assert ([r.example.id for r in counted.rows], counted.total) == (
            [r.example.id for r in page.rows],
            page.total,
        )


@pytest.mark.parametrize("seed", range(3))
def test_pages_of_an_issue_are_those_of_memory(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = RunResults(fill(tmp_path, seed))
    models = [model.id for model in results.models]
    members = tuple(list(results.answers.positions("dev"))[::2])
    slices = (Slice(), Slice("tag", TAG), Slice("cluster", "some", members))
    from residency.nouns.verdict import Verdict

    for each in slices:
        issue = Issue(KINDS[0], each, "d", "1", 0.05, 0, models[0], "t")
        verdict = Verdict(issue.id, models[0], models[2], 2, "dev", "improved", 9, 0, 0.3, 0.1,
                          2, 1, 0.2, 0.1, 0.3, 1e-5, 900.0, 0.01, 0.05)  # fmt: skip
        result = IssueResult(issue, "t", [verdict], None, None, {}, 0)
        memory = issue_items.list_changes(results.answers, result)
        for change in ("", *issue_items.CHANGES, "no such change"):
            wanted = [item for item in memory if change in ("", item.change)]
            page = page_changes(results.answers, result, change=change, limit=1000)
            assert page.rows == wanted
            assert page.total == len(wanted)
            assert page.counts == issue_items.count_changes(memory)
            assert page.right == sum(
                item.change == "fixed" and not item.other_failures for item in memory
            )
            some = page_changes(results.answers, result, change=change, offset=3, limit=4)
            assert some.rows == wanted[3:7]


def test_groups_and_worst_answers_are_those_of_the_rows(tmp_path: Path) -> None:
    store = fill(tmp_path, 0)
    results = RunResults(store)
    rows = store.corpus(RUN, "dev")
    assert store.corpus_groups(RUN, "dev") == {row.id: row.group or row.id for row in rows}
    model = results.models[1].id
    outcomes = results.answers.outcomes(model, "dev")
    order = sorted(outcomes, key=lambda key: (-len(outcomes[key][0].failed), key))
    asked = results.answers.make_item_filter("dev")
    assert store.worst_answers(asked, model, limit=1000) == [
        (key, outcomes[key][0].response) for key in order
    ]
    assert store.count_judged(asked, model) == len(order)
    assert store.split_tags(RUN, "dev") == sorted([TAG, "other"])
    assert {r.example for r in store.responses_of(model, order[:5])} == set(order[:5])


def test_pairs_of_answers_are_counted_from_indexes_alone(tmp_path: Path) -> None:
    """Of 100 000 items each row read beside its index is read at random: seconds, not a tenth."""
    store = fill(tmp_path, 0)
    results = RunResults(store)
    before, after = (model.id for model in results.models[1:])
    asked: list[tuple[str, Any]] = []

    def note(*words: Any) -> None:
        asked.append((words[2], words[3]))

    item_filter = results.answers.make_item_filter("dev")
    event.listen(Engine, "before_cursor_execute", note)
    try:
        counted = store.count_written_numbers(item_filter, before, after)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert sum(n for _, n in counted) > 20
    (statement, values), *rest = asked
    assert not rest
    with sqlite3.connect(tmp_path / ".residency" / "store.db") as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
    reads = [line for line in plan if line.startswith(("SEARCH", "SCAN"))]
    assert len(reads) == 3 and all("COVERING INDEX" in line for line in reads), plan
