"""``residency compare``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from residency.cli.json_output import to_jsonable
from residency.cli.progress import ProgressDisplay
from residency.cli.terminal import console, print_json, print_line
from residency.results.kinds import kind_words
from residency.text.counts import write_count
from residency.text.percent import write_percent

if TYPE_CHECKING:
    from residency.commands.compare import Compared
    from residency.evaluate.imported_logs.compare_logs import LogComparison
from residency.cli.options import Json, SplitName, open_project, split_folder


def compare_command(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[DIR] A B",
            help="Two models: base, few-shot, round-N, final, or an id. Or two logs of lm-eval, "
            "Inspect or promptfoo (FILE#PROVIDER where a file has several).",
        ),
    ],
    split: SplitName = "dev",
    items: Annotated[bool, typer.Option(help="List the items on which they differ.")] = False,
    as_json: Json = False,
) -> None:
    """Compare two models on the same stored items, paired, kind by kind.

    Two logs of other programs are compared the same way, metric by metric; items are paired by their
    id, and pairs that were asked differently are refused.

    Example: residency compare demo base round-1 --items

    Example: residency compare base/samples_arc.jsonl tuned/samples_arc.jsonl
    """
    if len(arguments) == 2 and _are_logs(arguments):
        from residency.commands.gate import compare_log_files

        _show_logs(compare_log_files(arguments[0], arguments[1]), as_json)
        return
    from residency.results.primary_change import describe_primary

    directory, (before, after) = split_folder(arguments, ["A", "B"])
    with ProgressDisplay() as progress:
        compared = open_project(directory, progress).compare(before, after, split)
    if as_json:
        print_json(json.dumps(to_jsonable(compared), ensure_ascii=False))
        return
    console.print(_build_table(compared, split))
    print_line(describe_primary(compared.primary), style="bold")
    before_score, after_score = (scores["score"] for scores in compared.scores)
    for title, key in (("checks passed of those scored", "mean"), ("checks scored", "coverage")):
        ends = f"{write_percent(before_score[key])} → {write_percent(after_score[key])}"
        console.print(f"{title}: {ends}")
    if compared.units:
        console.print(compared.units)
    one_sided = [
        kind_words(kind)
        for kind in sorted(set(compared.scores[0]["kinds"]) | set(compared.scores[1]["kinds"]))
        if kind not in compared.kinds
    ]
    if one_sided:
        console.print(
            f"No item was scored in both for: {', '.join(one_sided)}.",
        )
    for name, kinds in (("fixed", compared.fixed), ("broken", compared.broken)):
        for kind, keys in kinds.items() if items else []:
            for key in keys:
                console.print(f"{name}: {kind_words(kind)}, {key}")


def _build_table(compared: Compared, split: str) -> Table:
    """How often each kind fails on either side, on the items scored in both."""
    from residency.cli.result_tables import format_short_interval
    from residency.project.named_models import label_model

    table = Table(
        title=f"{label_model(compared.before)} → {label_model(compared.after)}, on {split}",
        title_justify="left",
        header_style="bold",
    )
    for column in ("fails", "n", "before", "after", "fall, 95 %", "fixed / broken", "p"):
        is_name, is_fall = column == "fails", column == "fall, 95 %"
        table.add_column(column, justify="left" if is_name else "right", no_wrap=is_fall)
    for kind, row in compared.kinds.items():
        table.add_row(
            kind_words(kind),
            str(row["n"]),
            write_percent(row["before_rate"]),
            write_percent(row["after_rate"]),
            f"{100 * row['delta']:+.0f} {format_short_interval(row['low'], row['high'])}",
            f"{row['fixed']} / {row['broken']}",
            f"{row['p_value']:.1g}",
        )
    return table


def _are_logs(names: list[str]) -> bool:
    """Whether both arguments name logs of other programs."""
    from residency.evaluate.imported_logs.read_log import is_log

    return all(is_log(name) for name in names)


def _show_logs(compared: LogComparison, as_json: bool) -> None:
    """Metric by metric: both means, the rise of failures with its interval, and what is missing."""
    from residency.cli.gate import build_changes_table

    if as_json:
        print_json(json.dumps(to_jsonable(compared), ensure_ascii=False))
        return
    console.print(build_changes_table(f"{compared.before} → {compared.after}", compared.changes))
    for name, (then, now) in compared.unscored.items():
        if then or now:
            console.print(f"{name}: {write_count(then, 'item')} unscored before, {now} after")
    if any(compared.alone):
        console.print(
            f"{write_count(compared.alone[0], 'item')} only in the earlier log, {compared.alone[1]} only in the later"
        )
    for name, why in compared.left_out.items():
        print_line(f"left out: {name}: {why}")
    for name, why in compared.incomplete.items():
        print_line(f"not complete: {name}: {why}", "yellow")
