"""``residency check``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from residency.cli.exit_codes import exit_with
from residency.cli.init import parse_columns, parse_numbers
from residency.cli.options import Json
from residency.cli.progress import ProgressDisplay
from residency.cli.terminal import console, print_heading, print_indented, print_json
from residency.text.counts import write_count
from residency.text.percent import write_percent
from residency.text.terminal_text import make_safe

if TYPE_CHECKING:
    from residency.commands.check import Checked, Shown
    from residency.data.checks.data_doctor import CheckReport
    from residency.data.checks.figures import Figure
    from residency.data.checks.truncation_ledger import Ledger


def check_command(
    target: Annotated[
        str, typer.Argument(metavar="DIR|FILE", help="A project, a folder of data, or a file.")
    ] = ".",
    show: Annotated[int, typer.Option(min=0, help="Rows to show, trained tokens in colour.")] = 0,
    fix: Annotated[bool, typer.Option("--fix", help="Write a cleaned copy; sources stay.")] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="With --fix: a kind of rows that stays, such as refusals; may repeat."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first bad row.")] = False,
    base: Annotated[str, typer.Option(help="Base model whose tokenizer is used.")] = "",
    column: Annotated[
        list[str] | None, typer.Option(help="Your column for a field: response=reply; may repeat.")
    ] = None,
    split_at: Annotated[
        str, typer.Option(help="Mark within raw text that ends the prompt, e.g. '\\nA:'.")
    ] = "",
    least: Annotated[
        list[str] | None,
        typer.Option(help="Leave out rows rated below a number: rating=4; may repeat."),
    ] = None,
    benchmarks: Annotated[
        Path | None,
        typer.Option(
            help="Folder with copies of benchmarks to compare with, or hub to read them from there."
        ),
    ] = None,
    cluster: Annotated[
        str,
        typer.Option(
            help="Ray cluster to work on: auto, host:port, ray://…, or local for this machine."
        ),
    ] = "",
    out: Annotated[Path | None, typer.Option(help="Where report and lists are written.")] = None,
    as_json: Json = False,
) -> None:
    """Data doctor: what is in your files, what is wrong with it, and what to do about it.

    Example: residency check data/train.jsonl --show 3
    """
    from residency.commands.check import check
    from residency.data.reading.split_marks import parse_mark

    columns = parse_columns(column or [])
    with ProgressDisplay() as progress:
        result = check(
            target,
            base=base,
            columns=columns,
            split_at=parse_mark(split_at),
            least=parse_numbers(least or []),
            show=show,
            fix=fix,
            keep=keep or (),
            strict=strict,
            benchmarks=benchmarks,
            cluster=cluster,
            out=out,
            progress=progress,
        )
    with exit_with(0 if sum(result.report.kept.values()) else 2):
        if as_json:
            body = result.report.to_dict()
            body["shown"] = [vars(s) for s in result.shown]
            if result.fixed:
                body["fixed"] = vars(result.fixed) | {"folder": str(result.fixed.folder)}
            print_json(json.dumps(body, ensure_ascii=False))
        else:
            show_report(result.report)
            if result.dev_needs:
                print_note(result.dev_needs)
            if result.shown:
                for note in result.template_notes:
                    print_note(note, "dim")
            for row in result.shown:
                show_row(row)
            _show_written_files(result)


def show_report(report: CheckReport) -> None:
    """The whole report as tables."""
    files = Table(title=f"Files of {report.subject}", title_justify="left", header_style="bold")
    for name in ("file", "kind", "split", "read as", "rows", "rejected"):
        files.add_column(name, justify="right" if name in ("rows", "rejected") else "left")
    for f in report.files:
        path, read_as = Text(make_safe(f.path), overflow="fold"), Text(make_safe(f.mapping))
        files.add_row(path, f.kind, f.split, read_as, str(f.rows), str(f.rejected))
    console.print(files)
    for f in report.files:
        for note in f.ratings:
            print_note(f"{f.path}: {note}", "yellow")
        if f.unused:
            columns = ", ".join(f.unused[:12]) + (", …" if len(f.unused) > 12 else "")
            print_note(f"{f.path}: columns not used: {columns}", "dim")
    if any(f.unused for f in report.files):
        print_note(
            "read otherwise: --column response=NAME, or [data] columns in residency.toml", "dim"
        )
    _show_counts(report)
    if sum(report.rows.values()):
        if report.ledger:
            _show_ledger(report.ledger)
        _show_figures(report)
    for note in report.notes:
        print_note(note, "dim")
    warnings = len(report.warnings) + bool(report.rejected) + bool(report.removed)
    warnings += bool(report.near_guard) + bool(report.ledger and report.ledger.refused)
    rows_kept = write_count(sum(report.kept.values()), "row")
    line = f"{rows_kept} kept; {write_count(warnings, 'thing')} to look at"
    console.print(Text(f"{line}; {report.seconds:.1f} s", style="bold"))


def print_note(text: str, style: str = "", *, indent: int = 2) -> None:
    """A line set in from the left, also where it is broken."""
    print_indented(Text(text, style=style), indent)


def _show_counts(report: CheckReport) -> None:
    table = Table(title="Rows", title_justify="left", header_style="bold")
    for name in ("split", "read", "kept"):
        table.add_column(name, justify="left" if name == "split" else "right")
    for split, count in report.rows.items():
        if count:
            table.add_row(split, str(count), str(report.kept[split]))
    console.print(table)
    for reason, count in report.reasons[:8]:
        print_note(f"rejected {count}: {reason}", "yellow")
    for reject in report.rejects[:3]:
        print_note(str(reject), "dim", indent=4)
    for (kind, split), count in report.removed.items():
        print_note(f"left out of {split}: {count} ({kind})", "yellow")
        first = next(
            (r for r in report.removed_rows if r["kind"] == kind and r["split"] == split), None
        )
        if first:
            print_note(f"{first['source']}: {first['reason']}", "dim", indent=4)
    for leak in report.leaks[:3]:
        print_note(f"{leak.source} comes near {leak.benchmark}: {leak.rule}", "red")
    if report.benchmarks:
        names = ", ".join(f"{name} ({items})" for name, items in report.benchmarks.items())
        print_note(f"{write_count(len(report.leaks), 'training row')} near {names}")
    if report.near_guard:
        rows = write_count(len(report.near_guard), "replay row comes", "replay rows come")
        print_note(f"{rows} near a question of rounds.guard: no training gets them", "yellow")
    for leak in report.near_guard[:3]:
        place = f"{leak.benchmark}, item {leak.item + 1}"
        print_note(f"{leak.source}: {leak.rule}: {place}", "dim", indent=4)


def _show_ledger(ledger: Ledger) -> None:
    import numpy as np

    lengths = np.asarray(ledger.lengths) if len(ledger.lengths) else np.zeros(1)
    middle, high = np.quantile(lengths, [0.5, 0.95])
    console.print(
        Text(
            f"Tokens: {ledger.tokens} in {write_count(ledger.rows, 'row')} that may be trained, "
            f"before anything is left out; {ledger.trained} of them trained; length {middle:.0f} in the middle, 95 % up to {high:.0f}, "
            f"longest {ledger.longest}"
        )
    )
    console.print(Text("  " + draw_histogram(lengths.tolist()), style="cyan"))
    if ledger.too_long:
        table = Table(
            title=f"Longer than {ledger.max_length} tokens: {write_count(ledger.too_long, 'row')}",
            title_justify="left",
            header_style="bold",
        )
        for name in ("policy", "dropped", "cut", "trained tokens lost", "left without end token"):
            table.add_column(name, justify="left" if name == "policy" else "right")
        for policy, cost in ledger.policies.items():
            mark = " (yours)" if policy == ledger.truncation else ""
            figures = (cost.dropped, cost.cut, cost.lost_trained, cost.without_end)
            table.add_row(policy + mark, *(str(n) for n in figures))
        console.print(table)
    for row in ledger.affected[:3]:
        lost = (
            f", {write_count(row.lost_trained, 'trained token')} lost" if row.lost_trained else ""
        )
        print_note(f"{row.source}: {write_count(row.tokens, 'token')}, {row.action}{lost}", "dim")
    if len(ledger.affected) > 3:
        print_note(f"… and {len(ledger.affected) - 3} more", "dim")
    for row in ledger.refused[:3]:
        print_note(f"the template refuses {row.source}: {row.reason}", "red")
    if len(ledger.refused) > 3:
        print_note(f"… and {len(ledger.refused) - 3} more", "red")
    for step in dict.fromkeys(row.next_step for row in ledger.refused if row.next_step):
        print_note(f"→ {step}", "dim")


def draw_histogram(values: list[float], bins: int = 40) -> str:
    """A line of bars: how many values lie in each of equal ranges from 0 to the largest."""
    top = max(values, default=0)
    if top <= 0:
        return ""
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int(value / top * bins))] += 1
    bars = " ▁▂▃▄▅▆▇█"
    most = max(counts)
    drawn = "".join(bars[-(-c * 8 // most)] for c in counts)
    return f"0 {drawn} {top:.0f}"


def _show_figures(report: CheckReport) -> None:
    counted = [f"{count} {split}" for split, count in report.rows.items() if count]
    console.print(
        Text(f"Quality, of all rows that were read: {', '.join(counted)}", style="italic")
    )
    for figure in report.figures:
        if not (figure.rows or figure.value is not None or figure.details):
            continue
        warn = figure.level == "warn"
        line = Text("▲ " if warn else "  ", style="yellow" if warn else "")
        line.append(figure.title + (" (sample)" if figure.sampled else ""))
        line.append(f"  {_format_amount(figure)}", style="bold")
        console.print(line)
        if evidence := _format_evidence(figure):
            print_indented(evidence, 6)
    quiet = [f.title for f in report.figures if not f.rows and f.value is None and not f.details]
    if quiet:
        print_note("none: " + "; ".join(quiet), "dim")


def _format_amount(figure: Figure) -> str:
    if figure.value is not None:
        digits = ".0f" if figure.value >= 100 else ".3g"
        return f"{figure.value:{digits}} {figure.unit}".strip()
    share = f" ({write_percent(figure.rows / figure.of)})" if figure.of else ""
    return f"{figure.rows}{share}"


def _format_evidence(figure: Figure) -> Text:
    text = Text()
    if figure.details:
        text.append(
            "; ".join(f"{name} {_format_detail(value)}" for name, value in figure.details[:8])
        )
        text.append("\n")
    for example in figure.examples[:2]:
        text.append(make_safe(f"{example.source}: {example.excerpt}") + "\n", style="dim")
    if figure.action:
        text.append(f"→ {figure.action}\n")
    text.rstrip()
    return text


def _format_detail(value: float) -> str:
    if 0 < value < 1:
        return write_percent(value, 0)
    return f"{value:.0f}" if value >= 100 else f"{value:.4g}"


def show_row(row: Shown) -> None:
    """One row: what is trained on green, the rest dimmed."""
    print_heading(f"{row.source}   {row.trained} of {row.tokens} tokens are trained")
    text = Text()
    for piece, trained in row.pieces:
        text.append(make_safe(piece), style="bold black on green" if trained else "dim")
    console.print(text)


def _show_written_files(result: Checked) -> None:
    report = result.report
    cut = report.ledger is not None and bool(report.ledger.affected)
    if result.written:
        console.print(Text(f"Report and lists: {result.written[0].parent}", style="dim"))
    elif report.rejected or report.removed or cut:
        console.print(Text("Every row that is named here: --out DIR writes the lists", style="dim"))
    if result.fixed:
        rows_kept = ", ".join(f"{n} {s}" for s, n in result.fixed.kept.items()) or "nothing"
        lost = ", ".join(f"{n} {k}" for k, n in result.fixed.dropped.items()) or "nothing"
        console.print(
            Text(f"Cleaned version {result.fixed.version}: {rows_kept}; left out: {lost}")
        )
        console.print(
            Text(f"→ {result.fixed.folder}; name its files in residency.toml to train on them")
        )
    elif result.fixable:
        console.print(Text("→ --fix writes a cleaned copy; your files stay as they are"))
