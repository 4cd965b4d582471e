"""Logs of lm-eval, Inspect and promptfoo as two sides: pairing, what is refused, damaged files."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from residency.commands.gate import gate_logs
from residency.errors import DataError
from residency.evaluate.imported_logs.compare_logs import compare_logs, is_lower_better
from residency.evaluate.imported_logs.read_log import is_log, read_log

WHEN = "2026-11-27T04-57-09.524595"


def lm_eval_row(number: int, right: bool, **changes: Any) -> dict[str, Any]:
    """A line as lm-eval 0.4.13 writes it."""
    return {
        "doc_id": number,
        "doc": {"q": f"What is {number} + 1?", "answer": 0},
        "target": "0",
        "arguments": {
            "gen_args_0": {"arg_0": f"Question: What is {number} + 1?\nAnswer:", "arg_1": " 14"},
        },
        "resps": [[["-4.79", "False"]]],
        "filtered_resps": [["-4.79", "False"]],
        "filter": "none",
        "metrics": ["acc", "acc_norm"],
        "doc_hash": f"doc{number}",
        "prompt_hash": f"prompt{number}",
        "target_hash": "t",
        "acc": float(right),
        "acc_norm": float(right),
        **changes,
    }


def write_lines(path: Path, rows: list[dict[str, Any]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def inspect_log(right: list[Any], **sample: Any) -> dict[str, Any]:
    """A log as Inspect's ``.json`` holds it."""
    return {
        "version": 2,
        "status": "success",
        "eval": {"task": "sums", "model": "openai/gpt", "created": "2026-11-27"},
        "plan": {"name": "plan", "steps": []},
        "results": {"total_samples": len(right), "scores": []},
        "stats": {},
        "samples": [
            {
                "id": n + 1,
                "epoch": 1,
                "input": [{"id": f"random{id(right)}{n}", "role": "user", "content": f"{n} + 1?"}],
                "target": str(n + 1),
                "messages": [],
                "output": {"model": "gpt", "choices": []},
                "scores": {"match": {"value": value, "answer": "x"}},
                **sample,
            }
            for n, value in enumerate(right)
        ],
    }


def write_eval_zip(path: Path, log: dict[str, Any]) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        header = {k: v for k, v in log.items() if k != "samples"}
        archive.writestr("_journal/start.json", json.dumps(header))
        for sample in log["samples"]:
            archive.writestr(
                f"samples/{sample['id']}_epoch_{sample['epoch']}.json", json.dumps(sample)
            )
        archive.writestr("summaries.json", "[]")
        archive.writestr("header.json", json.dumps(header))
    return str(path)


def promptfoo_row(number: int, passed: bool, **changes: Any) -> dict[str, Any]:
    """A result as promptfoo's version 3 writes it."""
    return {
        "promptIdx": 0,
        "testIdx": number,
        "testCase": {"vars": {"n": number}, "assert": [{"type": "equals", "value": str(number)}]},
        "vars": {"n": number},
        "promptId": "abc",
        "provider": {"id": "openai:gpt-4o", "label": ""},
        "prompt": {"raw": f"What is {number}?", "label": "What is {{n}}?"},
        "response": {"output": "x"},
        "success": passed,
        "score": 1 if passed else 0,
        "namedScores": {"tone": 0.5},
        "failureReason": 0 if passed else 1,
        "latencyMs": 12,
        "gradingResult": {"pass": passed, "score": 1, "reason": "", "componentResults": []},
        **changes,
    }


def promptfoo_file(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "evalId": "eval-x",
        "results": {
            "version": 3,
            "timestamp": "2026-11-27",
            "prompts": [{"raw": "What is {{n}}?", "metrics": {"score": 1}}],
            "results": rows,
            "stats": {"successes": 1},
        },
        "config": {"tests": []},
    }


def status(before: str, after: str, **limits: Any) -> dict[str, str]:
    compared = compare_logs(read_log(before), read_log(after), **limits)
    return {change.name: change.status for change in compared.changes}


def test_pain_49_lm_eval_files_are_paired_by_document_whatever_their_order(tmp_path: Path) -> None:
    before = [lm_eval_row(n, True) for n in range(30)]
    after = [lm_eval_row(n, n >= 15) for n in reversed(range(30))]
    old = write_lines(tmp_path / "a" / f"samples_sums_{WHEN}.jsonl", before)
    new = write_lines(tmp_path / "b" / f"samples_sums_{WHEN}.jsonl", after)
    assert status(old, new) == {"sums acc": "worse", "sums acc_norm": "worse"}
    assert status(str(tmp_path / "a"), str(tmp_path / "b")) == status(old, new)  # folders
    assert status(new, old) == {"sums acc": "better", "sums acc_norm": "better"}
    change = compare_logs(read_log(old), read_log(new)).changes[0]
    assert (change.n, change.before, change.after) == (30, 0.0, 0.5)
    assert is_log(old) and is_log(str(tmp_path / "a"))


