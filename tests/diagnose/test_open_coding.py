"""Clusters as slices, and the plan for reading responses by hand."""

from __future__ import annotations

import pytest

from residency.diagnose.cluster_slices import cluster_slices, name_clusters
from residency.diagnose.open_coding import (
    QUIET,
    Note,
    findings_of_notes,
    reading_plan,
    reading_progress,
)
from residency.embedding.wordllama import WordLlamaEmbedder
from residency.nouns.example import Example, Message
from residency.nouns.response import Response

THEMES = {
    "bread": "Knead the bread dough with flour and yeast, loaf {k}",
    "engine": "The car engine needs oil, spark plugs and a gasket, job {k}",
    "guitar": "Tune the guitar strings and play the chord, song {k}",
}


@pytest.fixture(scope="module")
def embedder() -> WordLlamaEmbedder:
    return WordLlamaEmbedder()


def make(start: int, n: int, split: str = "dev") -> list[Example]:
    return [
        Example(
            (Message("user", "Answer in one sentence.", input=text.format(k=start + k)),),
            split=split,  # type: ignore[arg-type]
            tags=(theme,),
        )
        for theme, text in THEMES.items()
        for k in range(n)
    ]


def test_clusters_are_the_themes_and_test_items_join_them(embedder: WordLlamaEmbedder) -> None:
    dev, test = make(0, 20), make(100, 5, "test")
    slices = cluster_slices(dev, embedder, also=test, count=3)
    assert len(slices) == 3
    theme = {e.id: e.tags[0] for e in [*dev, *test]}
    for where in slices:
        themes = {theme[key] for key in where.members}
        assert len(themes) == 1
        assert len(where.members) == 25
    assert len({where.name for where in slices}) == 3
    assert any("dough" in where.name or "bread" in where.name for where in slices)
    assert cluster_slices(dev, embedder, also=test, count=3) == slices
    assert cluster_slices(dev[:10], embedder) == []


def test_names_leave_out_what_all_clusters_say() -> None:
    texts = [["please", "help", "bread"], ["please", "help", "engine"]] * 10
    names = name_clusters(texts, [0, 1] * 10)
    assert names[0].startswith("bread")
    assert names[1].startswith("engine")
    same = name_clusters([["same", "words"], ["same", "words", "more"]], [0, 1])
    assert same[0] != same[1]


def test_the_reading_plan_mixes_representatives_and_random_rows(
    embedder: WordLlamaEmbedder,
) -> None:
    rows = make(0, 60)
    odd = Example((Message("user", "What is the boiling point of mercury?"),), split="dev")
    responses = [Response("m", e.id, f"Answer about {e.tags[0]}.") for e in rows]
    responses.append(Response("m", odd.id, "It boils at 357 degrees Celsius."))
    plan = reading_plan([*rows, odd], responses, embedder, count=40)
    assert len(plan) == 40
    assert len({p.response.id for p in plan}) == 40
    share = sum(p.chosen == "representative" for p in plan) / len(plan)
    assert 0.6 <= share <= 0.7
    assert odd.id in {p.response.example for p in plan}  # the rare prompt is seen
    assert plan == reading_plan([*rows, odd], responses, embedder, count=40)
    assert reading_plan([], [], embedder) == []
    assert len(reading_plan(rows, responses[:7], embedder, count=40)) == 7


def test_reading_ends_when_the_last_twenty_show_nothing_new() -> None:
    notes = [Note(f"r{k}", "wrong name" if k % 3 == 0 else "") for k in range(45)]
    assert reading_progress(notes[:30]).next_step == "read"
    assert reading_progress(notes).next_step == "group"
    grouped = [Note(n.response, n.text, "name" if n.text else "") for n in notes]
    found = reading_progress(grouped)
    assert (found.next_step, found.modes, found.read) == ("done", ("name",), 45)
    assert found.unseen_rate == pytest.approx(1 - 0.05 ** (1 / found.quiet))
    fresh = [*grouped, Note("r99", "invented date", "date")]
    again = reading_progress(fresh)
    assert (again.next_step, again.quiet) == ("read", 0)
    assert again.unseen_rate == 1.0
    more = [*fresh, *(Note(f"s{k}", "") for k in range(QUIET))]
    assert reading_progress(more).next_step == "done"


def test_only_the_first_failure_is_noted_so_others_are_unscored() -> None:
    notes = [Note("a", "wrong name", "name"), Note("b", ""), Note("c", "odd", "other")]
    found = {
        (f.response, f.kind): f.status for f in findings_of_notes(notes, {"name": 0.5, "date": 0.9})
    }
    assert found["a", "name"] == "fail"
    assert found["a", "date"] == "unscored"
    assert found["b", "name"] == "pass"
    assert found["c", "name"] == "unscored"
