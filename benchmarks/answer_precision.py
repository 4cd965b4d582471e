"""What narrower products change in a run's answers: every model of a finished run answers dev again.

    python benchmarks/answer_precision.py PROJECT [--precisions fp32,bf16,int8] [--items 0]

For each model (the bare base, every round, the control arm) and each precision: the share right by the
project's primary metric, the difference from fp32 paired by item with its 95 % interval, how many answers are
the same text, and processor seconds. Nothing is stored.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from residency import Project
from residency.infer.local_engine import LocalEngine
from residency.interfaces import Prompt
from residency.loop.assess import assess_answers
from residency.loop.item_outcomes import map_groups
from residency.loop.respond import build_prompt, build_response
from residency.nouns.model import Model
from residency.nouns.response import Response
from residency.project.named_models import label_model
from residency.stats.intervals import mean_interval


def list_models(project: Project) -> list[Model]:
    """Models that answer the bare prompt, in the order of the run."""
    models = [m for m in project.store.models() if m.prompting == "zero-shot"]
    return sorted(models, key=lambda m: (m.round, m.arm != "main"))


def answer(project: Project, engine: LocalEngine, model: Model, items: int) -> tuple[list[Response], float]:  # fmt: skip
    """A model's answers to the first dev items, and the processor seconds that they took."""
    engine.use_adapter(project.store.artifacts.folder(model.adapter) if model.adapter else None)
    rows = project.split("dev")[: items or None]
    prompts = [Prompt(build_prompt(row, ()), row.id) for row in rows]
    began = time.process_time()
    answers = engine.generate(prompts, project.sampling)
    took = time.process_time() - began
    return [
        build_response(project, model, row, 0, one) for row, one in zip(rows, answers, strict=True)
    ], took


def score(project: Project, model: Model, responses: list[Response]) -> dict[str, float]:
    """The primary metric of each item that could be judged."""
    asked = {response.example for response in responses}
    rows = [row for row in project.split("dev") if row.id in asked]
    scores = assess_answers(project, model, rows, responses).scores
    by_example = scores.primary.by_example if scores.primary else scores.by_example
    return {item: value for item, value in by_example.items() if value is not None}


def main() -> None:
    """Read the command line, answer, print a Markdown table."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("project", type=Path)
    parser.add_argument("--precisions", default="fp32,bf16,int8", help="the first is the reference")
    parser.add_argument("--items", type=int, default=0, help="of dev; 0: all")
    options = parser.parse_args()
    project = Project.open(options.project)
    groups = map_groups(project.split("dev"))
    names = options.precisions.split(",")
    engines = {
        name: LocalEngine(
            project.base.path,
            project.chat_format,
            threads=project.config.model.threads,
            batch_size=project.config.generate.batch_size,
            precision=name,
            known=project.base.known,
        )
        for name in names
    }
    print(
        "| model | precision | right, % | difference, points | same answers | processor seconds |"
    )
    print("|---|---|---|---|---|---|")
    for model in list_models(project):
        first: tuple[list[Response], dict[str, float]] | None = None
        for name, engine in engines.items():
            responses, seconds = answer(project, engine, model, options.items)
            values = score(project, model, responses)
            first = first or (responses, values)
            both = [item for item in values if item in first[1]]
            changes = [values[item] - first[1][item] for item in both]
            low, high = mean_interval(changes, [groups.get(i, i) for i in both], signed=True)
            same = sum(a.text == b.text for a, b in zip(responses, first[0], strict=True))
            mean = 100 * sum(values.values()) / len(values)
            change = "" if name == names[0] else f"{100 * sum(changes) / len(changes):+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"  # fmt: skip
            print(
                f"| {label_model(model)} | {name} | {mean:.1f} | {change} | {same} of {len(responses)} | {seconds:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
