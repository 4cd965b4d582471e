"""Every command prints JSON that names its shape, and the shape is documented."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from jsonschema import Draft202012Validator

from finished_run import copy_run
from residency.cli.app import COMMANDS, load_command
from residency.cli.invoke import run_command_line
from residency.cli.json_schemas import add_schema, make_schema, name_schema
from residency.cli.json_shapes import SHAPES, WITHOUT_JSON
from residency.results.run_results import RunResults
from residency.store.store import Store


def every_command() -> Iterator[tuple[str, Any]]:
    for name in COMMANDS:
        body = load_command(name)
        if isinstance(body, typer.Typer):
            for inner in body.registered_commands:
                yield f"{name} {inner.name}", inner.callback
        else:
            yield name, body


def test_every_command_has_json_or_a_reason_not_to() -> None:
    for name, function in every_command():
        has = "as_json" in inspect.signature(function).parameters
        assert has != (name in WITHOUT_JSON), name
        assert has == (name in SHAPES), f"{name}: write its fields into cli/json_shapes.py"
    known = {name for name, _ in every_command()}
    assert set(SHAPES) | set(WITHOUT_JSON) <= known


def test_the_name_of_the_shape_comes_first_and_rows_stand_in_an_object() -> None:
    words = ("data", "list")
    for text, rest in (
        ("{}", {}), ('{"a": 1}', {"a": 1}), ("[1, 2]", {"rows": [1, 2]}), (" [ ]\n", {"rows": []}),
        ('{\n "a": {"b": []}}', {"a": {"b": []}}),
    ):  # fmt: skip
        body = json.loads(add_schema(text, words))
        assert body == {"schema": "residency.data-list/1", **rest}
        assert next(iter(body)) == "schema"
    assert add_schema("[1]", ()) == "[1]"
    assert name_schema(("no", "such")) == "residency.no-such/1"


def test_what_is_printed_is_what_is_documented(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_run(finished_run, tmp_path / "p")
    store = Store(root, create=False)
    issue, model = RunResults(store).issues[0].issue.id, RunResults(store).models[-1]
    store.close()
    place, dataset = str(root), str(model.model.dataset)
    for line in (
        ["status", place], ["doctor", place], ["report", place], ["diagnose", place],
        ["compare", place, "base", "final"], ["target", place, issue], ["trace", place, issue],
        ["data", "list", place], ["data", "show", place, dataset], ["check", place],
        ["data", "export", place, dataset, str(tmp_path / "out")], ["base", "show", "tiny"],
        ["gate", place, "--baseline", "round-1"], ["eval", place], ["base", "list"], ["skill"],
        ["chat", place, "-m", "Hello"], ["run", place],
    ):  # fmt: skip
        capsys.readouterr()
        code = run_command_line([*line, "--json"])
        told = capsys.readouterr()
        assert code in (0, 1), (line, told.err)
        body = json.loads(told.out)
        words = " ".join(line[:2]) if " ".join(line[:2]) in SHAPES else line[0]
        problems = list(Draft202012Validator(make_schema(words)).iter_errors(body))
        assert not problems, (words, problems[0].message)
        shape = SHAPES[words]
        assert body.pop("schema") == f"residency.{words.replace(' ', '-')}/{shape.version}"
        if shape.row_fields:
            assert set(body) == {"rows"} and body["rows"], words
            assert set(shape.row_fields) <= set(body["rows"][0]), words
        else:  # fields may be added within a version, and none may go away
            assert set(shape.fields) <= set(body), words


def test_every_output_has_a_json_schema_that_can_be_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_command_line(["schema"]) == 0
    names = capsys.readouterr().out.split()
    assert names == [name_schema(command.split()) for command in SHAPES]
    for name, command in zip(names, SHAPES, strict=True):
        Draft202012Validator.check_schema(make_schema(command))
        assert make_schema(name) == make_schema(command)
    assert run_command_line(["schema", "data", "list"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["title"] == "residency.data-list/1"
    right = {"schema": "residency.data-list/1", "rows": []}
    assert Draft202012Validator(schema).is_valid(right)
    for wrong in ({"schema": "residency.data-list/1"}, right | {"schema": "residency.run/1"}):
        assert not Draft202012Validator(schema).is_valid(wrong)
    assert run_command_line(["schema", "nothing"]) == 2
    assert "residency schema" in capsys.readouterr().err
