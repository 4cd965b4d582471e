"""Review: two answers side by side without names, votes one by one, and the board of ratings."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_args

from fastapi import FastAPI, Form
from starlette.requests import Request
from starlette.responses import Response

from residency.commands.arena import KIND, board, stored_pairs
from residency.errors import StoreError, UserError
from residency.evaluate.arena.review import Answer, Review, Showing
from residency.evaluate.arena.votes import Vote
from residency.nouns.content_id import content_id
from residency.results.run_results import RunResults
from residency.web.open_projects import open_alone
from residency.web.site import Site

MOST_SESSIONS = 50
"""Sessions that stay ready; an older one is made anew when it goes on."""
MOST_PAIRS = 2000
"""Items of one session; of more, a sample that is the same for everybody."""
BOARD_DRAWS = 200
_ANSWERS: dict[str, Answer] = {name: name for name in get_args(Answer)}


@dataclass
class Session:
    """A rater's session, the showings that are left, and when the present one was sent."""

    review: Review
    left: list[Showing]
    sent: dict[str, float] = field(default_factory=dict)


class Sessions:
    """Sessions by project, pair and rater; a vote in one tab moves all of a rater's tabs on."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._known: dict[tuple[Path, str, str], Session] = {}

    def open(self, request: Request, pair: str, *, anew: bool = False) -> Session:
        """The session of who asks, over the pair of models with this key.

        Raises:
            StoreError: there is no such pair. UserError: nobody said who rates.
        """
        rater = self._site.need_person(request)
        key = self._site.need_root(request), pair, rater
        if anew or key not in self._known:
            while len(self._known) >= MOST_SESSIONS:
                self._known.pop(next(iter(self._known)))
            self._known[key] = self._make(request, pair, rater)
        return self._known[key]

    def _make(self, request: Request, pair: str, rater: str) -> Session:
        results, config = self._site.results(request), self._site.config(request)
        a, b = find_pair(results, pair)
        store = results.store
        done = [Vote.from_dict(row) for row in store.records(KIND)]
        names = [name for model in results.models for name in (model.id, model.label)]
        review = Review(
            stored_pairs(store, results.run, a, b, most=MOST_PAIRS),
            rater,
            names=[*names, config.model.base, results.data.base.name],
            done=done,
            seed=config.project.seed,
        )
        return Session(review, list(review))


def add_routes(app: FastAPI, site: Site) -> None:
    """``/review``, a session over one pair of models, and the board."""
    sessions = Sessions(site)

    @app.get("/review")
    def choose_models(request: Request) -> Response:
        results = site.results(request)
        votes = [Vote.from_dict(row) for row in results.store.records(KIND)]
        people = sorted({v.rater for v in votes if v.rater not in ("rules", "identical")})
        return site.page(
            request,
            "review.html.j2",
            here="/review",
            command=site.command(request, "arena review", verbs=2),
            results=results,
            votes=len(votes),
            people=people,
        )

    @app.post("/review")
    def start_session(
        request: Request,
        a: Annotated[str, Form(max_length=64)],
        b: Annotated[str, Form(max_length=64)],
    ) -> Response:
        if a == b:
            raise UserError("these are one and the same model", next_step="choose two models")
        pair = name_pair(a, b)
        session = sessions.open(request, pair, anew=True)
        for vote in session.review.automatic:
            site.write(request, KIND, vote.key, vote.to_dict())
        return site.went(request, f"/review/pair/{pair}")

    @app.get("/review/pair/{pair}")
    def show_pair(request: Request, pair: str) -> Response:
        session = sessions.open(request, pair)
        return site.page(
            request,
            "review_pair.html.j2",
            here="/review",
            title="Which is better?",
            command=site.command(request, "arena review", verbs=2),
            **_next(session),
            pair=pair,
        )

    @app.post("/review/pair/{pair}")
    def give_vote(
        request: Request,
        pair: str,
        showing: Annotated[str, Form(max_length=64)],
        answer: Annotated[str, Form(max_length=8)],
        note: Annotated[str, Form(max_length=2000)] = "",
    ) -> Response:
        if answer not in _ANSWERS:
            raise UserError(f"{answer[:20]!r} is no vote", next_step=", ".join(_ANSWERS))
        session = sessions.open(request, pair)
        if any(item.key == showing for item in session.left):
            seconds = time.monotonic() - session.sent.get(showing, time.monotonic())
            vote = session.review.vote(
                showing, _ANSWERS[answer], note=" ".join(note.split()), seconds=round(seconds, 1)
            )
            if not site.store(request).records(KIND, vote.key):
                site.write(request, KIND, vote.key, vote.to_dict())
            session.left = [item for item in session.left if item.key != showing]
        if not request.headers.get("HX-Request"):
            return site.went(request, f"/review/pair/{pair}")
        return site.part(request, "review_vote.html.j2", **_next(session), pair=pair)

    @app.get("/review/board")
    def show_board(request: Request) -> Response:
        site.results(request)
        return site.page(
            request,
            "board.html.j2",
            here="/review",
            title="Board",
            command=site.command(request, "arena board", verbs=2),
        )

    @app.get("/review/board/table")
    def show_ratings(request: Request) -> Response:
        try:
            with open_alone(site, request) as ws:
                ratings = board(ws, draws=BOARD_DRAWS)
        except StoreError as error:
            return site.part(request, "board_table.html.j2", board=None, problem=error.what)
        return site.part(request, "board_table.html.j2", board=ratings, problem="")


def name_pair(a: str, b: str) -> str:
    """The key of a pair of models, by which nobody tells which they are."""
    return content_id("pair", sorted((a, b)))


def find_pair(results: RunResults, key: str) -> tuple[str, str]:
    """The two models of a key.

    Raises:
        StoreError: there is no such pair in this run.
    """
    ids = [model.id for model in results.models]
    for a, b in itertools.combinations(ids, 2):
        if name_pair(a, b) == key:
            return a, b
    raise StoreError("there is no such pair of models", next_step="choose two on Review")


def _next(session: Session) -> dict[str, Any]:
    showing = session.left[0] if session.left else None
    if showing is not None:
        session.sent.setdefault(showing.key, time.monotonic())
    return {"showing": showing, "left": len(session.left)}
