"""Every page keeps to what pages keep to: at the width of a phone and of a desk, light and dark, by
keyboard, with names for what cannot be seen, and with nothing from elsewhere."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from browser import WIDTHS, Watched, open_browser, serve
from finished_run import copy_run
from page_checks import check_keys, check_page
from residency.results.run_results import RunResults
from residency.store.record_kind import RecordKind
from residency.store.store import Store
from residency.web.app import create_app
from residency.web.pages.review import name_pair
from sweep_bodies import make_sweep_result

pytestmark = pytest.mark.slow
PARTS = (
    *("/style.css", "/residency.js", "/token", "/run/events"),
    *("/start/check", "/start/plan", "/start/suite"),
    *(
        "/compare/metric",
        "/compare/work",
        "/report/work",
        "/rows/{row}/near",
        "/review/board/table",
        "/write/state",
        "/sweep/state",
    ),
    *("/data/rows/{example}/tokens", "/chat/{talk}/{number}/{side}", "/ship/state"),
    *("/ship/gate", "/ship/use"),
)
"""What is no page of its own: pieces of pages, and what they load."""


@pytest.fixture(scope="module")
def root(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = copy_run(finished_run, tmp_path_factory.mktemp("walked") / "project")
    store = Store(copy, create=False)
    run = store.latest_run()
    assert run is not None
    with store.writer("sweep"):
        store.add_record(RecordKind.SWEEP, run, make_sweep_result(run, "two words"))
    store.close()
    return copy


def list_addresses(root: Path) -> dict[str, list[str]]:
    """Addresses of pages, by the route that answers them."""
    results = RunResults(Store(root, create=False))
    issue = results.issues[0].issue.id
    item = results.answers.first_examples("dev", 1)[0].id
    row = results.answers.first_examples("train", 1)[0].id
    pair = name_pair(results.models[0].id, results.models[-1].id)
    named = {
        "/review/pair/{pair}": [f"/review/pair/{pair}"],
        "/issues/{issue}": [f"/issues/{issue}"],
        "/issues/{issue}/labels": [f"/issues/{issue}/labels"],
        "/items/{example}": [f"/items/{item}"],
        "/data/rows/{example}": [f"/data/rows/{row}"],
        "/items": ["/items", "/items?page=2"],
        "/data": ["/data", "/data?split=pool&text=red"],
        "/compare": ["/compare", "/compare?flip=fixed"],
        "/rows": ["/rows", f"/rows?issue={issue}"],
        "/issues": ["/issues", "/issues/none-such", "/no/such/page", "/items?page=0"],
    }
    routes = [
        route.path
        for route in create_app(root).routes
        if "GET" in getattr(route, "methods", ()) and route.path not in PARTS  # type: ignore[attr-defined]
    ]
    return {path: named.get(path, [path]) for path in routes}


def open_page(watched: Watched, address: str) -> None:
    """Go there and wait for the parts that come after the page."""
    page = watched.page
    page.goto(address, wait_until="load")
    page.locator("[aria-busy]").first.wait_for(state="detached")


def test_every_page_can_be_used_by_everybody(root: Path) -> None:
    wrong: dict[str, list[str]] = {}
    titles: Counter[str] = Counter()
    with open_browser() as browser, serve(root) as served:
        for width in WIDTHS:
            watched = Watched(browser, width, dark=True)
            foreign: list[str] = []
            watched.page.on("request", lambda r: foreign.append(r.url))  # noqa: B023
            for addresses in list_addresses(root).values():
                for address in addresses:
                    open_page(watched, served + address)
                    own = check_page(watched.page)
                    if width == WIDTHS[0]:
                        watched.page.emulate_media(color_scheme="light")
                        own += check_page(watched.page)
                        own += check_keys(watched.page)
                        watched.page.emulate_media(color_scheme="dark")
                        titles[watched.page.title()] += 1
                    if own:
                        wrong[f"{address} at {width}"] = own
            assert watched.errors == []
            assert [url for url in foreign if not url.startswith((served, "data:"))] == []
    assert wrong == {}
    again = {title: n for title, n in titles.items() if n > 1 and not title.startswith("Not here")}
    assert again == {}, "each page says in its title which it is"


def test_an_empty_folder_and_one_with_several_projects(root: Path, tmp_path: Path) -> None:
    several = tmp_path / "several"
    for name in ("first", "second"):
        copy_run(root, several / name)
    empty = tmp_path / "empty"
    empty.mkdir()
    with open_browser() as browser:
        for folder in (empty, several):
            with serve(folder) as served:
                watched = Watched(browser, WIDTHS[0])
                open_page(watched, f"{served}/")
                assert check_page(watched.page) + check_keys(watched.page) == []
                watched.check()
                if folder == several:
                    watched.page.get_by_role("button", name="second").click()
                    watched.page.get_by_text("open", exact=True).wait_for()


def test_everything_that_is_loaded_once_is_small(root: Path) -> None:
    client = TestClient(create_app(root), base_url="http://127.0.0.1:8642")
    sizes = {path: len(client.get(path).content) for path in ("/style.css", "/residency.js")}
    assert 0 < sum(sizes.values()) < 100_000
