"""A marker stands wherever a secret can stand; nothing that is written or printed holds it."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from finished_run import copy_run
from residency.cli.invoke import run_command_line
from residency.commands.project import Project
from residency.config.secret_url import SecretUrl
from residency.errors import ConfigError

PASSWORD, PARAMETER, KEY = "MARKER-p%40ss", "MARKER-parameter", "MARKER-key-0123456789"


class Echo(BaseHTTPRequestHandler):
    """Repeats all that it was sent, in answers and in refusals."""

    refuse = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        said = f"{self.path} {self.headers.get('authorization', '')}"
        if type(self).refuse:
            body, code = json.dumps({"error": {"message": f"not allowed: {said}"}}), 401
        else:
            choice = {"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
            body, code = json.dumps({"choices": [choice], "model": said}), 200
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{made.server_address[1]}"
    made.shutdown()
    made.server_close()


def plant(root: Path, server: str) -> str:
    """Settings with a secret in every place; gives the address of the server."""
    address = f"http://user:{PASSWORD}@{server}/v1?api_key={PARAMETER}"
    sections = "".join(
        f'\n[{name}]\nurl = "{address}"\nkey_env = "PLANTED_KEY"\nretries = 0\nmodel = "m"\n'
        for name in ("judge", "teacher", "embedding")
    )
    path = root / "residency.toml"
    path.write_text(path.read_text() + sections)
    return address


def find_marker(folder: Path) -> list[str]:
    """Files below a folder that hold a marker; the settings are the user's own."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != "residency.toml"]
    return [p.name for p in files if b"MARKER" in p.read_bytes()]


