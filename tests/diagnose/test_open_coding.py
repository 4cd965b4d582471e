"""Clusters as slices, and the plan for reading responses by hand."""

from __future__ import annotations

import random
from typing import Any

import pytest

from residency.diagnose.cluster_slices import cluster_slices, name_clusters
from residency.diagnose.notes import Note, findings_of_notes, replay_notes
from residency.diagnose.open_coding import (
    QUIET,
    choose_to_read,
    count_modes,
    measure_progress,
    measure_readers,
    suggest_groups,
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
    plan = choose_to_read([*rows, odd], responses, embedder, count=40)
    assert len(plan) == 40
    assert len({p.response.id for p in plan}) == 40
    typical = [p.chosen in ("representative", "both") for p in plan]
    assert 0.6 <= sum(typical) / len(plan) <= 0.7
    drawn = [p.chosen == "random" for p in plan]
    assert drawn == sorted(drawn)  # what the sentence on unseen modes rests on is read last
    assert odd.id in {p.response.example for p in plan}  # the rare prompt is seen
    assert plan == choose_to_read([*rows, odd], responses, embedder, count=40)
    assert choose_to_read([], [], embedder) == []
    assert len(choose_to_read(rows, responses[:7], embedder, count=40)) == 7


def every(notes: list[Note]) -> set[str]:
    return {note.response for note in notes}


def test_reading_ends_when_the_last_twenty_draws_show_nothing_new() -> None:
    notes = [Note(f"r{k}", "wrong name" if k % 3 == 0 else "") for k in range(45)]
    drawn = every(notes)
    assert measure_progress(notes[:30], drawn).next_step == "read"
    assert measure_progress(notes, drawn).next_step == "group"
    grouped = [Note(n.response, n.text, "name" if n.text else "") for n in notes]
    found = measure_progress(grouped, drawn)
    assert (found.next_step, found.modes, found.read) == ("done", ("name",), 45)
    assert (found.quiet, found.unseen_rate) == (44, pytest.approx(1 - 0.025 ** (1 / 44)))
    fresh = [*grouped, Note("r99", "invented date", "date")]
    again = measure_progress(fresh, every(fresh))
    assert (again.next_step, again.quiet, again.unseen_rate) == ("read", 0, 1.0)
    more = [*fresh, *(Note(f"s{k}", "") for k in range(QUIET))]
    later = measure_progress(more, every(more))
    # a second row of quiet draws: its chance of being wrong is added to that of the first
    assert (later.next_step, later.unseen_rate) == (
        "done",
        pytest.approx(1 - (0.05 / 6) ** (1 / QUIET)),
    )
    typical = measure_progress(more, drawn)
    assert (typical.quiet, typical.next_step) == (0, "read")  # representatives say nothing of it


def read_until_wrong(rng: random.Random) -> bool:
    """Whether any sentence of one reading was wrong: 300 answers, 20 typical ones are read first."""
    size, share = 300, rng.uniform(0.1, 0.5)
    weights = [1 / (n + 1) ** rng.choice((0, 1)) for n in range(rng.choice((3, 12, 60)))]
    failing = rng.choices(range(len(weights)), weights, k=round(share * size))
    modes = [f"mode {n}" for n in failing] + [""] * (size - len(failing))
    rng.shuffle(modes)
    order = [*range(20), *rng.sample(range(20, size), 150)]
    notes = [Note(f"r{n}", modes[n], modes[n]) for n in order]
    drawn = {f"r{n}" for n in order[20:]}
    for count in range(21, len(order) + 1):
        known = {modes[n] for n in order[:count]} | {""}
        unseen = sum(mode not in known for mode in modes) / size
        if unseen > measure_progress(notes[:count], drawn).unseen_rate:
            return True
    return False


def test_of_all_readings_one_in_twenty_at_most_shows_a_wrong_bound_at_any_time() -> None:
    rng = random.Random(7)
    readings = 400
    wrong = sum(read_until_wrong(rng) for _ in range(readings))
    assert wrong <= 0.05 * readings + 3 * (0.05 * 0.95 * readings) ** 0.5
    assert wrong > 0  # the bound is not loose: worlds with many rare modes come near it


def test_only_the_first_failure_is_noted_so_others_are_unscored() -> None:
    notes = [Note("a", "wrong name", "name"), Note("b", ""), Note("c", "odd", "other")]
    found = {
        (f.response, f.kind): f.status for f in findings_of_notes(notes, {"name": 0.5, "date": 0.9})
    }
    assert found["a", "name"] == "fail"
    assert found["a", "date"] == "unscored"
    assert found["b", "name"] == "pass"
    assert found["c", "name"] == "unscored"


def note_row(response: str, text: str, reader: str = "ann") -> dict[str, str]:
    return {"response": response, "text": text, "reader": reader, "at": "t"}


def test_modes_are_assigned_renamed_merged_and_split_without_overwriting() -> None:
    rows = [note_row(f"r{n}", "odd") for n in range(4)] + [note_row("r9", "")]
    ids = [Note(row["response"], "", reader="ann").id for row in rows]
    changes: list[dict[str, Any]] = [
        {"do": "assign", "notes": ids[:2], "mode": "one"},
        {"do": "assign", "notes": ids[2:4], "mode": "two"},
        {"do": "rename", "mode": "two", "to": "one"},
    ]
    assert [n.mode for n in replay_notes(rows, changes)] == ["one"] * 4 + [""]
    split = [*changes, {"do": "assign", "notes": ids[:1], "mode": "three"}]
    assert [n.mode for n in replay_notes(rows, split)][:2] == ["three", "one"]
    again = replay_notes([*rows, note_row("r0", "much better words")], split)
    assert (again[0].text, again[0].mode, len(again)) == ("much better words", "three", 5)
    fine = replay_notes([*rows, note_row("r0", "")], split)
    assert fine[0].mode == ""  # a fine answer is in no mode


def test_a_note_without_a_mode_may_be_a_new_one_so_nothing_is_quiet() -> None:
    notes = [Note(f"r{k}", "") for k in range(50)]
    assert measure_progress(notes, every(notes)).unseen_rate == pytest.approx(1 - 0.025 ** (1 / 50))
    assert measure_progress([*notes, Note("x", "something")], every(notes)).quiet == 0
    twenty = measure_progress(notes[:20], every(notes))
    assert "drawn at random showed nothing new: at most 17 %" in twenty.describe()


def test_rates_of_modes_stand_on_the_random_part_alone() -> None:
    notes = [Note(f"r{k}", "bad" if k < 5 else "", "bad" if k < 5 else "") for k in range(10)]
    (mode,) = count_modes(notes, {f"r{k}" for k in range(4, 10)})
    assert (mode.rate, mode.read, len(mode.notes)) == (pytest.approx(1 / 6), 6, 5)
    assert mode.low < 1 / 6 < mode.high


def test_readers_agree_as_krippendorff_has_it() -> None:
    same = [Note(f"r{k}", "bad" * (k % 2), "m" * (k % 2), reader=r) for k in range(8) for r in "ab"]
    assert measure_readers(same).failing == pytest.approx(1.0)
    split = [
        Note(f"r{k}", "bad" if (k + (r == "b")) % 2 else "", reader=r)
        for k in range(8)
        for r in "ab"
    ]
    agreement = measure_readers(split)
    assert agreement.failing is not None
    assert agreement.failing < 0
    assert len(agreement.differing) == agreement.shared == 8
    assert measure_readers(same[:1]).failing is None


def test_where_readers_differ_on_a_mode_it_is_unscored() -> None:
    notes = [Note("a", "x", "name", "ann"), Note("a", "", "", "bob"), Note("b", "y", "name", "ann")]
    found = {f.response: f.status for f in findings_of_notes(notes, {"name": 0.5})}
    assert found == {"a": "unscored", "b": "fail"}


def test_suggestions_group_what_is_alike_and_decide_nothing(embedder: WordLlamaEmbedder) -> None:
    notes = [Note(f"a{k}", f"the colour is invented, case {k}") for k in range(6)]
    notes += [Note(f"b{k}", f"the reply is far too long, case {k}") for k in range(6)]
    groups = suggest_groups(notes, embedder, most=2)
    assert sorted(len(members) for _, members in groups) == [6, 6]
    for _, members in groups:
        assert len({note.response[0] for note in members}) == 1
    assert suggest_groups([Note("a", "x", "named")], embedder) == []
