"""What a person does on the pages: rows decided, models compared, files turned into a project."""

from __future__ import annotations

import itertools
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from fastapi.testclient import TestClient
from markupsafe import escape

from finished_run import EVIL, copy_run, spoil_answers
from residency.commands.project import Project
from residency.project.opened_settings import read_config_as_opened
from residency.project.row_decisions import read_decisions
from residency.project.settings_file import read_config
from residency.report.word_difference import mark_difference
from residency.results.model_comparison import ANY, compare_models, load_compared_answers
from residency.results.next_actions import count_further_rounds, list_next_actions
from residency.results.primary_change import compare_stored_primary, describe_primary
from residency.results.row_review import list_drawn_rows
from residency.results.run_results import RunResults
from residency.store.record_kind import RecordKind
from residency.store.store import Store
from residency.web.app import create_app
from residency.web.pages import comparison, live_run
from residency.web.uploads import safe_file_name

LOCAL = "http://127.0.0.1:8642"
EVIL_NAME = 'x"><img src=q onerror=alert(1)>'


@pytest.fixture(scope="module")
def root(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = copy_run(finished_run, tmp_path_factory.mktemp("bench") / "project")
    spoil_answers(copy, EVIL)
    return copy


@pytest.fixture(scope="module")
def client(root: Path) -> TestClient:
    return TestClient(create_app(root), base_url=LOCAL)


def post(client: TestClient, address: str, **data: str) -> Any:
    token = client.get("/token").json()["token"]
    headers = {"X-CSRF-Token": token, "HX-Request": "true"}
    return client.post(address, data=data, headers=headers, follow_redirects=False)


def test_a_row_is_rejected_on_the_page_and_the_decision_is_appended(
    client: TestClient, root: Path
) -> None:
    store = Store(root, create=False)
    drawn = [r for r in list_drawn_rows(RunResults(store)) if r.state == "undecided"]
    assert drawn
    key = drawn[0].proposal.example.id
    page = client.get("/rows").text
    assert f'id="row-{key}"' in page and "how near to dev and test" in page
    answer = post(client, f"/rows/{key}", decision="reject", reason=EVIL)
    assert answer.status_code == 200, answer.text
    assert "rejected" in answer.text and EVIL not in answer.text
    assert read_decisions(store)[key].decision == "reject"
    post(client, f"/rows/{key}", decision="accept")
    decisions = store.records(RecordKind.ROW_DECISION, key)
    assert [d["decision"] for d in decisions] == ["reject", "accept"]  # both are kept
    assert all(d["who"] and d["at"] for d in decisions)
    assert client.get("/rows", params={"state": "accepted"}).text.count("data-item") == 1
    for wrong in ("", "delete", EVIL):
        answer = post(client, f"/rows/{key}", decision=wrong)
        assert answer.status_code == 422
        assert EVIL not in answer.text


def test_a_texts_of_the_sealed_test_are_not_on_the_page_of_rows(
    client: TestClient, root: Path
) -> None:
    store = Store(root, create=False)
    run = store.latest_run()
    assert run
    dev = {e.prompt[-1].text for e in store.corpus(run, "dev")}
    sealed = [e.prompt[-1].input for e in store.corpus(run, "test")]
    assert dev and sealed
    text = client.get("/rows").text
    assert [prompt for prompt in sealed if prompt and prompt in text] == []


def test_two_models_are_compared_flipped_items_first_with_an_interval_beside_each_difference(
    client: TestClient, root: Path
) -> None:
    results = RunResults(Store(root, create=False))
    first, last = results.models[0].id, results.final_id
    compared = compare_models(results, first, last)
    flips = [item.flip for item in compared.items]
    changed = [flip in ("fixed", "broken", "fails otherwise") for flip in flips]
    assert changed == sorted(changed, reverse=True)
    assert len(flips) == len(results.answers.positions("dev"))
    whole = compared.kinds[ANY]
    assert (whole.counts.fixed, whole.counts.broken) == (
        flips.count("fixed"),
        flips.count("broken"),
    )
    assert whole.low <= whole.counts.delta <= whole.high
    same = compare_models(results, last, last)
    assert not {item.flip for item in same.items} & {"fixed", "broken", "fails otherwise"}
    assert same.kinds[ANY].counts.delta == 0
    page = client.get("/compare", params={"before": first, "after": last}).text
    assert page.count("<article") == min(10, len(flips))
    assert EVIL not in page and "&lt;script&gt;" in page
    shown = load_compared_answers(results, compared.items[:10])
    assert [own.example.id for own in shown] == re.findall(r'href="/items/([^"]+)"', page)
    assert client.get("/compare", params={"before": "m-none", "after": last}).status_code == 404
    chosen = {"before": first, "after": last}
    told = client.get("/compare/metric", params=chosen).text
    for one, other in itertools.permutations([model.id for model in results.models], 2):
        graded = Project.open(root).compare(one, other).primary
        assert compare_stored_primary(results, one, other) == graded  # to the last digit
    line = describe_primary(Project.open(root).compare(first, last).primary)
    assert line[1:] in told and "judged in both" in line, "the page says what the command says"
    assert client.get("/compare/metric", params={**chosen, "before": "m-none"}).status_code == 404


def test_a_changed_setting_is_followed_by_the_sentence_of_two_models(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the run judged stands only while it would judge the same today."""
    root = copy_run(finished_run, tmp_path / "project")
    models = RunResults(Store(root, create=False)).models
    chosen = {"before": models[0].id, "after": models[-1].id}
    stored: list[str] = []

    def compare(results: RunResults, before: str, after: str) -> dict[str, object] | None:
        stored.append(before)
        return compare_stored_primary(results, before, after)

    monkeypatch.setattr(comparison, "compare_stored_primary", compare)
    fresh = TestClient(create_app(root), base_url=LOCAL)
    assert "judged in both" in fresh.get("/compare/metric", params=chosen).text
    assert stored == [models[0].id]
    settings = root / "residency.toml"
    text = settings.read_text(encoding="utf-8")
    changed = text.replace("[evaluate]\n", '[evaluate]\nreduce = "any"\n', 1)
    assert changed != text
    settings.write_text(changed, encoding="utf-8")
    assert "judged in both" in fresh.get("/compare/metric", params=chosen).text
    assert stored == [models[0].id], "graded under the new setting"


def test_pages_speak_of_the_base_that_the_last_run_was_started_with(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copy_run(finished_run, tmp_path / "project")
    settings = root / "residency.toml"
    base = read_config(root).model.base
    settings.write_text(settings.read_text().replace(base, "tiny"))
    store = Store(root, create=False)
    runs, latest = store.runs(), store.latest_run()
    assert latest is not None
    with store.writer("run"):
        opened = {"base": base, "base_in_settings": "tiny"}  # as `residency run --base` leaves it
        store.add_record(RecordKind.RUN_OPENED, latest, opened)
    results = RunResults(store)
    fresh = TestClient(create_app(root), base_url=LOCAL)
    chosen = {"before": results.models[0].id, "after": results.final_id}
    assert "judged in both" in fresh.get("/compare/metric", params=chosen).text
    assert Store(root, create=False).runs() == runs, "reading opens no run of another base"
    assert base in fresh.get("/start").text
    asked: list[list[str]] = []
    monkeypatch.setattr(live_run, "start_run", lambda root, options: asked.append(options))
    token = fresh.get("/token").json()["token"]
    for more in ({}, {"by_settings": "yes"}):
        fresh.post("/run/start", data={"csrf": token, **more}, follow_redirects=False)
    assert asked == [["--base", base], []]


def test_pages_and_commands_go_on_with_the_options_of_the_last_run(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what they judge belongs to a run of other settings, and no page shows it."""
    root = copy_run(finished_run, tmp_path / "project")
    rounds = read_config(root).rounds.max
    opened = Project.open(root, overrides={"rounds.max": rounds + 1}, as_opened=False)
    run = opened.open_run()
    assert run != Project.open(root, as_opened=False).run_id
    assert Project.open(root).run_id == run
    assert read_config_as_opened(root).rounds.max == rounds + 1
    (go_on, *_) = list_next_actions(RunResults(opened.store))
    assert go_on.write_command() == f"residency run --rounds {rounds + 1}"
    asked: list[list[str]] = []
    monkeypatch.setattr(live_run, "start_run", lambda root, options: asked.append(options))
    fresh = TestClient(create_app(root), base_url=LOCAL)
    for more in ({}, {"rounds": "7"}, {"by_settings": "yes"}):
        post(fresh, "/run/start", **more)
    assert asked == [["--rounds", str(rounds + 1)], ["--rounds", "7"], []]
    settings = root / "residency.toml"
    document = tomlkit.parse(settings.read_text())
    document.setdefault("rounds", tomlkit.table())["max"] = rounds + 2  # said otherwise since
    settings.write_text(tomlkit.dumps(document))
    assert read_config_as_opened(root).rounds.max == rounds + 2


def test_of_many_items_the_page_comes_before_they_are_compared(
    client: TestClient, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = RunResults(Store(root, create=False))
    chosen = {"before": results.models[1].id, "after": results.final_id}
    monkeypatch.setattr("residency.web.pages.comparison.AT_ONCE", 1)
    fresh = TestClient(create_app(root), base_url="http://127.0.0.1:8642")
    waiting = fresh.get("/compare", params=chosen).text
    assert "are being compared" in waiting and "<article" not in waiting
    work = re.search(r'hx-get="([^"]+)"', waiting)
    assert work is not None
    done = fresh.get(work[1].replace("&amp;", "&"))
    assert done.url.path == "/compare" and "<article" in done.text
    assert "<article" in fresh.get("/compare", params=chosen).text, "it is remembered"
    monkeypatch.setattr("residency.web.pages.overview.AT_ONCE", 1)
    assert "is being written" in fresh.get("/report").text
    assert "residency report" in fresh.get("/report/work").text
    assert "residency report" in fresh.get("/report").text


@pytest.mark.parametrize(
    ("before", "after"),
    [("a b c", "a x c"), ("", "new"), ("same", "same"), ("<b>x</b>", "<i>x</i>"), ("a\nb", "a b")],
)
def test_a_difference_word_by_word_holds_both_texts_whole(before: str, after: str) -> None:
    old, new = mark_difference(before, after)
    for text, marked, tag in ((before, old, "del"), (after, new, "ins")):
        assert re.sub(rf"</?{tag}>", "", str(marked)) == str(
            marked.__class__("{}").format(text)
        )  # without marks it is the escaped text
    assert ("<del>" in old or "<ins>" in new) == (before != after)


def test_what_comes_next_is_three_actions_with_reasons_the_same_in_status_and_pages(
    client: TestClient, root: Path
) -> None:
    actions = list_next_actions(RunResults(Store(root, create=False)))
    assert 1 <= len(actions) <= 3
    assert [a.weight for a in actions] == sorted((a.weight for a in actions), reverse=True)
    for path in ("/", "/issues", "/items", "/rows", "/runs", "/start", "/run"):
        text = client.get(path).text
        assert text.count('class="next"') == 1, path
        for action in actions:
            assert escape(action.write_command(str(root))) in text, path
    assert [a.reason for a in actions if not a.reason] == []
    # Whoever is told to read is led to answers, in the terminal as on the page.
    for action in actions:
        if action.title.startswith("Read what fails"):
            assert action.command.split()[0] in ("label", "read")
    assert "Go on with the run" not in {a.title for a in actions}  # it is complete


def test_an_empty_folder_becomes_a_project_by_a_file_and_a_mapping(tmp_path: Path) -> None:
    rows = "frage,antwort\n" + "".join(f"What is {n}?,It is {n * 7}.\n" for n in range(90))
    client = TestClient(create_app(tmp_path), base_url=LOCAL)
    assert client.get("/", follow_redirects=True).url.path == "/start"
    token = client.get("/token").json()["token"]
    headers = {"X-CSRF-Token": token, "HX-Request": "true"}
    upload = {"upload": ("../../faq 1.csv", rows, "text/csv")}
    seen = client.post("/start/file", files=upload, headers=headers)
    assert seen.status_code == 200 and "frage" in seen.text
    kept = tmp_path / "data" / "faq_1.csv"
    assert kept.read_text() == rows
    client.post("/start/file", files=upload, headers=headers)
    assert [p.name for p in kept.parent.iterdir()] == ["faq_1.csv"]  # dropped twice, kept once
    columns = {"path": str(kept), "column-question": "frage", "column-response": "antwort"}
    mapped = client.post("/start/columns", data=columns, headers=headers)
    assert "What is 0?" in mapped.text and "Make the project" in mapped.text
    made = client.post("/start/make", data=columns, headers=headers, follow_redirects=False)
    assert made.headers.get("HX-Redirect") == "/start", made.text
    config = read_config(tmp_path)
    assert config.data.columns == {"question": "frage", "response": "antwort"}
    assert "1. The data" in client.get("/start").text


def test_a_cleaned_copy_is_offered_only_for_rows_that_it_leaves_out(tmp_path: Path) -> None:
    """A row that may stay in dev is told, and no button is shown that would change nothing."""
    words = random.Random(0)
    for split in ("train", "dev", "test"):
        texts = ["".join(words.choices("abcdefgh    ", k=40)) for _ in range(40)]
        rows = [(f"{text}?", text[::-1]) for text in texts]
        if split == "train":
            rows.append(rows[0])
        if split == "dev":
            rows.append(("Where is the desk of [INSERT NAME]?", "The desk of [INSERT NAME]."))
        lines = [json.dumps({"question": q, "answer": a}) for q, a in rows]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))
    client = TestClient(create_app(tmp_path), base_url=LOCAL)
    made = post(client, "/start/make", path="train.jsonl", dev="dev.jsonl", test="test.jsonl")
    assert made.headers.get("HX-Redirect") == "/start", made.text
    page = client.get("/start/check").text
    assert "1 row of train: exact duplicate" in page and "Write a cleaned copy" in page
    assert "A cleaned copy lies in" in post(client, "/start/clean").text
    page = client.get("/start/check").text
    assert "placeholders never filled in" in page and "Write a cleaned copy" not in page
    Project.open(tmp_path).open_run()
    why = client.get("/data/left-out").text
    assert "Left out when the copy was cleaned" in why and "train.jsonl:41" in why, why


def test_a_finding_that_is_not_ticked_stays_in_the_cleaned_copy(tmp_path: Path) -> None:
    rows = [(f"Where is box {n}?", f"Box {n} stands on shelf {n * 7 % 31}.") for n in range(60)]
    rows += [(f"Who has key {n}?", f"Ask [INSERT NAME] at desk {n}.") for n in range(4)]
    rows += [(f"May I have coin {n}?", "I'm sorry, but I cannot help with that.") for n in range(4)]
    for split in ("dev", "test"):
        lines = [json.dumps({"question": q, "answer": a}) for q, a in rows[:20]]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines).replace("box", split))
    lines = [json.dumps({"question": q, "answer": a}) for q, a in rows]
    (tmp_path / "train.jsonl").write_text("\n".join(lines))
    client = TestClient(create_app(tmp_path), base_url=LOCAL)
    post(client, "/start/make", path="train.jsonl", dev="dev.jsonl", test="test.jsonl")
    page = client.get("/start/check").text
    kinds = re.findall(r'name="leave_out" value="(\w+)" checked', page)
    assert sorted(kinds) == ["placeholders", "refusals"], page
    token = client.get("/token").json()["token"]
    ticked = {"optional": kinds, "leave_out": ["refusals"]}
    cleaned = client.post("/start/clean", data=ticked, headers={"X-CSRF-Token": token}).text
    (train,) = read_config(tmp_path).data.train
    text = (tmp_path / train).read_text()
    assert "INSERT NAME" in text and "cannot help" not in text
    assert train in cleaned  # the page names the files that the project uses now
    unknown = {"optional": ["duplicates"]}
    refused = client.post("/start/clean", data=unknown, headers={"X-CSRF-Token": token})
    assert refused.status_code == 422 and "refusals" in refused.text


