"""The arena of a project: whose answers are better, by people, by rules, by a judge model.

Votes are appended to the store one by one, as they are given. Each is one short transaction with
a separate lock, so several raters can vote while a run is going on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from residency.errors import StoreError, UserError
from residency.evaluate.arena.leaderboard import Leaderboard, informative_pairs, make_leaderboard
from residency.evaluate.arena.review import Review, Showing, pair_up
from residency.evaluate.arena.rule_votes import (
    RULES,
    JudgedSide,
    drop_cut_winners,
    vote_on_items,
)
from residency.evaluate.arena.votes import (
    IDENTICAL,
    Vote,
    preference_pairs,
    preference_row,
    rater_agreement,
    select_counted_votes,
    self_consistency,
)
from residency.evaluate.baselines.prompting import prompting_name
from residency.evaluate.judge.judge import Judge
from residency.evaluate.judge.prompts import Rubric
from residency.files.atomic_write import write_json_lines
from residency.loop.assess import assess_answers
from residency.loop.respond import respond
from residency.nouns.example import Example, Split, by_id
from residency.nouns.model import Model
from residency.nouns.response import Response
from residency.nouns.short_view import ShortView
from residency.project.named_models import choose_model_shots, find_model, label_model
from residency.project.workspace import Workspace
from residency.store.record_kind import RecordKind
from residency.store.store import Store

__all__ = [
    "Board",
    "Review",
    "Rubric",
    "Showing",
    "Vote",
    "add_votes",
    "board",
    "closest",
    "export",
    "models",
    "pairs",
    "review",
    "stored_pairs",
    "vote_by_judge",
    "vote_by_rules",
    "votes",
]

KIND = RecordKind.VOTE
Pairs = list[tuple[Example, Response, Response]]


@dataclass(frozen=True, repr=False)
class Board(ShortView):
    """The arena's table with what stands beside it.

    ``labels`` maps model ids to names. ``agreement`` is Krippendorff's α between people;
    ``consistency`` the repeated showings that got the same answer again, and all of them.
    """

    table: Leaderboard
    labels: dict[str, str]
    agreement: float | None
    consistency: tuple[int, int]
    by_rater: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            **self.table.to_dict(),
            "labels": self.labels,
            "agreement": self.agreement,
            "consistency": list(self.consistency),
            "by_rater": self.by_rater,
        }


def votes(ws: Workspace) -> list[Vote]:
    """Every vote of the project that counts, oldest first."""
    stored = [Vote.from_dict(row) for row in ws.store.records(KIND)]
    ruled = {name for vote in stored if vote.rater == RULES for name in (vote.a, vote.b)}
    cut = {r.id for model in ruled for r in ws.store.responses(model) if r.finish == "length"}
    return drop_cut_winners(stored, cut)


def add_votes(ws: Workspace, new: Sequence[Vote]) -> None:
    """Append votes."""
    for vote in new:
        ws.store.add_record(KIND, vote.key, vote.to_dict())


def models(ws: Workspace) -> list[Model]:
    """Models that have answers on dev, the newest last: those that can meet."""
    dev = ws.split("dev")
    return [m for m in ws.store.models() if ws.store.responses(m.id, dev, ws.sampling)]


def pairs(ws: Workspace, a: str, b: str, *, split: Split = "dev", limit: int = 0) -> Pairs:
    """Two models' answers to the same items, generated where missing.

    The order of the two is that of their ids, so that one pair of models is one pair whichever
    is named first.

    Raises:
        UserError: the test split is sealed, or the two names mean one model.
    """
    if split == "test":
        raise UserError("the test split is sealed", next_step="use --split dev")
    first, second = sorted((find_model(ws, a), find_model(ws, b)), key=lambda m: m.id)
    if first.id == second.id:
        raise UserError(f"{a!r} and {b!r} are the same model", next_step="name two models")
    examples = ws.split(split)
    examples = examples[:limit] if limit else examples
    sides = [_answers(ws, model, examples) for model in (first, second)]
    return pair_up(by_id(examples), *sides)


def stored_pairs(store: Store, run: str, a: str, b: str, *, most: int = 0) -> Pairs:
    """Two models' stored answers to the dev items of a run, in the order of their ids.

    Args:
        most: items at most; ids are hashes, so the first of them are a sample. 0: all.

    Of several ways of sampling the one counts in which both answered most.

    Raises:
        UserError: they share no item.
    """
    first, second = sorted((a, b))
    if most and store.corpus_sizes(run).get("dev", 0) > most:
        ids = sorted(store.corpus_ids(run, "dev"))[:most]
        examples = store.corpus_examples(run, ids)
        both_sides = [store.responses_of(model, ids) for model in (first, second)]
    else:
        examples = by_id(store.corpus(run, "dev"))
        both_sides = [store.responses(model) for model in (first, second)]
    sides = [
        [r for r in responses if r.sample == 0 and r.example in examples]
        for responses in both_sides
    ]
    shared = Counter(r.sampling for r in sides[0])
    both = {way: min(n, sum(r.sampling == way for r in sides[1])) for way, n in shared.items()}
    way = max(both, key=lambda sampling: both[sampling], default=None)
    if way is None or not both[way] or first == second:
        raise UserError(
            "these two models have no answers to the same items",
            next_step="residency eval DIR --model NAME",
        )
    return pair_up(examples, *([r for r in side if r.sampling == way] for side in sides))


def closest(ws: Workspace) -> tuple[str, str]:
    """The pair of models whose comparison would tell most now.

    Raises:
        StoreError: fewer than two models have answers.
    """
    ids = [model.id for model in models(ws)]
    if len(ids) < 2:
        raise StoreError(
            "fewer than two models have answers on dev",
            next_step="residency run, or residency eval --model base",
        )
    a, b, _ = informative_pairs(votes(ws), ids)[0]
    return a, b


def review(
    ws: Workspace, met: Pairs, rater: str, *, repeats: float = 0.1, seed: int | None = None
) -> Review:
    """A blind session of one rater; equal texts are stored as ties at once."""
    session = Review(
        met,
        rater,
        names=_names(ws),
        done=votes(ws),
        repeats=repeats,
        seed=ws.config.project.seed if seed is None else seed,
    )
    add_votes(ws, session.automatic)
    return session


def vote_by_rules(ws: Workspace, a: str, b: str, *, split: Split = "dev") -> list[Vote]:
    """Let the test suite vote: of each item the model whose answer is better by its metric.

    Several samples of an item are reduced as everywhere (``evaluate.reduce``); the vote then
    speaks of the item, and names the pair of answers that people are shown.
    """
    met = pairs(ws, a, b, split=split)
    examples = [pair[0] for pair in met]
    first = _judge_side(ws, examples, [pair[1] for pair in met])
    second = _judge_side(ws, examples, [pair[2] for pair in met])
    return _fresh(ws, vote_on_items(first, second, reduce=ws.config.evaluate.reduce))


def _judge_side(
    ws: Workspace, examples: Sequence[Example], shown: Sequence[Response]
) -> JudgedSide:
    """One model's answers, assessed."""
    if not shown:
        return JudgedSide((), (), (), {})
    model = ws.store.model(shown[0].model)
    every = ws.store.responses(model.id, examples, ws.sampling)
    assessed = assess_answers(ws, model, examples, every)
    primary = assessed.scores.primary
    return JudgedSide(shown, every, assessed.findings, primary.by_example if primary else {})


