"""The workbench: read-only, escaped, local, and a view of every item."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from report_project import EVIL, build
from residency.cli import invoke
from residency.errors import ConfigError, StoreError
from residency.results.item_rows import item_rows
from residency.results.run_evidence import Evidence
from residency.store.store import Store
from residency.web.app import create_app
from residency.web.security import HEADERS, check_host

LOCAL = "http://127.0.0.1:8642"
TOKEN = "a-long-enough-token"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    build(folder).close()
    return folder


@pytest.fixture(scope="module")
def evidence(root: Path) -> Iterator[Evidence]:
    store = Store(root, create=False)
    yield Evidence(store)
    store.close()


@pytest.fixture(scope="module")
def client(root: Path) -> TestClient:
    return TestClient(create_app(root), base_url=LOCAL)


def pages(evidence: Evidence) -> list[str]:
    view, example = evidence.issues[0], evidence.examples("dev")[0]
    return ["/", "/issues", f"/issues/{view.issue.id}", "/items", f"/items/{example.id}", "/report"]


def test_every_page_opens_escaped_and_with_its_headers(
    client: TestClient, evidence: Evidence
) -> None:
    tried = 0
    for path in pages(evidence):
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert EVIL not in answer.text
        tried += "&lt;script&gt;" in answer.text
        for name in HEADERS:
            assert name in answer.headers
        if path != "/report":
            assert "<script" not in answer.text
            assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert tried >= 2  # the hostile answer was shown, as text


def test_links_between_pages_lead_somewhere(client: TestClient, evidence: Evidence) -> None:
    seen: set[str] = set()
    for path in pages(evidence):
        seen |= set(re.findall(r'href="(/[^"]*)"', client.get(path).text))
    assert len(seen) > 20
    for link in sorted(seen)[::5]:  # every fifth: each page builds its evidence anew
        assert client.get(link).status_code == 200, link


def test_pain_25_every_item_shows_which_model_failed_it(
    client: TestClient, evidence: Evidence
) -> None:
    text = client.get("/items").text
    for example in evidence.examples("dev"):
        assert f"/items/{example.id}" in text
    rows = item_rows(evidence)
    arms = [arm for arm in evidence.arms if arm.arm != "control"]
    assert len(rows) == len(evidence.examples("dev"))
    for place, arm in enumerate(arms):
        failed = {key for key, found in evidence.failures(arm.model.id, "dev").items() if found}
        assert {row.example.id for row in rows if not row.cells[place].ok} == failed


def test_items_are_filtered_by_kind_tag_and_change(client: TestClient, evidence: Evidence) -> None:
    for row in item_rows(evidence, tag="sarcasm"):
        assert "sarcasm" in row.example.tags
    fixed = item_rows(evidence, kind="wrong:urgency", change="fixed")
    assert fixed
    for row in fixed:
        assert row.cells[0].failed == ("wrong:urgency",)
        assert row.cells[-1].ok
    page = client.get("/items", params={"kind": "wrong:urgency", "change": "fixed"}).text
    assert f"{len(fixed)} items" in page


def test_an_issue_is_filtered_by_change(client: TestClient, evidence: Evidence) -> None:
    view = evidence.issues[0]
    path = f"/issues/{view.issue.id}"
    changes = [sample.change for sample in evidence.samples(view)]
    assert client.get(path).text.count('class="sample"') == len(changes)
    page = client.get(path, params={"change": "fixed"}).text
    assert page.count('class="sample"') == changes.count("fixed")


def test_an_unknown_id_is_explained(client: TestClient) -> None:
    answer = client.get("/items/ex-nothing<script>")
    assert answer.status_code == 404
    assert "<script" not in answer.text
    assert "no single example" in answer.text.lower()
    assert client.get("/issues/is-nothing").status_code == 404


def test_pages_change_nothing(client: TestClient, root: Path, evidence: Evidence) -> None:
    def rows() -> dict[str, int]:
        with sqlite3.connect(root / ".residency" / "store.db") as db:
            names = [r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
            return {n: db.execute(f'SELECT COUNT(*) FROM "{n}"').fetchone()[0] for n in names}

    before = rows()
    for path in pages(evidence):
        client.get(path)
    assert rows() == before
    for method in ("post", "put", "delete", "patch"):
        assert getattr(client, method)("/").status_code == 405


def test_a_foreign_host_header_is_refused(client: TestClient) -> None:
    assert client.get("/", headers={"host": "evil.example"}).status_code == 421
    assert client.get("/", headers={"host": "localhost:8642"}).status_code == 200


def test_with_a_token_every_request_must_carry_it(root: Path) -> None:
    client = TestClient(create_app(root, token=TOKEN), base_url="http://10.0.0.5:8642")
    for path in ("/", "/report", "/style.css", "/items"):
        assert client.get(path).status_code == 401
    assert client.get("/", params={"token": "wrong"}).status_code == 401
    assert client.get("/", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    arrived = client.get("/items", params={"token": TOKEN})
    assert arrived.status_code == 200
    assert TOKEN not in str(arrived.url)
    assert client.get("/").status_code == 200  # the cookie
    assert "HttpOnly" in arrived.history[0].headers["set-cookie"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_local_addresses_need_no_token(host: str) -> None:
    check_host(host, "")


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "192.168.1.4", "::", "example.org", "localhost.evil.org"]
)
def test_it_never_listens_beyond_localhost_without_a_token(host: str) -> None:
    for token in ("", "short"):
        with pytest.raises(ConfigError, match="other machines"):
            check_host(host, token)
    check_host(host, TOKEN)


def test_the_command_refuses_before_it_listens(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["web", str(root), "--host", "0.0.0.0"]) == 2
    assert "--token" in capsys.readouterr().err


def test_before_any_run_it_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "residency.toml").write_text("")
    with pytest.raises(StoreError, match="nothing is stored"):
        create_app(tmp_path)
    Store(tmp_path).close()
    answer = TestClient(create_app(tmp_path), base_url=LOCAL).get("/")
    assert answer.status_code == 404
    assert "residency run" in answer.text.lower()
