"""The HTML report: complete, self-contained, escaped, and honest about what it rests on."""

from __future__ import annotations

import html
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from report_project import EVIL, RUN, build
from residency.cli import invoke
from residency.errors import StoreError, UserError
from residency.loop.score_change import score_change
from residency.nouns.finding import Finding, Span
from residency.report import charts
from residency.report.highlight import highlight, trained_tokens
from residency.report.write_report import chosen, render, report
from residency.results import words
from residency.results.headline import headline
from residency.results.run_evidence import Evidence
from residency.store.store import Store

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


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
def page(evidence: Evidence) -> str:
    return render(evidence, now=NOW)


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


# --- one file, nothing loaded, nothing run ------------------------------------------------


def test_the_page_loads_nothing(page: str) -> None:
    for tag, attributes in Tags(page).tags:
        assert tag not in ("link", "iframe", "object", "embed", "img")
        assert "src" not in attributes
        for name in ("href", "xlink:href", "action"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_model_output_is_escaped_everywhere(page: str, evidence: Evidence) -> None:
    stored = [r.text for arm in evidence.arms for r in evidence.responses(arm.model.id, "dev")]
    assert any(EVIL in text for text in stored)  # the model did try
    assert html.escape(EVIL, quote=True).replace("&#x27;", "&#39;") in page
    assert EVIL not in page
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


def test_charts_are_well_formed_and_follow_the_theme(page: str) -> None:
    found = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(found) >= 10
    for svg in found:
        ET.fromstring(svg)
        assert "<title>" in svg
        assert not any(color in svg for color in charts.ROLES.values())
    assert "var(--accent)" in found[0]


# --- what it says -------------------------------------------------------------------------


def text_of(page: str) -> str:
    return " ".join(" ".join(Tags(page).words).split()).replace("\u00a0", " ")


def test_pain_22_better_or_not_is_answered_first(page: str, evidence: Evidence) -> None:
    head = headline(evidence)
    assert head.answer == "yes"
    test = evidence.test
    assert test is not None
    before = test["sides"][test["reference"]]["scores"]["score"]["mean"]
    after = test["sides"][test["final"]]["scores"]["score"]["mean"]
    text = text_of(page)
    assert f"{100 * before:.1f} %" in text
    assert f"{100 * after:.1f} %" in text
    assert text.index("Yes, it is better") < text.index("Rounds The same dev items")


def test_pain_24_every_verdict_stands_with_its_interval(page: str, evidence: Evidence) -> None:
    text = text_of(page)
    assert evidence.issues
    for view in evidence.issues:
        assert view.title in text
        verdict = view.latest
        assert verdict is not None
        assert words.interval(verdict.low, verdict.high, signed=True) in text
        assert f"α spent here {verdict.alpha:.2g}" in text


def test_pain_32_lineage_goes_from_model_to_rows_to_issue(page: str, evidence: Evidence) -> None:
    text = text_of(page)
    for arm in evidence.arms:
        assert arm.model.id in text
        if arm.model.dataset:
            assert arm.model.dataset in text
    accepted = [p for p in evidence.proposals[2] if p.accepted]
    asked = evidence.issue(accepted[0].issue)
    assert f"{len(accepted)} rows for {asked.title}" in text
    assert "turned down by the firewall" in text
    assert "shares 8 words with a dev item" in text


def test_targeted_against_random_is_one_question_first(page: str, evidence: Evidence) -> None:
    together = evidence.stage("overall 2")
    assert together["low"] > 0  # the made-up control arm leaves the rare slices wrong
    text = text_of(page)
    assert f"{together['better']} fail fewer of the issues" in text
    assert "The targeted rows did more than random rows." in text


def test_pain_27_unscored_is_told_not_counted(page: str, evidence: Evidence) -> None:
    rate = evidence.arms[0].scores["kinds"]["wrong:name"]
    assert rate["scored"] < rate["total"]
    assert f"{100 * rate['coverage']:.0f} % scored" in text_of(page)


def test_issues_that_persist_are_said_to_persist(evidence: Evidence) -> None:
    still = [view.title for view in evidence.issues if view.status != "resolved"]
    assert still
    assert still[0] in " ".join(headline(evidence).reasons)


def test_a_run_that_was_only_opened_has_a_page(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_run(RUN, {"settings": {}})
    store.add_record("run opened", RUN, {"full": False})
    page = render(Evidence(store), now=NOW)
    store.close()
    assert "No model has answered the dev items yet" in page


def test_an_unfinished_run_claims_nothing(tmp_path: Path) -> None:
    store = build(tmp_path, tested=False)
    text = text_of(render(Evidence(store), now=NOW))
    store.close()
    assert "the sealed test has not been opened" in text
    assert "2 rounds are done" in text
    assert "Yes, it is better" not in text
    assert "run not finished" in text


def test_the_paired_change_is_tighter_than_two_intervals(evidence: Evidence) -> None:
    test = evidence.test
    assert test is not None
    change = test["score_change"]
    was, now = (test["sides"][test[key]]["scores"]["score"] for key in ("reference", "final"))
    assert change["delta"] == pytest.approx(now["mean"] - was["mean"])
    assert change["high"] - change["low"] < (was["high"] - was["low"]) + (now["high"] - now["low"])


def test_score_change_pairs_items_and_keeps_groups_together() -> None:
    before = {f"e{i}": i / 40 for i in range(40)}  # items differ a lot in difficulty
    after = {key: value + 0.1 for key, value in before.items()}
    change = score_change(before, after, {})
    assert change is not None
    assert change["low"] == pytest.approx(0.1)
    assert change["high"] == pytest.approx(0.1)
    mixed = {key: value + (0.2 if i % 2 else 0.0) for i, (key, value) in enumerate(before.items())}
    alone = score_change(before, mixed, {})
    grouped = score_change(before, mixed, {key: str(i % 4) for i, key in enumerate(before)})
    assert alone is not None
    assert grouped is not None
    assert grouped["high"] - grouped["low"] > alone["high"] - alone["low"]
    assert score_change(before, {}, {}) is None


def test_a_worse_model_is_called_worse(evidence: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    test = evidence.test
    assert test is not None
    change = test["score_change"]
    back = {**change, "delta": -change["delta"], "low": -change["high"], "high": -change["low"]}
    swapped = {**test, "final": test["reference"], "reference": test["final"]}
    swapped["score_change"] = back
    monkeypatch.setitem(evidence.__dict__, "test", swapped)
    assert headline(evidence).answer == "worse"
    even = {**test, "reference": test["final"], "score_change": None}
    monkeypatch.setitem(evidence.__dict__, "test", even)
    assert headline(evidence).answer == "no"


def test_samples_show_a_failure_that_stayed(evidence: Evidence) -> None:
    for view in evidence.issues:
        samples = evidence.samples(view)
        shown = chosen(samples)
        assert len(shown) <= 3
        if any(s.change in ("still failing", "broken") for s in samples):
            assert any(s.change in ("still failing", "broken") for s in shown)


def test_samples_agree_with_the_verdict(evidence: Evidence) -> None:
    """The items counted in a verdict are among those shown, with the same outcome."""
    for view in evidence.issues:
        verdict = view.latest
        assert verdict is not None
        changes = [s.change for s in evidence.samples(view)]
        assert changes.count("fixed") >= verdict.fixed
        assert changes.count("broken") >= verdict.broken


def test_the_same_store_gives_the_same_page(root: Path, page: str) -> None:
    store = Store(root, create=False)
    again = render(Evidence(store), now=NOW)
    store.close()
    strip = re.compile(r"c\d+-")  # running numbers of the charts
    assert strip.sub("", again) == strip.sub("", page)


def test_pain_01_what_is_trained_is_shown_in_colour(page: str) -> None:
    assert '<span class="tok given">&lt;|im_start|&gt;user' in page
    assert '<span class="tok trained">product: kettle' in page


def test_baselines_stand_in_the_report(tmp_path: Path) -> None:
    store = build(tmp_path, tested=False)
    scores = Evidence(store).arms[1].scores
    row = {"name": "few-shot <4>", "way": "prompt", "scores": scores, "words": 21.6}
    row |= {"p50": 0.51, "p95": None, "prompt_tokens": 310.2, "answer_tokens": 55.0}
    row |= {"cost_per_1000": None, "leaves_machine": False}
    body = {"rows": [row], "differences": [], "recommendation": ["Fine-tune: it is better."]}
    store.add_record("baseline", RUN, body)
    text = text_of(render(Evidence(store), now=NOW))
    store.close()
    assert "Should one fine-tune at all?" in text
    assert "few-shot <4>" in text
    assert "0.51 / –" in text
    assert "Fine-tune: it is better." in text


def test_what_was_forgotten_stands_in_the_report(tmp_path: Path) -> None:
    store = build(tmp_path, tested=False)
    metric = {"value": 0.31, "stderr": 0.012, "n": 300}
    models = [
        {"name": name, "model": name, "metrics": {"arc_easy": {"acc_norm": metric}}, "shots": {}}
        for name in ("base", "final")
    ]
    change = {"task": "arc_easy", "metric": "acc_norm", "n": 300, "delta": -0.004}
    change |= {"before": 0.31, "after": 0.306, "low": -0.013, "high": 0.005}
    change |= {"fixed": 3, "broken": 4, "p_value": 1.0, "status": "kept"}
    body = {"tasks": ["arc_easy"], "margin": 0.02, "models": models, "differences": [[change]]}
    store.add_record("bench compared", RUN, body)
    text = text_of(render(Evidence(store), now=NOW))
    store.close()
    assert "What was forgotten" in text
    assert "31.0 % ± 1.2 (SE)" in text
    assert "−0.4 −1.3 to +0.5 kept 300" in text


# --- pieces -------------------------------------------------------------------------------


@given(
    st.text(max_size=60),
    st.lists(st.tuples(st.integers(-5, 70), st.integers(-5, 70)), max_size=5),
)
def test_highlighting_never_changes_the_text(text: str, ends: list[tuple[int, int]]) -> None:
    spans = tuple(Span(a, b, "<i>why</i>") for a, b in ends)
    marked = highlight(text, Finding("r", "k", "fail", "d", "1", spans=spans))
    plain = re.sub(r"<mark title=\"[^\"]*\">|</mark>", "", str(marked))
    assert Markup(plain).unescape() == text
    assert "<i>" not in marked
    covered = {i for a, b in ends for i in range(max(a, 0), min(b, len(text)))}
    inside = re.findall(r"<mark[^>]*>(.*?)</mark>", str(marked), re.DOTALL)
    assert sum(len(Markup(piece).unescape()) for piece in inside) == len(covered)


def test_a_passed_check_marks_nothing() -> None:
    finding = Finding("r", "k", "pass", "d", "1", spans=(Span(0, 2),))
    assert highlight("text", finding) == "text"


def test_tokens_keep_their_text() -> None:
    row = trained_tokens([("a\n", False), ("b&", True)])
    assert Markup(re.sub(r"<[^>]+>", "", row)).unescape() == "a\nb&"


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0.0 %"), (0.123456, "12.3 %"), (1.0, "100.0 %"), (None, "–")]
)
def test_percent(value: float | None, shown: str) -> None:
    assert words.percent(value).replace("\u00a0", " ") == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.0, "1"), (26.84, "26.8"), (1.46e7, "1.5·10⁷"), (float("inf"), "∞")],
)
def test_e_values_keep_what_matters(value: float, shown: str) -> None:
    assert words.e_value(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(5, "5 s"), (75, "1 min 15 s"), (3725, "1 h 2 min")]
)
def test_durations(seconds: float, shown: str) -> None:
    assert words.duration(seconds) == shown