def vote_by_judge(ws: Workspace, judge: Judge, rubric: Rubric, met: Pairs) -> tuple[int, int, int]:
    """Let a judge model vote in both orders: new votes, flipped verdicts, invalid answers."""
    report = judge.compare(rubric, met, progress=ws.progress)
    return len(_fresh(ws, report.votes)), report.flipped, report.invalid + report.failed


def board(
    ws: Workspace,
    *,
    anchor: str = "base",
    style: bool = False,
    davidson: bool = False,
    rater: str = "",
    draws: int = 500,
) -> Board:
    """Ratings from every vote, or from one rater's.

    Args:
        style: control for length and formatting. davidson: a parameter for ties.

    Raises:
        StoreError: there are no votes.
    """
    chosen_votes = [v for v in votes(ws) if not rater or v.rater == rater]
    if not select_counted_votes(chosen_votes):
        raise StoreError("no votes yet", next_step="residency arena review DIR A B")
    playing = {name for v in chosen_votes for name in (v.a, v.b)}
    known = {model.id: model for model in ws.store.models()}
    base = find_model(ws, anchor).id
    people = [v for v in chosen_votes if _is_person(v.rater)]
    tally: dict[str, int] = {}
    for vote in select_counted_votes(chosen_votes):
        tally[vote.rater] = tally.get(vote.rater, 0) + 1
    return Board(
        table=make_leaderboard(
            chosen_votes,
            anchor=base if base in playing else None,
            texts=_texts(ws, playing) if style else None,
            davidson=davidson,
            draws=draws,
            seed=ws.config.project.seed,
        ),
        labels={i: label_model(known[i]) if i in known else i for i in sorted(playing)},
        agreement=rater_agreement(people),
        consistency=self_consistency(people),
        by_rater=dict(sorted(tally.items())),
    )


def export(ws: Workspace, path: Path) -> int:
    """Write the votes as preference pairs (JSONL: prompt, chosen, rejected); gives their number.

    Items of dev are among them: train on such a file only with fresh dev rows.
    """
    all_votes = votes(ws)
    playing = {name for v in all_votes for name in (v.a, v.b)}
    answers = [response for model in playing for response in ws.store.responses(model)]
    preferences = preference_pairs(
        all_votes,
        by_id(ws.corpus.examples),
        {response.id: response.text for response in answers},
        incomplete={response.id for response in answers if response.finish != "stop"},
    )
    return write_json_lines(path, (preference_row(e) for e in preferences))


def _answers(ws: Workspace, model: Model, examples: Sequence[Example]) -> list[Response]:
    """Stored answers; the missing ones are generated where the prompts can be made again."""
    shots = choose_model_shots(ws, model)
    if model.base == ws.base.identity and model.prompting == prompting_name(shots):
        responses = respond(ws, model, examples, shots=shots, stage=f"arena: {label_model(model)}")
    else:  # an endpoint, or a baseline with other prompts: what is stored
        responses = ws.store.responses(model.id, examples, ws.sampling)
    return [r for r in responses if r.sample == 0]


def _fresh(ws: Workspace, candidates: Sequence[Vote]) -> list[Vote]:
    """Store the votes whose showing has none yet."""
    done = {vote.key for vote in votes(ws)}
    new = [vote for vote in candidates if vote.key not in done]
    add_votes(ws, new)
    return new


def _texts(ws: Workspace, playing: set[str]) -> dict[str, str]:
    return {r.id: r.text for model in playing for r in ws.store.responses(model)}


def _names(ws: Workspace) -> list[str]:
    """What must not be read in a shown text: ids, labels and the base's name."""
    known = ws.store.models()
    return [*(m.id for m in known), *(label_model(m) for m in known), ws.config.model.base]


def _is_person(rater: str) -> bool:
    return rater not in ("rules", IDENTICAL) and not rater.startswith("judge:")
