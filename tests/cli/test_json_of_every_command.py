"""Every command on a finished project prints what its schema says, and no field that it does not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from finished_run import copy_run
from residency.cli.invoke import run_command_line
from residency.cli.json_schemas import make_schema
from residency.cli.json_shapes import SHAPES
from residency.results.run_results import RunResults
from residency.store.store import Store

pytestmark = pytest.mark.slow


class _Helper(BaseHTTPRequestHandler):
    """Answers each request as its schema asks, with the first word of each choice."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        schema = body.get("response_format", {}).get("json_schema", {}).get("schema", {})
        answer = {
            name: field.get("enum", ["fine"])[0]
            for name, field in schema.get("properties", {}).items()
        }
        message = {"role": "assistant", "content": json.dumps(answer) if answer else "yes"}
        raw = json.dumps(
            {
                "choices": [{"message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 5},
            }
        ).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Helper)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def write_inputs(folder: Path) -> None:
    """What some commands read: a text, traffic, and two logs of lm-eval."""
    (folder / "text.txt").write_text("A kettle boils water. It is warm. " * 30)
    (folder / "prompts.txt").write_text("I lost a red lamp\nI found a blue cup\n")
    traffic = [
        {"messages": [{"role": "user", "content": f"Where is {n}?"}, {"role": "assistant", "content": "Here."}]}
        for n in range(5)
    ]  # fmt: skip
    (folder / "traffic.jsonl").write_text("\n".join(map(json.dumps, traffic)))
    for name in ("before", "after"):
        rows = [
            {
                "doc_id": n, "doc": {"q": n}, "target": "a", "arguments": [["q"]], "resps": [["a"]],
                "filtered_resps": ["a"], "filter": "none", "metrics": ["acc"], "acc": float(n % 2),
                "doc_hash": str(n), "prompt_hash": str(n), "target_hash": "x",
            }
            for n in range(30)
        ]  # fmt: skip
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))


def list_commands(root: Path, base: Path, out: Path, url: str) -> list[list[str]]:
    """Every command that prints JSON, with the options that change its form."""
    store = Store(root, create=False)
    results = RunResults(store)
    place, issue = str(root), results.issues[0].issue.id
    model, example = results.models[-1].id, results.answers.first_examples("dev", 1)[0].id
    versions = [str(m.model.dataset) for m in results.models if m.model.dataset]
    store.close()
    train, text = str(root / "train.jsonl"), str(out / "text.txt")
    logs = [str(out / "before.jsonl"), str(out / "after.jsonl")]
    return [
        ["init", str(out / "new"), "--train", train], ["run", place], ["status", place],
        ["doctor", place], ["report", place], ["check", place], ["check", train, "--show", "2"],
        ["check", train, "--fix"], ["data", "list", place], ["data", "show", place, versions[0]],
        ["data", "diff", place, versions[0], versions[-1]],
        ["data", "export", place, versions[0], str(out / "version")],
        ["collect", place, "--limit", "2"], ["collect", place, "--documents", text],
        ["train", place], ["eval", place], ["eval", place, "--endpoint", url],
        ["diagnose", place], ["target", place, issue], ["compare", place, "base", "final"],
        ["compare", *logs], ["gate", place], ["gate", place, "--baseline", "round-1"],
        ["gate", place, "--save", str(out / "gate.json")],
        ["gate", "--before", logs[0], "--after", logs[1]], ["baseline", place],
        ["bench", place, "--tasks", "everyday", "--limit", "5", "--items"],
        ["arena", "rules", place, "base", "final"], ["arena", "judge", place, "base", "final"],
        ["arena", "board", place], ["arena", "export", place, str(out / "pairs.jsonl")],
        ["judge", "run", place, "--name", "polite", "--criterion", "Is it polite?"],
        ["chat", place, "-m", "Hello"], ["chat", place, "-m", "Hello", "--versus", "base"],
        ["trace", place, issue], ["trace", place, model], ["trace", place, example],
        ["estimate", place], ["merge", place, "--out", str(out / "merged")],
        ["export", place, "--out", str(out / "adapter"), "--format", "adapter"],
        ["base", "list"], ["base", "show", "tiny"], ["base", "fetch", "tiny"],
        ["pretrain", "--text", text, "--from", str(base), "--tokens", "500", "--out", str(out / "pre")],
        ["suite", "draft", place, "--dry-run"], ["suite", "test", place],
        ["read", place], ["read", place, "--suggest"], ["label", place, issue], ["rows", place],
        ["sweep", place, "--dry-run"],
        ["sweep", place, "--sizes", "50,100", "--seeds", "1", "--minutes", "0"],
        ["search", place, "--dry-run"],
        ["search", place, "--trials", "2", "--seeds", "1", "--confirm", "2", "--minutes", "0"],
        ["launch", place, "--slurm"], ["launch", place, "--slurm", "--out", str(out / "x.sbatch")],
        ["ingest", place, str(out / "traffic.jsonl")], ["usage", place],
        ["moderate", place, text], ["serve", place, "--vllm-command", str(out / "adapter")],
        ["skill"], ["skill", "--out", str(out / "skill.md")],
    ]  # fmt: skip


def find_words(command: list[str]) -> str:
    words = " ".join(command[:2])
    return words if words in SHAPES else command[0]


def refuse_more(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema that takes no field that is not documented."""
    strict = schema | {"additionalProperties": False}
    rows = strict["properties"].get("rows", {})
    if "items" in rows:
        closed = rows | {"items": rows["items"] | {"additionalProperties": False}}
        strict["properties"] = strict["properties"] | {"rows": closed}
    return strict


def test_no_command_prints_what_its_schema_does_not_name(
    finished_run: Path, tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_run(finished_run, tmp_path / "project")
    settings = root / "residency.toml"
    sections = "".join(f'\n[{name}]\nurl = "{url}"\n' for name in ("judge", "teacher"))
    settings.write_text(settings.read_text() + sections)
    write_inputs(tmp_path)
    commands = list_commands(root, finished_run.parent / "model", tmp_path, url)
    assert {find_words(command) for command in commands} == set(SHAPES)
    faults = []
    for command in commands:
        capsys.readouterr()
        code = run_command_line([*command, "--json"])
        told = capsys.readouterr()
        assert code in (0, 1), (command, told.err[-500:])
        body = json.loads(told.out)
        schema = make_schema(find_words(command))
        problems = list(Draft202012Validator(refuse_more(schema)).iter_errors(body))
        faults += [(command[:3], problem.message[:300]) for problem in problems]
    assert not faults, "\n".join(map(str, faults))