def test_files_of_other_names_are_paired_by_document_too(tmp_path: Path) -> None:
    """Whoever copies a file names it as they like; the task's name stood in the old one."""
    rows = [lm_eval_row(n, True) for n in range(8)]
    files = {
        name: write_lines(tmp_path / name, rows)
        for name in ("before.jsonl", "after.jsonl", f"samples_sums_{WHEN}.jsonl")
    }
    for before in files:
        for after in files:
            compared = compare_logs(read_log(files[before]), read_log(files[after]))
            task = "sums " if "samples" in before + after else ""
            assert [change.name for change in compared.changes] == [f"{task}acc", f"{task}acc_norm"]
            assert [change.n for change in compared.changes] == [8, 8]
            assert read_log(files[after]).label.startswith("lm-eval ")


def test_lines_of_another_program_are_told(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [{"id": 1, "score": 1}, {"id": 2, "score": 0}])
    with pytest.raises(DataError, match="no log that is read here"):
        read_log(path)


def test_filters_are_metrics_of_their_own_and_older_arguments_are_read(tmp_path: Path) -> None:
    rows = [
        lm_eval_row(
            n, True, filter=name, metrics=["exact_match"], exact_match=float(good),
            arguments=[[f"Q{n}", {"until": ["\n"]}]],
        )
        for n in range(8)
        for name, good in (("strict", False), ("flexible", True))
    ]  # fmt: skip
    path = write_lines(tmp_path / f"samples_gsm8k_{WHEN}.jsonl", rows)
    log = read_log(path)
    assert log.metrics == {"gsm8k": ["exact_match,strict", "exact_match,flexible"]}
    assert len(log.items) == 8


def test_pairs_of_other_prompts_and_other_targets_are_refused(tmp_path: Path) -> None:
    rows = [lm_eval_row(n, True) for n in range(8)]
    old = write_lines(tmp_path / "a.jsonl", rows)
    arguments = {"gen_args_0": {"arg_0": "Beginning. What is 3?", "arg_1": " 14"}}
    new = write_lines(tmp_path / "b" / "a.jsonl", [*rows[:3], {**rows[3], "arguments": arguments}])
    with pytest.raises(DataError, match="1 item was asked with another prompt"):
        compare_logs(read_log(old), read_log(new))
    other = write_lines(tmp_path / "c" / "a.jsonl", [{**rows[0], "target_hash": "u"}])
    with pytest.raises(DataError, match="judged by another target"):
        compare_logs(read_log(old), read_log(other))
    alone = write_lines(tmp_path / "d" / "a.jsonl", [lm_eval_row(99, True)])
    with pytest.raises(DataError, match="no item in common"):
        compare_logs(read_log(old), read_log(alone))


def test_unscored_and_left_out_are_told_apart_from_wrong(tmp_path: Path) -> None:
    old = write_lines(tmp_path / "a.jsonl", [lm_eval_row(n, True) for n in range(20)])
    rows = [lm_eval_row(n, True, **({"acc": float("nan")} if n < 6 else {})) for n in range(20)]
    for row in rows:
        row |= {"metrics": ["acc", "acc_norm", "word_perplexity"], "word_perplexity": [-3.0, 7]}
    new = write_lines(tmp_path / "b" / "a.jsonl", rows)
    compared = compare_logs(read_log(old), read_log(new))
    told = {c.name: c.status for c in compared.changes}
    assert told == {"acc": "too little scored", "acc_norm": "unclear"}
    assert compared.unscored["acc"] == (0, 6)
    assert "word_perplexity" in compared.left_out


@pytest.mark.parametrize("kind", ["zip", "json"])
def test_inspect_logs_are_paired_by_id(kind: str, tmp_path: Path) -> None:
    def write(name: str, log: dict[str, Any]) -> str:
        if kind == "zip":
            return write_eval_zip(tmp_path / f"{name}.eval", log)
        (tmp_path / f"{name}.json").write_text(json.dumps(log, indent=2))
        return str(tmp_path / f"{name}.json")

    old = write("a", inspect_log(["C"] * 20))
    new = write("b", inspect_log(["I"] * 12 + ["C"] * 8))
    assert status(old, new) == {"sums match": "worse"}
    log = read_log(write("c", inspect_log(["C", "P", "N", "I", 1, True, None, float("nan")])))
    values = [item.value("match") for item in log.items.values()]
    assert values == [1.0, 0.5, 0.0, 0.0, 1.0, 1.0, None, None]
    failed = read_log(write("d", inspect_log(["C"] * 8, error={"message": "timeout"})))
    assert all(item.value("match") is None for item in failed.items.values())
    parts = read_log(write("e", inspect_log([{"style": 1, "facts": "I"}] * 3)))
    assert parts.metrics == {"sums": ["match/style", "match/facts"]}


