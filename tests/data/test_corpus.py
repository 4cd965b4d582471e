"""Reading a project's rows: duplicates, splits, groups, contamination, limits."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from residency.config.data import DataConfig
from residency.config.settings import Config
from residency.data.corpus import Corpus, load_corpus
from residency.errors import ConfigError, DataError
from residency.nouns.example import Split

WORDS = ["".join(random.Random(n).choices("abcdefghijklmnopqrstuvwxyz", k=6)) for n in range(4000)]
INSTRUCTION = "Read the message of the customer and write the ticket with all of its seven fields."


def sentence(rng: random.Random, length: int = 24) -> str:
    return " ".join(rng.choices(WORDS, k=length))


def rows(count: int, seed: int = 0, **extra: object) -> list[dict[str, object]]:
    rng = random.Random(seed)
    return [
        {"instruction": INSTRUCTION, "input": sentence(rng), "response": sentence(rng, 6), **extra}
        for _ in range(count)
    ]


def write(folder: Path, name: str, values: list[dict[str, object]]) -> str:
    (folder / name).write_text("".join(json.dumps(v) + "\n" for v in values))
    return name


def load(folder: Path, **data: object) -> Corpus:
    return load_corpus(Config(data=DataConfig.model_validate(data)), folder)


def kinds(corpus: Corpus) -> set[tuple[str, str]]:
    return {(r.kind, r.split) for r in corpus.removed}


def test_clean_rows_all_stay(tmp_path: Path) -> None:
    """A shared instruction and boilerplate sentences are no overlap."""
    greeting = " thank you for your patience and please send me a new one to my home address today "
    given = {}
    for seed, split in enumerate(("train", "dev", "test", "pool")):
        values = rows(60, seed)
        for value in values[::2]:
            value["input"] = str(value["input"]) + greeting + sentence(random.Random(str(value)), 5)
        given[split] = [write(tmp_path, f"{split}.jsonl", values)]
    corpus = load(tmp_path, **given)
    assert corpus.removed == []
    assert [len(corpus.split(s)) for s in ("train", "dev", "test", "pool")] == [60] * 4


@pytest.mark.parametrize(
    ("leak", "rule"),
    [
        ("same", "same row"),
        ("answer changed", "near-duplicate"),
        ("words changed", "near-duplicate"),
        ("thirteen words", "13-gram"),
        ("most of a short item", "8-grams"),
    ],
)
def test_pain_23_planted_leak_is_removed(tmp_path: Path, leak: str, rule: str) -> None:
    train, dev = rows(80), rows(40, seed=1)
    victim = dev[7]
    copy = dict(victim)
    text = str(victim["input"]).split()
    rng = random.Random(5)
    if leak == "answer changed":
        copy["response"] = "another answer"
    elif leak == "words changed":
        copy["input"] = " ".join([*text[:-1], "changed"])
    elif leak == "thirteen words":
        copy["input"] = f"{sentence(rng, 30)} {' '.join(text[5:18])} {sentence(rng, 30)}"
    elif leak == "most of a short item":
        victim["input"] = " ".join(text[:12])
        copy["input"] = f"{sentence(rng, 30)} {' '.join(text[:11])} {sentence(rng, 30)}"
    train[3] = copy
    corpus = load(
        tmp_path,
        train=[write(tmp_path, "train.jsonl", train)],
        dev=[write(tmp_path, "dev.jsonl", dev)],
        test=[write(tmp_path, "test.jsonl", rows(20, 2))],
        pool=[write(tmp_path, "pool.jsonl", rows(20, 3))],
    )
    [removed] = corpus.removed
    assert (removed.kind, removed.split) == ("contamination", "train")
    assert removed.source == "train.jsonl:4"
    assert removed.near == "dev.jsonl:8"
    assert rule in removed.reason
    assert len(corpus.split("dev")) == 40


def test_a_leak_copied_many_times_is_not_boilerplate(tmp_path: Path) -> None:
    train, dev = rows(100), rows(40, seed=1)
    for place in range(30):
        train[place] = {**dev[0], "response": f"answer {place}"}
    corpus = load(
        tmp_path,
        train=[write(tmp_path, "train.jsonl", train)],
        dev=[write(tmp_path, "dev.jsonl", dev)],
        test=[write(tmp_path, "test.jsonl", rows(20, 2))],
        pool=[write(tmp_path, "pool.jsonl", rows(20, 3))],
    )
    assert len(corpus.split("train")) == 70


def test_duplicates_go_and_contradictions_stay(tmp_path: Path) -> None:
    values = rows(50)
    values += [values[0], {**values[1], "input": f"{values[1]['input']} end"}]
    values.append({**values[2], "response": "something else entirely"})
    corpus = load(tmp_path, train=[write(tmp_path, "train.jsonl", values)], split={"train": 1})
    assert sorted((r.kind, r.source) for r in corpus.removed) == [
        ("exact duplicate", "train.jsonl:51"),
        ("near-duplicate", "train.jsonl:52"),
    ]
    assert corpus.contradictions == [("train.jsonl:3", "train.jsonl:53")]
    groups = {e.source: e.group for e in corpus.examples}
    assert groups["train.jsonl:3"] == groups["train.jsonl:53"] != ""


def test_an_old_row_never_changes_split(tmp_path: Path) -> None:
    values = rows(300)
    for number, value in enumerate(values):
        value["group"] = f"g{number // 3}"
    before = load(tmp_path, train=[write(tmp_path, "a.jsonl", values)])
    more = rows(200, seed=9) + [{**values[n], "input": f"new {n}"} for n in range(0, 300, 7)]
    after = load(tmp_path, train=[write(tmp_path, "a.jsonl", more[:100] + values + more[100:])])
    old = {e.id: e.split for e in before.examples}
    new = {e.id: e.split for e in after.examples}
    assert len(old) == 300
    assert all(new[key] == split for key, split in old.items())
    shares = [sum(s == name for s in new.values()) / len(new) for name in ("train", "dev")]
    assert 0.3 < shares[0] < 0.5
    assert 0.08 < shares[1] < 0.22


def test_groups_never_straddle(tmp_path: Path) -> None:
    values = [{**v, "group": f"g{n // 4}"} for n, v in enumerate(rows(200))]
    corpus = load(tmp_path, train=[write(tmp_path, "a.jsonl", values)])
    where: dict[str, set[str]] = {}
    for example in corpus.examples:
        where.setdefault(example.group, set()).add(example.split)
    assert all(len(splits) == 1 for splits in where.values())
    straddling = [{**v, "group": "shared"} for v in rows(6, seed=4)]
    corpus = load(
        tmp_path,
        train=[write(tmp_path, "train.jsonl", rows(20) + straddling[:2])],
        dev=[write(tmp_path, "dev.jsonl", rows(20, 1) + straddling[2:4])],
        test=[write(tmp_path, "test.jsonl", rows(20, 2) + straddling[4:])],
        pool=[write(tmp_path, "pool.jsonl", rows(20, 3))],
    )
    assert kinds(corpus) == {("group", "train"), ("group", "dev")}
    assert len(corpus.split("test")) == 22


def test_stratified_split_keeps_the_shares_of_each_tag(tmp_path: Path) -> None:
    values = [{**v, "topic": "rare" if n % 10 == 0 else "usual"} for n, v in enumerate(rows(200))]
    corpus = load(
        tmp_path,
        train=[write(tmp_path, "a.jsonl", values)],
        tags=["topic"],
        stratify="topic",
        split={"train": 0.5, "dev": 0.25, "test": 0.25},
    )
    for tag, total in (("topic=rare", 20), ("topic=usual", 180)):
        for split, share in (("train", 0.5), ("dev", 0.25), ("test", 0.25)):
            count = sum(tag in e.tags for e in corpus.split(split))  # type: ignore[arg-type]
            assert abs(count - share * total) <= 1


@pytest.mark.parametrize("groups", [1, 2])
def test_a_rare_tag_gets_the_dev_rows_that_are_asked_for(tmp_path: Path, groups: int) -> None:
    """From the pool first; the test keeps its rows, and half of the others are left to train on."""
    values = [
        {**v, "topic": "rare" if n // groups % 10 == 0 else "usual", "group": f"g{n // groups}"}
        for n, v in enumerate(rows(600 * groups))
    ]
    name = write(tmp_path, "a.jsonl", values)
    asked = {"train": [name], "tags": ["topic"]}
    plain = load(tmp_path, **asked)
    more = load(tmp_path, **asked, oversample_dev={"topic=rare": 20})

    def place(corpus: Corpus) -> dict[str, str]:
        return {e.source: e.split for e in corpus.examples}

    def rare(corpus: Corpus, split: Split) -> int:
        return len({e.group for e in corpus.split(split) if "topic=rare" in e.tags})

    assert rare(plain, "dev") < 20 == rare(more, "dev")
    before, after = place(plain), place(more)
    moved = {source for source in before if before[source] != after[source]}
    assert {(before[s], after[s]) for s in moved} == {("pool", "dev")}
    assert "dev has 20 groups with topic=rare" in " ".join(more.notes)
    most = load(tmp_path, **asked, oversample_dev={"topic=rare": 500})
    outside = 60 - rare(plain, "test")
    assert rare(most, "dev") == outside // 2 and rare(most, "test") == rare(plain, "test")
    assert "500 were asked for" in " ".join(most.notes)
    least = load(tmp_path, **asked, oversample_dev={"topic=rare": 20}, limit={"dev": 30 * groups})
    assert rare(least, "dev") == 20 and len(least.split("dev")) == 30 * groups


def test_limit_takes_whole_groups_in_file_order(tmp_path: Path) -> None:
    values = [{**v, "group": f"g{n // 4}"} for n, v in enumerate(rows(40))]
    config = Config(
        data=DataConfig(
            train=[write(tmp_path, "a.jsonl", values)], split={"train": 1.0}, limit={"train": 10}
        )
    )
    corpus = load_corpus(config, tmp_path)
    assert [e.source for e in corpus.examples] == [f"a.jsonl:{n}" for n in range(1, 9)]
    assert len(load_corpus(config, tmp_path, full=True).examples) == 40


def test_settings_that_cannot_be_used(tmp_path: Path) -> None:
    name = write(tmp_path, "a.jsonl", rows(20))
    with pytest.raises(ConfigError, match="no training files"):
        load(tmp_path)
    with pytest.raises(ValueError, match="limit"):
        load(tmp_path, train=[name], limit={"trian": 3})
    with pytest.raises(ConfigError, match="no share is left for train"):
        load(tmp_path, train=[name], split={"dev": 1.0})
    with pytest.raises(ConfigError, match="no row has a tag"):
        load(tmp_path, train=[name], stratify="colour")
    with pytest.raises(ConfigError, match="no row has the tag colour=red"):
        load(tmp_path, train=[name], oversample_dev={"colour=red": 3})
    with pytest.raises(ConfigError, match="dev is named as files of its own"):
        other = write(tmp_path, "b.jsonl", rows(9, 5))
        load(tmp_path, train=[name], dev=[other], oversample_dev={"colour=red": 3})
    with pytest.raises(DataError, match="no such file"):
        load(tmp_path, train=["c.jsonl"])


def test_conversations_that_differ_in_an_earlier_answer_are_no_duplicates(tmp_path: Path) -> None:
    """Every trained turn is compared, not the last answer alone."""
    ends = ("Have a nice day!", "You too!")
    talks = [
        {
            "messages": [
                {"role": "user", "content": "Where is my parcel? It should have come on Monday."},
                {"role": "assistant", "content": " ".join(f"{word}{n}" for word in "abcdefghij")},
                {"role": "user", "content": ends[0]},
                {"role": "assistant", "content": ends[1]},
            ]
        }
        for n in range(12)
    ]
    twice = {"messages": [*talks[0]["messages"][:2], talks[0]["messages"][2], {"role": "assistant", "content": "You too."}]}  # fmt: skip
    name = write(tmp_path, "a.jsonl", [*talks, twice])
    corpus = load(tmp_path, train=[name], split={"train": 1.0})
    assert len(corpus.examples) == len(talks)
    assert [r.source for r in corpus.removed] == ["a.jsonl:13"], "the same but for a sign"


def test_with_preferences_rows_without_a_pair_wait_and_are_told(tmp_path: Path) -> None:
    given = rows(30)
    for row in given[:20]:
        row["rejected"] = "no"
        row["chosen"] = row.pop("response")
        row["prompt"] = f"{row.pop('instruction')} {row.pop('input')}"
    paths = [write(tmp_path, "a.jsonl", given[:20]), write(tmp_path, "b.jsonl", given[20:])]
    config = Config.model_validate({"data": {"train": paths}, "train": {"objective": "dpo"}})
    corpus = load_corpus(config, tmp_path)
    assert len(corpus.examples) == 20 and all(e.rejected for e in corpus.examples)
    assert any(note.startswith("10 rows of train hold no worse answer") for note in corpus.notes)
    assert len(load(tmp_path, train=paths).examples) == 30
