"""The data commands as a person or a script runs them: check, collect, data."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from chat_families import tokenizer_of
from residency.cli import terminal as display
from residency.cli.app import build_app
from residency.data.collected_rows import COLLECTED
from small import save_model, save_project


def run(command: str, *arguments: object, typed: str = "") -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(
        build_app(command), [command, *map(str, arguments)], input=typed
    )


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal wide enough that no cell breaks a sentence."""
    monkeypatch.setattr(display.console, "_width", 240)


def told(result: Result) -> str:
    """What was printed, on one line."""
    assert result.exit_code == 0, result.output + repr(result.exception)
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    return save_project(folder / "project", save_model(folder / "model"))


@pytest.fixture
def project(made: Path) -> Path:
    (made / COLLECTED).unlink(missing_ok=True)
    return made


def collected(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / COLLECTED).read_text().splitlines()]


# --- check -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a fault of several kinds, and a tokenizer beside it."""
    folder = tmp_path_factory.mktemp("faulty")
    save_model(folder / "model")
    tokenizer = tokenizer_of("chatml")
    tokenizer.save_pretrained(folder / "model")
    config = json.loads((folder / "model" / "config.json").read_text())
    config["vocab_size"] = len(tokenizer)  # no weights are read here
    (folder / "model" / "config.json").write_text(json.dumps(config))
    rows = [
        {
            "frage": f"What is written on page {n} of the book about {'abcdefghij'[n % 10] * 4}?",
            "antwort": f"Page {n} says that the window of house {n * 7} is open.",
        }
        for n in range(30)
    ]
    rows[4]["antwort"] = ""
    rows[5]["antwort"] = "I'm sorry, but I cannot help with that."
    rows[6]["antwort"] = "the window is open " * 60
    rows[7] = rows[8]
    rows[9]["frage"] += " Ask anna.smith@kettles.io."
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "rows.jsonl").write_text(text)
    (folder / "residency.toml").write_text(
        '[model]\nbase = "model"\nmax_length = 200\n[data]\ntrain = ["rows.jsonl"]\n'
        'columns = { instruction = "frage", response = "antwort" }\n'
    )
    return folder


COLUMNS = ("--column", "instruction=frage", "--column", "response=antwort")


def test_check_tells_what_is_wrong_and_where(faulty: Path) -> None:
    shown = told(run("check", faulty / "rows.jsonl", *COLUMNS, "--base", faulty / "model"))
    assert "alpaca (instruction ← frage, response ← antwort)" in shown
    assert "rows.jsonl:5" in shown and "no answer to train on" in shown
    assert "left out of train: 1 (exact duplicate)" in shown
    assert "answers that refuse 1" in shown
    assert "an••••••••io" in shown and "anna.smith" not in shown
    assert "trained; length" in shown


def test_a_file_of_unknown_columns_says_how_to_name_them(faulty: Path) -> None:
    result = run("check", faulty / "rows.jsonl")
    assert result.exit_code != 0
    assert "antwort" in str(result.exception)
    assert "columns" in str(result.exception)
    wrong = run("check", faulty / "rows.jsonl", "--column", "instruction")
    assert "--column instruction=question" in str(wrong.exception)


def test_check_reads_a_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(tmp_path / "faq.db")) as database:
        database.execute("create table faq (question text, answer text)")
        database.executemany(
            "insert into faq values (?, ?)", [(f"Where is {n}?", f"At {n}.") for n in range(12)]
        )
        database.commit()
    monkeypatch.chdir(tmp_path)
    query = "SELECT question, answer FROM faq LIMIT 9"
    shown = told(run("check", f"sqlite:///faq.db?query={query}"))
    assert "sqlite" in shown and "9 rows kept" in shown
    absolute = told(run("check", f"sqlite:///{tmp_path}/faq.db?query={query}"))
    assert "9 rows kept" in absolute


def test_check_strict_stops_at_the_row(faulty: Path) -> None:
    result = run("check", faulty, "--strict")
    assert result.exit_code != 0
    assert "rows.jsonl:5" in str(result.exception)


def test_check_of_a_project_lists_what_each_policy_costs_and_writes_lists(faulty: Path) -> None:
    shown = told(run("check", faulty))
    assert "Longer than 200 tokens: 1 row" in shown
    assert re.search(r"drop \(yours\) \W+ 1 \W+ 0 ", shown)
    folder = faulty / ".residency" / "check"
    assert "Report and lists" in shown
    report = json.loads((folder / "report.json").read_text())
    assert report["tokens"]["policies"]["drop"]["dropped"] == 1
    [reject] = [json.loads(x) for x in (folder / "rejects.jsonl").read_text().splitlines()]
    assert (reject["line"], reject["field"]) == (5, "antwort")
    [removed] = [json.loads(x) for x in (folder / "removed.jsonl").read_text().splitlines()]
    assert (removed["source"], removed["kind"]) == ("rows.jsonl:9", "exact duplicate")
    [long] = [json.loads(x) for x in (folder / "truncated.jsonl").read_text().splitlines()]
    assert (long["source"], long["action"]) == ("rows.jsonl:7", "dropped")
    assert long["tokens"] > 200 and long["lost_trained"] > 0


