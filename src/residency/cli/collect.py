"""``residency collect``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer
from rich.text import Text

from residency.cli.options import USUAL_CRITERION, Directory
from residency.cli.progress import ProgressDisplay
from residency.cli.terminal import console, print_heading, print_json, quote_path
from residency.cli.typed_text import read_typed_text
from residency.errors import ConfigError
from residency.text.counts import write_count
from residency.text.terminal_text import make_safe

if TYPE_CHECKING:
    from residency.commands.collect import Collected, Item


_KEYS = ("e", "k", "d", "s", "q", "")


def collect_command(
    directory: Directory = Path(),
    model: Annotated[str, typer.Option(help="Whose answers are shown.")] = "final",
    limit: Annotated[
        int,
        typer.Option(min=1, help="Pool rows that the model answers, or rows made of templates."),
    ] = 100,
    prompts: Annotated[
        Path | None, typer.Option(help="A file of prompts, in place of the pool.")
    ] = None,
    traffic: Annotated[
        bool, typer.Option("--traffic", help="What `residency ingest` brought in, in place of it.")
    ] = False,
    documents: Annotated[
        list[str] | None, typer.Option(help="Text for the [teacher] to make rows of; may repeat.")
    ] = None,
    issue: Annotated[
        str,
        typer.Option(help="An issue's id: the [teacher] (or --templates) writes rows of its mode."),
    ] = "",
    templates: Annotated[Path | None, typer.Option(help="A TOML file of templates.")] = None,
    pairs: Annotated[
        int, typer.Option(min=1, help="Rows that the teacher makes of a document.")
    ] = 3,
    judge: Annotated[
        bool,
        typer.Option("--judge", help="The [judge] rates made rows; what it fails is left out."),
    ] = False,
    criterion: Annotated[
        str, typer.Option(help="What the judge rates made rows by, a yes-or-no question.")
    ] = USUAL_CRITERION,
    goal: Annotated[int, typer.Option(min=1, help="Rows to collect in all.")] = 1000,
    author: Annotated[str, typer.Option(help="Who answers (default: your login name).")] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the items, or what was made; ask nothing.")
    ] = False,
) -> None:
    """Write better answers for the items where the model did worst, or let a teacher make rows.

    Every answer is kept at once in collected.jsonl, with the model's own beside it, so that the
    same rows serve as preference pairs. Rows that are made are verified by the suite (and by the
    judge with --judge), and residency rows shows them to accept, reject or edit.

    Example: residency collect demo --model round-1

    Example: residency collect demo --issue is-1a2b3c --limit 50 --judge
    """
    from residency.commands import collect as work
    from residency.commands.make_rows import generate_rows
    from residency.commands.project import Project

    makes = bool(documents or templates or issue)
    if (judge or criterion != USUAL_CRITERION) and not makes:
        raise ConfigError(
            "--judge rates rows that are made, and none are asked for",
            where="command line",
            next_step="add --issue, --templates or --documents, or leave it out",
        )
    with ProgressDisplay() as progress:
        project = Project.open(directory, progress=progress)
        if makes:
            collected = generate_rows(
                project,
                documents=documents or [],
                templates=templates,
                issue=issue,
                count=limit,
                pairs=pairs,
                criterion=criterion if judge or criterion != USUAL_CRITERION else "",
                goal=goal,
                progress=progress,
            )
            waits = project.config.target.review
            _show_collected(collected, as_json=as_json, made=True, waits=waits)
            return
        if traffic:
            from residency.commands.collect_traffic import find_worst_traffic

            items = find_worst_traffic(project, rows=limit)
        else:
            items = work.find_worst_answers(project, model=model, rows=limit, prompts=prompts)
    if as_json:
        print_json(json.dumps([_item_to_dict(item) for item in items], ensure_ascii=False))
        return
    try:
        result = work.collect_answers(
            project,
            items,
            lambda item, total: ask_answer(item, total, goal),
            goal=goal,
            author=author,
            screen=traffic,
        )
    except (KeyboardInterrupt, EOFError):
        console.print("\nStopped; every answer given so far is kept.")
        return
    _show_collected(result, as_json=False)


def _item_to_dict(item: Item) -> dict[str, Any]:
    return {
        "example": item.example.to_dict(),
        "answer": item.response.text,
        "failures": list(item.failures),
        "score": item.score,
    }


def ask_answer(item: Item, total: int, goal: int) -> str | None:
    """Show one item and take a better answer (empty: pass on; None: stop)."""
    print_heading(f"{total} of {goal} collected")
    console.print(Text(make_safe(item.example.prompt_text), style="bold"))
    wrote = make_safe(item.response.text).strip()
    console.print(Text("\nThe model:", style="dim"))
    console.print(Text(wrote or "(nothing)", style="red" if item.failures else ""))
    if item.failures:
        console.print(Text(f"Found: {', '.join(item.failures)}", style="yellow"))
    if item.reference:
        console.print(Text("\nIn your data:", style="dim"))
        console.print(Text(make_safe(item.reference), style="green"))
    keys = ["[e] write in your editor"]
    keys += ["[k] the model's answer is right"] if wrote else []
    keys += ["[d] take your data's answer"] if item.reference else []
    keys += ["[s] skip", "[q] stop"]
    console.print("\n" + "   ".join(keys) + "\nor type or paste the better answer")
    typed = read_typed_text("> ", _KEYS)
    while (typed == "k" and not wrote) or (typed == "d" and not item.reference):
        console.print(Text("There is none here.", style="dim"))
        typed = read_typed_text("> ", _KEYS)
    if typed == "q":
        return None
    if typed == "e":
        return click.edit(item.reference or item.response.text) or ""
    if typed == "k":
        return item.response.text
    if typed == "d":
        return item.reference
    return "" if typed == "s" else typed


def _show_collected(
    result: Collected, *, as_json: bool, made: bool = False, waits: bool = False
) -> None:
    """What was added and left out, and what comes next.

    Args:
        made: they were made and not written by people. waits: they wait until looked at.
    """
    if as_json:
        body = vars(result) | {"path": str(result.path), "failed": [vars(f) for f in result.failed]}
        print_json(json.dumps(body, ensure_ascii=False))
        return
    for refused in _group_by_reason(result.refused):
        text, reason = refused[0]
        several = f"{write_count(len(refused), 'row')}, e.g. " if len(refused) > 1 else ""
        words = make_safe(f"  left out: {several}{reason}: {' '.join(text.split())[:80]}")
        console.print(Text(words, style="dim"))
    for failure in result.failed[:5]:
        words = make_safe(f"  nothing made of {failure.source}: {failure.reason}")
        console.print(Text(words, style="yellow"))
    for check, count in result.unscored.items():
        words = f"  {make_safe(check)} can say nothing of {write_count(count, 'row')}"
        console.print(Text(words, style="dim"))
    lost = f", {len(result.refused)} left out" if result.refused else ""
    console.print(
        f"{write_count(result.added, 'row')} added{lost}; {result.total} of {result.goal} in all"
    )
    if not result.total:
        return
    folder, name = quote_path(result.path.parent), result.path.name
    steps = [f"the rows of {name} join train by themselves: residency run {folder}"]
    if made and result.added:
        wait = (
            "they wait until looked at" if waits else "look at them; what you reject never trains"
        )
        steps.insert(0, f"{wait}: residency rows {folder}")
    for step in steps[:1] if waits and made else steps:
        console.print(Text(f"→ {step}"))


def _group_by_reason(refused: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Rows that were left out, those together whose reasons begin alike."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for text, reason in refused:
        head = reason.partition(":")[0].partition(" (Jaccard")[0]
        groups.setdefault(head, []).append((text, reason))
    return list(groups.values())
