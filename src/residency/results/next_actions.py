"""What to do next: three actions, the most useful first, each with the reason that the run gives.

Pages, ``residency status`` and the report show the same list.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from residency.config.settings import Config
from residency.project.made_rows import list_made_rows
from residency.project.opened_settings import list_run_options, write_run_options
from residency.project.row_decisions import read_decisions
from residency.results.blind_spots import is_blind_score
from residency.results.headline import write_headline
from residency.results.issue_results import IssueResult
from residency.results.number_formats import format_percent
from residency.results.run_results import RunResults
from residency.store.record_kind import RecordKind
from residency.store.stage_key import StageName
from residency.text.counts import write_count

SHOWN = 3
"""Actions that are shown."""
LOW_COVERAGE = 0.9
"""Below this share of judged items the suite itself is the next thing to look at."""
WRITE_ROWS = 20
"""Answers that a person may write for an issue that the pool cannot serve."""


@dataclass(frozen=True)
class NextAction:
    """One thing to do: what, why, the command that does it (``DIR`` is the folder), and its page.

    ``weight`` orders actions; the highest comes first.
    """

    title: str
    reason: str
    command: str
    page: str
    weight: float

    def write_command(self, folder: str = "") -> str:
        """The command line for a project's folder, as a shell takes it; without one, for inside it."""
        words = self.command.split()
        named = [folder if word == "DIR" else word for word in words]
        return " ".join(["residency", *filter(None, named)])


_WATCH = NextAction(
    "Watch the run",
    "It goes on by itself, also when this page is closed.",
    "status DIR",
    "/run",
    50.0,
)


def list_next_actions(results: RunResults, *, running: bool = False) -> list[NextAction]:
    """The three most useful things to do now.

    Args:
        running: whether the run goes on at this moment.
    """
    actions = [
        *_go_on(results, running),
        *_look_at_made_rows(_count_undecided(results), 88.0),
        *_trust_the_score(results),
        *_look_at_issues(results),
        *_after_the_end(results),
        *_ask_people(results),
    ]
    return sorted(actions, key=lambda action: -action.weight)[:SHOWN]


def list_first_actions(
    config: Config | None, *, undecided: int = 0, running: bool = False
) -> list[NextAction]:
    """What to do before the first answers are judged: three actions, the most useful first.

    Args:
        config: the project's settings; None where there is no project yet.
        undecided: made rows that nobody decided of (``count_undecided_rows``).
        running: whether its first run goes on at this moment.
    """
    if config is None:
        return [
            NextAction(
                "Name or drop a file of examples",
                "Everything else follows from what is asked and what is to be answered.",
                "init DIR --train FILE",
                "/start?new=1",
                100.0,
            )
        ]
    if running:
        return [_WATCH]
    data = config.data
    missing = [name for name, files in (("dev", data.dev), ("test", data.test)) if not files]
    drawn = f"; {' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} drawn from train"
    suite = config.evaluate.suite
    actions = [
        *_look_at_made_rows(undecided, 95.0),
        NextAction(
            "Start the run",
            f"Up to {config.rounds.max} {'round' if config.rounds.max == 1 else 'rounds'} on "
            f"{config.model.base}; stopping it keeps what was done.",
            "run DIR",
            "/start#plan",
            90.0,
        ),
        NextAction(
            "See what is wrong with the data",
            "A model is what its data is" + (drawn if missing else "") + ".",
            "check DIR",
            "/start#data",
            80.0,
        ),
        NextAction(
            "See what the score can tell apart",
            f"{suite} decides what counts as right."
            if suite
            else "No suite is named: the default one cannot tell right from wrong on most data.",
            "suite test DIR" if suite else "suite draft DIR --use",
            "/start#suite",
            70.0,
        ),
    ]
    return actions[:SHOWN]


def find_waiting_round(results: RunResults) -> int:
    """The round whose proposed rows wait for a person (``target.review``); 0 where none does."""
    if not results.settings.get("target", {}).get("review") or results.complete:
        return 0
    numbers = [key.round for key in results.keys_of(StageName.TARGET)]
    done = {model.number for model in results.models}
    reviewed = {
        record["round"] for record in results.store.records(RecordKind.ROWS_REVIEWED, results.run)
    }
    waiting = [number for number in numbers if number not in done | reviewed]
    return waiting[-1] if waiting else 0


def _go_on(results: RunResults, running: bool) -> Iterator[NextAction]:
    waiting = find_waiting_round(results)
    if waiting:
        sources = results.store.count_row_sources(results.run)
        rows = sum(s.rows for s in sources if (s.round, s.arm) == (waiting, "main"))
        yield NextAction(
            f"Look at the {rows} rows that round {waiting} would train",
            "The run waits for you: what you reject is never trained.",
            "rows DIR",
            "/rows",
            100.0,
        )
    elif running:
        yield _WATCH
    elif not results.complete:
        yield NextAction(
            "Go on with the run",
            "It is not complete; what was done is kept.",
            f"run DIR {_write_options(results)}".rstrip(),
            "/run",
            95.0,
        )


def _count_undecided(results: RunResults) -> int:
    store = results.store
    made = list_made_rows(store.folder.parent, read_decisions(store))
    return sum(row.decision is None for row in made)


def _look_at_made_rows(undecided: int, weight: float) -> Iterator[NextAction]:
    if undecided:
        yield NextAction(
            f"Look at the {write_count(undecided, 'row')} that a teacher or templates made",
            "What you reject is never trained; the next run trains on the rest (with target.review "
            "only on what was looked at).",
            "rows DIR",
            "/rows?state=undecided",
            weight,
        )