def test_every_reject_is_listed_however_many(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"Where is house {n}?", "completion": "" if n % 4 else "x"} for n in range(2000)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shown = told(run("check", tmp_path / "rows.jsonl", "--out", tmp_path / "lists", "--fix"))
    assert "rejected 1500" in shown
    [version] = (tmp_path / "clean").iterdir()
    for path in (tmp_path / "lists" / "rejects.jsonl", version / "dropped.jsonl"):
        lines = [json.loads(x)["line"] for x in path.read_text().splitlines() if '"line"' in x]
        assert lines == [n + 1 for n in range(2000) if n % 4]


def test_a_file_in_another_encoding_says_how_to_convert_it(tmp_path: Path) -> None:
    rows = [{"prompt": f"Wo ist die Tür {n}?", "completion": "Dort."} for n in range(9)]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "rows.jsonl").write_bytes(text.encode("latin-1"))
    result = run("check", tmp_path / "rows.jsonl")
    assert result.exit_code == 2, "no row can be used"
    shown = " ".join(result.output.split())
    assert "rejected 9: not UTF-8: byte 0xfc " in shown, "one reason, wherever the byte stands"
    assert "iconv -f WINDOWS-1252 -t UTF-8 rows.jsonl" in shown
    assert "Quality" not in shown


def test_texts_cannot_drive_the_terminal(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"Where is {n}?", "completion": "I cannot help.\x1b[2J\x1b]0;x\x07"}
        for n in "ab"
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shown = run("check", tmp_path / "rows.jsonl")
    assert "I cannot help." in shown.output
    assert "\x1b" not in shown.output and "\x07" not in shown.output


def test_check_shows_rows_with_what_is_trained(faulty: Path) -> None:
    result = run("check", faulty, "--show", 2)
    assert "tokens are trained" in told(result)
    body = json.loads(run("check", faulty, "--show", 2, "--json").stdout)
    assert len(body["shown"]) == 2
    for row in body["shown"]:
        trained = "".join(text for text, is_trained in row["pieces"] if is_trained)
        assert trained.startswith("Page ") and trained.endswith("<|im_end|>")
        assert 0 < row["trained"] < row["tokens"]


def test_check_fix_names_the_new_version_and_why_rows_went(faulty: Path) -> None:
    before = (faulty / "rows.jsonl").read_bytes()
    shown = told(run("check", faulty, "--fix"))
    assert "Cleaned version ds-" in shown
    assert "1 refusals" in shown and "1 exact duplicate" in shown
    assert (faulty / "rows.jsonl").read_bytes() == before
    [version] = (faulty / "clean").iterdir()
    again = told(run("check", version / "train.jsonl", "--base", faulty / "model"))
    assert "answers that refuse" not in again.partition("none:")[0]
    listing = told(run("data", "list", faulty))
    assert version.name in listing and "residency check --fix" in listing


# --- collect -----------------------------------------------------------------------------------


def test_collect_takes_answers_one_by_one(project: Path) -> None:
    typed = "colour: blue\ns\nd\ncolour: red\nq\n"
    shown = told(
        run("collect", project, "--model", "base", "--limit", 6, "--goal", 10, typed=typed)
    )
    assert "0 of 10 collected" in shown and "3 of 10 collected" in shown
    assert "The model:" in shown and "In your data:" in shown
    assert "3 rows added; 3 of 10 in all" in shown
    assert f"{COLLECTED} join train by themselves" in shown
    typed_row, known_row, last = collected(project)
    assert typed_row["messages"][-1]["content"] == "colour: blue"
    assert isinstance(typed_row["model_answer"], str)
    assert re.fullmatch(r"colour: \w+\nthing: \w+", known_row["messages"][-1]["content"])
    assert last["messages"][-1]["content"] == "colour: red"
    assert all(r["provenance"]["why"].startswith("person ") for r in collected(project))
    # The next call goes on where this one stopped, and never asks for a kept row again.
    more = told(run("collect", project, "--model", "base", "--limit", 6, "--goal", 4, typed="x\n"))
    assert "3 of 4 collected" in more and "1 row added; 4 of 4 in all" in more
    assert len({r["prompt_id"] for r in collected(project)}) == 4


