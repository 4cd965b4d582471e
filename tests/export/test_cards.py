"""Cards: valid for the hub's own reader, with the figures of the model that they speak of."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace

import pytest
import yaml
from huggingface_hub import DatasetCard, ModelCard

from residency.export.dataset_card import DataFacts, write_dataset_card
from residency.export.licences import Licence, check_licences
from residency.export.model_card import (
    CardFacts,
    CardIssue,
    CardScore,
    find_hub_base,
    write_model_card,
)
from residency.nouns.model import Model
from residency.nouns.verdict import Verdict

EVIL = "a | b\n---\n# x `y` <script>alert(1)</script> [z](javascript:1) ünï"


def verdict(status: str, split: str = "dev", after: float = 0.3) -> Verdict:
    return Verdict(
        issue="is-1", before="m-0", after="m-1", round=1, split=split, status=status,  # type: ignore[arg-type]
        n=100, unscored=4, before_rate=0.6, after_rate=after, fixed=40, broken=10, delta=0.3, low=0.2,
        high=0.4, p_value=0.001, e_value=9.0, alpha=0.01, mde=0.1, groups=100,
    )  # fmt: skip


def facts(**changes: object) -> CardFacts:
    known = CardFacts(
        title="tickets: final",
        name="tickets-final",
        base="smollm2-135m@pypi:sha256:aa",
        model=Model(
            "smollm2-135m", adapter="sha256:1", dataset="ds-1", round=2, seed=7,
            settings={"train": {"method": "lora", "rank": 16, "epochs": 3.0}},
        ),
        issues=[
            CardIssue("wrong urgency", 0.1, verdict("improved"), verdict("improved", "test", 0.35)),
            CardIssue("hallucination", 0.1, verdict("persisting", after=0.5), None),
            CardIssue("format", 0.1, verdict("resolved", after=0.0), None),
        ],
        files=[
            {"file": "x.gguf", "bytes": 9_000_000, "speed": 12.0, "same_text": 5, "prompts": 6,
             "score": 0.31, "rose": "wrong urgency"},
        ],
        budget=96,
        licences=check_licences([Licence("base", "Apache-2.0", "card"), Licence("data", "MIT", "x")]),
        export_format="hf",
        score=CardScore("fields right", 150, 0.02, 0.34, 0.279, 0.359),
        rows={"train": 460, "dev": 180},
        why={"the user's own training rows": 260, "drawn for an issue: pool, by embedding": 200},
        task="Make a ticket of the message.",
    )  # fmt: skip
    return replace(known, **changes)  # type: ignore[arg-type]


def read_card(text: str) -> ModelCard:
    """As the hub's own library reads it; a warning of it is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return ModelCard(text, ignore_metadata_errors=False)


def test_the_hubs_reader_finds_licence_base_and_results() -> None:
    data = read_card(write_model_card(facts())).data
    assert data.license == "apache-2.0"
    assert data.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert data.base_model_relation == "finetune"
    results = {r.metric_name: (r.dataset_split, r.metric_value) for r in data.eval_results}
    assert results["fields right"] == ("test", 0.34)
    assert results["fails wrong urgency"] == ("test", 0.35)  # the sealed test's, where there is one
    assert results["fails hallucination"] == ("dev", 0.5)


def test_the_text_has_figures_with_intervals_and_what_persists() -> None:
    text = write_model_card(facts())
    assert (
        "| wrong urgency | sealed test | 100 (4 unscored) | 60.0 % | 35.0 % | -30.0 [-40.0, -20.0] | improved |"
        in text
    )
    persists = text.partition("### What persists")[2].partition("##")[0]
    assert "hallucination persists: 50.0 % of 100 (dev)" in persists
    assert "wrong urgency still fails more than the accepted 10 %: 35.0 %" in persists
    assert "format" not in persists
    assert "difference +32.0 points, 95 % interval +27.9 to +35.9" in text
    assert "method lora, rank 16, epochs 3.0" in text and "`ds-1`" in text and "seed 7" in text
    assert "no legal advice" in text and "Make a ticket" in text
    unopened = write_model_card(facts(score=None, issues=[]))
    assert "The sealed test was not opened" in unopened and "No issue was followed" in unopened
    assert not read_card(unopened).data.eval_results


