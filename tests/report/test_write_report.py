"""The HTML report of a real run: complete, self-contained, escaped, and honest about what it says."""

from __future__ import annotations

import dataclasses
import html
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from finished_run import CONTROL, EVIL, copy_run, spoil_answers
from residency.cli.invoke import run_command_line
from residency.errors import StoreError, UserError
from residency.report.clean_text import clean_text
from residency.report.write_report import render_report, write_report
from residency.results.number_formats import format_interval, format_percent
from residency.results.run_results import RunResults
from residency.store.record_kind import RecordKind
from residency.store.store import Store

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def results(finished_run: Path) -> Iterator[RunResults]:
    store = Store(finished_run, create=False)
    yield RunResults(store)
    store.close()


@pytest.fixture(scope="module")
def page(results: RunResults) -> str:
    return render_report(results, now=NOW)


class Tags(HTMLParser):
    """Start tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def text_of(page: str) -> str:
    return " ".join(" ".join(Tags(page).words).split()).replace("\u00a0", " ")


# --- one file, nothing loaded, nothing run ------------------------------------------------


def test_the_page_loads_nothing(page: str) -> None:
    for tag, attributes in Tags(page).tags:
        assert tag not in ("link", "iframe", "object", "embed", "img")
        assert "src" not in attributes
        for name in ("href", "xlink:href", "action"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_hostile_answers_tags_and_sources_are_shown_as_text(
    finished_run: Path, tmp_path: Path
) -> None:
    root = copy_run(finished_run, tmp_path / "copy")
    spoil_answers(root, f"{EVIL}{CONTROL}")
    store = Store(root, create=False)
    page = render_report(RunResults(store), now=NOW)
    store.close()
    assert html.escape(EVIL, quote=True).replace("&#x27;", "&#39;") in page
    assert EVIL not in page
    assert clean_text(page) == page
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ET.fromstring(svg)
    scripts = [attributes for tag, attributes in Tags(page).tags if tag == "script"]
    assert scripts == [{}]  # ours alone
    for _, attributes in Tags(page).tags:
        assert not any(name.startswith("on") for name in attributes)


def test_the_page_says_which_script_may_run(page: str) -> None:
    policy = next(
        attributes["content"]
        for tag, attributes in Tags(page).tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "script-src 'sha256-" in policy


def test_every_link_inside_the_page_has_its_target(page: str) -> None:
    tags = Tags(page).tags
    ids = [attributes["id"] for _, attributes in tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    for tag, attributes in tags:
        if tag == "a":
            assert (attributes["href"] or "").removeprefix("#") in ids


def test_links_are_named_as_their_sections(page: str) -> None:
    contents = page[page.index('<nav class="toc"') : page.index("</nav>")]
    links = dict(re.findall(r'<a href="#(\w+)">([^<]+)</a>', contents))
    titles = dict(re.findall(r'<h2 id="(\w+)">([^<]+)</h2>', page))
    assert titles.items() <= links.items()
    assert links.keys() - titles.keys() == {"answer"}


def test_charts_are_well_formed_and_follow_the_theme(page: str) -> None:
    charts = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(charts) >= 4
    for svg in charts:
        ET.fromstring(svg)
        assert "<title>" in svg
        assert not re.search(r"#[0-9a-fA-F]{6}", svg)
    assert "var(--accent)" in "".join(charts)
    assert text_of(page).index("Score by round") < text_of(page).index("Failure rate by round")


# --- what it says -------------------------------------------------------------------------


def test_pain_22_better_or_not_is_answered_first(page: str, results: RunResults) -> None:
    test = results.test
    assert test is not None
    text = text_of(page)
    for key in (test.reference, test.final):
        mean = test.sides[key].scores.score.mean
        assert format_percent(mean).replace("\u00a0", " ") in text
    assert text.index("Is it better, and how do you know?") < text.index("The same dev items")


def test_pain_24_every_verdict_stands_with_its_interval(page: str, results: RunResults) -> None:
    text = text_of(page)
    assert results.issues
    for issue in results.issues:
        assert issue.title in text
        verdict = issue.latest
        assert verdict is not None
        assert format_interval(verdict.low, verdict.high, signed=True) in text
        assert f"α spent here {verdict.alpha:.2g}" in text


def test_pain_32_lineage_goes_from_model_to_rows_to_issue(page: str, results: RunResults) -> None:
    text = text_of(page)
    for model in results.models:
        assert model.id in text
        if model.model.dataset:
            assert model.model.dataset in text
    accepted = [
        p for p in results.store.proposals(results.run, 2) if p.accepted and p.arm == "main"
    ]
    for issue in {p.issue for p in accepted}:
        count = sum(p.issue == issue for p in accepted)
        assert f"{count} rows for {results.issue(issue).title}" in text


def test_pain_27_unscored_is_told_not_counted(page: str, results: RunResults) -> None:
    rates = [rate for model in results.models for rate in model.scores.kinds.values()]
    partly = [rate for rate in rates if rate.rate is not None and rate.scored < rate.total]
    for rate in partly:
        assert f"of {rate.scored}, {100 * rate.coverage:.0f} % scored" in text_of(page)
    thin = page.count(" thin")
    assert thin >= sum(rate.is_thin and rate.rate is not None for rate in rates)


def test_a_run_that_was_only_opened_has_a_page(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.writer("test"):
        store.add_run("run-1", {"settings": {}})
        store.add_record(RecordKind.RUN_OPENED, "run-1", {"full": False})
    text = text_of(render_report(RunResults(store), now=NOW))
    store.close()
    assert "No model has answered the dev items yet" in text
    assert "the sealed test has not been opened" in text
    assert "run not finished" in text
    assert "because ." not in text


def test_pain_01_what_is_trained_is_shown_in_colour(page: str) -> None:
    assert 'class="tok trained"' in page
    assert 'class="tok given"' in page


def test_the_same_store_gives_the_same_page(finished_run: Path, page: str) -> None:
    store = Store(finished_run, create=False)
    assert render_report(RunResults(store), now=NOW) == page
    store.close()


def test_baselines_stand_in_the_report(finished_run: Path, tmp_path: Path) -> None:
    store = Store(copy_run(finished_run, tmp_path / "copy"), create=False)
    scores = dataclasses.asdict(RunResults(store).models[1].scores)
    row = {"name": "few-shot <4>", "way": "prompt", "scores": scores, "words": 21.6}
    row |= {"p50": 0.51, "p95": None, "prompt_tokens": 310.2, "answer_tokens": 55.0}
    row |= {"cost_per_1000": None, "leaves_machine": False}
    body = {"rows": [row], "differences": [], "recommendation": ["Fine-tune: it is better."]}
    with store.writer("test"):
        store.add_record(RecordKind.BASELINE, RunResults(store).run, body)
    text = text_of(render_report(RunResults(store), now=NOW))
    store.close()
    assert "Prompting or fine-tuning" in text
    assert "few-shot <4>" in text
    assert "0.51 / –" in text
    assert "Fine-tune: it is better." in text


def test_what_was_forgotten_stands_in_the_report(finished_run: Path, tmp_path: Path) -> None:
    store = Store(copy_run(finished_run, tmp_path / "copy"), create=False)
    metric = {"value": 0.31, "stderr": 0.012, "n": 300}
    models = [
        {"name": name, "model": name, "metrics": {"arc_easy": {"acc_norm": metric}}, "shots": {}}
        for name in ("base", "final")
    ]
    change = {"task": "arc_easy", "metric": "acc_norm", "n": 300, "delta": -0.004}
    change |= {"before": 0.31, "after": 0.306, "low": -0.013, "high": 0.005}
    change |= {"fixed": 3, "broken": 4, "p_value": 1.0, "status": "kept"}
    body = {"tasks": ["arc_easy"], "margin": 0.02, "models": models, "differences": [[change]]}
    with store.writer("test"):
        store.add_record(RecordKind.BENCHMARKS_COMPARED, RunResults(store).run, body)
    text = text_of(render_report(RunResults(store), now=NOW))
    store.close()
    assert "What was forgotten" in text
    assert "31.0 % ± 1.2 (SE)" in text
    assert "−0.4 points −1.3 to +0.5 kept 300" in text


# --- the file and the command -------------------------------------------------------------


def test_it_is_written_atomically(finished_run: Path, tmp_path: Path) -> None:
    store = Store(finished_run, create=False)
    out = tmp_path / "deep" / "report.html"
    assert write_report(store, out, now=NOW) == out
    assert [p.name for p in out.parent.iterdir()] == ["report.html"]
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_report(store, blocked / "report.html")
    store.close()


def test_nothing_run_is_told_with_the_next_step(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StoreError, match="nothing was run"):
        RunResults(store)
    store.close()


def test_an_ambiguous_id_is_refused(results: RunResults) -> None:
    with pytest.raises(StoreError, match="issues begin with"):
        results.issue("is-nothing")
    with pytest.raises(StoreError, match="no single example"):
        results.answers.find_example("ex-")


def test_the_command_writes_where_it_is_told(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_run(finished_run, tmp_path / "copy")
    assert run_command_line(["report", str(root)]) == 0
    assert "report.html" in capsys.readouterr().out
    assert (root / "report.html").stat().st_size > 50_000
    assert run_command_line(["report", str(root), "--out", str(tmp_path / "r.html"), "--json"]) == 0
    assert '"report"' in capsys.readouterr().out


def test_the_command_before_any_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "residency.toml").write_text("")
    assert run_command_line(["report", str(tmp_path)]) == 2
    assert "residency run" in capsys.readouterr().err
