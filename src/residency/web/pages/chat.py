"""Chat: two models side by side as they write, with the hash of the weights that answered."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import FastAPI, Form, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from residency.commands.better_answers import add_conversation
from residency.commands.read import LONGEST_NOTE
from residency.errors import UserError
from residency.nouns.response import Response as ModelResponse
from residency.project.named_models import ENDPOINT, ZERO_SHOT
from residency.results.model_results import ModelResult
from residency.results.run_results import RunResults
from residency.store.record_kind import RecordKind
from residency.web.open_projects import find_open_projects, open_alone
from residency.web.site import Site
from residency.web.talks import TalkAnswer, Talks

LONGEST_MESSAGE = 20_000
LONGEST_ANSWER = 100_000
LOOK_SECONDS = 0.15
"""How often a stream looks whether more is written."""
Number = Annotated[int, Form(ge=0)]
Key = Annotated[str, Form(max_length=64, pattern=r"^[\w-]*$")]


def add_routes(app: FastAPI, site: Site) -> None:
    """``/chat``, its messages, the answers as they come, and what a person makes of them."""
    talks = Talks(find_open_projects(site))
    _add_talk(app, site, talks)
    _add_saving(app, site, talks)


def _add_talk(app: FastAPI, site: Site, talks: Talks) -> None:
    @app.get("/chat")
    def show_chat(
        request: Request,
        talk: Annotated[str, Query(max_length=64, pattern=r"^[\w-]*$")] = "",
    ) -> Response:
        results = site.results(request)
        models = list_chat_models(results)
        return site.page(
            request,
            "chat.html.j2",
            here="/chat",
            command="chat",
            models=models,
            final=results.final_id,
            talk=talk or secrets.token_hex(12),
            turns=talks.list_turns(talk, site.need_root(request)),
            longest=LONGEST_MESSAGE,
        )

    @app.post("/chat")
    def send_message(
        request: Request,
        talk: Key,
        message: Annotated[str, Form(max_length=LONGEST_MESSAGE)],
        a: Key,
        b: Key = "",
    ) -> Response:
        if not message.strip():
            raise UserError("the message is empty", next_step="write what you would ask")
        known = {model.id for model in list_chat_models(site.results(request))}
        chosen = [model for model in dict.fromkeys((a, b)) if model in known]
        if not chosen:
            raise UserError("no such model answers here", next_step="choose one of the list")
        root = site.need_root(request)
        number = talks.say(talk, root, message.strip(), chosen)
        turn = talks.find(talk, root).turns[number]
        return site.part(request, "chat_turn.html.j2", talk=talk, number=number, turn=turn)

    @app.get("/chat/{talk}/{number}/{side}")
    def stream_answer(request: Request, talk: str, number: int, side: str) -> Response:
        _, model_answer = talks.find_answer(talk, site.need_root(request), number, side)

        async def write_events() -> AsyncIterator[str]:
            shown = ""
            while not model_answer.done:
                if model_answer.text != shown:
                    shown = model_answer.text
                    yield make_event(_draw(site, request, model_answer, talk, number, side))
                await asyncio.sleep(LOOK_SECONDS)
            yield make_event(_draw(site, request, model_answer, talk, number, side))
            yield "event: end\ndata: end\n\n"

        return StreamingResponse(write_events(), media_type="text/event-stream")


def _add_saving(app: FastAPI, site: Site, talks: Talks) -> None:
    @app.post("/chat/example")
    def save_example(
        request: Request,
        talk: Key,
        number: Number,
        side: Key,
        answer: Annotated[str, Form(max_length=LONGEST_ANSWER)],
    ) -> Response:
        person = site.need_person(request)
        known, model_answer = talks.find_answer(talk, site.need_root(request), number, side)
        messages = known.messages(number, "a" if side == "a" else "b")
        with open_alone(site, request) as ws:
            row = add_conversation(
                ws,
                messages,
                answer,
                person=person,
                rejected=model_answer.text,
                model=model_answer.model,
            )
        return site.part(request, "chat_saved.html.j2", row=row, note="")

    @app.post("/chat/note")
    def save_note(
        request: Request,
        talk: Key,
        number: Number,
        side: Key,
        text: Annotated[str, Form(max_length=LONGEST_NOTE)],
    ) -> Response:
        clean = " ".join(text.split())
        if not clean:
            raise UserError("the note is empty", next_step="write what is wrong")
        person = site.need_person(request)
        known, model_answer = talks.find_answer(talk, site.need_root(request), number, side)
        messages = known.messages(number, "a" if side == "a" else "b")
        body = {
            "response": ModelResponse(model_answer.model, "", model_answer.text).id,
            "example": "",
            "text": clean,
            "reader": person,
            "model": model_answer.model,
            "messages": [message.to_dict() for message in messages],
            "answer": model_answer.text,
        }
        site.write(request, RecordKind.NOTE, model_answer.model, body)
        return site.part(request, "chat_saved.html.j2", row=None, note=clean)


def list_chat_models(results: RunResults) -> list[ModelResult]:
    """Models that can be talked with: those on this machine that need no examples before them."""
    return [
        result
        for result in results.models
        if not result.model.base.startswith(ENDPOINT)
        and (result.model.adapter is not None or result.model.prompting == ZERO_SHOT)
    ]


def make_event(html: str) -> str:
    """A piece of a page as one server-sent event."""
    lines = html.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "".join(f"data: {line}\n" for line in lines) + "\n"


def _draw(
    site: Site, request: Request, model_answer: TalkAnswer, talk: str, number: int, side: str
) -> str:
    return site.draw(
        request,
        "chat_answer.html.j2",
        model_answer=model_answer,
        talk=talk,
        number=number,
        side=side,
    )
