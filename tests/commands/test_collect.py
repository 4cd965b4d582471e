"""Collecting better answers: people, templates, a teacher served by ourselves."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from residency.commands.collect import Item, collect_answers, find_worst_answers
from residency.commands.make_rows import generate_rows
from residency.commands.project import Project
from residency.config.endpoint import EndpointConfig
from residency.data.collected_rows import COLLECTED, read_collected
from residency.data.corpus import load_corpus
from residency.errors import DataError
from residency.http.endpoint_generator import EndpointGenerator
from residency.nouns.example import Example, Message
from residency.targeting.teacher import write_from_documents
from residency.targeting.templates import fill_templates
from small import make_rows, save_model, save_project

TEMPLATES = """
[slots]
thing = [{name = "kettle", fault = "leaks"}, {name = "lamp", fault = "flickers"}, {name = "oven", fault = "smokes"}]
opening = ["Hello,", "Good morning,", "Dear team,"]

[[template]]
instruction = "Write the ticket."
input = "{opening} my {thing.name} {thing.fault}."
response = "product: {thing.name}"
tags = ["product={thing.name}"]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project with a random model."""
    folder = tmp_path_factory.mktemp("collect")
    return save_project(folder / "project", save_model(folder / "model"))


@pytest.fixture
def project(made: Path) -> Project:
    (made / COLLECTED).unlink(missing_ok=True)
    return Project.open(made)


class Teacher(BaseHTTPRequestHandler):
    """An OpenAI-compatible endpoint that makes two pairs of any text, and fails on some."""

    asked: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body)
        text = body["messages"][-1]["content"].partition("Text:\n")[2]
        answer = "I would rather talk about the weather."
        if "weather" not in text:
            word = text.split()[-1].strip(".")
            pairs = [
                {
                    "instruction": f"What is said of {word} in the handbook of the shop?",
                    "response": text,
                },
                {"instruction": f"Name the subject, {word} or another.", "response": word},
                {"instruction": "", "response": "no question"},
            ]
            answer = f"Here you are:\n```json\n{json.dumps(pairs)}\n```"
        reply = json.dumps(
            {
                "choices": [
                    {"message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}
                ]
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


@pytest.fixture
def teacher() -> Iterator[EndpointGenerator]:
    Teacher.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Teacher)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    with EndpointGenerator(EndpointConfig(url=url, model="wise")) as generator:
        yield generator
    server.shutdown()
    server.server_close()
    thread.join()


def test_templates_fill_different_rows_and_repeat_with_the_seed(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_text(TEMPLATES)
    rows = fill_templates(path, 9, seed=1)
    assert len({e.id for e in rows}) == 9
    assert rows == fill_templates(path, 9, seed=1)
    assert {e.why for e in rows} == {"template"}
    for row in rows:
        product = row.tags[0].removeprefix("product=")
        # Parts of one slot belong together.
        assert product in row.prompt_text
        assert row.reference == f"product: {product}"
        assert ("leaks" in row.prompt_text) == (product == "kettle")
    with pytest.raises(DataError, match="only 9 different rows"):
        fill_templates(path, 10)
    path.write_text('[slots]\nx = "abc"\n[[template]]\ninstruction = "{x}"\nresponse = "r"\n')
    with pytest.raises(DataError, match="slot 'x' is not a list of values"):
        fill_templates(path, 1)
    path.write_text(TEMPLATES.replace("{opening}", "{start}"))
    with pytest.raises(DataError, match=r"unknown slot \{start\}"):
        fill_templates(path, 1)


def test_a_teacher_turns_documents_into_pairs(teacher: EndpointGenerator) -> None:
    documents = [
        Example((Message("assistant", f"The handbook speaks of {word}."),), source=f"{word}.txt:1")
        for word in ("kettles", "weather", "lamps")
    ]
    taught = write_from_documents(documents, teacher, "wise@local", pairs=2)
    assert [
        (e.reference, e.source, e.why)
        for e in taught.examples
        if e.reference in ("kettles", "lamps")
    ] == [
        ("kettles", "kettles.txt:1", "teacher wise@local"),
        ("lamps", "lamps.txt:1", "teacher wise@local"),
    ]
    assert len(taught.examples) == 4
    assert [f.source for f in taught.failed] == ["weather.txt:1"]
    assert all(body["model"] == "wise" for body in Teacher.asked)


def test_synthesise_keeps_provenance_and_counts(
    project: Project, teacher: EndpointGenerator, tmp_path: Path
) -> None:
    (tmp_path / "t.toml").write_text(TEMPLATES)
    for word in ("kettles", "weather"):
        (tmp_path / f"{word}.txt").write_text(f"The handbook of the shop speaks of {word}.")
    made = generate_rows(
        project,
        documents=[str(tmp_path / "kettles.txt"), str(tmp_path / "weather.txt")],
        templates=tmp_path / "t.toml",
        teacher=teacher,
        teacher_name="wise@local",
        count=4,
    )
    assert made.added == made.total == 6 - len(made.refused)
    assert made.added > 0
    assert [f.source.rpartition("/")[2] for f in made.failed] == ["weather.txt:1"]
    origins = read_collected(project.root).origins
    assert len(origins) == made.added
    assert set(origins) == {"teacher", "template"}
    again = generate_rows(project, templates=tmp_path / "t.toml", count=4)
    assert again.added == 0, "the same rows are not added twice"


def test_generated_rows_near_dev_or_test_never_get_in(project: Project, tmp_path: Path) -> None:
    leak = project.split("test")[0]
    words = leak.messages[-2].input
    (tmp_path / "t.toml").write_text(
        f'[[template]]\ninstruction = "Name colour and thing."\ninput = "{words}"\nresponse = "x"\n'
    )
    made = generate_rows(project, templates=tmp_path / "t.toml", count=1)
    assert made.added == 0
    assert len(made.refused) == 1


def test_people_see_the_worst_first_and_every_answer_is_kept(project: Project) -> None:
    items = find_worst_answers(project, model="base", rows=8)
    assert len(items) == 8
    scores = [i.score for i in items if i.score is not None]
    assert scores == sorted(scores)
    pool = {e.id for e in project.split("pool")}
    assert all(i.example.id in pool for i in items), "dev and test are never shown"
    seen: list[Item] = []

    def ask(item: Item, total: int) -> str | None:
        seen.append(item)
        assert total == len(lines())
        return ["A better answer.", "", "Another answer.", None][len(seen) - 1]

    def lines() -> list[str]:
        path = project.root / COLLECTED
        return path.read_text().splitlines() if path.exists() else []

    result = collect_answers(project, items, ask, author="ada")
    assert (result.added, result.skipped, result.total) == (2, 1, 2)
    assert [i.example.id for i in seen] == [i.example.id for i in items[:4]]
    row = json.loads(lines()[0])
    assert row["messages"][-1]["content"] == "A better answer."
    assert row["model_answer"] == (items[0].response.text or None)
    assert row["provenance"]["why"] == "person ada"
    assert row["provenance"]["model"] == items[0].response.model
    # What was answered is not asked again.
    assert {i.example.id for i in find_worst_answers(project, model="base", rows=8)}.isdisjoint(
        {items[0].example.id, items[2].example.id}
    )
    _assert_collected_rows_are_trained(project, 2)


def _assert_collected_rows_are_trained(project: Project, count: int) -> None:
    """They are in train and nowhere else, even when the file is named or everything is split off."""
    data = project.config.data
    for settings in (
        data,
        data.model_copy(update={"train": [*data.train, COLLECTED]}),
        data.model_copy(update={"dev": [], "test": [], "pool": []}),
        data.model_copy(update={"limit": {"train": 5}}),
    ):
        corpus = load_corpus(project.config.model_copy(update={"data": settings}), project.root)
        rows = [e for e in corpus.examples if e.source.startswith(COLLECTED)]
        assert {e.split for e in rows} == {"train"}
        # Rows that are split off to dev may lie near a collected one, which then gives way.
        gone = [r for r in corpus.removed if r.source.startswith(COLLECTED)]
        assert {r.kind for r in gone} <= {"contamination"}
        assert len(rows) + len(gone) == count
        assert not gone or settings.dev == []
        assert all(e.why for e in rows)
        people = [e for e in rows if e.why.startswith("person")]
        assert all("in place of an answer of" in e.why and e.rejected for e in people)


def test_rows_of_templates_join_train_and_never_dev_or_test(
    project: Project, tmp_path: Path
) -> None:
    (tmp_path / "t.toml").write_text(TEMPLATES)
    made = generate_rows(project, templates=tmp_path / "t.toml", count=6)
    assert made.added > 0
    _assert_collected_rows_are_trained(project, made.added)


def test_the_goal_ends_the_walk(project: Project) -> None:
    items = find_worst_answers(project, model="base", rows=5)
    result = collect_answers(project, items, lambda item, total: f"Answer {total}.", goal=3)
    assert (result.added, result.total, result.goal) == (3, 3, 3)
    assert collect_answers(project, items, lambda item, total: "more", goal=3).added == 0


def test_prompts_of_a_file_take_the_place_of_the_pool(project: Project, tmp_path: Path) -> None:
    rows = make_rows(3, "pool", seed=99)
    fresh = [{k: r[k] for k in ("instruction", "input")} for r in rows]
    leak = project.split("dev")[0].messages[-2]
    fresh.append({"instruction": leak.content, "input": leak.input})
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in fresh))
    items = find_worst_answers(project, model="base", prompts=path)
    assert leak.input not in {i.example.messages[-1].input for i in items}
    assert all(i.reference is None for i in items)


def test_a_damaged_line_is_told_and_blocks_nothing(project: Project) -> None:
    items = find_worst_answers(project, model="base", rows=3)
    collect_answers(project, items, lambda item, total: f"Answer {total}.", goal=1)
    path = project.root / COLLECTED
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])  # the machine stopped while it wrote
    result = collect_answers(project, items[1:], lambda item, total: f"Answer {total}.", goal=2)
    assert result.total == 2
    lines = path.read_bytes().split(b"\n")
    assert lines[1] == whole[:40], "nothing is thrown away"
    corpus = load_corpus(project.config, project.root)
    answers = [e.reference for e in corpus.examples if e.source.startswith(COLLECTED)]
    assert answers == ["Answer 0.", "Answer 1."]
    assert any(f"{COLLECTED}:2 cannot be read" in note for note in corpus.notes)
