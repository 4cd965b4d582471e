"""``residency usage``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from residency.cli.json_output import to_jsonable
from residency.cli.options import Directory, Json
from residency.cli.terminal import (
    console,
    print_heading,
    print_json,
    print_line,
    quote_path,
)
from residency.text.counts import write_count
from residency.text.percent import write_percent

if TYPE_CHECKING:
    from residency.results.usage import Percentiles, Usage


def usage_command(
    directory: Directory = Path(),
    days: Annotated[float, typer.Option(min=0.01, help="The last so many days.")] = 30.0,
    price: Annotated[
        float | None,
        typer.Option(min=0, help="Price of the machine an hour; by default serve.machine_price."),
    ] = None,
    as_json: Json = False,
) -> None:
    """What the server was used for: requests, times, errors, uptime, moderation, cost.

    Beside the cost of 1000 requests stands what the last baseline predicts at the same price.

    Example: residency usage demo --days 7 --price 0.40
    """
    from residency.commands.usage import usage
    from residency.project.settings_file import find_project_root, read_config
    from residency.project.workspace import Workspace

    root = find_project_root(directory)
    project = Workspace(root, read_config(root))
    used = usage(project, days=days, price_per_hour=price)
    if as_json:
        body = to_jsonable(used) | {"answered": used.answered}
        print_json(json.dumps(body, ensure_ascii=False))
        return
    _show(used, days, project.config.moderation.offensive_threshold, quote_path(directory))


def _show(used: Usage, days: float, threshold: float, folder: str) -> None:
    print_heading(f"Use in the last {days:g} days")
    uptime = "no server has run yet" if used.uptime is None else _describe_uptime(used)
    print_line(uptime)
    if not used.requests:
        print_line(f"No request was served. → residency serve {folder}")
        return
    errors = ", ".join(f"{count} × {status}" for status, count in used.errors.items())
    print_line(
        f"{write_count(used.requests, 'request')}, {used.answered} answered"
        + (f", {used.refused} refused by moderation" if used.refused else "")
        + (f", errors: {errors}" if errors else "")
    )
    print_line(
        f"{write_count(used.prompt_tokens, 'prompt token')} ({used.cached_tokens} of them from the cache), "
        f"{write_count(used.answer_tokens, 'answer token')}"
    )
    _show_models(used)
    print_line(f"time in the queue: {_format(used.queue)}")
    _show_moderation(used, threshold)
    if used.thumbs_up or used.thumbs_down or used.better:
        print_line(
            f"feedback: {used.thumbs_up} up, {used.thumbs_down} down, {write_count(used.better, 'better answer')}"
        )
    _show_cost(used)
    if used.texts:
        lacks = ", ".join(f"{count} {reason}" for reason, count in used.without_text.items())
        print_line(
            f"{write_count(used.texts, 'request has its text', 'requests have their text')}"
            + (f" (without: {lacks})" if lacks else "")
            + f" → residency ingest {folder} log"
        )


def _describe_uptime(used: Usage) -> str:
    now = "a server runs now" if used.running else "no server runs now"
    return f"up {used.up_seconds / 3600:.2f} h, {write_percent(used.uptime)} of the time; {now}"


def _format(times: Percentiles | None) -> str:
    if times is None:
        return "–"
    return f"{times.p50:.3g} / {times.p95:.3g} / {times.p99:.3g} s"


def _show_models(used: Usage) -> None:
    table = Table(header_style="bold")
    columns = ("model", "requests", "errors", "tokens in", "out")
    for column in (*columns, "time p50 / p95 / p99", "first token p50 / p95 / p99"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for line in used.models:
        table.add_row(
            line.model or "(no model)",
            str(line.requests),
            str(line.errors),
            str(line.prompt_tokens),
            str(line.answer_tokens),
            _format(line.seconds),
            _format(line.first_token),
        )
    console.print(table)


def _show_moderation(used: Usage, threshold: float) -> None:
    if not used.moderation:
        return
    from residency.commands.moderate import measure_text_judges

    table = Table(title="Moderation", title_justify="left", header_style="bold")
    for column in ("side", "kind", "action", "requests", "share, 95 %"):
        table.add_column(
            column, justify="right" if column in ("requests", "share, 95 %") else "left"
        )
    for row in used.moderation:
        share = f"{write_percent(row.share)} [{100 * row.low:.1f}, {100 * row.high:.1f}]"
        table.add_row(row.side, row.kind, row.action, str(row.requests), share)
    console.print(table)
    for quality in measure_text_judges(threshold):
        print_line(
            f"  {quality.judge}, on {write_count(quality.n, 'labelled text')}: precision "
            f"{write_percent(quality.precision)}, recall {write_percent(quality.recall)}"
        )


def _show_cost(used: Usage) -> None:
    if used.cost is None:
        print_line("No cost: set machine_price under [serve], or --price.")
        return
    for name, value in (("paid hours", used.cost.paid), ("busy time", used.cost.busy)):
        if value is not None:
            print_line(f"cost of 1000 requests by {name}: {value:.4g}")
    for row in used.predictions:
        if row.cost_per_1000 is not None:
            print_line(
                f"  baseline, {row.name}, one after another: {row.cost_per_1000:.4g} "
                f"(p50 {row.p50:.3g} s)"
            )
    if not used.predictions:
        print_line("No prediction to compare with: residency baseline DIR")