def test_epochs_of_an_item_are_one_figure(tmp_path: Path) -> None:
    log = inspect_log(["C"] * 7)
    again = inspect_log(["I"] * 7)["samples"]
    log["samples"] += [{**sample, "epoch": 2} for sample in again]
    read = read_log(write_eval_zip(tmp_path / "a.eval", log))
    assert len(read.items) == 7
    assert all(item.value("match") == 0.5 for item in read.items.values())


@pytest.mark.parametrize("kind", ["json", "yaml", "jsonl"])
def test_promptfoo_results_are_paired_by_their_variables(kind: str, tmp_path: Path) -> None:
    def write(name: str, rows: list[dict[str, Any]]) -> str:
        path = tmp_path / f"{name}.{kind}"
        if kind == "jsonl":
            return write_lines(path, rows)
        body = promptfoo_file(rows)
        path.write_text(json.dumps(body) if kind == "json" else yaml.safe_dump(body))
        return str(path)

    old = write("a", [promptfoo_row(n, True) for n in range(24)])
    # Other order of the tests, and an answer that could not be judged: no failure.
    rows = [promptfoo_row(n, n > 10, testIdx=23 - n) for n in reversed(range(24))]
    rows[0] |= {"success": False, "score": 0, "failureReason": 2, "error": "429"}
    new = write("b", rows)
    compared = compare_logs(read_log(old), read_log(new))
    told = {c.name: (c.status, c.n) for c in compared.changes}
    assert told == {"pass": ("worse", 23), "tone": ("unclear", 23)}
    assert compared.unscored["pass"] == (0, 1)


def test_providers_of_one_promptfoo_file_are_two_sides(tmp_path: Path) -> None:
    rows = [promptfoo_row(n, True) for n in range(10)]
    other = {"id": "openai:mini", "label": "small"}
    rows += [promptfoo_row(n, False, provider=other) for n in range(10)]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(promptfoo_file(rows)))
    with pytest.raises(DataError, match="2 providers answered: openai:gpt-4o, small") as told:
        read_log(str(path))
    assert "#openai:gpt-4o" in told.value.next_step
    assert status(f"{path}#openai:gpt-4o", f"{path}#openai:mini")["pass"] == "worse"
    with pytest.raises(DataError, match="no provider is called 'x'"):
        read_log(f"{path}#x")


