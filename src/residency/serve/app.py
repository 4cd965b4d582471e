"""The server's application: routes of OpenAI's API over the live engine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from residency.interfaces import Embedder
from residency.nouns.example import Message
from residency.serve.answer_request import FILTERED, Answering, Service
from residency.serve.answer_text import judge_input
from residency.serve.api_errors import ApiError, report_defect, report_timeout
from residency.serve.embed_texts import count_words, name_embedder, write_embeddings
from residency.serve.hooks import RequestRecord
from residency.serve.metrics import Metrics
from residency.serve.read_request import (
    ChatRequest,
    CompletionRequest,
    EmbeddingRequest,
    GenerationRequest,
)
from residency.serve.request_body import make_request_id, take_request
from residency.serve.request_guard import STRANGERS, RequestGuard
from residency.serve.write_answer import AnswerForm, write_error_event

log = logging.getLogger("residency.serve")

CLIENT_GONE = 499
TEXT_PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")


@dataclass
class Server:
    """What the routes need beside the service, and whether the server is ending."""

    service: Service
    metrics: Metrics
    get_embedder: Callable[[], Embedder]
    started: float = field(default_factory=time.time)
    draining: bool = False

    def note_refusal(self, path: str, refusal: ApiError) -> None:
        """Record a request that no route has read. Its path is kept where it is one of ours.

        Of strangers, who have no key, only the number is kept: they fill no store.
        """
        if refusal.status in STRANGERS:
            self.metrics.count_refusal(refusal.status)
            return
        self.service.records.add(
            RequestRecord(
                id=make_request_id("refused"), time=time.time(),
                endpoint=path if path in TEXT_PATHS else "", model="", model_id="",
                status=refusal.status, error=refusal.code or refusal.kind,
            )
        )  # fmt: skip


def create_app(
    server: Server, *, keys: Sequence[bytes], routes: Sequence[APIRouter] = ()
) -> FastAPI:
    """The application; ``routes`` are what other parts of the house add to it."""
    app = FastAPI(title="residency serve", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(
        RequestGuard,
        keys=keys,
        most_bytes=server.service.config.max_body,
        note_refusal=server.note_refusal,
    )
    app.state.note_malformed = lambda: server.note_refusal("", ApiError(400, "", code="no_http"))
    app.state.note_overload = lambda: server.metrics.count_refusal(503)
    add_plain_routes(app, server)
    add_text_routes(app, server)
    for router in routes:
        app.include_router(router)

    @app.exception_handler(ApiError)
    async def answer_refusal(_: Request, error: ApiError) -> Response:
        return error.to_response()

    @app.exception_handler(RequestValidationError)
    async def answer_wrong_body(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"] if part != "body")[:80]
        return ApiError(400, f"{name or 'the body'}: {first['msg']}.", param=name).to_response()

    @app.exception_handler(HTTPException)
    async def answer_http_error(request: Request, error: HTTPException) -> Response:
        code = {404: "unknown_url", 405: "wrong_method"}.get(error.status_code)
        refusal = ApiError(error.status_code, str(error.detail), code=code)
        if request.method == "POST":
            server.note_refusal(request.url.path, refusal)
        return refusal.to_response()

    @app.exception_handler(Exception)
    async def answer_defect(_: Request, error: Exception) -> Response:
        log.error("a request failed: %s", type(error).__name__)
        return report_defect().to_response()

    return app


def add_plain_routes(app: FastAPI, server: Server) -> None:
    """Models, health and figures."""
    catalogue = server.service.catalogue

    def describe(name: str) -> dict[str, Any]:
        return {
            "id": name,
            "object": "model",
            "created": int(server.started),
            "owned_by": "residency",
        }

    @app.get("/v1/models")
    async def list_models() -> Response:
        names = [*catalogue.names, "embedder"]
        return JSONResponse({"object": "list", "data": [describe(name) for name in names]})

    @app.get("/v1/models/{name:path}")
    async def show_model(name: str) -> Response:
        if name != "embedder":
            catalogue.find(name)
        return JSONResponse(describe(name))

    @app.get("/health")
    async def show_health() -> Response:
        status = "draining" if server.draining else "ok"
        return JSONResponse({"status": status}, 503 if server.draining else 200)

    @app.get("/metrics")
    async def show_metrics() -> Response:
        return Response(server.metrics.write_text(), media_type=CONTENT_TYPE_LATEST)


def add_text_routes(app: FastAPI, server: Server) -> None:
    """Answers and embeddings."""
    records = server.service.records

    @app.post("/v1/chat/completions")
    async def answer_chat(request: Request) -> Response:
        body = await take_request(ChatRequest, request, records)
        return await answer_text_request(server, request, body, "chatcmpl")

    @app.post("/v1/completions")
    async def complete_text(request: Request) -> Response:
        body = await take_request(CompletionRequest, request, records)
        return await answer_text_request(server, request, body, "cmpl")

    @app.post("/v1/embeddings")
    async def embed(request: Request) -> Response:
        body = await take_request(EmbeddingRequest, request, records)
        return await answer_embedding_request(server, body)


async def answer_text_request(
    server: Server, http: Request, body: GenerationRequest, prefix: str
) -> Response:
    """An answer, whole or streamed.

    Raises:
        ApiError: it is not answered.
    """
    answering = Answering(server.service, body, http.url.path, make_request_id(prefix))
    try:
        await answering.begin()
    except ApiError as error:
        answering.close(error.status, error.code or error.kind)
        raise
    except BaseException:
        answering.close(500, "internal")
        raise
    if body.stream:
        return AnswerStream(answering)
    try:
        return await _answer_whole(http, answering)
    except ApiError as error:
        answering.close(error.status, error.code or error.kind)
        raise
    except Exception:
        answering.close(500, "internal")
        raise
    finally:
        answering.close(CLIENT_GONE, "client_gone")


async def _answer_whole(http: Request, answering: Answering) -> Response:
    """Wait for the answer, or until the client goes away."""
    form = AnswerForm(answering)

    async def collect() -> None:
        async for _ in answering.follow():
            pass

    collecting = asyncio.create_task(collect())
    leaving = asyncio.create_task(_wait_until_gone(http))
    try:
        await asyncio.wait({collecting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not collecting.done():
            return Response(status_code=CLIENT_GONE)
        await collecting
        body = form.write_whole()
        answering.close(200)
        return JSONResponse(body)
    finally:
        for task in (collecting, leaving):
            task.cancel()
        await asyncio.gather(collecting, leaving, return_exceptions=True)


async def _wait_until_gone(http: Request) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass


class AnswerStream(StreamingResponse):
    """A streamed answer, which gives its slots back however it ends: also when the client leaves
    before the first piece, or stops reading."""

    def __init__(self, answering: Answering) -> None:
        super().__init__(_write_events(answering), media_type="text/event-stream")
        self.answering = answering

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, no longer than the server allows."""
        limit = self.answering.service.config.timeout + 5
        try:
            async with asyncio.timeout(limit):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            self.answering.close(report_timeout(limit).status, "timeout")
        finally:
            self.answering.close(CLIENT_GONE, "client_gone")


