"""``residency arena``: blind review, votes by rules or judge, ratings, export."""

from __future__ import annotations

import getpass
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.columns import Columns
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from residency.cli.json_output import to_jsonable
from residency.cli.judge import describe_refused_schema
from residency.cli.options import Directory, ItemLimit, Json, SplitName, split_folder
from residency.cli.progress import ProgressDisplay
from residency.cli.terminal import (
    console,
    format_interval,
    print_heading,
    print_json,
    print_line,
    quote_path,
)
from residency.text.counts import write_count
from residency.text.percent import write_percent
from residency.text.terminal_text import make_safe

if TYPE_CHECKING:
    from residency.commands.arena import Board
    from residency.evaluate.arena.review import Review, Showing
    from residency.evaluate.arena.votes import Vote

app = typer.Typer(
    no_args_is_help=True,
    help="Blind A/B review, ratings, votes.",
)

Models = Annotated[
    list[str],
    typer.Argument(
        metavar="[DIR] A B", help="The models: base, few-shot, round-N, final, or an id."
    ),
]

KEYS: dict[str, Literal["left", "right", "tie", "skip"]] = {
    "1": "left",
    "2": "right",
    "t": "tie",
    "s": "skip",
}


@app.command("review")
def review_command(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DIR] [A B]", help="Two models; left out: the most telling pair."),
    ] = None,
    rater: Annotated[str, typer.Option(help="Who you are.")] = "",
    split: SplitName = "dev",
    limit: ItemLimit = 0,
    repeats: Annotated[float, typer.Option(min=0, max=1, help="Share of items shown twice.")] = 0.1,
) -> None:
    """Judge pairs of answers blind. Sides are drawn at random, names are hidden.

    Every vote is stored at once; the same command goes on where you stopped.
    Keys: 1 the left (first) answer is better, 2 the right, t tie, s skip, q stop.

    Example: residency arena review demo base final --rater ann
    """
    from residency.commands import arena as work
    from residency.commands.project import Project
    from residency.errors import ConfigError

    named = arguments or []
    if len(named) == 1 and not Path(named[0]).is_dir():
        raise ConfigError("name two models, or none", next_step="residency arena review DIR A B")
    if len(named) == 2 and Path(named[0]).is_dir() and not Path(named[1]).is_dir():
        raise ConfigError("name two models, or none", next_step="residency arena review DIR A B")
    if len(named) < 2:
        directory, (a, b) = Path(named[0] if named else "."), ("", "")
    else:
        directory, (a, b) = split_folder(named, ["A", "B"])
    with ProgressDisplay() as progress:
        project = Project.open(directory, progress=progress)
        if not a:
            a, b = work.closest(project)
        met = work.pairs(project, a, b, split=split, limit=limit)
    session = work.review(project, met, rater or getpass.getuser(), repeats=repeats)
    voted = 0
    for showing in session:
        vote = _ask_vote(session, showing)
        if vote is None:
            break
        work.add_votes(project, [vote])
        voted += 1
    unseen = len(session) - voted
    console.print(f"{write_count(voted, 'vote')} stored, {unseen} left.")
    if voted:
        print_line(f"Next: residency arena board {quote_path(directory)}")


