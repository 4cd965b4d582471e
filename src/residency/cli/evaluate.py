"""``residency eval``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from residency.cli.json_output import to_jsonable
from residency.cli.progress import ProgressDisplay
from residency.cli.terminal import console, format_interval, print_json
from residency.results.kinds import kind_words
from residency.text.counts import write_count
from residency.text.percent import write_percent
from residency.text.terminal_text import make_safe

if TYPE_CHECKING:
    from residency.project.endpoints import Requests
from residency.cli.options import Directory, Json, ModelName, open_project


def evaluate_command(
    directory: Directory = Path(),
    name: ModelName = "base",
    split: Annotated[str, typer.Option(help="dev, train or pool; test is sealed.")] = "dev",
    endpoint: Annotated[
        str, typer.Option(help="Ask this server instead; it is sent every prompt.")
    ] = "",
    endpoint_model: Annotated[str, typer.Option(help="The model's name there.")] = "",
    key_env: Annotated[str, typer.Option(help="Environment variable with its key.")] = "",
    price_in: Annotated[float, typer.Option(help="Its price of a million prompt tokens.")] = 0.0,
    price_out: Annotated[float, typer.Option(help="Its price of a million answer tokens.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Generate the missing answers of a model, grade them, and show the figures.

    Example: residency eval demo --model round-1
    """
    from residency.commands.evaluate import list_remarks
    from residency.errors import ConfigError
    from residency.nouns.example import SPLITS
    from residency.project.endpoints import open_named_endpoint, summarise_requests
    from residency.project.named_models import label_model

    if split not in SPLITS:
        raise ConfigError(f"there is no split {split!r}", where="--split", next_step="dev")
    server = open_named_endpoint(endpoint, endpoint_model, key_env, price_in, price_out)
    with ProgressDisplay() as progress:
        project = open_project(directory, progress)
        assessed = project.evaluate(name, split, endpoint=server)
    scores, requests, notes = (
        assessed.scores.to_dict(),
        summarise_requests(server),
        list_remarks(project, assessed),
    )
    if as_json:
        body = {"model": assessed.model, "scores": scores, "requests": requests, "notes": notes}
        print_json(json.dumps(to_jsonable(body)))
        return
    show_scores(f"{label_model(assessed.model)}, {assessed.model.id[:9]}, on {split}", scores)
    for line in notes:
        console.print(make_safe(line))
    if requests:
        show_requests(requests, priced=bool(price_in or price_out))


def show_requests(requests: Requests, *, priced: bool) -> None:
    """What asking an endpoint took, and what failed; its cost where a price was given."""
    tokens = "unknown" if requests.tokens is None else f"{requests.tokens}"
    known = "unknown" if requests.cost is None else f"{requests.cost:.4g}"
    cost = f", cost {known}" if priced else ""
    console.print(
        f"{write_count(requests.sent, 'request')}: {tokens} answer tokens, p50 {requests.p50:.2f} s, "
        f"p95 {requests.p95:.2f} s{cost}.",
    )
    for note in requests.notes:
        console.print(make_safe(f"Note: {note}."))
    if requests.failed:
        console.print(
            f"{requests.failed} failed and are in no figure, the last: {make_safe(requests.error).rstrip('.')}. "
            "The same command asks again.",
        )


def show_scores(title: str, scores: dict[str, Any]) -> None:
    """Score and rates with intervals and coverage."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in ("figure", "value", "95 %", "scored"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    score = scores["score"]
    table.add_row(
        "score",
        write_percent(score["mean"]),
        format_interval(score["low"], score["high"]),
        f"{score['scored_items']}/{score['items']}",
    )
    table.add_row("score, unscored as failed", write_percent(score["floor"]), "", "")
    table.add_row("checks scored", write_percent(score["coverage"]), "", "")
    for kind, rate in scores["kinds"].items():
        table.add_row(
            f"fails {kind_words(kind)}",
            write_percent(rate["rate"]),
            format_interval(rate["low"], rate["high"]) if rate["scored"] else "–",
            f"{rate['scored']}/{rate['total']}",
        )
    console.print(table)