@pytest.mark.parametrize("licence", ["unknown", "CC-BY-NC-4.0", "llama3.1", "House rules"])
@pytest.mark.parametrize("export_format", ["hf", "adapter", "gguf", "gguf-adapter", "ollama"])
def test_every_licence_and_format_is_valid(licence: str, export_format: str) -> None:
    licences = check_licences([Licence("base", licence, "x"), Licence("data", "CC-BY-SA-4.0", "x")])
    data = read_card(write_model_card(facts(licences=licences, export_format=export_format))).data
    assert data.license == "other" and data.license_name and data.license_link
    relation = (
        "adapter"
        if "adapter" in export_format
        else "finetune"
        if export_format == "hf"
        else "quantized"
    )
    assert data.base_model_relation == relation


def test_hostile_names_change_neither_front_matter_nor_tables() -> None:
    issue = CardIssue(EVIL, 0.1, verdict("persisting"), None)
    text = write_model_card(
        facts(title=EVIL, name="x", base=EVIL, issues=[issue], task=EVIL, why={EVIL: 3})
    )
    front = yaml.safe_load(text[3:].partition("\n---\n")[0])
    assert front["license"] == "apache-2.0" and "base_model" not in front
    body = re.sub(r"`[^`]*`", "", text[3:].partition("\n---\n")[2])  # code is shown as it is
    assert "<script>" not in body and "\n# x" not in body
    assert not re.search(r"(?<!\\)\]\(javascript", body)
    read_card(text)


def test_only_names_of_the_hub_are_a_base_there() -> None:
    assert find_hub_base("hf:Qwen/Qwen3-0.6B@main") == "Qwen/Qwen3-0.6B"
    assert find_hub_base("/home/me/model@sha256:1") == ""
    assert find_hub_base("tiny@shipped") == ""


def test_a_dataset_card_is_valid_and_holds_counts_alone() -> None:
    card = write_dataset_card(
        DataFacts(
            title="tickets", version="ds-1", rows={"train": 260, "dev": 180}, trained=460,
            why={"the user's own training rows": 260}, sources={EVIL: 460},
            licence=Licence("data", "CC-BY-4.0", "[data] license"),
            teacher=Licence("teacher", "terms of OpenAI", "address"), groups=400,
            tags={"urgency=high": 90}, removed={"near-duplicate": 4}, notes=["Two columns unused."],
        )
    )  # fmt: skip
    data = DatasetCard(card).data
    assert data.license == "cc-by-4.0" and data.size_categories == ["n<1K"]
    assert (
        "460 rows in 400 groups" in card
        and "terms of OpenAI" in card
        and "- 4: near-duplicate" in card
    )
    unknown = write_dataset_card(
        DataFacts("t", "ds", {"train": 2000}, 2000, {}, {}, Licence("data", "unknown", "set it"))
    )
    assert DatasetCard(unknown).data.license == "unknown"


def test_rows_of_the_pool_are_not_called_training_rows() -> None:
    from residency.commands.export_cards import count_origins
    from residency.nouns.example import Example, Message

    turns = (Message("user", "Hi"), Message("assistant", "Yes?"))
    rows = [
        Example(turns), Example(turns, split="pool"), Example(turns, why="is-1a pool:embedding"),
        Example(turns, why="teacher small for is-1a2b3c4d"),
    ]  # fmt: skip
    assert count_origins(rows) == {
        "the user's own training rows": 1,
        "rows of the user's pool, drawn for issues": 1,
        "drawn for an issue: pool, by embedding": 1,
        "teacher small for …": 1,
    }
