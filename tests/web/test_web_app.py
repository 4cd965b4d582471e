"""The workbench: read-only, escaped, local, and a view of every item."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from finished_run import CONTROL, EVIL, copy_run, spoil_answers
from residency.cli.invoke import run_command_line
from residency.errors import ConfigError
from residency.http.listening import is_local
from residency.report.clean_text import clean_text
from residency.results.issue_items import count_changes, list_changes
from residency.results.item_list import list_items
from residency.results.run_results import RunResults
from residency.store.store import Store
from residency.web.app import create_app
from residency.web.pages.issues import ISSUE_ITEMS
from residency.web.paging import make_pager
from residency.web.security import HEADERS, check_host, host_name

LOCAL = "http://127.0.0.1:8642"
TOKEN = "a-long-enough-token"


@pytest.fixture(scope="module")
def root(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = copy_run(finished_run, tmp_path_factory.mktemp("web") / "project")
    spoil_answers(copy, f"{EVIL}{CONTROL}")
    return copy


@pytest.fixture(scope="module")
def results(root: Path) -> Iterator[RunResults]:
    store = Store(root, create=False)
    yield RunResults(store)
    store.close()


@pytest.fixture(scope="module")
def client(root: Path) -> TestClient:
    return TestClient(create_app(root), base_url=LOCAL)


def pages(results: RunResults) -> list[str]:
    issue, example = results.issues[0].issue, results.answers.first_examples("dev", 1)[0]
    return ["/", "/issues", f"/issues/{issue.id}", "/items", f"/items/{example.id}", "/report"]


def test_every_page_opens_escaped_and_with_its_headers(
    client: TestClient, results: RunResults
) -> None:
    tried = 0
    for path in pages(results):
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert EVIL not in answer.text
        assert clean_text(answer.text) == answer.text
        tried += "&lt;script&gt;" in answer.text
        for name in HEADERS:
            assert name in answer.headers
        if path != "/report":
            scripts = re.findall(r"<script[^>]*>", answer.text)
            assert scripts == ['<script src="/residency.js" defer>']
            assert "script-src 'self';" in answer.headers["Content-Security-Policy"]
            assert not re.search(r"\son\w+=", answer.text)  # no handler in an attribute
    assert tried >= 2  # the hostile answer was shown, as text


def test_links_between_pages_lead_somewhere(client: TestClient, results: RunResults) -> None:
    seen: set[str] = set()
    for path in pages(results):
        seen |= set(re.findall(r'href="(/[^"]*)"', client.get(path).text))
    assert len(seen) > 10
    for link in sorted(seen)[::3]:
        assert client.get(link).status_code == 200, link


def test_items_are_filtered_by_kind_tag_and_change(client: TestClient, results: RunResults) -> None:
    kind = max(results.kinds, key=lambda k: list_items(results, kind=k).total)
    failing = list_items(results, kind=kind, limit=1000)
    assert failing.total
    for row in failing.rows:
        assert any(cell == (kind,) for cell in row.cells)
    total = sum(list_items(results, change=c).total for c in ("fixed", "broken", "failing", "ok"))
    assert total == list_items(results).total
    page = client.get("/items", params={"kind": kind}).text
    assert f"{failing.total} items" in page
    assert list_items(results, tag="no such tag").total == 0


def test_pain_46_the_list_of_items_comes_in_pages_that_hold_every_item_once(
    root: Path, results: RunResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("residency.web.pages.items.LISTED_ITEMS", 5)
    client = TestClient(create_app(root), base_url=LOCAL)
    path, seen = "/items", []
    while path:
        text = client.get(path).text
        listed = re.findall(r'<td class="said"><a href="/items/([^"]+)"', text)
        assert 0 < len(listed) <= 5
        seen += listed
        after = re.search(r'href="(\?[^"]*)"[^>]*rel="next"', text)
        path = f"/items{after[1]}" if after else ""
    assert len(seen) > 5
    assert seen == [row.example.id for row in list_items(results, limit=1000).rows]


def test_pain_46_a_page_of_ten_thousand_items_holds_no_more_than_its_size() -> None:
    pagers = [make_pager(10_000, page + 1, 50, kind="spelling") for page in range(200)]
    assert [i for p in pagers for i in range(p.start, p.stop)] == list(range(10_000))
    assert {p.stop - p.start for p in pagers} == {50}
    assert (pagers[0].before, pagers[-1].after) == ("", "")
    assert pagers[0].after == "?kind=spelling&page=2"


def test_pain_46_an_issue_is_filtered_by_change_and_comes_ten_items_a_page(
    client: TestClient, results: RunResults
) -> None:
    for issue in results.issues:
        path = f"/issues/{issue.issue.id}"
        changes = list_changes(results.answers, issue)
        for change, count in count_changes(changes).items():
            page = client.get(path, params={"change": change}).text
            assert page.count('class="sample"') == min(count, ISSUE_ITEMS)
        pages = -(-len(changes) // ISSUE_ITEMS)
        shown = [client.get(path, params={"page": n + 1}).text for n in range(pages)]
        assert sum(page.count('class="sample"') for page in shown) == len(changes)
        assert client.get(path, params={"page": 999}).status_code == 200
    assert client.get("/items", params={"page": 0}).status_code == 422


def test_an_unknown_id_is_explained(client: TestClient) -> None:
    answer = client.get("/items/ex-nothing<script>")
    assert answer.status_code == 404
    assert "nothing<script" not in answer.text
    assert "no single example" in answer.text.lower()
    assert client.get("/issues/is-nothing").status_code == 404


def test_reading_pages_changes_nothing(client: TestClient, root: Path, results: RunResults) -> None:
    def rows() -> dict[str, int]:
        with sqlite3.connect(root / ".residency" / "store.db") as db:
            names = [r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
            return {n: db.execute(f'SELECT COUNT(*) FROM "{n}"').fetchone()[0] for n in names}

    before = rows()
    for path in pages(results):
        client.get(path)
    assert rows() == before
    for method in ("put", "delete", "patch", "options"):
        assert getattr(client, method)("/").status_code == 405


def test_a_foreign_host_header_is_refused(client: TestClient) -> None:
    assert client.get("/", headers={"host": "evil.example"}).status_code == 421
    for name in (
        "evil.example:8642",
        "localhost.evil.example",
        "[::2]:80",
        "127.0.0.1.evil.example",
        "",
    ):
        assert client.get("/", headers={"host": name}).status_code == 421, name
    for name in (
        "localhost:8642",
        "LOCALHOST:8642",
        "Localhost",
        "[::1]:8642",
        "[::1]",
        "127.0.0.1",
    ):
        assert client.get("/", headers={"host": name}).status_code == 200, name


@pytest.mark.parametrize(
    ("header", "name"),
    [("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("LOCALHOST:1", "LOCALHOST"), ("a", "a"), ("", "")],
)
def test_the_port_is_no_part_of_the_name(header: str, name: str) -> None:
    assert host_name(header) == name


def test_addresses_that_only_this_machine_reaches() -> None:
    for name in ("LOCALHOST", "localhost.", "::1", "[::1]", "127.0.0.53"):
        assert is_local(name)


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
    assert run_command_line(["web", str(root), "--host", "0.0.0.0"]) == 2
    assert "--token" in capsys.readouterr().err


def test_before_any_run_it_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "residency.toml").write_text("")
    for _ in range(2):
        client = TestClient(create_app(tmp_path), base_url=LOCAL)
        for path in ("/", "/issues", "/items", "/report"):
            answer = client.get(path)
            assert (answer.status_code, answer.url.path) == (200, "/start"), path
        Store(tmp_path).close()  # the second time there is a store, without a run
