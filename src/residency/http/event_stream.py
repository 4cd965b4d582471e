"""An answer in pieces: server-sent events of a chat completion."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator
from contextlib import closing

import httpx
from httpx_sse import EventSource, SSEError

from residency.http.chat_completions import BrokenCompletionError, read_completion, read_text
from residency.http.deadline import answer_within
from residency.http.endpoint_client import (
    LONGEST_STREAM,
    EndpointClient,
    clean_json,
    describe_network_error,
)
from residency.secrets import StreamedSecrets

STREAM_TIMES = 10
"""How many times as long as another answer one may take of which text keeps coming."""


def stream_answer(client: EndpointClient, body: dict[str, object]) -> Iterator[str]:
    """The pieces of text of one answer, as the server sends them.

    Each piece of text comes within the time of one answer, and all within ten times that.

    Raises:
        EndpointError: refused, unreachable, or cut off in the middle (the pieces before the cut
            have been given out).
        RefusedError, TryAgainError: the server refused this request with a status, or its answer
            has no end.
    """
    hider = StreamedSecrets()  # a server that repeats a key cuts it into pieces
    ends = time.monotonic() + STREAM_TIMES * client.timeout
    with closing(_read_pieces(client, body)) as pieces:
        while True:
            with answer_within(min(client.timeout, ends - time.monotonic())):
                piece = next(pieces, None)
            if piece is None:
                yield from filter(None, [hider.flush()])
                return
            yield from filter(None, [hider.feed(piece)])


def _read_pieces(client: EndpointClient, body: dict[str, object]) -> Generator[str, None, None]:
    """Pieces of text as they come; an empty one stands for anything else that the model wrote."""
    ended = False
    try:
        with client.open(body, LONGEST_STREAM) as response:
            if response.status_code != 200:
                response.read()
                client.raise_for_status(response)
            if "json" in response.headers.get("content-type", ""):  # it does not stream
                yield read_completion(clean_json(json.loads(response.read()))).generation.text
                return
            for event in EventSource(response).iter_sse():
                if event.data.strip() == "[DONE]":
                    ended = True
                    break
                pieces, last = _read_event(event.data)
                ended = ended or last
                yield from pieces
    except httpx.HTTPError as error:
        raise client.make_error(describe_network_error(error)) from None
    except SSEError as error:
        raise client.make_error(f"the answer is no stream of events ({error})") from None
    except BrokenCompletionError as error:
        raise client.make_error(error.what) from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise client.make_error(f"a piece of the stream cannot be read ({error})") from None
    if not ended:
        raise client.make_error("the stream ended before the answer did")


def _read_event(data: str) -> tuple[list[str], bool]:
    """The pieces of one event, as of ``_read_pieces``, and whether it says that the answer has ended."""
    event = clean_json(json.loads(data))
    if event.get("error"):
        read_completion(event)
    pieces, ended = [], False
    for choice in event["choices"][:1]:
        if choice.get("error") or choice.get("finish_reason") == "error":
            read_completion(event)
        ended = choice.get("finish_reason") is not None
        delta = choice.get("delta") or {}
        if delta.get("content"):
            pieces.append(read_text(delta))
        elif any(value for name, value in delta.items() if name != "role"):
            pieces.append("")  # its reasoning, or a tool that it calls
    return pieces, ended
