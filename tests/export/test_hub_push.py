"""Pushing to the hub: only when asked, the token from the environment, and in no text."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from residency.errors import ConfigError, FetchError
from residency.export.hub_push import check_repository, push_folder, read_hub_token

TOKEN = "hf_planted0123456789secret"


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as a small upload asks for."""

    status = 200
    asked: list[tuple[str, str, dict[str, object]]]

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Transfer-Encoding") == "chunked":
            raw = self._read_chunks()
        Hub.asked.append((self.path, self.headers.get("Authorization", ""), {"raw": raw}))
        answer: dict[str, object] = {}
        address = f"http://{self.headers['Host']}/me/model"
        if self.path == "/api/repos/create":
            answer = {"url": address, "id": "x", "name": "me/model"}
        elif self.path.endswith("/preupload/main"):
            files = json.loads(raw)["files"]
            answer = {
                "files": [
                    {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for f in files
                ]
            }
        elif self.path.endswith("/commit/main"):
            answer = {
                "commitUrl": f"{address}/commit/{'1' * 40}",
                "commitOid": "1" * 40,
                "pullRequestUrl": None,
            }
        self._answer(answer)

    def do_GET(self) -> None:
        Hub.asked.append((self.path, self.headers.get("Authorization", ""), {}))
        self._answer({"id": "me/model", "siblings": [], "sha": "1" * 40})

    def _read_chunks(self) -> bytes:
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        return data

    def _answer(self, body: object) -> None:
        status = Hub.status
        data = json.dumps(body if status == 200 else {"error": f"no rights, {TOKEN}"}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Silent."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    Hub.status, Hub.asked = 200, []
    yield Hub
    server.shutdown()
    server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    out = tmp_path / "out"
    out.mkdir()
    (out / "README.md").write_text("---\nlicense: mit\n---\n# A model\n")
    (out / ".residency-made.json").write_text("{}")
    return out


def test_the_folder_lies_on_the_hub_and_our_marker_does_not(hub: type[Hub], folder: Path) -> None:
    address = push_folder(folder, "me/model", read_hub_token())
    assert address.endswith("/me/model")
    paths = [path for path, _, _ in hub.asked]
    assert paths[0] == "/api/repos/create" and any(p.endswith("/commit/main") for p in paths)
    assert all(token == f"Bearer {TOKEN}" for _, token, _ in hub.asked)
    created = json.loads(hub.asked[0][2]["raw"])  # type: ignore[arg-type]
    assert created.get("private") is True or created.get("visibility") == "private"
    commit = next(body["raw"] for path, _, body in hub.asked if path.endswith("/commit/main"))
    assert b"README.md" in commit and b"residency-made" not in commit  # type: ignore[operator]


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_is_told_without_the_token(hub: type[Hub], folder: Path, status: int) -> None:
    hub.status = status
    with pytest.raises(FetchError) as told:
        push_folder(folder, "me/model", read_hub_token())
    assert TOKEN not in str(told.value) and "the files are in the folder" in str(told.value)


def test_no_token_and_no_name_are_told_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="asks for a token"):
        read_hub_token()
    check_repository("me/model")
    for name in ("model", "a/b/c", "me/../x", "me/mo del", "", "-x/y", "/etc/passwd"):
        with pytest.raises(ConfigError):
            check_repository(name)
