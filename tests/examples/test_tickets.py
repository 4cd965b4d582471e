"""The tickets example: its bytes, its rules, its mixture, and the wall between its splits."""

from __future__ import annotations

import hashlib
import json
import random
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from residency.config.settings import load_config
from residency.diagnose.detectors.misspelling import edit_distance
from residency.diagnose.run_detectors import run_detectors
from residency.embedding.wordllama import WordLlamaEmbedder
from residency.errors import ConfigError
from residency.evaluate.suites.grade import grade_responses
from residency.evaluate.suites.load_suite import load_suite
from residency.examples import copy_example
from residency.examples.tickets import facts, generate, slips, vocabulary
from residency.nouns.example import Example, Message
from residency.nouns.response import Response
from residency.overlap.firewall import screen_rows
from residency.text.label_values import find_label_values
from residency.text.words import jaccard_similarity, list_ngrams, split_words

FOLDER = Path(generate.__file__).parent
FIELDS = ["product", "problem", "urgency", "order", "request", "name", "reply"]


def read(split: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / f"{split}.jsonl").read_text().splitlines()]


ROWS = {split: read(split) for split in generate.SIZES}


def ticket(row: dict[str, Any]) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in row["response"].split("\n"))


def test_the_generator_writes_the_committed_bytes(tmp_path: Path) -> None:
    for path in generate.write_files(tmp_path):
        committed = (FOLDER / path.name).read_bytes()
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(committed).digest()


def test_another_seed_writes_other_rows() -> None:
    assert generate.make_rows("dev", 20, seed=1) != generate.make_rows("dev", 20, seed=2)


@pytest.mark.parametrize("split", list(generate.SIZES))
def test_rows_are_complete_and_unique(split: str) -> None:
    rows = ROWS[split]
    assert len(rows) == generate.SIZES[split]
    assert len({row["input"] for row in rows}) == len(rows)
    for row in rows:
        assert list(row) == ["instruction", "input", "response", "tags", "group"]
        assert row["instruction"] == generate.INSTRUCTION
        assert list(ticket(row)) == FIELDS
        assert "{" not in row["input"] + row["response"]


@pytest.mark.parametrize("split", list(generate.SIZES))
def test_copied_values_stand_in_the_message(split: str) -> None:
    for row in ROWS[split]:
        fields = ticket(row)
        slip = "misspelt-series" in row["tags"]
        for field in ("order", "name") if slip else ("product", "order", "name"):
            if fields[field] != "none":
                assert fields[field] in row["input"], row


@pytest.mark.parametrize("split", list(generate.SIZES))
def test_a_misspelt_series_has_one_slip_and_stands_nowhere_else(split: str) -> None:
    rows = [row for row in ROWS[split] if "misspelt-series" in row["tags"]]
    assert 0.35 <= len(rows) / len(ROWS[split]) <= 0.45
    for row in rows:
        series, product = ticket(row)["product"].split(" ", 1)
        assert series in vocabulary.SERIES
        assert series not in row["input"]
        (slip,) = re.findall(rf"(\S+) {re.escape(product)}", row["input"])
        assert edit_distance(slip, series, 1) == 1, row


@pytest.mark.parametrize("split", list(generate.SIZES))
def test_labels_follow_the_rules(split: str) -> None:
    for row in ROWS[split]:
        fields, tags = ticket(row), set(row["tags"])
        assert fields["problem"] in vocabulary.PROBLEMS
        assert f"urgency={fields['urgency']}" in tags
        assert set(fields["request"].split(" and ")) <= {*vocabulary.REQUESTS, "none"}
        assert ("two-requests" in tags) == fields["request"].endswith(" and information")
        if tags & {"sarcasm", "implied-urgency"}:
            assert fields["urgency"] == "high"
        if "order=plain" not in tags:
            assert fields["order"] == "none"
        if "order=other-number" in tags:
            assert re.search(r"\d", row["input"])
        if "order=missing" in tags:
            assert not re.search(r"\d", row["input"])


def test_a_correction_names_the_wrong_value_first() -> None:
    rng = random.Random(0)
    for ticket in facts.draw_facts(rng, "dev", 300):
        if not ticket.mistaken:
            continue
        message = generate.write_message(rng, vocabulary.EVAL, ticket)
        assert message.index(ticket.mistaken) < message.rindex(ticket.order)


@pytest.mark.parametrize("split", list(generate.SIZES))
def test_two_rare_slices_never_meet_in_one_field(split: str) -> None:
    for row in ROWS[split]:
        for three in (facts.ASKING, facts.NAMING):
            assert len(set(three) & set(row["tags"])) <= 1


def test_typos_never_touch_copied_values() -> None:
    rng = random.Random(1)
    text = "Hello, my espresso machine leaks badly. Order K48213, regards, Marta Lindqvist"
    kept = ("espresso machine", "K48213", "Marta Lindqvist")
    changed = 0
    for _ in range(200):
        typed = slips.add_typos(rng, text, kept)
        assert all(value in typed for value in kept)
        changed += typed != text
    assert changed > 190


def share(rows: list[dict[str, Any]], tag: str) -> float:
    return sum(tag in row["tags"] for row in rows) / len(rows)


