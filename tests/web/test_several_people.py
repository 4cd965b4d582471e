"""Two people at the same time on one project: everything is kept with who and when, and a race is told."""

from __future__ import annotations

import gc
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from finished_run import copy_run, tell_answers_apart
from postgresql_server import run_postgresql
from residency.commands.collect import find_worst_answers
from residency.commands.project import Project
from residency.commands.read import load_sample
from residency.data.collected_rows import read_collected
from residency.loop.measure_kinds import MODES_KEY, load_notes
from residency.project.named_kinds import read_kinds
from residency.project.row_decisions import list_decisions
from residency.results.run_results import RunResults
from residency.store.record_kind import RecordKind
from residency.store.store import Store
from residency.web.app import create_app
from residency.web.pages.review import name_pair
from shared_store import share_run

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
PEOPLE = ("Ann", "Bob")


class Person:
    """Somebody's browser, on the workbench that they started."""

    def __init__(self, root: Path, name: str) -> None:
        self.name, self.root = name, root
        self.client = TestClient(create_app(root), base_url="http://127.0.0.1:8642")
        self.client.cookies.set("residency_person", name)

    def post(self, path: str, **data: Any) -> Any:
        token = self.client.get("/token").json()["token"]
        headers = {"X-CSRF-Token": token, "HX-Request": "true"}
        return self.client.post(path, data=data, headers=headers)

    def read_page(self, path: str) -> str:
        return str(self.client.get(path).text)


@pytest.fixture(scope="module")
def run(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = copy_run(finished_run, tmp_path_factory.mktemp("several") / "project")
    project = Project.open(root)
    find_worst_answers(project, rows=4)
    project.store.close()
    tell_answers_apart(root)
    return root


@pytest.fixture(scope="module", params=["one folder", "a team's PostgreSQL"])
def people(
    request: pytest.FixtureRequest, run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Person]]:
    base = tmp_path_factory.mktemp("people")
    if request.param == "one folder":
        root = copy_run(run, base / "project")
        yield [Person(root, name) for name in PEOPLE]
        return
    with run_postgresql() as uri:
        url = uri.replace("postgresql:", "postgresql+psycopg:")
        folders = [base / name for name in PEOPLE]
        share_run(run, folders, url)
        yield [Person(folder, name) for folder, name in zip(folders, PEOPLE, strict=True)]
        gc.collect()


@pytest.fixture
def store(people: list[Person]) -> Iterator[Store]:
    project = Project.open(people[0].root)
    yield project.store
    project.store.close()


