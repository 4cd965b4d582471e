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

from residency.cli.json_output import plain
from residency.cli.judge import schema_refused
from residency.cli.terminal import ProgressDisplay, console, interval, percent, print_json, safe

if TYPE_CHECKING:
    from residency.commands.arena import Board
    from residency.evaluate.arena.review import Review, Showing
    from residency.evaluate.arena.votes import Vote

app = typer.Typer(
    no_args_is_help=True,
    help="Blind A/B review, ratings, votes.",
)

Directory = Annotated[Path, typer.Argument(metavar="[DIR]", help="The project.")]
Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
ModelA = Annotated[str, typer.Argument(help="base, few-shot, round-N, final, or an id.")]
ModelB = Annotated[str, typer.Argument(help="The other model.")]

KEYS: dict[str, Literal["left", "right", "tie", "skip"]] = {
    "1": "left",
    "2": "right",
    "t": "tie",
    "s": "skip",
}


@app.command("review")
def review(
    directory: Directory = Path(),
    a: Annotated[str, typer.Argument(help="A model; left out: the most telling pair.")] = "",
    b: Annotated[str, typer.Argument(help="The other model.")] = "",
    rater: Annotated[str, typer.Option(help="Who you are.")] = "",
    split: Annotated[str, typer.Option(help="dev, train or pool.")] = "dev",
    limit: Annotated[int, typer.Option(help="Items at most; 0: all.")] = 0,
    repeats: Annotated[float, typer.Option(help="Share of items shown twice.")] = 0.1,
) -> None:
    """Judge pairs of answers blind. Sides are drawn at random, names are hidden.

    Every vote is stored at once; the same command goes on where you stopped.
    Keys: 1 the left (first) answer is better, 2 the right, t tie, s skip, q stop.

    Example: residency arena review demo base final --rater ann
    """
    from residency.commands import arena as work
    from residency.commands.project import Project
    from residency.errors import ConfigError

    if bool(a) != bool(b):
        raise ConfigError("name two models, or none", next_step="residency arena review DIR A B")
    with ProgressDisplay() as progress:
        project = Project.open(directory, progress=progress)
        if not a:
            a, b = work.closest(project)
        met = work.pairs(project, a, b, split=_split(split), limit=limit)  # type: ignore[arg-type]
    session = work.review(project, met, rater or getpass.getuser(), repeats=repeats)
    given = 0
    for showing in session:
        vote = _ask(session, showing)
        if vote is None:
            break
        work.add_votes(project, [vote])
        given += 1
    left = len(session) - given
    console.print(f"{given} votes stored, {left} left.", highlight=False)
    if given:
        console.print(f"Next: residency arena board {directory}", highlight=False)


def _ask(session: Review, showing: Showing) -> Vote | None:
    """One vote, or None when the rater stops."""
    console.rule(f"{showing.number} of {showing.total}")
    console.print(Text(safe(showing.prompt)))
    sides = [
        Panel(Text(safe(text)), title=str(place), width=max(30, console.width // 2 - 2))
        for place, text in ((1, showing.left), (2, showing.right))
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
def rules(
    directory: Directory,
    a: ModelA,
    b: ModelB,
    as_json: Json = False,
) -> None:
    """Let the test suite vote: the answer that passes the larger share of its checks wins.

    Example: residency arena rules demo base round-1
    """
    from residency.commands import arena as work
    from residency.commands.project import Project

    with ProgressDisplay() as progress:
        made = work.vote_by_rules(Project.open(directory, progress=progress), a, b)
    if as_json:
        print_json(json.dumps(plain(made)))
        return
    console.print(f"{len(made)} new votes by the suite.", highlight=False)


@app.command("judge")
def judge(
    directory: Directory,
    a: ModelA,
    b: ModelB,
    criterion: Annotated[str, typer.Option(help="By what the better answer is better.")] = (
        "Which answer is more correct, complete and clear?"
    ),
    split: Annotated[str, typer.Option(help="dev, train or pool.")] = "dev",
    limit: Annotated[int, typer.Option(help="Items at most; 0: all.")] = 0,
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
    from residency.project.endpoints import configured_endpoint

    with ProgressDisplay() as progress:
        project = Project.open(directory, progress=progress)
        who = make_judge(project, *configured_endpoint(project.config.judge, "judge"))
        met = work.pairs(project, a, b, split=_split(split), limit=limit)  # type: ignore[arg-type]
        made, flipped, lost = work.vote_by_judge(
            project, who, work.Rubric("better", criterion), met
        )
    if as_json:
        print_json(json.dumps({"votes": made, "flipped": flipped, "no_verdict": lost}))
        return
    for line in schema_refused(unconstrained(who)):
        console.print(line, highlight=False, markup=False)
    console.print(
        f"{made} new votes by {who.name}; {flipped} verdicts changed with the order (ties), "
        f"{lost} pairs without a verdict.",
        highlight=False,
    )


def _split(name: str) -> str:
    from residency.errors import ConfigError

    if name not in ("dev", "train", "pool"):
        raise ConfigError(f"{name!r} cannot be reviewed", where="--split", next_step="dev")
    return name


@app.command("board")
def board(
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

    found = work.board(
        Project.open(directory), anchor=anchor, style=style, davidson=davidson, rater=rater
    )
    if as_json:
        print_json(json.dumps(plain(found.to_dict()), ensure_ascii=False))
        return
    show_board(found)


def show_board(found: Board) -> None:
    """The table, and what stands beside it."""
    table = Table(title="Arena", title_justify="left", header_style="bold")
    for column in ("rank", "model", "score", "95 %", "wins", "losses", "ties", "Elo"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for row in found.table.standings:
        table.add_row(
            str(row.rank),
            f"{found.labels[row.model]}  {row.model[:9]}",
            f"{row.score:.0f}",
            f"[{row.low:.0f}, {row.high:.0f}]",
            str(row.wins),
            str(row.losses),
            str(row.ties),
            f"{row.elo:.0f}",
        )
    console.print(table)
    counts = ", ".join(f"{name} {n}" for name, n in found.by_rater.items())
    console.print(
        f"{found.table.votes} votes on {found.table.prompts} items ({counts}). "
        "Intervals: bootstrap over items and raters. Elo depends on the order of the votes.",
        highlight=False,
    )
    if len({row.component for row in found.table.standings}) > 1:
        console.print("Some models never met: scores compare only within a connected group.")
    if found.table.ties is not None and found.table.ties_interval is not None:
        console.print(
            f"Ties between equals (Davidson): {percent(found.table.ties)} "
            f"{interval(*found.table.ties_interval)}",
            highlight=False,
        )
    for name, (value, low, high) in found.table.style.items():
        console.print(f"style, {name}: {value:+.2f} [{low:+.2f}, {high:+.2f}]", highlight=False)
    if found.agreement is not None:
        console.print(f"Agreement of raters (Krippendorff's α): {found.agreement:.2f}")
    same, again = found.consistency
    if again:
        console.print(f"Shown again: {same} of {again} judged the same ({percent(same / again)}).")


@app.command("export")
def export(
    directory: Directory,
    path: Annotated[Path, typer.Argument(help="JSONL file to write.")],
) -> None:
    """Write the votes as preference pairs (prompt, chosen, rejected) for DPO.

    Votes on dev items hold dev answers: the firewall refuses them as training data.
    Review --split pool or train to make pairs for training.

    Example: residency arena export demo pairs.jsonl
    """
    from residency.commands import arena as work
    from residency.commands.project import Project

    count = work.export(Project.open(directory), path)
    console.print(f"{count} preference pairs in {path}", highlight=False)
