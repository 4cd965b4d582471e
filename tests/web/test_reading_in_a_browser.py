"""Reading, blind review, better answers, data and chat by keys and clicks, in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import WIDTHS, Watched, open_browser, serve
from finished_run import EVIL, copy_run, spoil_answers, tell_answers_apart
from residency.commands.arena import KIND
from residency.commands.project import Project
from residency.commands.read import draw_sample
from residency.loop.measure_kinds import load_notes
from residency.project.named_kinds import read_kinds
from residency.results.run_results import RunResults
from residency.store.store import Store
from residency.web.pages.review import name_pair

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def root(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = copy_run(finished_run, tmp_path_factory.mktemp("read") / "project")
    spoil_answers(copy, f"{EVIL}<img src=x onerror=alert(1)>")
    tell_answers_apart(copy)
    draw_sample(Project.open(copy))
    return copy


@pytest.fixture(scope="module")
def address(root: Path) -> Iterator[str]:
    with serve(root) as served:
        yield served


@pytest.mark.parametrize("width", WIDTHS)
def test_the_pages_fit_the_screen_and_no_text_becomes_markup(
    browser: Any, address: str, width: int
) -> None:
    watched = Watched(browser, width, dark=width == WIDTHS[0])
    for path in ("/read", "/read/modes", "/review", "/write", "/data", "/data/left-out", "/chat"):
        watched.page.goto(address + path)
        assert watched.page.locator("h1").count() == 1, path
        assert watched.page.locator("img, iframe, main script").count() == 0, path
        watched.check()


def test_an_answer_is_noted_with_keys_alone_and_grouped(
    browser: Any, address: str, root: Path
) -> None:
    watched = Watched(browser, WIDTHS[1])
    page = watched.page
    page.goto(f"{address}/read")
    page.keyboard.press("j")
    page.keyboard.press("n")
    page.keyboard.type("no <b>colour</b>")
    page.keyboard.press("Control+Enter")
    page.locator("article.noted").wait_for()
    left = page.locator("#reading-head .chip").first.inner_text()  # the head follows what is noted
    page.get_by_role("button", name="change").click()
    page.locator("article.noted textarea").fill("no <b>colour</b>!")
    page.keyboard.press("Control+Enter")
    page.locator("article.noted > p", has_text="colour</b>!").wait_for()
    assert page.locator("article.noted article:visible").count() == 0
    assert page.locator("#reading-head .chip").first.inner_text() == left != "answers · 0 left"
    assert "1 read, 1 with a failure" in page.locator("#reading-head").inner_text()
    page.goto(f"{address}/read/modes")
    page.locator("ul.picks input").first.check()
    page.locator("#mode").fill("no colour")
    page.get_by_role("button", name="Put them there").click()
    page.get_by_role("heading", name="no colour").wait_for()
    (note,) = [n for n in load_notes(Store(root, create=False)) if "colour" in n.text]
    assert (note.text, note.mode) == ("no <b>colour</b>!", "no colour")
    watched.check()


def test_modes_are_split_merged_renamed_and_made_kinds(
    browser: Any, address: str, root: Path
) -> None:
    store = Store(root, create=False)
    watched = Watched(browser, WIDTHS[0])
    page = watched.page
    page.goto(f"{address}/read")
    for number in range(3):
        case = page.locator("main > article").nth(number)
        case.locator("textarea").fill(f"wrong thing {number} שלום")
        case.get_by_role("button", name="Note it").click()
        page.locator("main > article.noted").nth(number).wait_for()
    page.goto(f"{address}/read/modes")

    def mode(name: str) -> Any:
        return page.locator("section.card", has=page.locator("h3", has_text=name))

    def names() -> dict[str, int]:
        modes = [note.mode for note in load_notes(store) if "wrong thing" in note.text]
        return {name: modes.count(name) for name in modes}

    for tick in page.locator("form.card li", has_text="wrong thing").locator("input").all():
        tick.check()
    page.locator("#mode").fill("a: b")
    page.get_by_role("button", name="Put them there").click()
    page.locator("#messages", has_text="cannot be a mode's name").wait_for()
    assert page.locator("ul.picks input:checked").count() == 3  # what was ticked is still ticked
    page.locator("#mode").fill("wrong thing")
    with page.expect_navigation():
        page.get_by_role("button", name="Put them there").click()
    assert names() == {"wrong thing": 3}
    mode("wrong thing").locator("summary", has_text="Its notes").click()
    mode("wrong thing").locator("ul.picks input").first.check()
    page.get_by_label("split the ticked off into").and_(mode("wrong thing").locator("input")).fill(
        "other thing"
    )
    with page.expect_navigation():
        mode("wrong thing").get_by_role("button", name="Split").click()
    assert names() == {"other thing": 1, "wrong thing": 2}
    question = mode("other thing").get_by_label("The judge's question")
    assert not question.is_visible()  # nothing asks it while a rule measures
    mode("other thing").locator("select[name=by]").select_option("reading")
    mode("other thing").get_by_role("button", name="Measure it").dblclick()
    mode("other thing").locator(".chip", has_text="measured by reading").wait_for()
    kinds = [kind for kind in read_kinds(root) if kind.name == "other thing"]
    assert [(kind.by, kind.usable) for kind in kinds] == [("reading", True)]
    assert (root / "kinds.toml").read_text().count(
        '"other thing"'
    ) == 1  # clicked twice, added once
    mode("other thing").locator("summary", has_text="Its notes").click()
    mode("other thing").locator("input[name=to]").fill("wrong thing")
    with page.expect_navigation():
        mode("other thing").get_by_role("button", name="Rename or merge").click()
    assert names() == {"wrong thing": 3}
    mode("other thing").get_by_role("button", name="Measure it no more").click()
    page.locator(".done", has_text="is measured no more").wait_for()
    assert not [kind for kind in read_kinds(root) if kind.name == "other thing"]
    watched.check()


def test_a_vote_by_key_is_stored_and_the_next_pair_comes(
    browser: Any, address: str, root: Path
) -> None:
    from playwright.sync_api import expect

    store = Store(root, create=False)
    results = RunResults(store)
    watched = Watched(browser, WIDTHS[0])
    page = watched.page
    page.goto(f"{address}/review")
    page.get_by_role("button", name="Begin, or go on").click()
    page.wait_for_url(f"**/{name_pair(results.models[0].id, results.final_id)}")
    before = len(store.records(KIND))
    first = page.locator("input[name=showing]").get_attribute("value")
    page.keyboard.press("1")
    expect(page.locator("input[name=showing]")).not_to_have_value(first)
    assert len(store.records(KIND)) == before + 1
    watched.check()


def test_two_answers_stream_side_by_side(browser: Any, address: str) -> None:
    watched = Watched(browser, WIDTHS[1])
    page = watched.page
    page.goto(f"{address}/chat")
    page.locator("textarea[name=message]").fill(f"Here is my red cup {EVIL}")
    page.keyboard.press("Control+Enter")
    page.locator("summary", has_text="This is wrong").nth(1).wait_for()
    assert page.locator("#talk .note", has_text="weights").count() == 2
    assert page.locator("img, main script").count() == 0
    watched.check()


def test_a_conversation_is_there_again_when_its_page_is(browser: Any, address: str) -> None:
    from playwright.sync_api import expect

    watched = Watched(browser, WIDTHS[0])
    page = watched.page
    page.goto(f"{address}/chat")
    page.locator("textarea[name=message]").fill("שלום, my red cup")
    page.keyboard.press("Control+Enter")
    page.keyboard.press("Control+Enter")  # pressed twice, said once
    expect(page.locator("textarea[name=message]")).to_have_value("")
    page.locator("summary", has_text="This is wrong").nth(1).wait_for()
    assert page.locator("#talk > article").count() == 1
    page.goto(f"{address}/data")
    page.go_back()
    page.locator("summary", has_text="This is wrong").nth(1).wait_for()
    assert page.locator("#talk .said").inner_text() == "שלום, my red cup"
    page.locator("details", has_text="This is wrong").first.locator("summary").click()
    page.get_by_label("What is wrong, in your words").first.fill("it is <b>rude</b>")
    page.get_by_role("button", name="Note it").first.click()
    page.locator(".done", has_text="Noted: it is <b>rude</b>").wait_for()
    watched.check()


def test_a_row_of_the_data_opens_by_its_key(browser: Any, address: str) -> None:
    watched = Watched(browser, WIDTHS[1])
    page = watched.page
    page.goto(f"{address}/data")
    page.keyboard.press("j")
    with page.expect_navigation():
        page.keyboard.press("e")
    page.locator(".tokens").first.wait_for()
    key = page.locator("h1 + p code").inner_text()
    words = page.locator(".command-line code").inner_text().split()
    assert (words[:2], words[3]) == (["residency", "trace"], key) and len(words) == 4
    watched.check()