def test_collect_takes_no_key_for_an_answer(made: Path, project: Path, tmp_path: Path) -> None:
    """Prompts without a known answer offer no [d]; typing it must not become the answer."""
    (tmp_path / "prompts.jsonl").write_text(json.dumps({"prompt": "Where is the lamp now?"}) + "\n")
    arguments = ("--model", "base", "--prompts", tmp_path / "prompts.jsonl")
    shown = told(run("collect", project, *arguments, typed="d\nIn the hall.\n"))
    assert "There is none here." in shown
    [row] = collected(project)
    assert row["messages"][-1]["content"] == "In the hall."


def test_collect_ends_with_the_input_and_keeps_what_was_given(project: Path) -> None:
    shown = told(run("collect", project, "--model", "base", "--limit", 4, typed="blue\n"))
    assert "every answer given so far is kept" in shown
    assert len(collected(project)) == 1


def test_collect_json_asks_nothing(project: Path) -> None:
    result = run("collect", project, "--model", "base", "--limit", 5, "--json")
    items = json.loads(result.stdout)["rows"]
    assert len(items) == 5
    assert all({"example", "answer", "failures", "score"} == set(item) for item in items)
    scores = [item["score"] for item in items if item["score"] is not None]
    assert scores == sorted(scores)
    assert not (project / COLLECTED).exists()


def test_collect_from_templates(project: Path) -> None:
    (project / "t.toml").write_text(
        '[slots]\nthing = ["kettle", "lamp", "oven", "radio"]\n[[template]]\n'
        'instruction = "Say which thing it is, in one word, for the shop\'s own list."\n'
        'input = "It is the {thing} that was named in the letter of today."\n'
        'response = "{thing}"\n'
    )
    body = json.loads(
        run("collect", project, "--templates", project / "t.toml", "--limit", 4, "--json").stdout
    )
    assert body["added"] + len(body["refused"]) == 4
    assert body["added"] == len(collected(project)) > 0
    shown = told(run("collect", project, "--templates", project / "t.toml", "--limit", 4))
    assert "0 rows added, 4 left out" in shown


# --- data --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A project and two versions of its rows."""
    folder = tmp_path_factory.mktemp("versions")
    project = save_project(folder / "project", save_model(folder / "model"))
    assert run("check", project, "--fix").exit_code == 0
    [first] = (project / "clean").iterdir()
    lines = (project / "train.jsonl").read_text().splitlines()
    extra = {"instruction": "Say what the new row is for.", "response": "To be a new row."}
    (project / "train.jsonl").write_text("\n".join([*lines[1:], json.dumps(extra)]) + "\n")
    assert run("check", project, "--fix").exit_code == 0
    [second] = set((project / "clean").iterdir()) - {first}
    return project, first, second


def test_an_id_is_never_cut(
    versions: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display.console, "_width", 60)
    assert versions[1].name in told(run("data", "list", versions[0]))


def test_data_list_show_and_diff(versions: tuple[Path, Path, Path]) -> None:
    project, first, second = versions
    listed = json.loads(run("data", "list", project, "--json").stdout)["rows"]
    assert {v["id"] for v in listed} == {first.name, second.name}
    assert first.name in told(run("data", "list", project))

    shown = told(run("data", "show", project, first.name[:10], "--limit", 2))
    size = next(v["rows"] for v in listed if v["id"] == first.name)
    assert f"{first.name}: {size} rows" in shown
    assert "Name colour and thing." in shown and "→ colour:" in shown
    body = json.loads(run("data", "show", project, first, "--json").stdout)
    assert len(body["rows"]) == size and body["settings"]["max_length"] == 256

    changed = told(run("data", "diff", project, first.name, second.name))
    assert f"{first.name} → {second.name}: 1 added, 1 removed" in changed
    assert "Say what the new row is for." in changed
    body = json.loads(run("data", "diff", project, first, second, "--json").stdout)
    assert len(body["added"]) == len(body["removed"]) == 1
    assert (
        body["removed"][0]
        in json.loads(run("data", "show", project, first, "--json").stdout)["rows"]
    )


def test_data_export_can_be_read_again(versions: tuple[Path, Path, Path], tmp_path: Path) -> None:
    project, first, _ = versions
    place = told(run("data", "export", project, first.name, tmp_path / "out"))
    body = json.loads(run("data", "show", project, Path(place.replace(" ", "")), "--json").stdout)
    assert body["id"] == first.name
    none = run("data", "show", project, "ds-ffff")
    assert none.exit_code != 0
    assert "0 versions begin with 'ds-ffff'" in str(none.exception)
