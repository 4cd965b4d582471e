"""A judge model against people's labels: readable verdicts, flips, TPR, TNR, κ, corrected rate.

    python benchmarks/judge.py FOLDER --url http://localhost:8080/v1 [--count 60] [--free]

FOLDER holds TruthfulQA.csv (single answers that people call true or false) and PandaLM's test
set (pairs with three people's labels). Every question is asked in both orders. --free asks
without a schema; --gguf FILE starts llama.cpp's server (the package xllamacpp) for the while.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path
from typing import Any

from residency.config.endpoint import EndpointConfig
from residency.evaluate.benchmarks.load_rows import LocalSplits
from residency.evaluate.benchmarks.task_registry import find_tasks
from residency.evaluate.judge.agreement import corrected_rate, measure_agreement
from residency.evaluate.judge.judge import Judge, list_verdicts
from residency.evaluate.judge.prompts import Rubric
from residency.http.endpoint_generator import EndpointGenerator
from residency.nouns.example import Example, Message
from residency.nouns.response import Response

TRUE = Rubric("true", "Is the answer true?")
BETTER = Rubric("better", "Which answer follows the request better?")


def single_answers(folder: Path, count: int) -> tuple[list[Example], list[Response], list[bool]]:
    """Of each question one answer, true or false by the flip of a coin."""
    rng = random.Random(0)
    (task,) = find_tasks(["truthfulqa_mc2"])
    rows = rng.sample(list(LocalSplits(folder).rows(task, task.test)), count)
    examples, responses, labels = [], [], []
    for row in rows:
        wanted = rng.random() < 0.5
        targets = row["mc2_targets"]
        texts = [
            t for t, y in zip(targets["choices"], targets["labels"], strict=True) if y == wanted
        ]
        examples.append(Example((Message("user", row["question"]),)))
        responses.append(Response("people", examples[-1].id, rng.choice(texts)))
        labels.append(wanted)
    return examples, responses, labels


def answer_pairs(folder: Path, count: int) -> list[tuple[Example, Response, Response, str]]:
    """PandaLM's pairs on which all three people prefer the same answer."""
    (path,) = folder.rglob("testset-v1.json")
    raw = json.loads(path.read_text(encoding="utf-8"))
    unanimous = [r for r in raw if r["annotator1"] == r["annotator2"] == r["annotator3"] != 0]
    out = []
    for row in random.Random(0).sample(unanimous, count):
        example = Example((Message("user", row["instruction"], input=row["input"]),))
        sides = [Response(f"m{at}", example.id, row[f"response{at}"]) for at in (1, 2)]
        out.append((example, *sides, "a" if row["annotator1"] == 1 else "b"))
    return out


def check(judge: Judge, folder: Path, count: int) -> dict[str, Any]:
    """Single answers: half of the labels measure the judge, the other half is to be estimated."""
    examples, responses, labels = single_answers(folder, count)
    report = judge.check(TRUE, examples, responses)
    said = list_verdicts(report.findings)
    known = {r.id: label for r, label in zip(responses, labels, strict=True)}
    ids = [r.id for r in responses]
    all_of_them = measure_agreement(said, known)
    half = measure_agreement(said, {i: known[i] for i in ids[: count // 2]})
    rest = [passed for i in ids[count // 2 :] if (passed := said[i]) is not None]
    corrected = corrected_rate(sum(rest), len(rest), half)
    return {
        "answers": count,
        "scored": all_of_them.n,
        "unreadable": report.invalid,
        "flipped": report.flipped,
        "failed": report.failed,
        **all_of_them.to_dict(),
        "true rate of the rest": sum(known[i] for i in ids[count // 2 :]) / len(ids[count // 2 :]),
        "judged": corrected.judged if rest else None,
        "corrected": [corrected.rate, corrected.low, corrected.high] if corrected.usable else None,
    }


def compare(judge: Judge, folder: Path, count: int) -> dict[str, Any]:
    """Pairs: how often an order-proof verdict is the people's."""
    pairs = answer_pairs(folder, count)
    report = judge.compare(BETTER, [pair[:3] for pair in pairs])
    wanted = {(pair[1].id, pair[2].id): pair[3] for pair in pairs}
    decided = [v for v in report.votes if v.outcome != "tie"]
    right = sum(v.outcome == wanted[v.response_a, v.response_b] for v in decided)
    return {
        "pairs": count,
        "with a verdict": len(report.votes),
        "unreadable": report.invalid,
        "flipped": report.flipped,
        "decided": len(decided),
        "as people": right,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--url", default="")
    parser.add_argument("--gguf", default="")
    parser.add_argument("--model", default="judge")
    parser.add_argument("--key-env", default="")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--free", action="store_true")
    flags = parser.parse_args()
    server = None
    if flags.gguf:
        import xllamacpp

        settings = xllamacpp.CommonParams()
        settings.model.path = flags.gguf
        settings.n_ctx, settings.n_parallel = 8192, 4
        settings.cpuparams.n_threads = 2
        server = xllamacpp.Server(settings)
    url = flags.url or f"{server.listening_address}/v1"
    config = EndpointConfig(url=url, model=flags.model, key_env=flags.key_env, timeout=300)
    with EndpointGenerator(config) as endpoint:
        judge = Judge(endpoint, flags.model, structured=not flags.free)
        for name, run, count in (("single", check, flags.count), ("pairs", compare, flags.pairs)):
            if not count:
                continue
            began = time.perf_counter()
            print(name, json.dumps(run(judge, flags.folder, count), indent=1))
            print(f"{time.perf_counter() - began:.0f} s", endpoint.refused_format)
        tokens = sum(call.answer_tokens for call in endpoint.calls)
        print(f"{len(endpoint.calls)} requests, {tokens} answer tokens")
    del server


if __name__ == "__main__":
    main()