def count_further_rounds(results: RunResults) -> int:
    """How many rounds a run with one more than this would have; 0 where it is not complete, or ended
    before its last round: then no number of rounds would go on with it."""
    done = max((model.number for model in results.models), default=0)
    most = int(results.settings.get("rounds", {}).get("max", done))
    return done + 1 if results.complete and done >= most else 0


def write_run_command(results: RunResults) -> str:
    """``run DIR`` with the options that the run was started with: others would begin another run."""
    return f"run DIR {_write_options(results)}".rstrip()


def _write_options(results: RunResults) -> str:
    opened = results.store.records(RecordKind.RUN_OPENED, results.run)
    return shlex.join(write_run_options(list_run_options(opened[-1]))) if opened else ""


def _trust_the_score(results: RunResults) -> Iterator[NextAction]:
    table = results.sensitivity
    if table is not None and is_blind_score(table):
        yield NextAction(
            "Draft a suite that can tell right from wrong",
            "The score passes answers that are wrong on purpose, so no “better” can rest on it.",
            "suite draft DIR --use",
            "/start",
            90.0,
        )
    figures = results.leading_figures
    worst = min(figures, key=lambda f: f.coverage, default=None)
    if worst is not None and worst.coverage < LOW_COVERAGE:
        yield NextAction(
            "Look at answers that could not be judged",
            f"In one model only {format_percent(worst.coverage, 0)} could be: the others say "
            "nothing, for or against.",
            "diagnose DIR",
            "/items",
            55.0,
        )


def _look_at_issues(results: RunResults) -> Iterator[NextAction]:
    failing: list[tuple[float, IssueResult]] = []
    for issue in results.issues:
        verdict = issue.latest
        if verdict is None or issue.status == "resolved" or not verdict.n:
            continue
        if issue.status == "regressed":
            yield NextAction(
                f"See what broke: {issue.title}",
                f"{format_percent(verdict.before_rate, 0)} failed before, "
                f"{format_percent(verdict.after_rate, 0)} do now ({write_count(verdict.broken, 'item')} broke).",
                "status DIR",
                f"/issues/{issue.issue.id}",
                85.0 + verdict.after_rate,
            )
        elif issue.status in ("persisting", "improved") and verdict.after_rate * verdict.n >= 1:
            extra = 15.0 if issue.status == "persisting" else 0.0
            failing.append((verdict.after_rate * verdict.n + extra, issue))
        elif issue.status == "inconclusive" and math.isinf(verdict.mde):
            yield NextAction(
                f"Add dev rows for {issue.title}",
                f"Its {write_count(verdict.n, 'item')} can show no change at all.",
                "check DIR",
                f"/issues/{issue.issue.id}",
                35.0,
            )
    failing.sort(key=lambda pair: -pair[0])
    if failing:
        yield from _serve_issues(results, [issue for _, issue in failing])


def _serve_issues(results: RunResults, failing: list[IssueResult]) -> Iterator[NextAction]:
    """What to do about issues that still fail, the worst first: look, then draw or write rows."""
    worst = failing[0]
    sizes = results.store.corpus_sizes(results.run)
    used = results.store.count_drawn_examples(results.run)
    left = max(0, sizes.get("pool", 0) - used)
    rows = write_count(left, "pool row is", "pool rows are") + " left"
    named = ", ".join(_tell_rate(issue) for issue in failing[:2])
    more = f" and {len(failing) - 2} more" if len(failing) > 2 else ""
    wanted = int(results.settings.get("target", {}).get("rows_per_issue", 24))
    rounds = count_further_rounds(results)
    if left >= wanted and rounds:
        yield NextAction(
            "Train another round",
            f"Still failing: {named}{more}; {rows} to draw from.",
            f"run DIR --rounds {rounds}",
            "/run",
            66.0,
        )
    elif left < wanted or results.complete:
        served = rows if left < wanted else results.stopped or rows
        yield NextAction(
            f"Write {WRITE_ROWS} answers for {worst.title}",
            f"{_tell_rate(worst)}; {served}, so the rows must come from you.",
            f"collect DIR --issue {worst.issue.id}",
            "/write",
            72.0,
        )
    yield NextAction(
        f"Read what fails: {worst.title}",
        f"{_tell_rate(worst)}. Twenty answers tell more than the rate does, and say how far to trust it.",
        f"label DIR {worst.issue.id}",
        f"/issues/{worst.issue.id}?change=still+failing",
        62.0,
    )


def _tell_rate(issue: IssueResult) -> str:
    verdict = issue.latest
    how = "persists" if issue.status == "persisting" else "is still there"
    rate = format_percent(verdict.after_rate if verdict else None, 0)
    return f"{issue.title} {how} at {rate}"


def _after_the_end(results: RunResults) -> Iterator[NextAction]:
    if not results.complete:
        return
    head = write_headline(results)
    if head.answer == "yes":
        yield NextAction(
            "Send the model into use",
            "It is better on the sealed test; the export proves that the file says the same.",
            "export DIR",
            "/ship",
            58.0,
        )
    elif head.answer == "worse":
        yield NextAction(
            "Do not ship; read what it broke",
            "On the sealed test it is worse than the prompted base.",
            "report DIR",
            "/report",
            92.0,
        )


def _ask_people(results: RunResults) -> Iterator[NextAction]:
    if not results.final_id:
        return
    if not results.store.records(RecordKind.VOTE):
        yield NextAction(
            "Let people compare blind",
            "Nobody has yet said which answers they prefer; checks see only what they are told.",
            "arena review DIR",
            "/review",
            45.0,
        )