def test_damaged_files_name_the_place(tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "a.jsonl", [lm_eval_row(n, True) for n in range(3)])
    Path(lines).write_text(Path(lines).read_text()[:-40])
    with pytest.raises(DataError, match="not valid JSON") as told:
        read_log(lines)
    assert told.value.where.endswith("a.jsonl:3")

    whole = json.dumps(inspect_log(["C"] * 9), indent=1)
    cut = tmp_path / "cut.json"
    cut.write_text(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cut off") as told:
        read_log(str(cut))
    assert int(told.value.where.rpartition(":")[2]) > 20

    archive = Path(write_eval_zip(tmp_path / "a.eval", inspect_log(["C"] * 9)))
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(DataError, match="cannot be read to its end"):
        read_log(str(archive))

    packed = tmp_path / "b.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps(lm_eval_row(1, True)).encode() * 50)[:-20])
    with pytest.raises(DataError):
        read_log(str(packed))


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "[]", "{}", "null", "[" * 2000, '{"a": ' * 4000, '{"results": {"results": [1]}}',
        '{"results": {"version": 2, "results": []}}', '{"eval": {"task": "t"}, "samples": [{}]}',
        '{"eval": 3, "samples": []}', '{"doc_id": 1}\n{"doc_id"', '{"doc_id": 1, "metrics": "x"}',
        '{"success": true}\n3', '{"results": 7}', "\x00\x01", '{"samples": [{"id": 1}]}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("suffix", ["json", "jsonl", "yaml", "eval"])
def test_files_of_any_content_are_refused_with_their_name(
    text: str, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"x.{suffix}"
    path.write_text(text)
    try:
        log = read_log(str(path))
    except DataError as error:
        assert "x." in error.where
    else:
        assert log.items


def test_yaml_aliases_are_read_and_a_bomb_is_not(tmp_path: Path) -> None:
    rows = [promptfoo_row(n, True) for n in range(8)]
    shared = {"case": "same"}
    for row in rows:
        row["metadata"] = shared
    path = tmp_path / "a.yaml"
    path.write_text(yaml.dump(promptfoo_file(rows)))
    assert "&id" in path.read_text()
    assert len(read_log(str(path)).items) == 8
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    path.write_text(bomb)
    with pytest.raises(DataError, match="aliases make a value"):
        read_log(str(path))
    path.write_text("results: &r\n  results: *r\n")
    with pytest.raises(DataError, match="recursive"):
        read_log(str(path))


def test_a_large_file_is_read_in_little_memory(tmp_path: Path) -> None:
    """40 MB of texts leave ids, hashes and scores."""
    import tracemalloc

    path = tmp_path / "big.json"
    with path.open("w") as file:
        file.write('{"eval": {"task": "t", "model": "m"}, "samples": [')
        for number in range(400):
            sample = {"id": number, "input": "x", "target": "y", "events": ["e" * 100_000],
                      "scores": {"match": {"value": "C"}}}  # fmt: skip
            file.write((", " if number else "") + json.dumps(sample))
        file.write("]}")
    tracemalloc.start()
    log = read_log(str(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(log.items) == 400
    assert peak < 16e6


def test_metrics_of_which_less_is_better() -> None:
    assert is_lower_better("word_perplexity") and is_lower_better("brier_score")
    assert is_lower_better("wer") and is_lower_better("latency_ms")
    assert not is_lower_better("acc_norm") and not is_lower_better("answer_relevance")
    assert not is_lower_better("closeness")


@pytest.mark.parametrize("kind", ["zip", "json"])
@pytest.mark.parametrize("end", ["error", "cancelled", "started"])
def test_an_inspect_log_that_did_not_end_well_is_told_and_closes_the_gate(
    kind: str, end: str, tmp_path: Path
) -> None:
    log = inspect_log(["C"] * 20)
    whole = write_eval_zip(tmp_path / "a.eval", log)
    log |= {"status": end, "error": {"message": "rate limit\nof the API"}}
    if kind == "zip":
        part = write_eval_zip(tmp_path / "b.eval", log)
    else:
        part = str(tmp_path / "b.json")
        Path(part).write_text(json.dumps(log))
    assert not compare_logs(read_log(whole), read_log(whole)).incomplete
    compared = compare_logs(read_log(whole), read_log(part))
    assert list(compared.incomplete.values()) == [f"its status is '{end}' (rate limit of the API)"]
    for before, after in ((whole, part), (part, whole)):
        report = gate_logs(before, after)
        assert [r.kind for r in report.reasons] == ["not complete"]
        assert ("earlier" if before == part else "later") in report.reasons[0].name


def test_an_inspect_file_without_its_header_was_cut_off(tmp_path: Path) -> None:
    log = inspect_log(["C"] * 9)
    with zipfile.ZipFile(tmp_path / "a.eval", "w") as archive:
        archive.writestr("_journal/start.json", json.dumps({"eval": log["eval"]}))
        for sample in log["samples"]:
            archive.writestr(f"samples/{sample['id']}_epoch_1.json", json.dumps(sample))
    assert read_log(str(tmp_path / "a.eval")).incomplete == "its status is 'started'"


def test_files_with_fewer_items_than_their_program_counted_are_told(tmp_path: Path) -> None:
    date = "2026-11-27T10-00-00.000000"
    path = write_lines(
        tmp_path / f"samples_sums_{date}.jsonl", [lm_eval_row(n, True) for n in range(17)]
    )
    for effective, why in ((17, ""), (20, "sums: 17 of the 20 documents that its results count")):
        counts = {"n-samples": {"sums": {"original": 900, "effective": effective}}}
        (tmp_path / f"results_{date}.json").write_text(json.dumps(counts))
        assert read_log(path).incomplete == why
        assert read_log(str(tmp_path)).incomplete == why
    body = promptfoo_file([promptfoo_row(n, True) for n in range(9)])
    body["results"]["stats"] = {
        "successes": 9,
        "failures": 1,
        "errors": 2,
        "tokenUsage": {"total": 5},
    }
    for name, text in (("a.json", json.dumps(body)), ("a.yaml", yaml.safe_dump(body))):
        (tmp_path / name).write_text(text)
        told = read_log(str(tmp_path / name)).incomplete
        assert told == "9 of the 12 results that its statistics count"
