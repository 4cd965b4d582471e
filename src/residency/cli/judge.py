"""``residency judge``: a judge model, people's labels, and how far to trust the judge."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from residency.cli.json_output import to_jsonable
from residency.cli.options import USUAL_CRITERION, Directory, ItemLimit, Json, SplitName
from residency.cli.progress import ProgressDisplay
from residency.cli.terminal import (
    console,
    format_interval,
    print_heading,
    print_json,
)
from residency.text.counts import write_count
from residency.text.percent import write_percent
from residency.text.terminal_text import make_safe

if TYPE_CHECKING:
    from residency.commands.judge import Judged
    from residency.evaluate.judge.prompts import Rubric

app = typer.Typer(
    no_args_is_help=True,
    help="A judge model, and how far to trust it.",
)

NO_ANSWER = "the judge did not answer"
"""How the findings of failed requests begin."""

Criterion = Annotated[str, typer.Option(help="One yes-or-no question about an answer.")]
Name = Annotated[str, typer.Option(help="Short name of the criterion.")]
ModelName = Annotated[str, typer.Option("--model", help="base, round-N, final, or an id.")]


@app.command("run")
def run_command(
    directory: Directory = Path(),
    criterion: Criterion = USUAL_CRITERION,
    name: Name = "criterion",
    model: ModelName = "final",
    split: SplitName = "dev",
    limit: ItemLimit = 0,
    reference: Annotated[
        bool, typer.Option("--reference", help="Show the judge the reference answer.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Judge a model's stored answers: pass or fail with a reason, asked in both orders.

    The judge is the endpoint in [judge] of residency.toml; the answers are sent there.
    Nothing is asked twice. With labels (residency judge label) the rate is corrected
    for the judge's errors.

    Example: residency judge run demo --criterion "Is the reply polite?" --name polite
    """
    from residency.commands import judge as work
    from residency.commands.project import Project
    from residency.project.endpoints import open_configured_endpoint

    with ProgressDisplay() as progress:
        project = Project.open(directory, progress=progress)
        judged = work.judge(
            project,
            work.make_judge(project, *open_configured_endpoint(project.config.judge, "judge")),
            _make_rubric(name, criterion, reference),
            model=model,
            split=split,
            limit=limit,
        )
    if as_json:
        print_json(json.dumps(to_jsonable(judged.to_dict()), ensure_ascii=False))
        return
    _show_judged(judged)


@app.command("label")
def label_command(
    directory: Directory = Path(),
    criterion: Criterion = USUAL_CRITERION,
    name: Name = "criterion",
    model: ModelName = "final",
    split: SplitName = "dev",
    limit: Annotated[int, typer.Option(min=1, help="Answers to label at most.")] = 50,
    rater: Annotated[str, typer.Option(help="Who you are.")] = "",
) -> None:
    """Label a random part of the answers yourself, without seeing the judge's verdict.

    Each label is stored at once.
    Keys: y the criterion is met, n it is not, s skip, q stop.

    Example: residency judge label demo --criterion "Is the reply polite?"
    """
    from residency.commands import judge as work
    from residency.commands.project import Project

    project = Project.open(directory)
    rubric, who = _make_rubric(name, criterion, False), rater or getpass.getuser()
    items = work.to_label(
        project,
        rubric,
        who,
        model=model,
        split=split,
        count=limit,
    )
    labelled = 0
    for number, (example, response) in enumerate(items, 1):
        print_heading(f"{number} of {len(items)}: {criterion}")
        console.print(
            Text(make_safe(example.prompt_text)), Text(make_safe(response.text)), sep="\n\n"
        )
        key = _ask_key()
        if key == "q":
            break
        if key != "s":
            work.add_label(project, rubric, response.id, who, key == "y")
            labelled += 1
    console.print(f"{write_count(labelled, 'label')} stored.")


def _ask_key() -> str:
    while True:
        try:
            key = console.input("y(es), n(o), s(kip), q(uit): ").strip().lower()[:1]
        except EOFError:
            return "q"
        if key in ("y", "n", "s", "q"):
            return str(key)


def _make_rubric(name: str, criterion: str, reference: bool) -> Rubric:
    from residency.evaluate.judge.prompts import Rubric

    return Rubric(name, criterion, reference)


def _show_judged(judged: Judged) -> None:
    report = judged.report
    who = f"{judged.label} {judged.model.id[:9]}"
    lines = [
        f"{who}: the judge passes {write_percent(judged.passes / judged.scored)} "
        f"{format_interval(judged.low, judged.high)}; "
        f"{judged.scored} of {judged.items} items scored."
        if judged.scored
        else f"{who}: the judge gave no verdict that counts.",
        f"Unscored: {write_count(report.flipped, 'verdict')} changed with the order, {write_count(report.invalid, 'answer')} "
        f"could not be read, {write_count(report.failed, 'request')} failed.",
        f"Asked {write_count(report.questions, 'question')}, {write_count(report.cached, 'answer was', 'answers were')} there already.",
    ]
    if report.failed:
        message = next(f.message for f in report.findings if f.message.startswith(NO_ANSWER))
        lines.append(
            f"A failed request: {make_safe(message).rstrip('.')}. The same command asks again."
        )
    lines += [*describe_refused_schema(judged.unconstrained), *_describe_trust(judged)]
    for line in lines:
        console.print(line)


def describe_refused_schema(reason: str) -> list[str]:
    """What to know when the judge's server does not keep to a schema."""
    if not reason:
        return []
    return [
        f"The server refuses answers by a schema ({make_safe(reason)}): verdicts are read from what the "
        "judge writes freely. Set judge.structured = false to ask so from the start."
    ]


def _describe_trust(judged: Judged) -> list[str]:
    known, corrected = judged.agreement, judged.corrected
    if known is None:
        return ["No labels yet: residency judge label tells how far to trust the judge."]
    figures = known.to_dict()
    lines = [
        f"Against people on {write_count(known.n, 'answer')}: TPR {write_percent(figures['tpr'])} "
        f"{format_interval(*known.tpr_interval())}, TNR {write_percent(figures['tnr'])} "
        f"{format_interval(*known.tnr_interval())}, κ "
        + ("–" if figures["kappa"] is None else f"{figures['kappa']:.2f}")
    ]
    if corrected is not None and corrected.usable:
        lines.append(
            f"Corrected for the judge's errors: {write_percent(corrected.rate)} "
            f"{format_interval(corrected.low, corrected.high)} of the other {corrected.n} answers pass."
        )
    elif corrected is not None:
        lines.append(
            "These labels do not show that the judge is better than chance: its pass rate says "
            "nothing, and cannot be corrected. More labels, or a better judge."
        )
    return lines
