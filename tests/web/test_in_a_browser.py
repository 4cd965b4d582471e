"""The pages as a person uses them, in Chromium at the width of a phone and of a desk."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import WIDTHS, Watched, open_browser, serve
from finished_run import EVIL, copy_run, spoil_answers
from residency.project.progress_file import RunPosition, write_position
from residency.project.row_decisions import read_decisions
from residency.results.row_review import list_drawn_rows
from residency.results.run_results import RunResults
from residency.store.store import Store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def root(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = copy_run(finished_run, tmp_path_factory.mktemp("seen") / "project")
    spoil_answers(copy, f"{EVIL}<img src=x onerror=alert(1)>")
    return copy


@pytest.fixture(scope="module")
def address(root: Path) -> Iterator[str]:
    with serve(root) as served:
        yield served


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_fits_the_screen_and_no_text_becomes_markup(
    browser: Any, address: str, root: Path, width: int
) -> None:
    results = RunResults(Store(root, create=False))
    issue = results.issues[0].issue.id
    item = results.answers.first_examples("dev", 1)[0].id
    watched = Watched(browser, width, dark=width == WIDTHS[0])
    for path in (
        *("/", "/issues", f"/issues/{issue}", "/rows", "/items", f"/items/{item}", "/runs"),
        *("/compare", "/start", "/run", "/ship"),
    ):
        watched.page.goto(address + path)
        assert watched.page.locator("h1, .question").count() >= 1, path
        assert watched.page.locator("img, iframe, main script").count() == 0, path
        watched.check()


def test_rows_are_reviewed_with_keys_alone(browser: Any, address: str, root: Path) -> None:
    store = Store(root, create=False)
    watched = Watched(browser, WIDTHS[1])
    page = watched.page
    page.goto(f"{address}/rows?state=undecided")
    keys = [str(e.get_attribute("id")).removeprefix("row-") for e in page.locator("article").all()]
    assert len(keys) >= 2
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.id") == f"row-{keys[0]}"
    page.keyboard.press("x")
    first = page.locator(f"#row-{keys[0]}")
    first.locator(".chip", has_text="rejected").wait_for()
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.id") == f"row-{keys[1]}"
    page.keyboard.press("e")
    second = page.locator(f"#row-{keys[1]}")
    second.locator("textarea[name=answer]").fill("colour: pink\nthing: umbrella")
    second.locator("input[name=reason]").fill("the colour <b>was</b> wrong")
    page.keyboard.press("Enter")  # of several buttons none is meant
    second.get_by_role("button", name="Save the edit").click()
    second.locator(".chip", has_text="edited").wait_for()
    decisions = read_decisions(store)
    assert decisions[keys[0]].decision == "reject"
    edited = decisions[keys[1]]
    assert edited.edited is not None
    assert edited.edited.reference == "colour: pink\nthing: umbrella"
    assert edited.reason == "the colour <b>was</b> wrong"
    watched.check()


def test_a_page_that_is_older_than_the_server_still_writes(browser: Any, root: Path) -> None:
    watched = Watched(browser, WIDTHS[1])
    drawn = [
        row
        for row in list_drawn_rows(RunResults(Store(root, create=False)))
        if row.state == "undecided"
    ]
    key = drawn[-1].proposal.example.id
    with serve(root) as served:
        watched.page.goto(f"{served}/rows?state=undecided")
        # what a restart of the server does to a page that is open: its token is of another secret
        watched.page.evaluate("document.querySelector('meta[name=csrf]').content = '0'.repeat(64)")
        row = watched.page.locator(f"#row-{key}")
        if not row.count():
            pytest.skip("the row stands on another page")
        row.get_by_role("button", name="Accept").click()
        row.locator(".chip", has_text="accepted").wait_for()
    watched.check()


@pytest.mark.parametrize("width", WIDTHS)
def test_any_two_models_are_chosen_and_compared(browser: Any, address: str, width: int) -> None:
    watched = Watched(browser, width)
    page = watched.page
    page.goto(f"{address}/runs")
    page.get_by_role("button", name="Compare the two").click()
    page.get_by_role("heading", name="Two models").wait_for()
    page.wait_for_load_state()  # keys are heard once the page's script has run
    assert page.locator("article.sample").count() >= 1
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.matches('[data-item]')")
    page.locator("#flip").select_option(index=1)
    page.wait_for_url(re.compile("flip=[a-z]"))
    watched.check()


@pytest.mark.parametrize("width", WIDTHS)
def test_ship_asks_the_gate_and_says_how_to_serve(browser: Any, address: str, width: int) -> None:
    watched = Watched(browser, width)
    page = watched.page
    page.goto(f"{address}/ship")
    page.locator("#gate-answer .verdict-line").wait_for()
    page.get_by_label("what is not shown to be within it fails, too").check()
    page.get_by_role("button", name="Ask").click()
    page.locator("#gate-answer code", has_text="--strict").wait_for()
    page.locator("#use-figures", has_text="No server has run yet").wait_for()
    picks = page.locator("fieldset.picks")
    assert not picks.is_visible()
    page.locator("#format").select_option("gguf")
    assert picks.is_visible()
    unnamed = page.evaluate(
        "[...document.querySelectorAll('input:not([type=hidden]), select, textarea')]"
        ".filter(e => !e.labels.length && !e.ariaLabel).length"
    )
    assert unnamed == 0
    watched.check()


def test_keys_are_told_and_the_first_tab_leads_to_the_content(browser: Any, address: str) -> None:
    watched = Watched(browser, WIDTHS[0])
    page = watched.page
    page.goto(f"{address}/issues")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("?")
    page.get_by_role("heading", name="Keys").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("heading", name="Keys").wait_for(state="hidden")
    watched.check()


def test_a_form_of_another_site_is_refused(browser: Any, address: str, root: Path) -> None:
    before = len(read_decisions(Store(root, create=False)))
    watched = Watched(browser, WIDTHS[1])
    key = list_drawn_rows(RunResults(Store(root, create=False)))[0].proposal.example.id
    watched.page.set_content(
        f'<form method="post" action="{address}/rows/{key}"><input name="decision" value="reject">'
        "<button>win a prize</button></form>"
    )
    with watched.page.expect_navigation():
        watched.page.get_by_role("button", name="win a prize").click()
    assert "Only these pages themselves" in watched.page.content()
    assert len(read_decisions(Store(root, create=False))) == before


@pytest.mark.parametrize("width", WIDTHS)
def test_an_empty_folder_becomes_a_project_by_dropping_a_file(
    browser: Any, tmp_path: Path, width: int
) -> None:
    from playwright.sync_api import expect

    rows = "frage,antwort\n" + "".join(f"What is {n}?,It is {n * 7}.\n" for n in range(90))
    (tmp_path / "faq.csv").write_text(rows)
    folder = tmp_path / "empty"
    folder.mkdir()
    watched = Watched(browser, width)
    page = watched.page
    with serve(folder) as served:
        page.goto(served)
        page.set_input_files("input[name=upload]", str(tmp_path / "faq.csv"))  # looked at at once
        expect(page.locator("#column-instruction")).to_be_visible()
        page.get_by_role("button", name="Look at it").click()  # and again: the later answer stays
        expect(page.locator("[aria-busy]")).to_have_count(0)
        page.locator("#column-instruction").select_option("frage")
        # Not wait_for_function: it evaluates text anew at each look, which the pages' policy forbids.
        expect(page.locator("#column-instruction")).to_have_value("frage")
        expect(page.locator("[aria-busy]")).to_have_count(0)
        page.locator("#column-response").select_option("antwort")
        page.get_by_role("button", name="Make the project").click()
        page.locator("#check .facts").wait_for()
        page.locator("#plan-part ol").wait_for()
        assert page.get_by_role("button", name="Start the run").is_visible()
        watched.check()


def test_progress_is_one_stream_however_much_it_tells(browser: Any, root: Path) -> None:
    watched = Watched(browser, WIDTHS[0])
    asked: list[str] = []
    watched.page.on("request", lambda r: asked.append(r.url) if "events" in r.url else None)
    note = root / ".residency" / "run.json"
    with serve(root) as served:
        watched.page.goto(f"{served}/run")
        for number in range(3):
            note.write_text(f'{{"pid": {-1 - number}}}')  # something new to be told
            watched.page.wait_for_timeout(1500)
        assert len(asked) == 1
        watched.check()
        watched.page.close()
    note.unlink()


def test_next_and_the_bar_follow_the_run_that_is_watched(
    browser: Any, root: Path, tmp_path: Path
) -> None:
    own = copy_run(root, tmp_path / "project")
    watched = Watched(browser, WIDTHS[1])
    page = watched.page
    with serve(own) as served:
        page.goto(f"{served}/run")
        assert page.locator("aside.next a", has_text="Go on with the run").count() == 0
        with sqlite3.connect(own / ".residency" / "store.db") as db:
            db.execute("DELETE FROM stages WHERE key LIKE 'complete%'")
        page.locator("aside.next a", has_text="Go on with the run").wait_for()
        write_position(own / ".residency", RunPosition("round 1: train", 1, 9, "steps", 2, 5))
        page.locator("#position", has_text="running: round 1: train").wait_for()
        page.locator("aside.next a", has_text="Go on with the run").wait_for(state="detached")
        assert page.locator("aside.next").count() == 1
        watched.check()
        page.close()


def test_a_page_of_another_project_writes_nothing_into_the_one_chosen_since(
    browser: Any, root: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        copy_run(root, tmp_path / name)
    watched = Watched(browser, WIDTHS[0])
    page, other = watched.page, watched.context.new_page()
    with serve(tmp_path) as served:
        for tab, name in ((page, "one"), (other, "two")):
            tab.goto(f"{served}/start")
            with tab.expect_navigation():
                tab.get_by_role("button", name=name, exact=True).click()
            tab.goto(f"{served}/rows?state=undecided") if tab is page else None
        page.get_by_role("button", name="Reject").first.click()
        page.locator("#messages", has_text="Another project was chosen").wait_for()
        for name in ("one", "two"):
            before = len(read_decisions(Store(root, create=False)))
            assert len(read_decisions(Store(tmp_path / name, create=False))) == before
        watched.errors = [e for e in watched.errors if "403" not in e]
        watched.check()


def test_a_form_that_is_drawn_anew_while_it_is_sent_is_sent(browser: Any, address: str) -> None:
    watched = Watched(browser, WIDTHS[1])
    page = watched.page
    page.goto(f"{address}/items")
    with page.expect_navigation():
        page.evaluate(
            "const form = document.querySelector('form.person');"
            "form.querySelector('#person').value = 'Zoe'; form.requestSubmit(); form.remove();"
        )
    assert page.locator("#person").input_value() == "Zoe"
    watched.check()
