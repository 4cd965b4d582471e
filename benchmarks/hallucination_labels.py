"""The hallucination detector against people's judgements of summary sentences, and on planted ones.

    python benchmarks/hallucination_labels.py FILE...

Each FILE is one of QAGS (Wang, Cho, Lewis 2020; github.com/W4ngatang/qags, data/mturk_cnndm.jsonl and
mturk_xsum.jsonl): a line an article, its summary's sentences, and three people's *yes* or *no* to
whether the article supports each. Then sentences that most called supported are denied in two ways, or
get a sentence of another summary, or one that stands below, put after them.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.run_detectors import run_detectors
from residency.embedding.wordllama import WordLlamaEmbedder
from residency.nouns.example import Example, Message
from residency.nouns.response import Response
from residency.text.negation import negate_text

Pair = tuple[str, str]
"""An article, and what is said of it."""
INVENTED = (
    "The company apologised to its customers.",
    "Residents were told to stay indoors overnight.",
    "She hopes to study medicine one day.",
    "The building has since been repainted.",
    "Nobody wanted to comment on the matter.",
    "Experts expect the trend to continue.",
)


def main() -> None:
    """Print one table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    print("| text | flagged | of | share |\n|---|---|---|---|")
    for file in parser.parse_args().files:
        labelled = read_labels(file)
        supported = [(article, said) for article, said, right in labelled if right]
        show(f"{file.stem}, supported", supported)
        show(f"{file.stem}, not supported", [(a, s) for a, s, right in labelled if not right])
        for name, pairs in plant_errors(supported).items():
            show(f"{file.stem}, {name}", pairs)


def read_labels(file: Path) -> list[tuple[str, str, bool]]:
    """Article, sentence, and whether most of those who were asked called it supported."""
    rows = []
    for line in file.read_text(encoding="utf-8").splitlines():
        body = json.loads(line)
        for sentence in body["summary_sentences"]:
            said = Counter(response["response"] for response in sentence["responses"])
            rows.append((body["article"], sentence["sentence"], said["yes"] > said["no"]))
    return rows


def plant_errors(supported: Sequence[Pair]) -> dict[str, list[Pair]]:
    """Supported sentences turned wrong."""
    never = [
        (article, re.sub(r"\b(was|were|is|are|has|had|will|can) ", r"\1 never ", said, count=1))
        for article, said in supported
    ]
    other = [said for _, said in supported]
    return {
        "denied by not": [(a, turned) for a, s in supported if (turned := negate_text(s))],
        "denied by never": [
            pair for pair, kept in zip(never, supported, strict=True) if pair != kept
        ],
        "and a sentence of another summary": [
            (a, f"{s} {other[(place + 7) % len(other)]}") for place, (a, s) in enumerate(supported)
        ],
        "and an invented sentence": [
            (a, f"{s} {INVENTED[place % len(INVENTED)]}") for place, (a, s) in enumerate(supported)
        ],
    }


def show(name: str, pairs: Sequence[Pair]) -> None:
    """One line: how many the detector flags."""
    examples = [Example((Message("user", "Summarise.", input=article),)) for article, _ in pairs]
    responses = [
        Response("labelled", example.id, said, sample=place)
        for place, (example, (_, said)) in enumerate(zip(examples, pairs, strict=True))
    ]
    findings = run_detectors(
        examples,
        responses,
        known_words=set(),
        embedder=WordLlamaEmbedder(),
        config=DiagnoseConfig(),
        max_new_tokens=500,
        names=["hallucination"],
    )
    flagged = sum(finding.status == "fail" for finding in findings)
    print(
        f"| {name} | {flagged} | {len(pairs)} | {100 * (flagged / max(1, len(pairs))):.0f} % |",
        flush=True,
    )


if __name__ == "__main__":
    main()
