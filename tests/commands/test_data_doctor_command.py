"""The data doctor: every planted fault is found, with its rows and what to do; --fix leaves them out."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from chat_families import tokenizer_of
from residency.commands.check import check
from residency.config.data import DataConfig
from residency.config.settings import Config
from residency.data.checks.data_doctor import CheckReport, check_data
from residency.data.cleaning.cleaned_copy import write_cleaned_copy
from residency.data.reading.source_reader import read_sources
from residency.errors import ConfigError, DataError
from residency.text.personal_data import KINDS, find_personal, is_iban, passes_luhn
from residency.text.secret_forms import find_secrets
from small import save_model

VOCABULARY = [
    "order",
    "kettle",
    "shop",
    "delivery",
    "message",
    "please",
    "garden",
    "window",
    "yellow",
    "river",
    "summer",
    "paper",
    "button",
    "music",
    "letter",
    "number",
    "street",
    "winter",
    "silver",
    "handle",
    "mirror",
    "pocket",
    "basket",
    "candle",
    "bottle",
    "school",
]


def clean_rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        {
            "instruction": f"Tell me about {' '.join(rng.choices(VOCABULARY, k=9))} number {n}.",
            "response": f"There is {' '.join(rng.choices(VOCABULARY, k=12))} {n}.",
        }
        for n in range(count)
    ]


def save(folder: Path, name: str, rows: list[Any]) -> str:
    (folder / name).write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return name


def examine(folder: Path, rows: list[dict[str, Any]], **more: Any) -> CheckReport:
    config = Config(data=DataConfig(train=[save(folder, "rows.jsonl", rows)]))
    return check_data(config, folder, missing=(), **more)[0]


PLANTED: dict[str, tuple[str, str]] = {
    # figure: (field, text planted there)
    "refusals": ("response", "I'm sorry, but I can't help with that request."),
    "boilerplate": ("response", "Sure! The kettle is in the garden beside the window."),
    "repetitive": ("response", "the kettle is broken again. " * 12),
    "cut_off": ("response", "The delivery will come to the street with the yellow window and"),
    "template_marks": ("response", "The kettle.<|im_end|>\n<|im_start|>user"),
    "placeholders": ("response", "Dear {{name}}, the kettle comes tomorrow."),
    "mojibake": ("instruction", "Where is the cafÃ© in the street?"),
    "markup": ("instruction", "Read <div class='a'>this page</div> and answer."),
    "personal": ("instruction", "Write to anna.smith@kettles.io about the kettle."),
    "secrets": ("response", "Use the key AKIAIOSFODNN7EXAMPLQ for the kettle shop."),
}


@pytest.mark.parametrize("name", PLANTED)
def test_every_planted_fault_is_found(tmp_path: Path, name: str) -> None:
    field, text = PLANTED[name]
    rows = clean_rows(40)
    rows[7] = {**rows[7], field: text}
    report = examine(tmp_path, rows)
    figure = report.figure(name)
    assert figure.rows == 1
    assert figure.examples[0].source == "rows.jsonl:8"
    assert figure.action
    others = {f.name for f in report.warnings} - {name}
    assert not others & set(PLANTED), "a fault is reported under its own name only"


def test_clean_rows_raise_no_alarm(tmp_path: Path) -> None:
    report = examine(tmp_path, clean_rows(60))
    assert report.warnings == []
    assert report.kept["train"] == 60
    assert report.rejected == 0


def test_suspects_are_shown_masked(tmp_path: Path) -> None:
    rows = clean_rows(20)
    rows[0]["response"] = "Use the key AKIAIOSFODNN7EXAMPLQ now."
    rows[1]["instruction"] = "Call me at anna.smith@kettles.io please."
    text = json.dumps(examine(tmp_path, rows).to_dict())
    assert "AKIAIOSFODNN7EXAMPLQ" not in text.split('"name": "secrets"')[1]
    assert "anna.smith@kettles.io" not in text.split('"name": "personal"')[1].split('"name"')[0]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("mail a.b@kettles.io", ["email address"]),
        ("mail someone@example.com", []),
        ("card 4539 1488 0343 6467", ["payment card"]),
        ("order 4539 1488 0343 6468", []),
        ("order 1111 1111 1111 1111", []),
        ("to DE89 3704 0044 0532 0130 00", ["IBAN"]),
        ("to DE89 3704 0044 0532 0130 01", []),
        ("ring +49 221 4710 3321", ["telephone number"]),
        ("on 2024-05-17 or 1999-2003", []),
        ("ssn 078-05-1120", ["US social security number"]),
        ("order 138 euros, number 4711", []),
    ],
)
def test_personal_data_by_form_and_checksum(text: str, kinds: list[str]) -> None:
    assert [kind for kind, _, _ in find_personal(text)] == kinds
    for _, start, end in find_personal(text):
        assert text[start:end].strip() in text


def test_checksums_catch_every_single_wrong_digit() -> None:
    card, account = "4539148803436467", "DE89370400440532013000"
    assert passes_luhn(card)
    assert is_iban(account)
    for place in range(len(card)):
        for digit in "0123456789":
            if digit != card[place]:
                assert not passes_luhn(card[:place] + digit + card[place + 1 :])
    for place in range(4, len(account)):
        for digit in "0123456789":
            if digit != account[place]:
                assert not is_iban(account[:place] + digit + account[place + 1 :])


def test_secrets_are_not_seen_in_prose() -> None:
    prose = "My order ORD-2024-000123456789 from https://shop.example/items?id=12345678901234567890"
    assert find_secrets(prose) == []
    token = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"
    assert [kind for kind, _, _ in find_secrets(f"token {token}")] == ["GitHub Token"]


def test_languages_and_mismatches(tmp_path: Path) -> None:
    rows = clean_rows(60)
    german = "Der Wasserkocher steht seit gestern Abend in der Küche neben dem großen Fenster."
    rows[3] = {
        "instruction": "Where is the kettle, and since when has it been there?",
        "response": german,
    }
    report = examine(tmp_path, rows)
    assert report.figure("languages").examples[0].source == "rows.jsonl:4"
    assert report.figure("language_mismatch").rows == 1


def test_misspellings_are_words_one_edit_from_common_ones(tmp_path: Path) -> None:
    rows = clean_rows(60)
    rows[5]["response"] = "There is a tempurature that we can not accept in the garden."
    rows[6]["response"] = "Mr Zwiebelkuchenberg of Xyloprint wrote about it in the garden."
    figure = examine(tmp_path, rows).figure("misspellings")
    assert [e.source for e in figure.examples] == ["rows.jsonl:6"]
    assert "temperature?" in figure.examples[0].excerpt


def test_contradictions_and_duplicates_are_counted(tmp_path: Path) -> None:
    rows = clean_rows(40)
    rows += [rows[0], {**rows[1], "response": "Something else was said about this matter."}]
    report = examine(tmp_path, rows)
    assert report.removed == {("exact duplicate", "train"): 1}
    assert report.contradictions == [("rows.jsonl:2", "rows.jsonl:42")]
    assert report.figure("contradictions").rows == 2


def test_wrong_labels_are_suspected(tmp_path: Path) -> None:
    from residency.embedding.wordllama import WordLlamaEmbedder

    rng = random.Random(0)
    rows: list[dict[str, Any]] = []
    for n in range(120):
        subject, label = (
            (("kettle", "toaster", "oven"), "kitchen")
            if n % 2
            else (("bicycle", "tyre", "saddle"), "sport")
        )
        words = " ".join(rng.choices(subject, k=3))
        rows.append({"instruction": f"My {words} from order {n} is broken", "response": label})
    rows[17]["response"] = "sport"
    figure = examine(tmp_path, rows, embedder=WordLlamaEmbedder()).figure("label_suspects")
    assert [e.source for e in figure.examples] == ["rows.jsonl:18"]


def test_pain_23_benchmarks_are_protected(tmp_path: Path) -> None:
    question = (
        "Which of these explains best why the moon shows the same side to the earth at all times?"
    )
    rows = clean_rows(40)
    rows[9]["instruction"] = f"Please answer this for my homework. {question} Thank you."
    report = examine(
        tmp_path, rows, benchmarks={"ARC": ["What is water?", question], "MMLU": ["Why?"]}
    )
    [leak] = report.leaks
    assert (leak.benchmark, leak.item, leak.source) == ("ARC", 1, "rows.jsonl:10")
    assert report.benchmarks == {"ARC": 2, "MMLU": 1}


def test_benchmark_copies_are_recognised(tmp_path: Path) -> None:
    from residency.data.benchmark_questions import load_benchmarks

    (tmp_path / "ARC-Easy").mkdir()
    save(tmp_path / "ARC-Easy", "test.jsonl", [{"question": {"stem": "Why is the sky blue?"}}])
    save(tmp_path / "ARC-Easy", "train.jsonl", [{"question": {"stem": "Left out."}}])
    (tmp_path / "mmlu").mkdir()
    (tmp_path / "mmlu" / "law_test.csv").write_text("What is a contract?,a,b,c,d,A\n")
    (tmp_path / "TruthfulQA.csv").write_text("Type,Question,Best Answer\nx,Do pigs fly?,No\n")
    assert load_benchmarks(tmp_path) == {
        "ARC": ["Why is the sky blue?"],
        "TruthfulQA": ["Do pigs fly?"],
        "MMLU": ["What is a contract?"],
    }
    with pytest.raises(DataError, match="no ARC"):
        (tmp_path / "none").mkdir()
        load_benchmarks(tmp_path / "none")


def test_the_ledger_is_part_of_the_report(tmp_path: Path) -> None:
    from residency.chat.chat_format import ChatFormat
    from residency.config.model import ModelConfig

    rows = clean_rows(30)
    rows[4]["response"] = "kettle " * 300
    config = Config(
        data=DataConfig(train=[save(tmp_path, "rows.jsonl", rows)]),
        model=ModelConfig(max_length=300),
    )
    report, _ = check_data(config, tmp_path, chat=ChatFormat(tokenizer_of("chatml")), missing=())
    assert report.ledger is not None
    assert report.ledger.too_long == 1
    tokens = report.to_dict()["tokens"]
    assert tokens["affected"][0]["source"] == "rows.jsonl:5"
    assert sum(tokens["histogram"]["rows"]) == 30


def test_fix_writes_a_new_version_and_never_touches_the_source(tmp_path: Path) -> None:
    rows = clean_rows(40)
    rows[3]["response"] = PLANTED["secrets"][1]
    rows[4]["response"] = PLANTED["refusals"][1]
    rows[5]["response"] = ""
    rows.append(rows[0])
    rows[6]["input"] = "with an input"
    rows[7]["tags"] = ["a=b"]
    name = save(tmp_path, "rows.jsonl", rows)
    before = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    config = Config(data=DataConfig(train=[name]))
    _, survey = check_data(config, tmp_path, missing=())
    fixed = write_cleaned_copy(survey, tmp_path / "clean")
    assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == before
    assert fixed.kept == {"train": 37}
    assert fixed.dropped == {"secrets": 1, "refusals": 1, "exact duplicate": 1, "rejected": 1}
    listed = [json.loads(x) for x in (fixed.folder / "dropped.jsonl").read_text().splitlines()]
    assert {(x["kind"], x.get("source", x.get("line"))) for x in listed} == {
        ("secrets", "rows.jsonl:4"),
        ("refusals", "rows.jsonl:5"),
        ("rejected", 6),
        ("exact duplicate", "rows.jsonl:41"),
    }
    # The cleaned file gives the very same examples, and the same fix is the same version.
    again = read_sources(["train.jsonl"], DataConfig(), "train", fixed.folder)
    old = read_sources([name], DataConfig(), "train", tmp_path)
    left_out = {x.get("source") for x in listed}
    assert [e.id for e in again.examples] == [
        e.id for e in old.examples if e.source not in left_out
    ]
    assert again.examples[4].tags == ("a=b",)
    assert write_cleaned_copy(survey, tmp_path / "clean").folder == fixed.folder
    assert [p.name for p in (tmp_path / "clean").iterdir()] == [fixed.version]


def test_kinds_that_are_kept_stay_in_the_cleaned_copy(tmp_path: Path) -> None:
    rows = clean_rows(20)
    rows[3]["response"] = PLANTED["secrets"][1]
    rows[4]["response"] = PLANTED["refusals"][1]
    (tmp_path / "data").mkdir()
    save(tmp_path / "data", "train.jsonl", rows)
    fixed = check(tmp_path / "data", fix=True, keep=["refusals"]).fixed
    assert fixed is not None and fixed.dropped == {"secrets": 1}
    assert sum(fixed.kept.values()) == 19
    again = check(tmp_path / "data")
    assert again.report.rows["train"] == 20, (
        "the cleaned copy beside the rows is not read with them"
    )
    assert check(fixed.folder / "train.jsonl").report.rows["train"] == 19  # where it is named it is
    with pytest.raises(DataError, match="'topics' is no kind"):
        check(tmp_path / "data", fix=True, keep=["topics"])
    with pytest.raises(DataError, match="none is asked for"):
        check(tmp_path / "data", keep=["refusals"])


def test_preference_and_text_rows_survive_fix(tmp_path: Path) -> None:
    pairs = [
        {"prompt": f"{r['instruction']}", "chosen": r["response"], "rejected": "no"}
        for r in clean_rows(20)
    ]
    texts = [{"text": f"{r['instruction']} {r['response']}"} for r in clean_rows(20, 1)]
    for rows in (pairs, texts):
        name = save(tmp_path, "rows.jsonl", rows)
        _, survey = check_data(Config(data=DataConfig(train=[name])), tmp_path, missing=())
        fixed = write_cleaned_copy(survey, tmp_path / "clean")
        again = read_sources(["train.jsonl"], DataConfig(), "train", fixed.folder)
        old = read_sources([name], DataConfig(), "train", tmp_path)
        assert [e.id for e in again.examples] == [e.id for e in old.examples]


def test_strict_stops_at_the_first_bad_row(tmp_path: Path) -> None:
    rows = clean_rows(10)
    rows[2]["response"] = ""
    with pytest.raises(DataError, match="no answer to train on") as caught:
        examine(tmp_path, rows, strict=True)
    assert "rows.jsonl:3" in caught.value.where
    with pytest.raises(ConfigError, match="no training files"):
        check_data(Config(), tmp_path)


def test_the_command_on_a_file_and_a_project(tmp_path: Path) -> None:
    from residency.cli.app import build_app

    save_model(tmp_path / "model")
    rows = clean_rows(30)
    rows[2]["response"] = ""
    save(tmp_path, "rows.jsonl", rows)
    (tmp_path / "residency.toml").write_text(
        f'[model]\nbase = {json.dumps(str(tmp_path / "model"))}\n[data]\ntrain = ["rows.jsonl"]\n'
    )
    run = CliRunner()
    command = build_app("check")
    shown = run.invoke(command, ["check", str(tmp_path / "rows.jsonl")])
    assert shown.exit_code == 0, shown.output
    assert "alpaca" in shown.output
    assert "no answer to train on" in shown.output
    as_json = run.invoke(command, ["check", str(tmp_path), "--json", "--fix"])
    assert as_json.exit_code == 0, as_json.output
    body = json.loads(as_json.stdout)
    assert sum(body["rows"].values()) == 29
    assert body["rows"]["dev"] > 0
    assert body["rejects"][0]["line"] == 3
    assert Path(body["fixed"]["folder"]).is_dir()
    kept = (tmp_path / ".residency" / "check" / "rejects.jsonl").read_text()
    assert json.loads(kept)["line"] == 3


@settings(max_examples=400, deadline=None)
@given(st.text(st.sampled_from("0123456789 .()-+AZDEmb@"), max_size=40))
def test_a_quick_look_hides_nothing_personal(text: str) -> None:
    for _, pattern, holds, hint in KINDS:
        if any(holds(found.group()) for found in pattern.finditer(text)):
            assert hint.search(text)