def at_once(people: list[Person], do: Callable[[Person], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(people)) as pool:
        return list(pool.map(do, people))


def final_model(store: Store) -> str:
    return str(RunResults(store, store.latest_run() or "").final_id)


def test_a_sample_and_the_notes_on_it(people: list[Person], store: Store) -> None:
    model = final_model(store)
    at_once(people, lambda person: person.post("/read/sample", model=model, count=6))
    sample = [answer.response for answer in load_sample(store, model)]
    assert len(sample) == len(set(sample)) > 3

    def read_all(person: Person) -> list[int]:
        return [
            person.post(f"/read/notes/{response}", text=f"odd, says {person.name}").status_code
            for response in sample
        ]

    assert {status for several in at_once(people, read_all) for status in several} == {200}
    notes = load_notes(store, model)
    assert Counter(note.reader for note in notes) == dict.fromkeys(PEOPLE, len(sample))
    assert {note.text for note in notes} == {f"odd, says {name}" for name in PEOPLE}
    assert all(note.at for note in notes)
    assert f"{len(sample)} answers were read by several (Ann, Bob)" in people[1].read_page("/read")


def test_who_groups_what_another_has_grouped_meanwhile_is_told(
    people: list[Person], store: Store
) -> None:
    ann, bob = people
    note = load_notes(store)[0]
    assert ann.post("/read/modes", mode="first", note=note.id, seen_in=":").status_code == 200
    refused = bob.post("/read/modes", mode="second", note=note.id, seen_in=":")
    assert refused.status_code == 422
    assert "is in 'first'; nothing was changed" in refused.text.replace("&#39;", "'")
    assert bob.post("/read/modes", mode="second", note=note.id, seen_in="first").status_code == 200
    assert load_notes(store)[0].mode == "second"
    assert [r["reader"] for r in store.records(RecordKind.MODE, MODES_KEY)] == ["Ann", "Bob"]
    assert "Grouped last by Bob, <time" in ann.read_page("/read/modes")


def test_votes_of_both_are_kept_and_none_twice(people: list[Person], store: Store) -> None:
    results = RunResults(store, store.latest_run() or "")
    a, b = results.models[0].id, results.models[-1].id
    path = f"/review/pair/{name_pair(a, b)}"
    at_once(people, lambda person: person.post("/review", a=a, b=b))

    def judge_all(person: Person) -> int:
        given = 0
        while key := re.search(r'name="showing" value="([^"]+)"', person.read_page(path)):
            choice = "skip" if given == 1 else "left" if given % 3 else "tie"
            assert person.post(path, showing=key[1], answer=choice).status_code == 200
            given += 1
        return given

    given = at_once(people, judge_all)
    votes = store.records(RecordKind.VOTE)
    assert Counter(vote["rater"] for vote in votes if vote["rater"] in PEOPLE) == dict(
        zip(PEOPLE, given, strict=True)
    )
    assert all(vote["at"] for vote in votes)
    again = Person(people[0].root, "Ann")  # another server: nothing is asked a second time
    assert "You have seen every pair" in again.read_page(path)
    board = again.client.get("/review/board/table").text
    assert f"Ann {given[0] - 2}" in board  # one was skipped, one was shown again
    assert "Agreement of raters" in board
    assert "judged the same" in board


def test_a_row_is_not_decided_against_a_decision_that_was_not_seen(
    people: list[Person], store: Store
) -> None:
    ann, bob = people
    row = re.findall(r'action="/rows/(ex-[0-9a-f]+)"', ann.read_page("/rows"))[0]
    first = ann.post(f"/rows/{row}", decision="reject", reason="wrong label", seen=0)
    assert first.status_code == 200
    refused = bob.post(f"/rows/{row}", decision="accept", seen=0)
    assert refused.status_code == 422
    assert "Ann has decided meanwhile: reject (wrong label); yours was not stored" in refused.text
    assert bob.post(f"/rows/{row}", decision="accept", reason="it is", seen=1).status_code == 200
    assert [(d.who, d.decision) for d in list_decisions(store, row)] == [
        ("Ann", "reject"),
        ("Bob", "accept"),
    ]
    words = re.sub(r"<[^>]+>", "", ann.read_page("/rows?state=accepted"))
    assert re.search(r"Ann, [^:]*:[^:]*: rejected: wrong label. It counts no more.", words)
    assert re.search(r"Bob, [^:]*:[^:]*: it is", words)


def test_a_request_is_answered_better_by_one_alone(people: list[Person]) -> None:
    response = re.findall(r'action="/write/answer/([^"]+)"', people[0].read_page("/write"))[0]
    if people[0].root != people[1].root:
        pytest.skip("each folder of a team has a file of its own")
    answers = at_once(
        people, lambda person: person.post(f"/write/answer/{response}", answer=person.name)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 422]
    told = next(answer.text for answer in answers if answer.status_code == 422)
    (row,) = read_collected(people[0].root).examples
    assert f"{row.reference} has answered this request already" in told.replace("&#39;", "'")


def test_kinds_that_two_add_at_once_both_stand(people: list[Person], store: Store) -> None:
    def add_kind(person: Person) -> int:
        mode = {"Ann": "first", "Bob": "second"}[person.name]
        return int(person.post("/read/kinds", mode=mode, by="reading", add="1").status_code)

    for person, note in zip(people, load_notes(store), strict=False):
        mode = {"Ann": "first", "Bob": "second"}[person.name]
        person.post("/read/modes", mode=mode, note=note.id)
    for _ in range(4):
        assert at_once(people, add_kind) == [200, 200]
    assert len(store.records(RecordKind.NAMED_KIND)) == 8
    kinds = {kind.name: kind.who for person in people for kind in read_kinds(person.root)}
    assert kinds == {"first": "Ann", "second": "Bob"}
    if people[0].root == people[1].root:
        assert (people[0].root / "kinds.toml").read_text().count("[[kinds]]") == 8