async def _write_events(answering: Answering) -> AsyncIterator[str]:
    form = AnswerForm(answering)
    for event in form.write_first():
        yield event
    try:
        async with contextlib.aclosing(answering.follow()) as pieces:  # type: ignore[type-var]
            async for choice, piece in pieces:
                for event in form.write_piece(choice, piece):
                    yield event
    except ApiError as error:
        answering.close(error.status, error.code or error.kind)
        yield write_error_event(error.to_dict())
        return
    except Exception as problem:
        log.error("a stream failed: %s", type(problem).__name__)
        answering.close(500, "internal")
        yield write_error_event(report_defect().to_dict())
        return
    last = form.write_last()
    answering.close(200)
    for event in last:
        yield event


async def answer_embedding_request(server: Server, body: EmbeddingRequest) -> Response:
    """Vectors of texts, after moderation of what is sent.

    Raises:
        ApiError: another model is named, or the texts are refused.
    """
    service, began = server.service, time.monotonic()
    texts = [body.input] if isinstance(body.input, str) else list(body.input)
    messages = [Message("user", text) for text in texts]
    status, error, decisions, loop = 200, "", [], asyncio.get_running_loop()
    known = False

    def embed() -> dict[str, Any]:
        nonlocal known
        embedder = server.get_embedder()
        if body.model not in name_embedder(embedder):
            raise ApiError(
                404, f"The model {body.model[:80]!r} does not exist; embeddings are those of "
                f"{embedder.name!r}.", param="model", code="model_not_found",
            )  # fmt: skip
        known = True
        judged, new_decisions = judge_input(service.hooks.inputs, messages)
        decisions.extend(new_decisions)
        if new_decisions and new_decisions[-1].action == "refuse":
            raise ApiError(
                400, f"The request was refused: {new_decisions[-1].reason}", code=FILTERED
            )
        return write_embeddings(embedder, body, [message.text for message in judged])

    try:
        return JSONResponse(await loop.run_in_executor(service.preparing, embed))
    except ApiError as problem:
        status, error = problem.status, problem.code or problem.kind
        raise
    except Exception:
        status, error = 500, "internal"
        raise
    finally:
        service.records.add(
            RequestRecord(
                id=make_request_id("embd"), time=time.time(), endpoint="/v1/embeddings",
                model="embedder" if known else "", model_id="", status=status,
                seconds=time.monotonic() - began, prompt_tokens=count_words(texts) if known else 0,
                error=error, decisions=tuple(decisions),
                messages=tuple(messages) if service.hooks.texts else None,
            )
        )  # fmt: skip
