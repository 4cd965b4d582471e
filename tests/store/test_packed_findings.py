"""Short rows hold what the findings said, for new stores and for those of an older version."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from residency.nouns.content_id import canonical_json
from residency.nouns.finding import Finding, Span
from residency.nouns.response import Response
from residency.store import migrations
from residency.store.packed_findings import (
    Check,
    pack_findings,
    read_numbers,
    read_values,
    unpack_findings,
    write_numbers,
    write_values,
)
from residency.store.store import FOLDER, Store

ANSWERS = [Response("m-1", f"ex-{n}", f"text {n}") for n in range(6)]
PASSED = Finding(ANSWERS[0].id, "overlong", "pass", "d", "1", value=0.25)
FAILED = Finding(ANSWERS[0].id, "repetition", "fail", "d", "1", 0.5, (Span(0, 2, "n"),), "m", 2.0)
UNSCORED = Finding(ANSWERS[0].id, "wrong:a", "unscored", "d", "1", message="no such field")
FINDINGS = [
    Finding(**{**asdict(f), "response": answer.id, "spans": f.spans})
    for answer in ANSWERS
    for f in (PASSED, FAILED, UNSCORED)
]

findings = st.builds(
    Finding,
    response=st.sampled_from(["r-1", "r-2"]),
    kind=st.sampled_from(["overlong", "wrong:ä|b,c", "%_"]),
    status=st.sampled_from(["pass", "fail", "unscored"]),
    detector=st.sampled_from(["d", "suite:x"]),
    version=st.sampled_from(["1", "2"]),
    severity=st.sampled_from([0.0, 0.5]),
    spans=st.sampled_from([(), (Span(0, 1, "n"),)]),
    message=st.sampled_from(["", "why", "x" * 300]),
    value=st.none() | st.floats(allow_nan=False),
)


@given(st.lists(findings, unique_by=lambda f: (f.response, f.kind, f.detector, f.version)))
def test_nothing_is_lost_in_packing(several: list[Finding]) -> None:
    numbers: dict[Check, int] = {}
    rows, full = pack_findings(several, lambda check: numbers.setdefault(check, len(numbers) + 1))
    checks = {number: check for check, number in numbers.items()}
    back = {(f.response, f.kind, f.detector, f.version): f for f in full}
    for response, row in rows.items():
        written = read_numbers(write_numbers(row.repeated))
        values = read_values(write_values(row.values))
        for finding in unpack_findings(response, written, values, checks):
            back.setdefault(
                (finding.response, finding.kind, finding.detector, finding.version), finding
            )
        assert set(read_numbers(write_numbers(row.failed))) == set(row.failed)
    assert sorted(map(repr, back.values())) == sorted(map(repr, several))


@pytest.fixture
def filled(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    with store.writer("test"):
        store.add_responses(ANSWERS)
        store.add_findings("scope", FINDINGS)
    return store


def test_findings_come_back_equal_and_passes_take_no_row_of_their_own(filled: Store) -> None:
    wanted = sorted(FINDINGS, key=lambda f: (f.response, f.kind))
    assert sorted(filled.findings("scope", ANSWERS), key=lambda f: (f.response, f.kind)) == wanted
    assert filled.count("findings") == len(ANSWERS)  # the failures
    assert filled.count("outcomes") == len(ANSWERS)
    assert filled.count("checks") == 3


def test_outcomes_say_who_answered_what_and_what_failed(filled: Store) -> None:
    checks = filled.checks()
    outcomes = filled.outcomes(["scope"], "m-1")
    assert {o.example for o in outcomes} == {answer.example for answer in ANSWERS}
    for outcome in outcomes:
        assert [checks[n].kind for n in outcome.failed] == ["repetition"]
        assert {checks[n].kind for n in outcome.repeated} == {"overlong", "wrong:a"}
    some = filled.outcomes(["scope"], "m-1", ["ex-1", "ex-9"])
    assert [o.example for o in some] == ["ex-1"]
    assert filled.outcomes(["other"], "m-1") == []


def test_what_is_found_later_is_added_and_twice_is_once(filled: Store) -> None:
    later = Finding(ANSWERS[0].id, "format", "fail", "late", "1", 0.3, message="bad")
    with filled.writer("test"):
        filled.add_findings("scope", [later, PASSED, FAILED])
        filled.add_findings("scope", [later])
    own = filled.findings("scope", ANSWERS[:1])
    assert {f.kind for f in own} == {"overlong", "repetition", "wrong:a", "format"}
    assert len(own) == 4


def test_a_later_scope_counts_where_both_judged(filled: Store) -> None:
    mended = Finding(ANSWERS[0].id, "repetition", "pass", "d", "2")
    with filled.writer("test"):
        filled.add_findings("second", [mended])
    checks = filled.checks()
    first = next(o for o in filled.outcomes(["scope", "second"], "m-1") if o.example == "ex-0")
    assert first.failed == ()
    assert {checks[n].kind for n in first.repeated} == {"overlong", "wrong:a", "repetition"}


def test_a_store_of_the_first_version_opens_with_the_same_findings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Schema 1 kept every finding in full, and nothing else."""
    (tmp_path / FOLDER).mkdir()
    engine = create_engine(f"sqlite:///{tmp_path}/{FOLDER}/store.db")
    every = migrations.STEPS
    monkeypatch.setattr(migrations, "STEPS", every[:1])
    with engine.begin() as connection:
        migrations.migrate(connection)
        for answer in ANSWERS:
            connection.execute(
                text("INSERT INTO responses VALUES (:id, 'm-1', :example, 0, 's', :body)"),
                {
                    "id": answer.id,
                    "example": answer.example,
                    "body": canonical_json(asdict(answer)),
                },
            )
        for f in FINDINGS:
            connection.execute(
                text("INSERT INTO findings VALUES ('scope', :r, :d, :v, :k, :s, :b)"),
                {"r": f.response, "d": f.detector, "v": f.version, "k": f.kind, "s": f.status,
                 "b": canonical_json(asdict(f))},
            )  # fmt: skip
    engine.dispose()
    monkeypatch.setattr(migrations, "STEPS", every)
    store = Store(tmp_path, create=False)
    wanted = sorted(FINDINGS, key=lambda f: (f.response, f.kind))
    assert sorted(store.findings("scope", ANSWERS), key=lambda f: (f.response, f.kind)) == wanted
    checks = store.checks()
    for outcome in store.outcomes(["scope"], "m-1"):
        assert [checks[n].kind for n in outcome.failed] == ["repetition"]
    assert store.count("findings") == len(FINDINGS)  # nothing of the old is thrown away
    store.close()
