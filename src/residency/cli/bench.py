"""``residency bench``: public benchmarks, task files, and the simple questions that ship."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from residency.cli.json_output import to_jsonable
from residency.cli.options import Directory, Json
from residency.cli.progress import ProgressDisplay
from residency.cli.result_tables import build_differences_table
from residency.cli.terminal import console, print_json

if TYPE_CHECKING:
    from residency.evaluate.benchmarks.score_items import Metric
    from residency.loop.measure_benchmarks import BenchReport

DEFAULT_TASKS = "arc_challenge,hellaswag,mmlu,truthfulqa"


def bench_command(
    directory: Directory = Path(),
    tasks: Annotated[
        str, typer.Option(help="Names with commas: arc_easy, mmlu_anatomy, mmlu_stem …")
    ] = DEFAULT_TASKS,
    model: Annotated[
        list[str] | None,
        typer.Option(help="base, final, round-N or an id; may repeat: compared with the first."),
    ] = None,
    data: Annotated[
        str, typer.Option(help="Folder of benchmark files, or hub to read them from the hub.")
    ] = "",
    limit: Annotated[int, typer.Option(min=0, help="Items of each task; 0: all.")] = 0,
    shots: Annotated[
        int, typer.Option(min=-1, help="Examples before each question; -1: the usual number.")
    ] = -1,
    margin: Annotated[
        float, typer.Option(min=0, max=1, help="Loss that is not called forgetting.")
    ] = 0.02,
    items: Annotated[bool, typer.Option("--items", help="With --json: every item too.")] = False,
    as_json: Json = False,
) -> None:
    """Public benchmarks with lm-evaluation-harness's definitions, models paired item by item.

    Results are stored item by item; what is stored is not computed again.

    Example: residency bench demo --tasks arc_easy,truthfulqa --limit 100 --model base --model final
    """
    from residency.commands.bench import bench
    from residency.commands.project import Project

    names = [name.strip() for name in tasks.split(",") if name.strip()]
    with ProgressDisplay() as progress:
        project = Project.open(directory, progress=progress)
        report = bench(
            project,
            names,
            models=model or ["base"],
            data=data,
            limit=limit,
            shots=None if shots < 0 else shots,
            margin=margin,
        )
    if as_json:
        print_json(json.dumps(to_jsonable(report.to_dict(items=items)), ensure_ascii=False))
        return
    show_bench(report)


def show_bench(report: BenchReport) -> None:
    """A table of scores, and one of differences for each further model."""
    table = Table(title="Benchmarks", title_justify="left", header_style="bold")
    for title in ("task", "metric", "shots", "items", *(m.name for m in report.models)):
        table.add_column(title, justify="left" if title in ("task", "metric") else "right")
    first = report.models[0].result
    for task, metrics in first.metrics.items():
        for name, metric in metrics.items():
            cells = []
            for benched in report.models:
                cells.append(_write_value(name, benched.result.metrics[task][name]))
            shots = str(first.shots.get(task, ""))
            table.add_row(task, name, shots, str(metric.n), *cells)
    console.print(table)
    console.print("value ± standard error; shares in per cent")
    if report.separated:
        console.print(_build_clean_table(report))
    else:
        console.print("no item comes near a row that may be trained")
    for benched, differences in zip(report.models[1:], report.differences, strict=True):
        rows = [asdict(difference) for difference in differences]
        than = report.models[0].name
        console.print(build_differences_table(benched.name, than, rows, report.margin))


def _write_value(name: str, metric: Metric) -> str:
    """A share in per cent, a perplexity or bits as they are, each with its standard error."""
    from residency.evaluate.benchmarks.score_items import LOG_METRICS

    if name in LOG_METRICS:
        return f"{metric.value:.4g} ± {metric.stderr:.2g}"
    return f"{100 * metric.value:.1f} ± {100 * metric.stderr:.1f}"


def _build_clean_table(report: BenchReport) -> Table:
    """Scores on items that were not met in training, beside those on items that were."""
    title = "Items near a row that may be trained (contaminated) apart from the others (clean)"
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in ("task", "metric", "model", "clean", "items", "contaminated", "items"):
        is_text = column in ("task", "metric", "model")
        table.add_column(column, justify="left" if is_text else "right")
    for separated in report.separated:
        for task, metrics in separated.contaminated.items():
            for name, bad in metrics.items():
                good = separated.clean.get(task, {}).get(name)
                table.add_row(
                    task,
                    name,
                    separated.name,
                    _write_value(name, good) if good else "—",
                    str(good.n if good else 0),
                    _write_value(name, bad),
                    str(bad.n),
                )
    return table