def test_a_run_that_ended_before_its_last_round_is_not_told_to_go_on(root: Path) -> None:
    """More rounds would change nothing: the same settings find the same end."""
    results = RunResults(Store(root, create=False))
    most = int(results.settings["rounds"]["max"])
    done = max(model.number for model in results.models)
    assert count_further_rounds(results) == (done + 1 if done >= most else 0)
    results.models = [model for model in results.models if model.number < most]
    assert count_further_rounds(results) == 0
    assert "Train another round" not in {action.title for action in list_next_actions(results)}


def test_a_store_that_is_deleted_beneath_the_server_is_neither_shown_nor_written(
    root: Path, tmp_path: Path
) -> None:
    own = copy_run(root, tmp_path / "project")
    client = TestClient(create_app(own), base_url=LOCAL, follow_redirects=False)
    assert client.get("/issues").status_code == 200
    (own / ".residency").rename(tmp_path / "aside")
    assert client.get("/issues").headers["location"] == "/start"
    refused = post(client, "/read/sample", model="m-none", count="5")
    assert refused.status_code in (404, 422)
    (tmp_path / "aside").rename(own / ".residency")
    assert client.get("/issues").status_code == 200


def test_next_is_told_before_there_is_a_project_and_before_its_first_run(tmp_path: Path) -> None:
    client = TestClient(create_app(tmp_path), base_url=LOCAL)
    assert "residency init" in client.get("/start").text.split('class="next"')[1]
    rows = [{"question": f"What is {n}?", "answer": f"It is {n * 7}."} for n in range(90)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    post(client, "/start/make", path="rows.jsonl")
    for path in ("/start", "/run", "/sweep"):
        box = client.get(path).text.split('class="next"')[1]
        assert box.index("Start the run") < box.index("wrong with the data"), path
        assert "residency suite test" in box, path


def test_a_page_of_another_project_gets_no_token_for_the_one_chosen_since(
    root: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        copy_run(root, tmp_path / name)
    client = TestClient(create_app(tmp_path), base_url=LOCAL)
    marks = []
    for name in ("one", "two"):
        post(client, "/start/project", name=name)
        (mark,) = re.findall(r'data-project="(\w+)"', client.get("/issues").text)
        assert client.get("/token").json()["project"] == mark
        marks.append(mark)
    assert marks[0] != marks[1]


def test_start_shows_what_the_suite_passes_and_drafts_another_beside_it(tmp_path: Path) -> None:
    rows = [{"question": f"What is {n}?", "answer": f"It is {n * 7}, no more."} for n in range(90)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    client = TestClient(create_app(tmp_path), base_url=LOCAL)
    post(client, "/start/make", path="rows.jsonl")
    suite = tmp_path / "suite.toml"
    before = suite.read_text()
    page = client.get("/start/suite").text
    for words in ("the reference with its statements turned around", "another row", "suite.toml"):
        assert words in page, words
    assert "residency suite draft" in page
    drafted = post(client, "/start/suite").text
    assert "suite-2.toml was written" in drafted and "the reference itself" in drafted
    assert read_config(tmp_path).evaluate.suite == "suite-2.toml"
    assert suite.read_text() == before


def test_a_file_that_is_not_there_or_no_table_is_told_and_nothing_is_made(tmp_path: Path) -> None:
    client = TestClient(create_app(tmp_path), base_url=LOCAL)
    for path in ("nothing.csv", "", "\x00", EVIL_NAME):
        answer = post(client, "/start/file", path=path)
        assert answer.status_code == 422, path
        assert "<img" not in answer.text
    (tmp_path / "bad.jsonl").write_text("{not json\n")
    post(client, "/start/make", path="bad.jsonl")
    assert not (tmp_path / "residency.toml").exists()


def test_several_projects_are_listed_and_one_is_chosen(root: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        copy_run(root, tmp_path / name)
    client = TestClient(create_app(tmp_path), base_url=LOCAL)
    page = client.get("/").text
    assert ">one</button>" in page and ">two</button>" in page
    post(client, "/start/project", name="two")
    assert "Rounds" in client.get("/").text
    assert post(client, "/start/project", name="../other").status_code == 422


@pytest.mark.parametrize(
    ("given", "name"),
    [("a.csv", "a.csv"), ("../../etc/x.csv", "x.csv"), ("C:\\d\\r 1.csv", "r_1.csv"), (".a", "a")],
)
def test_a_dropped_files_name_leads_nowhere_else(given: str, name: str) -> None:
    assert safe_file_name(given) == name


def test_a_name_of_a_person_is_text_wherever_it_is_shown(client: TestClient) -> None:
    answer = post(client, "/person", person=EVIL_NAME, back="/items?page=2")
    assert answer.headers["HX-Redirect"] == "/items?page=2"
    for outside in ("//other.example/x", "https://other.example", "/\\other.example"):
        assert post(client, "/person", person="A", back=outside).headers["HX-Redirect"] == "/"
    post(client, "/person", person=EVIL_NAME)
    page = client.get("/start").text
    assert "<img" not in page and "&lt;img" in page
    post(client, "/person", person="Ada")


def test_the_script_and_style_are_small_and_load_nothing(client: TestClient) -> None:
    script, style = client.get("/residency.js").text, client.get("/style.css").text
    assert len(script.encode()) + len(style.encode()) < 300_000
    for text in (script, style):
        assert "http://" not in text and "https://" not in text and "@import" not in text
    assert "eval(" not in script
    assert json.dumps(script)
