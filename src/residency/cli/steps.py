"""Single steps: train, eval, diagnose, target, compare, trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.tree import Tree

from residency.cli.json_output import plain
from residency.cli.terminal import ProgressDisplay, console, interval, percent, print_json, safe

if TYPE_CHECKING:
    from residency.commands.project import Project
    from residency.project.endpoints import Requests
    from residency.results.trace import Trace

Directory = Annotated[Path, typer.Argument(metavar="[DIR]", help="The project.")]
Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
ModelName = Annotated[
    str, typer.Option("--model", help="base, few-shot, round-N, round-N-control, final, or an id.")
]


def opened(directory: Path, progress: ProgressDisplay, base: str = "") -> Project:
    """The project, with progress shown."""
    from residency.commands.project import Project

    overrides: dict[str, Any] = {"model.base": base} if base else {}
    return Project.open(directory, overrides=overrides, progress=progress)


def train(
    directory: Directory = Path(),
    issue: Annotated[
        list[str] | None, typer.Option(help="Add the accepted rows of this issue; may repeat.")
    ] = None,
    extend: Annotated[
        float, typer.Option(min=0, help="Go on with the last such training: epochs to add.")
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """Train once on the train split (and on targeted rows), and keep the adapter.

    Example: residency train demo --issue is-1a2b3c

    Example: residency train demo --extend 2
    """
    with ProgressDisplay() as progress:
        project = opened(directory, progress)
        model = project.train(issues=issue or [], extend=extend)
        folder = project.store.artifacts.folder(model.adapter) if model.adapter else None
        made = project.store.records("training", model.id)[-1]
    if as_json:
        print_json(json.dumps(plain({"model": model, "adapter": str(folder), "training": made})))
        return
    console.print(f"model {model.id}\nadapter {folder}", highlight=False, soft_wrap=True)
    console.print(f"loss curve {folder}/loss.svg", highlight=False, soft_wrap=True)
    if off := made.get("estimate"):
        console.print(
            f"the estimate was off by {off['memory_error']:+.0%} in memory "
            f"and {off['time_error']:+.0%} in time",
            highlight=False,
        )
    console.print(f"Next: residency eval {directory} --model {model.id}", highlight=False)


def evaluate(
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
    from residency.commands.steps import remarks
    from residency.errors import ConfigError
    from residency.loop.respond import label_of
    from residency.nouns.example import SPLITS
    from residency.project.endpoints import asked, named_endpoint

    if split not in SPLITS:
        raise ConfigError(f"there is no split {split!r}", where="--split", next_step="dev")
    server = named_endpoint(endpoint, endpoint_model, key_env, price_in, price_out)
    with ProgressDisplay() as progress:
        project = opened(directory, progress)
        assessed = project.evaluate(name, split, endpoint=server)
    scores, requests, notes = assessed.scores.to_dict(), asked(server), remarks(project, assessed)
    if as_json:
        body = {"model": assessed.model, "scores": scores, "requests": requests, "notes": notes}
        print_json(json.dumps(plain(body)))
        return
    show_scores(f"{label_of(assessed.model)}, {assessed.model.id[:9]}, on {split}", scores)
    for line in notes:
        console.print(safe(line), highlight=False, markup=False)
    if requests:
        show_requests(requests)


def show_requests(found: Requests) -> None:
    """What asking an endpoint took, and what failed."""
    console.print(
        f"{found.sent} requests: {found.tokens} answer tokens, p50 {found.p50:.2f} s, "
        f"p95 {found.p95:.2f} s, cost {found.cost:.4g}.",
        highlight=False,
    )
    if found.failed:
        console.print(
            f"{found.failed} failed and are in no figure, the last: {safe(found.error)}. "
            "The same command asks again.",
            highlight=False,
            markup=False,
        )


def show_scores(title: str, scores: dict[str, Any]) -> None:
    """Score and rates with intervals and coverage."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in ("figure", "value", "95 %", "scored"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    score = scores["score"]
    table.add_row(
        "score",
        percent(score["mean"]),
        interval(score["low"], score["high"]),
        f"{score['scored_items']}/{score['items']}",
    )
    table.add_row("score, unscored as failed", percent(score["floor"]), "", "")
    table.add_row("checks scored", percent(score["coverage"]), "", "")
    for kind, rate in scores["kinds"].items():
        table.add_row(
            f"fails {kind}",
            percent(rate["rate"]),
            interval(rate["low"], rate["high"]) if rate["scored"] else "–",
            f"{rate['scored']}/{rate['total']}",
        )
    console.print(table)


def diagnose(
    directory: Directory = Path(),
    name: ModelName = "final",
    show: Annotated[int, typer.Option(help="Failing examples shown for each issue.")] = 0,
    as_json: Json = False,
) -> None:
    """Run the detectors again on stored dev answers and group the failures into issues.

    Nothing is generated: after a changed rule or threshold this takes seconds.

    Example: residency diagnose demo --model round-1 --show 2
    """
    with ProgressDisplay() as progress:
        project = opened(directory, progress)
        found = project.diagnose(name)
        texts = {r.example: r.text for r in project.store.responses(found.model.id)}
    if as_json:
        body = {"model": found.model, "issues": found.issues, "failing": found.failing}
        print_json(json.dumps(plain(body), ensure_ascii=False))
        return
    table = Table(title=f"Issues in {found.model.id}", title_justify="left", header_style="bold")
    for column in ("issue", "id", "kind", "slice", "failing"):
        table.add_column(column)
    for issue in found.issues:
        failing = len(found.failing[issue.id])
        table.add_row(issue.title, issue.id[:9], issue.kind, issue.slice.name, str(failing))
    console.print(table)
    for issue in found.issues if show else []:
        console.rule(issue.title)
        for key in found.failing[issue.id][:show]:
            console.print(f"{key}\n{texts.get(key, '')}\n", markup=False, highlight=False)