def test_pain_43_no_secret_is_written_or_printed_by_any_command(
    finished_run: Path,
    tmp_path: Path,
    server: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    root = copy_run(finished_run, tmp_path / "project")
    address = plant(root, server)
    document = tmp_path / "guide.txt"
    document.write_text("A kettle is filled with water. It is switched on. It boils.\n" * 4)
    folder, asked = str(root), ["--endpoint", address, "--endpoint-model", "m"]
    for refuse in (True, False):
        Echo.refuse = refuse
        for line in (
            ["eval", folder, *asked, "--key-env", "PLANTED_KEY"],
            ["eval", folder, *asked, "--key-env", "PLANTED_KEY", "--json"],
            [
                "baseline",
                folder,
                *asked,
                "--key-env",
                "PLANTED_KEY",
                "--limit",
                "2",
                "--latency",
                "0",
            ],
            ["judge", "run", folder, "--model", "round-1", "--limit", "2"],
            ["judge", "run", folder, "--model", "round-1", "--limit", "2", "--json"],
            ["arena", "judge", folder, "base", "round-1", "--limit", "2"],
            ["collect", folder, "--documents", str(document), "--json"],
        ):
            assert run_command_line([*line, "--debug"]) in (0, 2), line
    run_command_line(["run", folder, "--rounds", "1", "--debug"])
    run_command_line(["estimate", folder, "--debug"])
    run_command_line(["status", folder, "--json"])
    run_command_line(["report", folder])
    run_command_line(["check", folder])
    out, err = capfd.readouterr()
    assert "MARKER" not in out, out[out.index("MARKER") - 300 :][:600]
    assert "MARKER" not in err, err[err.index("MARKER") - 300 :][:600]
    assert "***" in out + err
    assert find_marker(tmp_path) == []


@pytest.mark.parametrize("password", ["MARKER", "MAR@KER", "MAR/KER", "MAR%40KER", "MAR:KER"])
def test_databases_that_do_not_answer_name_no_password(
    finished_run: Path, tmp_path: Path, password: str, capfd: pytest.CaptureFixture[str]
) -> None:
    root = copy_run(finished_run, tmp_path / "project")
    settings, text = root / "residency.toml", (root / "residency.toml").read_text()
    address = f"postgresql://bob:{password}@127.0.0.1:1/faq"
    for changed in (
        text.replace('["train.jsonl"]', f'["{address}?query=SELECT 1"]'),
        text.replace('["train.jsonl"]', f'["{address}"]'),
        text.replace("[model]", f'store = "{address}"\n[model]'),
        text.replace(
            "[model]", f'store = "{address.replace("postgresql", "postgresql+psycopg")}"\n[model]'
        ),
        text.replace("[model]", f'stor = "{address}"\n[model]'),
        text.replace("[model]", f'seed = "{address}"\n[model]'),
    ):
        assert changed != text
        settings.write_text(changed)
        for command in ("check", "run", "status", "report", "estimate", "train"):
            assert run_command_line([command, str(root), "--debug"]) in (0, 2), command
    out, err = capfd.readouterr()
    assert "MAR" not in out.replace("MARKDOWN", "")
    assert "MAR" not in err, err[err.index("MAR") - 300 :][:600]
    assert find_marker(tmp_path) == []


@pytest.mark.parametrize(
    "password",
    ["MAR/KER", "MAR/KER?x=y", "MARK?token=MARKER", "MAR@KER/x?y=MARKER", "MAR#KER?a=b", "MAR%2FK"],
)
def test_a_password_with_any_letters_is_used_and_never_shown(
    finished_run: Path,
    tmp_path: Path,
    server: str,
    password: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The server is reached with it, though addresses mean something else by these letters."""
    Echo.refuse = True
    root = copy_run(finished_run, tmp_path / "project")
    settings = root / "residency.toml"
    address = f"http://user:{password}@{server}/v1?api_key={PARAMETER}"
    text = settings.read_text() + f'\n[judge]\nurl = "{address}"\nretries = 0\nmodel = "m"\n'
    settings.write_text(text)
    line = ["judge", "run", str(root), "--model", "round-1", "--limit", "2"]
    for more in (["--debug"], ["--json"], []):
        assert run_command_line([*line, *more]) in (0, 2)
    out, err = capfd.readouterr()
    assert "MAR" not in out + err, (out + err)[(out + err).index("MAR") - 300 :][:600]
    assert "not allowed" in out + err  # the server was reached
    assert find_marker(tmp_path) == []
    shown = Project.open(root).config.judge.url
    assert shown == f"http://user:***@{server}/v1?api_key=***"


def test_an_address_may_name_an_entry_of_the_keyring(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keyring itself is the system's: here one of a single entry stands for it."""
    entries = {("judge", "bob"): "MARKER-bob"}
    stand_in = SimpleNamespace(get_password=lambda service, user: entries.get((service, user)))
    monkeypatch.setitem(sys.modules, "keyring", stand_in)
    root = copy_run(finished_run, tmp_path / "project")
    settings = root / "residency.toml"
    written = "http://bob:${keyring:judge/bob}@127.0.0.1:1/v1"
    settings.write_text(settings.read_text() + f'\n[judge]\nurl = "{written}"\n')
    config = Project.open(root).config
    assert config.judge.url == written
    assert config.judge.url.reveal() == "http://bob:MARKER-bob@127.0.0.1:1/v1"
    assert "MARKER" not in json.dumps(config.model_dump(mode="json"))
    entries.clear()
    with pytest.raises(ConfigError, match="no password of bob for judge"):
        SecretUrl(written).reveal()
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match="not installed"):
        SecretUrl(written).reveal()


def test_references_to_the_environment_are_stored_as_such(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAM_PASSWORD", "MARKER-team")
    root = copy_run(finished_run, tmp_path / "project")
    settings = root / "residency.toml"
    settings.write_text(
        settings.read_text() + '\n[judge]\nurl = "http://user:${TEAM_PASSWORD}@127.0.0.1:1/v1"\n'
    )
    config = Project.open(root).config
    assert config.judge.url == "http://user:${TEAM_PASSWORD}@127.0.0.1:1/v1"
    assert config.judge.url.reveal() == "http://user:MARKER-team@127.0.0.1:1/v1"
    assert "MARKER" not in json.dumps(config.model_dump(mode="json"))
