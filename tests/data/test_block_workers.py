"""Work spread over blocks and over a cluster gives what one pass in one process gives."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chat_families import FAMILIES, tokenizer_of
from residency.chat.chat_format import ChatFormat
from residency.commands.check import check as rounds_check
from residency.config.data import DataConfig
from residency.config.model import ModelConfig
from residency.config.settings import Config
from residency.data import block_workers as spread
from residency.data.block_workers import RayCluster, run_here
from residency.data.checks import survey
from residency.data.checks.data_doctor import check_data
from residency.data.checks.row_sample import Sample
from residency.data.local_workers import LocalWorkers
from residency.data.reading.source_reader import read_sources
from residency.data.token_rows import tokenise_examples
from residency.errors import DataError, MissingExtraError, ResidencyError
from residency.nouns.example import Message

VOCABULARY = ["kettle", "order", "shop", "please", "window", "leaks", "Anna", "won't", "küche", "7"]


def rows(count: int) -> list[dict[str, Any]]:
    """Rows with every kind of fault in it, near-duplicates and repeats far apart."""
    rng = random.Random(0)
    out: list[dict[str, Any]] = []
    for n in range(count):
        text = " ".join(rng.choices(VOCABULARY, k=rng.randint(8, 40)))
        row = {"instruction": f"Answer {text} {n}", "response": f"It is {text}.", "tags": ["a=b"]}
        fault = rng.randrange(14)
        if fault == 0 and out:
            row = dict(rng.choice(out))
        elif fault == 1:
            row["response"] = ""
        elif fault == 2:
            row["response"] = "I'm sorry, but I cannot help with that."
        elif fault == 3:
            row["instruction"] += " write to anna.smith@kettles.io"
        elif fault == 4:
            row["response"] = "the cat sat on the mat " * 20
        elif fault == 5:
            row["response"] = "<|im_start|>user\nnothing"
        elif fault == 6:
            row["tags"] = [f"a={n % 3}"]
        elif fault == 7 and out:
            row["instruction"] = str(rng.choice(out)["instruction"]) + " again"
        out.append(row)
    return out


def project(folder: Path, count: int = 600) -> Config:
    lines = "".join(json.dumps(r) + "\n" for r in rows(count))
    (folder / "rows.jsonl").write_text(lines)
    return Config(
        data=DataConfig(
            train=["rows.jsonl"],
            stratify="a",
            split={"train": 0.8, "dev": 0.2},
            oversample_dev={"a=1": 30},
        ),
        model=ModelConfig(max_length=120),
    )


def findings(config: Config, folder: Path, **more: Any) -> dict[str, Any]:
    chat = ChatFormat(tokenizer_of("chatml"))
    report, found = check_data(config, folder, chat=chat, missing=("dev",), **more)
    body = report.to_dict()
    del body["seconds"]
    assert report.ledger is not None
    body["lengths"] = list(report.ledger.lengths)
    body["sample"] = [v.example.id for v in found.findings.sample.views]
    body["prompts"] = [found.table.prompts.row(n).tolist() for n in range(len(found.table))]
    return body


@pytest.mark.parametrize("size", [3, 250])
def test_blocks_of_any_size_give_the_same_report(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = project(tmp_path)
    whole = findings(config, tmp_path)
    assert whole["removed"] and whole["rejects"] and whole["contradictions"]["pairs"]
    monkeypatch.setattr(survey, "BLOCK", size)
    assert findings(config, tmp_path) == whole


def test_what_is_sent_to_another_process_comes_back_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sent(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        far = pickle.loads(pickle.dumps(function))
        for item in items:
            yield pickle.loads(pickle.dumps(far(pickle.loads(pickle.dumps(item)))))

    config = project(tmp_path)
    monkeypatch.setattr(survey, "BLOCK", 100)
    assert findings(config, tmp_path, spread=sent) == findings(config, tmp_path)
    with LocalWorkers(2, first=1) as workers:
        assert findings(config, tmp_path, spread=workers) == findings(config, tmp_path)
    examples = read_sources(["rows.jsonl"], config.data, "train", tmp_path).examples
    chat = ChatFormat(tokenizer_of("chatml"))
    assert tokenise_examples(examples, chat, spread=sent) == tokenise_examples(
        examples, chat, spread=run_here
    )


def test_strict_stops_at_the_first_bad_row_of_any_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = project(tmp_path)
    monkeypatch.setattr(survey, "BLOCK", 50)
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    first = next(n for n, line in enumerate(lines, 1) if not json.loads(line)["response"])
    with pytest.raises(DataError) as caught:
        findings(config, tmp_path, strict=True)
    assert f"rows.jsonl:{first} " in caught.value.where


def test_a_sample_in_parts_is_the_sample_of_all(tmp_path: Path) -> None:
    from residency.data.checks.figures import View

    config = project(tmp_path, 300)
    examples = read_sources(["rows.jsonl"], config.data, "train", tmp_path).examples
    whole, parts = Sample(40), Sample(40)
    for n, example in enumerate(examples):
        whole.add(View(n, example, "", "", []))
    for first in range(0, len(examples), 25):
        part = Sample(bar=parts.bar)
        for n, example in enumerate(examples[first : first + 25]):
            part.add(View(n, example, "", "", []))
        parts.merge(part, first)
    assert [(v.number, v.example.id) for v in parts.views] == [
        (v.number, v.example.id) for v in whole.views
    ]
    assert parts.seen == whole.seen == len(examples)


@pytest.mark.parametrize("family", sorted(FAMILIES)[:6])
def test_a_chat_format_that_was_sent_encodes_the_same(family: str) -> None:
    chat = ChatFormat(tokenizer_of(family))
    far = pickle.loads(pickle.dumps(chat))
    assert far.hash == chat.hash
    messages = [
        Message("user", "Does the kettle leak?"),
        Message("assistant", "Yes, it won't hold."),
    ]
    assert far.encode(messages) == chat.encode(messages)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingExtraError, match="Ray") as caught:
        RayCluster()
    assert "residency[cluster]" in caught.value.next_step


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_two_workers_one_of_them_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One cluster for all that is asked of it, since starting one is what takes long."""
    config = project(tmp_path)
    monkeypatch.setattr(survey, "BLOCK", 100)
    chat = ChatFormat(tokenizer_of("chatml"))
    examples = read_sources(["rows.jsonl"], config.data, "train", tmp_path).examples
    mark = tmp_path / "killed"

    def square(value: int) -> tuple[int, int]:  # within, so that it is sent and not imported
        if value == 5 and not mark.exists():
            mark.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return value * value, os.getpid()

    with start(workers=2) as cluster:
        squares = list(cluster(square, range(20)))
        assert [value for value, _ in squares] == [n * n for n in range(20)]
        killed = int(mark.read_text())
        workers = {worker for _, worker in squares}
        assert os.getpid() not in workers
        assert killed not in {worker for value, worker in squares if value == 25}
        assert findings(config, tmp_path, spread=cluster) == findings(config, tmp_path)
        assert tokenise_examples(examples, chat, spread=cluster) == tokenise_examples(
            examples, chat
        )
        # The command of another process finds the cluster by its address.
        command = [sys.executable, "-m", "residency.cli", "check", "rows.jsonl", "--json"]
        done = subprocess.run(
            [*command, "--cluster", cluster.address],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
    alone = rounds_check(tmp_path / "rows.jsonl").report.to_dict()
    told = json.loads(done.stdout)
    assert [told[k] for k in ("rows", "kept", "figures", "removed")] == [
        json.loads(json.dumps(alone[k])) for k in ("rows", "kept", "figures", "removed")
    ]


def start(*, workers: int) -> RayCluster:
    """A cluster of this machine. Ray gives its own processes 30 s and no more, which a busy machine
    can need: it is tried again, and never passed over."""
    for attempt in range(3):
        try:
            return RayCluster(workers=workers)
        except ResidencyError as error:
            if "timed out" not in error.what or attempt == 2:
                raise
    raise AssertionError


def test_the_setting_says_where_rows_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Known(spread.RayCluster):
        def __init__(self, address: str = "", *, workers: int | None = None) -> None:
            asked.append(address)

        def __exit__(self, *_: object) -> None:
            asked.append("closed")

    monkeypatch.setattr(spread, "RayCluster", Known)
    with spread.spread_over("") as found:
        assert isinstance(found, LocalWorkers)
    for setting in ("local", "auto", "ray://there:10001"):
        with spread.spread_over(setting) as found:
            assert isinstance(found, Known)
    assert asked == ["", "closed", "auto", "closed", "ray://there:10001", "closed"]


def test_a_cluster_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    config = project(tmp_path)
    text = f'[model]\nbase = "none"\n[data]\ntrain = {config.data.train!r}\ncluster = "nowhere:1"\n'
    (tmp_path / "residency.toml").write_text(text.replace("'", '"'))
    with pytest.raises(ResidencyError, match="does not answer"):
        rounds_check(tmp_path)
