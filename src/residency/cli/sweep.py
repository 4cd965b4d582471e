"""``residency sweep``: how much model, how much data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from residency.cli.estimate import format_duration, format_size
from residency.cli.json_output import to_jsonable
from residency.cli.options import Directory, Json, open_project
from residency.cli.progress import ProgressDisplay
from residency.cli.terminal import console, print_heading, print_json, print_line, quote_path
from residency.text.counts import write_count
from residency.text.percent import write_percent

MOST_WHOLE = 3
"""Variants whose issues are all told; of more, the issues of one alone."""

if TYPE_CHECKING:
    from residency.sweep.plan import SweepPlan
    from residency.sweep.size_table import Figure
    from residency.sweep.sweep_result import SweepResult


def sweep_command(
    directory: Directory = Path(),
    base: Annotated[
        list[str] | None,
        typer.Option(help="A base model; may repeat. The project's own if left out."),
    ] = None,
    sizes: Annotated[
        str, typer.Option(help="Per cent of the train split, with commas.")
    ] = "12,25,50,100",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings at each size.")] = 3,
    learning_rate: Annotated[
        list[float] | None, typer.Option(help="A value of train.learning_rate; may repeat.")
    ] = None,
    rank: Annotated[
        list[int] | None, typer.Option(help="A value of train.rank; may repeat.")
    ] = None,
    layers: Annotated[
        list[str] | None, typer.Option(help="A value of train.layers; may repeat.")
    ] = None,
    minutes: Annotated[
        float, typer.Option(min=0, help="What all may take, by the estimate; 0: no bound.")
    ] = 30.0,
    jobs: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    cluster: Annotated[
        str, typer.Option(help="Ray cluster: auto, host:port, ray://…, or local.")
    ] = "",
    artifacts: Annotated[
        str, typer.Option(help="Folder or fsspec URL that all machines reach, for the jobs' files.")
    ] = "",
    hour_price: Annotated[
        float, typer.Option(min=0, help="Price of an hour of the machine that answers.")
    ] = 0.0,
    endpoint: Annotated[
        str, typer.Option(help="Also ask this OpenAI-compatible URL; dev's prompts are sent there.")
    ] = "",
    endpoint_model: Annotated[str, typer.Option(help="Model name sent to it.")] = "",
    key_env: Annotated[str, typer.Option(help="Environment variable with its key.")] = "",
    price_in: Annotated[float, typer.Option(help="Its price of a million prompt tokens.")] = 0.0,
    price_out: Annotated[float, typer.Option(help="Its price of a million answer tokens.")] = 0.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, train nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """How much data and how much model: trainings on growing shares of the rows, and what they show.

    The plan is made by a probe and shown before anything is trained. Stop with Ctrl-C at any
    moment; the same command goes on where it was.

    Example: residency sweep demo --minutes 30

    Example: residency sweep demo --base tiny --base smollm2-135m --jobs 2 --dry-run
    """
    from residency.commands.sweep import open_sweep
    from residency.project.endpoints import open_named_endpoint
    from residency.sweep.read_lists import read_shares
    from residency.sweep.sweep_options import SweepOptions

    options = SweepOptions(
        bases=tuple(base or ()),
        shares=read_shares(sizes),
        seeds=seeds,
        learning_rates=tuple(learning_rate or ()),
        ranks=tuple(rank or ()),
        layers=tuple(layers or ()),
        minutes=minutes,
        jobs=jobs,
        cluster=cluster,
        artifacts=artifacts,
        hour_price=hour_price,
        endpoint=open_named_endpoint(endpoint, endpoint_model, key_env, price_in, price_out),
    )
    with ProgressDisplay() as progress:
        project = open_project(directory, progress)
        opened = open_sweep(project, options)
        with project.store.writer("sweep"):
            if not dry_run:
                opened.ask()
            plan = opened.plan()
            if not as_json:
                for line in describe_plan(plan):
                    progress.say(line)
            result = None if dry_run else opened.run(plan)
    if as_json:
        value = plan.to_dict() if result is None else result.to_dict()
        print_json(json.dumps(to_jsonable(value), ensure_ascii=False))
    elif result is not None:
        show_sweep(result)
        print_line(f"Next: residency report {quote_path(directory)}")


def describe_plan(plan: SweepPlan) -> list[str]:
    """What will run, a line for each variant and size."""
    budget = f" of {plan.minutes:g} min" if plan.minutes else ""
    lines = [
        f"Plan: {write_count(len(plan.cells), 'training')}, {format_duration(plan.seconds)}{budget} by the estimate"
        + (f", {plan.workers} at a time" if plan.workers > 1 else "")
        + (f"; {plan.done} of them are done already" if plan.done else "")
    ]
    if plan.shared_seconds:
        lines.append(
            f"  shared, once: {format_duration(plan.shared_seconds)} "
            "(frozen layers, answers of the bare base)"
        )
    groups: dict[tuple[str, int], list[float]] = {}
    for planned in plan.cells:
        groups.setdefault((planned.cell.variant.name, planned.cell.rows), []).append(
            planned.seconds
        )
    for (name, rows), seconds in groups.items():
        count = f"{len(seconds)} seed{'s' if len(seconds) > 1 else ''}"
        lines.append(
            f"  {name}: {write_count(rows, 'row')} × {count}, {format_duration(seconds[0])} each"
        )
    if plan.left_out:
        lines.append(
            f"  left out: {write_count(len(plan.left_out), 'training')}; all would take "
            f"{format_duration(plan.seconds_of_all)}"
        )
    return lines


def show_sweep(result: SweepResult) -> None:
    """Sentences on the data, the table of sizes, and the advice."""
    from residency.sweep.sweep_result import find_lead_variant

    variants = dict.fromkeys(curve.variant for curve in result.curves)
    whole = variants if len(variants) <= MOST_WHOLE else {find_lead_variant(result.to_dict()): None}
    for variant in variants:
        print_heading(f"How much data: {variant}")
        for curve in result.curves:
            if curve.variant == variant and (variant in whole or not curve.issue):
                print_line(" ".join(curve.words))
    if len(whole) < len(variants):
        print_line("The issues' curves of the others are in the report.")
    console.print(build_size_table(result))
    for line in (*result.advice, *result.notes):
        print_line(line)


def build_size_table(result: SweepResult) -> Table:
    """One row a way to answer; those on the Pareto front are marked."""
    title = f"How much model: {result.metric}, on {write_count(result.measuring_items, 'measuring item')} of dev"
    table = Table(title=title, title_justify="left", header_style="bold")
    columns = ("", "rows", "seeds", result.metric, "training", "memory", "tokens/s", "s an answer")
    with_cost = any(row.cost is not None for row in result.sizes)
    for column in (*columns, *(("cost of 1000",) if with_cost else ())):
        table.add_column(column, justify="left" if not column else "right")
    for row in result.sizes:
        cells = [
            ("● " if row.on_front else "  ") + row.name,
            str(row.rows) if row.rows else "–",
            str(row.trainings) if row.trainings else "–",
            format_figure(row.score),
            _format_pair(row.minutes, row.predicted_minutes, lambda m: f"{m:.1f} min"),
            _format_pair(row.memory, row.predicted_memory, lambda b: format_size(int(b))),
            "–" if row.tokens_per_second is None else f"{row.tokens_per_second:.0f}",
            f"{row.answer_seconds:.2f}",
        ]
        table.add_row(*cells, *((f"{row.cost:.4f}" if row.cost is not None else "–",) * with_cost))
    table.caption = (
        "● nothing is both better and faster; in brackets what the estimate said of a training alone. "
        "Memory: peak of its process, with what answering and other jobs had left in it"
    )
    table.caption_justify = "left"
    return table


def format_figure(figure: Figure) -> str:
    """A score as people read it."""
    if figure.mean is None:
        return "–"
    return f"{write_percent(figure.mean)} [{100 * figure.low:.0f}, {100 * figure.high:.0f}]"


def _format_pair(real: float | None, predicted: float | None, words: Callable[[float], str]) -> str:
    if real is None:
        return "–"
    return words(real) + (f" ({words(predicted)})" if predicted is not None else "")