def test_long_curves_are_thinned_and_end_where_they_end() -> None:
    curve = [{"step": i, "loss": 1.0} for i in range(5001)]
    kept = charts.thinned(curve)
    assert len(kept) <= 402
    assert kept[-1] == curve[-1]


# --- the file and the command -------------------------------------------------------------


def test_it_is_written_atomically(root: Path, tmp_path: Path) -> None:
    store = Store(root, create=False)
    out = tmp_path / "deep" / "report.html"
    assert report(store, out, now=NOW) == out
    assert [p.name for p in out.parent.iterdir()] == ["report.html"]
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        report(store, blocked / "report.html")
    store.close()


def test_nothing_run_is_told_with_the_next_step(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StoreError, match="nothing was run"):
        Evidence(store)
    store.close()


def test_an_ambiguous_id_is_refused(evidence: Evidence) -> None:
    with pytest.raises(StoreError, match="issues begin with"):
        evidence.issue("is-")
    with pytest.raises(StoreError, match="no single example"):
        evidence.example("ex-")
    assert evidence.run == RUN


def test_the_command_writes_beside_the_project(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["report", str(root)]) == 0
    assert "report.html" in capsys.readouterr().out
    assert (root / "report.html").stat().st_size > 50_000
    assert invoke(["report", str(root), "--out", str(tmp_path / "r.html"), "--json"]) == 0
    assert '"report"' in capsys.readouterr().out


def test_the_command_before_any_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "residency.toml").write_text("")
    assert invoke(["report", str(tmp_path)]) == 2
    assert "residency run" in capsys.readouterr().err