@pytest.mark.parametrize("tag", facts.RARE)
def test_rare_slices_are_rare_in_train_and_present_elsewhere(tag: str) -> None:
    assert share(ROWS["train"][:250], tag) <= 0.016
    assert share(ROWS["train"], tag) <= 0.016
    assert sum(tag in row["tags"] for row in ROWS["pool"]) >= 60
    for split in ("dev", "test"):
        for n in (120, 150, 300):
            assert share(ROWS[split][:n], tag) >= 0.10


@pytest.mark.parametrize("split", list(generate.SIZES))
def test_any_prefix_is_representative(split: str) -> None:
    rows = ROWS[split]
    tags = Counter(tag for row in rows for tag in row["tags"])
    for n in (120, 140, 200, 240):
        for tag in tags:
            assert abs(share(rows[:n], tag) - share(rows, tag)) < 0.06, (n, tag)


@pytest.mark.parametrize("split", ["dev", "test"])
def test_paraphrase_pairs_share_facts_not_words(split: str) -> None:
    for n in (140, 300):
        rows = ROWS[split][:n]
        groups: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            groups.setdefault(row["group"], []).append(row)
        pairs = [pair for pair in groups.values() if len(pair) == 2]
        assert 0.35 <= 2 * len(pairs) / len(rows) <= 0.45
        for first, second in pairs:
            assert first["response"] == second["response"]
            assert first["tags"] == second["tags"]
            five = [list_ngrams(split_words(row["input"]), 5) for row in (first, second)]
            assert jaccard_similarity(*five) < 0.5


@pytest.mark.parametrize("seen", ["train", "pool"])
@pytest.mark.parametrize("unseen", ["dev", "test"])
def test_firewall_dev_and_test_share_no_phrasing_product_or_person(seen: str, unseen: str) -> None:
    near = {gram for row in ROWS[unseen] for gram in list_ngrams(split_words(row["input"]), 8)}
    for row in ROWS[seen]:
        assert near.isdisjoint(list_ngrams(split_words(row["input"]), 8)), row["input"]
    products = [
        {name for names in vocabulary.PRODUCTS[split].values() for name in names}
        for split in ("train", unseen)
    ]
    assert products[0].isdisjoint(products[1])
    for names in (vocabulary.FIRST_NAMES, vocabulary.LAST_NAMES):
        assert set(names["train"]).isdisjoint(names[unseen])


def test_firewall_dev_and_test_share_no_product_or_person() -> None:
    values = [
        {ticket(row)[field] for row in ROWS[split] for field in ("product", "name")} - {"none"}
        for split in ("dev", "test")
    ]
    assert values[0].isdisjoint(values[1])


def test_the_two_banks_of_phrasings_are_disjoint() -> None:
    banks = [
        {text for value in vars(bank).values() for text in _texts(value) if text not in ("", "{n}")}
        for bank in (vocabulary.TRAIN, vocabulary.EVAL)
    ]
    assert banks[0].isdisjoint(banks[1]), banks[0] & banks[1]


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, dict):
        return tuple(text for texts in value.values() for text in texts)
    return tuple(value)


def test_the_references_pass_the_suite_and_every_detector(tmp_path: Path) -> None:
    """An example whose own answers fail would blame the model for it."""
    copy_example("tickets", tmp_path)
    config = load_config(tmp_path / "residency.toml")
    suite = load_suite(tmp_path / config.evaluate.suite)
    embedder = WordLlamaEmbedder()
    dev = [example(row, "dev") for row in ROWS["dev"]]
    right = [Response("m", e.id, e.reference or "") for e in dev]
    findings = grade_responses(suite, dev, right, embedder=embedder)
    train = [example(row, "train") for row in ROWS["train"][:240]]
    findings += run_detectors(
        dev,
        right,
        known_words={word for e in train for m in e.messages for word in split_words(m.text)},
        embedder=embedder,
        config=config.diagnose,
        max_new_tokens=config.generate.max_new_tokens,
        label_values=find_label_values(train),
    )
    assert {f.kind for f in findings} >= {"wrong:order", "format", "inconsistency", "hallucination"}
    assert [f for f in findings if f.status == "fail"] == []


def test_the_firewall_lets_the_pool_through() -> None:
    pool = [example(row, "pool") for row in ROWS["pool"]]
    kept = [example(row, split) for split in ("dev", "test") for row in ROWS[split]]
    assert screen_rows(pool, kept).rejected == ()


def example(row: dict[str, Any], split: Any) -> Example:
    asked = Message("user", row["instruction"], input=row["input"])
    answer = Message("assistant", row["response"])
    return Example((asked, answer), split, group=row["group"], tags=tuple(row["tags"]))


def test_copy_example_makes_a_project(tmp_path: Path) -> None:
    files = copy_example("tickets", tmp_path / "demo")
    assert all(file.exists() for file in files)
    config = load_config(tmp_path / "demo" / "residency.toml")
    for split in generate.SIZES:
        for name in getattr(config.data, split):
            assert (tmp_path / "demo" / name).exists()
    tomllib.loads((tmp_path / "demo" / config.evaluate.suite).read_text())
    with pytest.raises(ConfigError, match="there already"):
        copy_example("tickets", tmp_path / "demo")


def test_an_unknown_example_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'tikets'"):
        copy_example("tikets", tmp_path)
