"""``residency baseline``: should I fine-tune at all?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from residency.cli.json_output import to_jsonable
from residency.cli.options import Directory, ItemLimit, Json, SplitName
from residency.cli.progress import ProgressDisplay
from residency.cli.terminal import console, format_interval, print_json
from residency.results.kinds import kind_words
from residency.text.counts import write_count
from residency.text.percent import write_percent

if TYPE_CHECKING:
    from residency.evaluate.baselines.baseline_report import BaselineReport

MOST_KINDS = 8


def baseline_command(
    directory: Directory = Path(),
    split: SplitName = "dev",
    tuned: Annotated[str, typer.Option(help="The fine-tuned model: final, round-N, an id.")] = (
        "final"
    ),
    shots: Annotated[int, typer.Option(min=0, help="Examples in the few-shot prompt.")] = 4,
    document: Annotated[
        list[Path] | None, typer.Option(help="Text file for retrieval; may repeat.")
    ] = None,
    retrieved: Annotated[
        int, typer.Option(min=0, help="Texts in the retrieval prompt; 0: none.")
    ] = 3,
    limit: ItemLimit = 0,
    latency: Annotated[int, typer.Option(min=0, help="Single requests to time; 0: none.")] = 8,
    per_hour: Annotated[float, typer.Option(min=0, help="Price of an hour of this machine.")] = 0.0,
    endpoint: Annotated[
        str, typer.Option(help="Also ask this OpenAI-compatible URL; prompts are sent there.")
    ] = "",
    endpoint_model: Annotated[str, typer.Option(help="Model name sent to it.")] = "",
    key_env: Annotated[str, typer.Option(help="Environment variable with its key.")] = "",
    price_in: Annotated[float, typer.Option(help="Its price of a million prompt tokens.")] = 0.0,
    price_out: Annotated[float, typer.Option(help="Its price of a million answer tokens.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Should I fine-tune at all? The same items by prompt, retrieval and the tuned model.

    Shows quality, each error kind's rate, consistency, length, latency, tokens and
    cost of 1000 requests, and whether data leaves the machine; then a recommendation
    and what it rests on.

    Example: residency baseline demo --limit 60
    """
    from residency.commands.baseline import baseline
    from residency.commands.project import Project
    from residency.project.endpoints import open_named_endpoint

    with ProgressDisplay() as progress:
        project = Project.open(directory, progress=progress)
        report = baseline(
            project,
            split=split,
            tuned=tuned,
            shots=shots,
            documents=document or [],
            retrieved=retrieved,
            limit=limit,
            latency_items=latency,
            per_hour=per_hour,
            endpoint=open_named_endpoint(endpoint, endpoint_model, key_env, price_in, price_out),
        )
    if as_json:
        print_json(json.dumps(to_jsonable(report.to_dict()), ensure_ascii=False))
        return
    show_baseline(report)


def show_baseline(report: BaselineReport) -> None:
    """The table, one column a way of doing it, and the recommendation."""
    table = Table(title="The same items, each way", title_justify="left", header_style="bold")
    table.add_column("", no_wrap=True)
    for row in report.rows:
        table.add_column(row.name, justify="right", overflow="fold")

    def line(title: str, cells: list[str]) -> None:
        if any(cell != "–" for cell in cells):  # no prices, no row of costs
            table.add_row(title, *cells)

    def number(value: float | None, form: str) -> str:
        return "–" if value is None else format(value, form)

    scores = [row.scores.score for row in report.rows]
    primary = [row.scores.primary for row in report.rows]
    if named := next((p.title for p in primary if p is not None), ""):
        line(named, [write_percent(p.mean) if p else "–" for p in primary])
        line("  items judged", [str(p.scored_items) if p else "–" for p in primary])
    line("score: checks passed", [write_percent(s.mean) for s in scores])
    line("  95 %", [format_interval(s.low, s.high) for s in scores])
    line("  unscored = fail", [write_percent(s.floor) for s in scores])
    line("checks scored", [write_percent(s.coverage) for s in scores])
    worst = {
        kind: max(
            (row.scores.kinds[kind].rate or 0.0) for row in report.rows if kind in row.scores.kinds
        )
        for row in report.rows
        for kind in row.scores.kinds
    }
    for kind in sorted((k for k in worst if worst[k] > 0), key=lambda k: -worst[k])[:MOST_KINDS]:
        rates = [row.scores.kinds.get(kind) for row in report.rows]
        line(f"fails {kind_words(kind)}", [write_percent(r.rate) if r else "–" for r in rates])
        line("  95 %", [format_interval(r.low, r.high) if r and r.scored else "–" for r in rates])
    line("words an answer", [number(row.words, ".0f") for row in report.rows])
    line("latency p50, s", [number(row.p50, ".2f") for row in report.rows])
    line("latency p95, s", [number(row.p95, ".2f") for row in report.rows])
    line("prompt tokens", [number(row.prompt_tokens, ".0f") for row in report.rows])
    line("tokens, 1000 requests", [number(row.tokens_per_1000, ",.0f") for row in report.rows])
    line("cost, 1000 requests", [number(row.cost_per_1000, ".3f") for row in report.rows])
    line("data leaves machine", ["yes" if row.leaves_machine else "no" for row in report.rows])
    console.print(table)
    for d in report.differences:
        console.print(
            f"{d.better} against {d.than}, {d.metric}: {100 * d.mean:+.1f} points "
            f"[{100 * d.low:+.1f}, {100 * d.high:+.1f}] on {write_count(d.n, 'item')} answered by both",
        )
    for sentence in report.recommendation:
        console.print(sentence)
