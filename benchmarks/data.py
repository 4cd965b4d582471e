"""Data room against its peers, in one run on one machine.

    python benchmarks/data.py tokens --base DIR      tokenisation against datasets.map
    python benchmarks/data.py duplicates             near-duplicates against rensa alone
    python benchmarks/data.py scale --rows 10000 100000 1000000
    python benchmarks/data.py real FOLDER… --base DIR  the table of docs/data.md, a line a file
    python benchmarks/data.py sets FOLDER             licence, rows and layouts, a line a set

Rows are tickets of the example, varied by numbers and words so that they are not duplicates.
Every figure is printed with what it was measured on; docs/data.md quotes them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from operator import truediv
from pathlib import Path
from typing import Any

import numpy as np

TIMES = 5
EXAMPLE = Path(__file__).parent.parent / "src" / "residency" / "examples" / "tickets"


def tickets(count: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Rows of the example's train and pool files, each varied."""
    base = [
        json.loads(line)
        for name in ("train", "pool")
        for line in (EXAMPLE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    words = sorted({w for row in base for w in row["input"].split() if w.isalpha()})
    rng = random.Random(seed)
    for number in range(count):
        row = dict(base[number % len(base)])
        extra = " ".join(rng.choices(words, k=25))
        row["input"] = f"{row['input']} {extra} {rng.randrange(10**6)}"
        row.pop("group", None)
        yield row


def write(path: Path, count: int, seed: int = 0) -> Path:
    """The rows as JSONL."""
    with path.open("w", encoding="utf-8") as handle:
        for row in tickets(count, seed):
            handle.write(json.dumps(row) + "\n")
    return path


def tokens(base: str, count: int) -> dict[str, Any]:
    """Examples to ids and loss mask, against ``datasets.map(batched=True, num_proc=2)``.

    Ours is ``tokenise`` in one process, its cache of pre-tokens empty. The peer has two: it renders
    and tokenises with transformers' own ``apply_chat_template`` (no mask), then with the tokenizer
    alone on rendered text (neither template nor mask).
    """
    import datasets
    from transformers import AutoTokenizer

    from residency.chat.chat_format import ChatFormat
    from residency.data.token_rows import tokenise_examples
    from residency.model.base_model import resolve_base
    from residency.nouns.example import Example, Message

    datasets.disable_progress_bars()
    datasets.disable_caching()
    folder = resolve_base(base).path
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    rows = list(tickets(count))
    conversations = [
        [
            Message("user", row["instruction"], input=row["input"]),
            Message("assistant", row["response"]),
        ]
        for row in rows
    ]
    examples = [Example(tuple(messages)) for messages in conversations]
    chat = ChatFormat(tokenizer)
    start, cpu = time.perf_counter(), time.process_time()
    ours, refused = tokenise_examples(examples, chat)
    mine, my_cpu = time.perf_counter() - start, time.process_time() - cpu

    turns = [[{"role": m.role, "content": m.text} for m in c] for c in conversations]
    data = datasets.Dataset.from_dict({"messages": turns})
    start, cpu = time.perf_counter(), _children()
    theirs = data.map(
        lambda batch: {"ids": tokenizer.apply_chat_template(batch["messages"])["input_ids"]},
        batched=True,
        num_proc=2,
        remove_columns=["messages"],
    )
    templated, their_cpu = time.perf_counter() - start, _children() - cpu
    equal = not refused and all(a.ids == b for a, b in zip(ours, theirs["ids"], strict=True))

    texts = datasets.Dataset.from_dict({"text": [chat.render(c) for c in conversations]})
    start = time.perf_counter()
    texts.map(
        lambda batch: {"ids": tokenizer(batch["text"], add_special_tokens=False)["input_ids"]},
        batched=True,
        num_proc=2,
        remove_columns=["text"],
    )
    plain = time.perf_counter() - start
    total = sum(len(e.ids) for e in ours)
    return {
        "rows": count,
        "tokens": total,
        "ids_equal": equal,
        "ours_seconds": mine,
        "ours_cpu_seconds": my_cpu,
        "datasets_map_template_cpu_seconds_of_workers": their_cpu,
        "ours_tokens_per_second": total / mine,
        "datasets_map_template_seconds": templated,
        "datasets_map_text_only_seconds": plain,
        "times_faster_than_template": templated / mine,
        "times_faster_than_text_only": plain / mine,
    }


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def duplicates(count: int) -> dict[str, Any]:
    """Near-duplicates: ours (verified pairs) against rensa's LSH flags on the same shingles."""
    from rensa import RMinHash, RMinHashLSH

    from residency.overlap.near_duplicates import Near, bands_for, find_near
    from residency.overlap.word_grams import RowWords, WordStore
    from residency.text.words import jaccard_similarity, list_ngrams, split_words

    rng = random.Random(1)
    texts = [row["input"] for row in tickets(count)]
    planted = rng.sample(range(count // 2), count // 20)
    for place, source in enumerate(planted):
        copy = texts[source].split()
        copy[rng.randrange(len(copy))] = "changed"
        texts[count - 1 - place] = " ".join(copy)

    bands, size = bands_for(0.8)

    def rensa_alone() -> list[bool]:
        shingles = [
            [" ".join(row[i : i + 5]) for i in range(max(1, len(row) - 4))]
            for row in map(split_words, texts)
        ]
        matrix = RMinHash.digest_matrix_from_token_sets(shingles, bands * size, 42)
        index = RMinHashLSH(0.8, bands * size, bands)
        return list(index.query_duplicate_flags_matrix_one_shot(matrix))

    def verified() -> dict[int, Near]:
        store = WordStore()
        places = np.asarray([store.add(text) for text in texts], np.int64)
        prompts = RowWords(store.values(), places[:, 0], places[:, 1])
        return find_near(prompts, replace(prompts, stops=prompts.starts), 0.8)

    rensa, ours = [], []
    for _ in range(TIMES):  # by turns, so that a change of the machine's speed meets both
        start = time.perf_counter()
        flags = rensa_alone()
        middle = time.perf_counter()
        near = verified()
        rensa.append(middle - start)
        ours.append(time.perf_counter() - middle)

    def near_enough(copy: int, source: int) -> bool:
        return (
            jaccard_similarity(*(list_ngrams(split_words(texts[n]), 5) for n in (copy, source)))
            >= 0.8
        )

    pairs = [count - 1 - n for n, s in enumerate(planted) if near_enough(count - 1 - n, s)]
    found = sum(place in near for place in pairs)
    flagged = sum(flags[place] for place in pairs)
    return {
        "rows": count,
        "planted_at_0.8_or_more": len(pairs),
        "ours_seconds": statistics.median(ours),
        "ours_found": found,
        "ours_rows_named": len(near),
        "rensa_seconds": statistics.median(rensa),
        "rensa_flagged_of_planted": flagged,
        "rensa_flagged_rows": sum(flags),
        "times_faster": statistics.median(r / o for r, o in zip(rensa, ours, strict=True)),
        "times_faster_range": [min(map(truediv, rensa, ours)), max(map(truediv, rensa, ours))],
    }


def scale(base: str, count: int) -> dict[str, Any]:
    """``residency check`` on a JSONL file of ``count`` rows, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "rows.jsonl", count)
        command = [sys.executable, __file__, "one-check", str(path), "--base", base]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
    return {"rows": count, **json.loads(done.stdout.splitlines()[-1])}


def one_check(path: Path, base: str) -> dict[str, Any]:
    """The whole doctor on one file: seconds, and the most memory that the process itself held."""
    from residency.commands.check import check

    start = time.perf_counter()
    report = check(path, base=base).report
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "kept": sum(report.kept.values()),
        "tokens": report.ledger.tokens if report.ledger else None,
        "megabytes_of_file": path.stat().st_size / 2**20,
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time(),
        "cpu_seconds_of_workers": workers.ru_utime + workers.ru_stime,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


SUSPECTS = {
    "refusals": "refusals",
    "boilerplate": "boilerplate",
    "repetitive": "repetitive",
    "cut_off": "cut off",
    "same_answer": "same answer",
    "template_marks": "template marks",
    "placeholders": "placeholders",
    "mojibake": "mojibake",
    "personal": "personal",
    "secrets": "secrets",
    "contradictions": "contradictions",
    "language_mismatch": "other language",
    "semantic_duplicates": "near in meaning",
    "label_suspects": "labels",
}


NO_ROWS = ("SOURCE.txt", "README.md", "README_zh.md", "REPO_LICENSE", "REPO_MODEL_LICENSE")
"""Files beside the data that hold no rows."""


def real(folders: list[Path], base: str) -> None:
    """What the doctor finds in every data file of some folders, as lines of a Markdown table."""
    from residency.commands.check import check
    from residency.data.reading.sources import find_sources
    from residency.errors import ResidencyError

    print("| set and file | read as | rows | rejected | left out | too long | suspects |")
    print("|---|---|---|---|---|---|---|")
    for source in find_sources([str(folder.absolute()) for folder in folders], Path()):
        if source.path is None or source.path.name == "SOURCE.txt":
            continue
        try:
            report = check(source.path, base=base).report
        except ResidencyError as error:
            print(f"<!-- {source.name}: {error.what} -->", flush=True)
            continue
        ledger, found = report.ledger, {f.name: f.rows for f in report.figures}
        why = f" ({report.reasons[0][0]})" if report.reasons else ""
        left = ", ".join(f"{n} {kind}" for (kind, _), n in report.removed.items()) or "0"
        long = f"{ledger.too_long} (longest {ledger.longest})" if ledger else ""
        seen = ", ".join(f"{found[k]} {v}" for k, v in SUSPECTS.items() if found.get(k)) or "—"
        rows = sum(report.rows.values()) + report.rejected
        layout = ", ".join(dict.fromkeys(f.layout for f in report.files))
        print(
            f"| `{'/'.join(Path(source.name).parts[-4:])}` | {layout} | {rows} | {report.rejected}{why} | {left} "
            f"| {long} | {seen} |",
            flush=True,
        )


def sets(folder: Path) -> None:
    """Each folder of public files: licence, rows and the layouts that they are read as, in Markdown."""
    from collections import Counter

    from residency.config.data import DataConfig
    from residency.data.reading.source_reader import read_sources
    from residency.errors import ResidencyError

    print("| set | licence as its source states it | files | rows | refused | read as (files) |")
    print("|---|---|---|---|---|---|")
    for one in sorted(p for p in folder.iterdir() if p.is_dir()):
        notes = (
            (one / "SOURCE.txt").read_text(encoding="utf-8")
            if (one / "SOURCE.txt").exists()
            else ""
        )
        licence = next((n[8:].strip() for n in notes.splitlines() if n.startswith("licence:")), "")
        layouts: Counter[str] = Counter()
        rows = rejected = 0
        for path in sorted(p for p in one.rglob("*") if p.is_file() and p.name not in NO_ROWS):
            try:
                read = read_sources(
                    [str(path)], DataConfig(), "train", folder, need_answer=False
                ).files
            except ResidencyError:
                layouts["asked about or refused"] += 1
                continue
            layouts[read[0].layout] += 1
            rows, rejected = rows + read[0].rows, rejected + read[0].rejected
        kinds = ", ".join(
            f"`{k}` {n}" if " " not in k else f"{k} {n}" for k, n in layouts.most_common()
        )
        print(
            f"| {one.name} | {licence} | {layouts.total()} | {rows} | {rejected} | {kinds} |",
            flush=True,
        )


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, 3) if isinstance(value, float) else value


def main() -> None:
    """Run one of the benchmarks and print its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "what", choices=["tokens", "duplicates", "scale", "one-check", "real", "sets"]
    )
    parser.add_argument("paths", nargs="*")
    parser.add_argument("--base", default="smollm2-135m")
    parser.add_argument("--rows", type=int, nargs="*", default=[20_000])
    args = parser.parse_args()
    if args.what == "one-check":
        print(json.dumps(one_check(Path(args.paths[0]), args.base)))
        return
    if args.what == "sets":
        sets(Path(args.paths[0]))
        return
    if args.what == "real":
        real([Path(path) for path in args.paths], args.base)
        return
    for count in args.rows:
        result = (
            tokens(args.base, count)
            if args.what == "tokens"
            else duplicates(count)
            if args.what == "duplicates"
            else scale(args.base, count)
        )
        print(json.dumps({name: _rounded(value) for name, value in result.items()}))


if __name__ == "__main__":
    main()