def _ask_vote(session: Review, showing: Showing) -> Vote | None:
    """One vote, or None when the rater stops."""
    print_heading(f"{showing.number} of {showing.total}")
    console.print(Text(make_safe(showing.prompt)))
    sides = [
        Panel(Text(make_safe(text)), title=Text(str(side)), width=max(30, console.width // 2 - 2))
        for side, text in ((1, showing.left), (2, showing.right))
    ]
    console.print(Columns(sides, expand=True))
    start = time.monotonic()
    while True:
        try:
            key = console.input("1, 2, t(ie), s(kip), q(uit): ").strip().lower()[:1]
        except EOFError:
            return None
        if key == "q":
            return None
        if key in KEYS:
            return session.vote(showing.key, KEYS[key], seconds=time.monotonic() - start)


@app.command("rules")
def rules_command(
    arguments: Models,
    as_json: Json = False,
) -> None:
    """Let the test suite vote: the answer that passes the larger share of its checks wins.

    Example: residency arena rules demo base round-1
    """
    from residency.commands import arena as work
    from residency.commands.project import Project

    directory, (a, b) = split_folder(arguments, ["A", "B"])
    with ProgressDisplay() as progress:
        voted = work.vote_by_rules(Project.open(directory, progress=progress), a, b)
    if as_json:
        print_json(json.dumps(to_jsonable(voted)))
        return
    console.print(f"{write_count(len(voted), 'new vote')} by the suite.")


@app.command("judge")
def judge_command(
    arguments: Models,
    criterion: Annotated[str, typer.Option(help="By what the better answer is better.")] = (
        "Which answer is more correct, complete and clear?"
    ),
    split: SplitName = "dev",
    limit: ItemLimit = 0,
    as_json: Json = False,
) -> None:
    """Let a judge model vote, each pair in both orders; a verdict that flips is a tie.

    The judge is the endpoint in [judge] of residency.toml; the answers are sent there.
    Nothing is asked twice.

    Example: residency arena judge demo base final --limit 50
    """
    from residency.commands import arena as work
    from residency.commands.judge import make_judge, unconstrained
    from residency.commands.project import Project
    from residency.project.endpoints import open_configured_endpoint

    directory, (a, b) = split_folder(arguments, ["A", "B"])
    with ProgressDisplay() as progress:
        project = Project.open(directory, progress=progress)
        who = make_judge(project, *open_configured_endpoint(project.config.judge, "judge"))
        met = work.pairs(project, a, b, split=split, limit=limit)
        voted, flipped, lost = work.vote_by_judge(
            project, who, work.Rubric("better", criterion), met
        )
    if as_json:
        print_json(json.dumps({"votes": voted, "flipped": flipped, "no_verdict": lost}))
        return
    for line in describe_refused_schema(unconstrained(who)):
        console.print(line)
    console.print(
        f"{write_count(voted, 'new vote')} by {who.name}; {write_count(flipped, 'verdict')} changed with the order (ties), "
        f"{write_count(lost, 'pair')} without a verdict.",
    )


@app.command("board")
def board_command(
    directory: Directory = Path(),
    anchor: Annotated[str, typer.Option(help="The model that stands at 1000.")] = "base",
    style: Annotated[
        bool, typer.Option("--style", help="Control for length, headings, lists, bold.")
    ] = False,
    davidson: Annotated[
        bool, typer.Option("--davidson", help="A parameter for ties; else a tie is half a win.")
    ] = False,
    rater: Annotated[str, typer.Option(help="Only this rater's votes.")] = "",
    as_json: Json = False,
) -> None:
    """Bradley–Terry ratings on the Elo scale, with intervals and ranks.

    Example: residency arena board demo --style
    """
    from residency.commands import arena as work
    from residency.commands.project import Project

    board = work.board(
        Project.open(directory), anchor=anchor, style=style, davidson=davidson, rater=rater
    )
    if as_json:
        print_json(json.dumps(to_jsonable(board.to_dict()), ensure_ascii=False))
        return
    show_board(board)


def show_board(ratings: Board) -> None:
    """The table, and what stands beside it."""
    table = Table(title="Arena", title_justify="left", header_style="bold")
    for column in ("rank", "model", "score", "95 %", "wins", "losses", "ties", "Elo"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for row in ratings.table.standings:
        table.add_row(
            str(row.rank),
            f"{ratings.labels[row.model]}  {row.model[:9]}",
            f"{row.score:.0f}",
            f"[{row.low:.0f}, {row.high:.0f}]",
            str(row.wins),
            str(row.losses),
            str(row.ties),
            f"{row.elo:.0f}",
        )
    console.print(table)
    counts = ", ".join(f"{name} {n}" for name, n in ratings.by_rater.items())
    console.print(
        f"{write_count(ratings.table.votes, 'vote')} on {write_count(ratings.table.prompts, 'item')} ({counts}). "
        "Intervals: bootstrap over items and raters. Elo depends on the order of the votes.",
    )
    if len({row.component for row in ratings.table.standings}) > 1:
        console.print("Some models never met: scores compare only within a connected group.")
    if ratings.table.ties is not None and ratings.table.ties_interval is not None:
        console.print(
            f"Ties between equals (Davidson): {write_percent(ratings.table.ties)} "
            f"{format_interval(*ratings.table.ties_interval)}",
        )
    for name, (value, low, high) in ratings.table.style.items():
        console.print(f"style, {name}: {value:+.2f} [{low:+.2f}, {high:+.2f}]")
    if ratings.agreement is not None:
        console.print(f"Agreement of raters (Krippendorff's α): {ratings.agreement:.2f}")
    same, again = ratings.consistency
    if again:
        console.print(
            f"Shown again: {same} of {again} judged the same ({write_percent(same / again)})."
        )


@app.command("export")
def export_command(
    arguments: Annotated[
        list[str], typer.Argument(metavar="[DIR] FILE", help="JSONL file to write.")
    ],
    as_json: Json = False,
) -> None:
    """Write the votes as preference pairs (prompt, chosen, rejected) for DPO.

    Votes on dev items hold dev answers: the firewall refuses them as training data.
    Review --split pool or train to make pairs for training.

    Example: residency arena export demo pairs.jsonl
    """
    from residency.commands import arena as work
    from residency.commands.project import Project

    directory, (file,) = split_folder(arguments, ["FILE"])
    count = work.export(Project.open(directory), Path(file))
    if as_json:
        print_json(json.dumps({"pairs": count, "file": file}))
    else:
        print_line(f"{write_count(count, 'preference pair')} in {file}")