def target(
    issue: Annotated[str, typer.Argument(help="Issue id, or its beginning.")],
    directory: Directory = Path(),
    count: Annotated[int, typer.Option(help="Rows to propose; 0: the setting.")] = 0,
    as_json: Json = False,
) -> None:
    """Propose pool rows for one issue, after the firewall. The data stays as it is.

    Example: residency target is-1a2b3c demo --count 10
    """
    with ProgressDisplay() as progress:
        proposals = opened(directory, progress).target(issue, count=count or None)
    if as_json:
        print_json(json.dumps(plain(proposals), ensure_ascii=False))
        return
    table = Table(title=f"Rows for {issue}", title_justify="left", header_style="bold")
    for column in ("example", "score", "near", "accepted", "prompt"):
        table.add_column(column)
    for p in proposals:
        last = p.example.prompt[-1]
        table.add_row(
            p.example.id[:11],
            f"{p.score:.2f}",
            p.near[:11],
            "yes" if p.accepted else p.reason,
            (last.input or last.content)[:90].replace("[", r"\["),
        )
    console.print(table)


def compare(
    before: Annotated[str, typer.Argument(help="Model A: base, few-shot, round-N, final, an id.")],
    after: Annotated[str, typer.Argument(help="Model B.")],
    directory: Directory = Path(),
    split: Annotated[str, typer.Option(help="dev or train.")] = "dev",
    items: Annotated[bool, typer.Option(help="List the items on which they differ.")] = False,
    as_json: Json = False,
) -> None:
    """Compare two models on the same stored items, paired, kind by kind.

    Example: residency compare base round-1 demo --items
    """
    from residency.errors import ConfigError

    if split not in ("dev", "train", "pool"):
        raise ConfigError(f"{split!r} cannot be compared", where="--split", next_step="dev")
    from residency.cli.result_tables import short_interval
    from residency.loop.respond import label_of

    with ProgressDisplay() as progress:
        found = opened(directory, progress).compare(before, after, split)  # type: ignore[arg-type]
    if as_json:
        print_json(json.dumps(plain(found), ensure_ascii=False))
        return
    table = Table(
        title=f"{label_of(found.before)} → {label_of(found.after)}, on {split}",
        title_justify="left",
        header_style="bold",
    )
    for column in ("fails", "n", "before", "after", "fall, 95 %", "fixed / broken", "p"):
        left, whole = column == "fails", column == "fall, 95 %"
        table.add_column(column, justify="left" if left else "right", no_wrap=whole)
    for kind, row in found.kinds.items():
        table.add_row(
            kind,
            str(row["n"]),
            percent(row["before_rate"]),
            percent(row["after_rate"]),
            f"{100 * row['delta']:+.0f} {short_interval(row['low'], row['high'])}",
            f"{row['fixed']} / {row['broken']}",
            f"{row['p_value']:.1g}",
        )
    console.print(table)
    before_score, after_score = (scores["score"] for scores in found.scores)
    for title, key in (("checks passed of those scored", "mean"), ("checks scored", "coverage")):
        ends = f"{percent(before_score[key])} → {percent(after_score[key])}"
        console.print(f"{title}: {ends}", highlight=False)
    one_sided = [
        kind
        for kind in sorted(set(found.scores[0]["kinds"]) | set(found.scores[1]["kinds"]))
        if kind not in found.kinds
    ]
    if one_sided:
        console.print(
            f"No item was scored in both for: {', '.join(one_sided)}.",
            highlight=False,
            markup=False,
        )
    for name, kinds in (("fixed", found.fixed), ("broken", found.broken)):
        for kind, keys in kinds.items() if items else []:
            for key in keys:
                console.print(f"{name} {kind} {key}", highlight=False)


def trace(
    key: Annotated[str, typer.Argument(help="Id of a model, issue, example, response, dataset.")],
    directory: Directory = Path(),
    as_json: Json = False,
) -> None:
    """From any id back to everything it came from.

    Example: residency trace m-1a2b3c demo
    """
    from residency.project.workspace import find_root, read_config
    from residency.results.trace import trace as follow
    from residency.store.store import Store

    root = find_root(directory)
    store = Store(root, read_config(root).project.store, create=False)
    found = follow(store, key)
    if as_json:
        print_json(json.dumps(plain(found.to_dict()), ensure_ascii=False))
        return
    console.print(_tree(found))


def _tree(found: Trace) -> Tree:
    from rich.text import Text

    tree = Tree(Text(f"{found.line}  {found.id}", style="bold"))
    for name, value in found.details.items():
        if isinstance(value, list) and value and not isinstance(value[0], dict):
            branch = tree.add(Text(f"{name} ({len(value)})"))
            for item in value[:20]:
                branch.add(Text(str(item)))
            if len(value) > 20:
                branch.add(Text(f"… {len(value) - 20} more (--json shows all)"))
        elif isinstance(value, dict) and any(isinstance(v, list) for v in value.values()):
            branch = tree.add(Text(name))
            for inner, items in value.items():
                size = f"{len(items)} rows" if isinstance(items, list) else str(items)
                branch.add(Text(f"{inner}: {size}"))
        else:
            tree.add(Text(f"{name}: {value}"))
    for parent in found.parents:
        tree.add(_tree(parent))
    return tree
