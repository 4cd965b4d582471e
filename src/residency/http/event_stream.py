"""An answer in pieces: server-sent events of a chat completion."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
from httpx_sse import EventSource, SSEError

from residency.http.chat_completions import BrokenCompletionError, read_completion, read_text
from residency.http.endpoint_client import EndpointClient, clean_json, describe_network_error
from residency.secrets import StreamedSecrets


def stream_answer(client: EndpointClient, body: dict[str, object]) -> Iterator[str]:
    """The pieces of text of one answer, as the server sends them.

    Raises:
        EndpointError: refused, unreachable, or cut off in the middle (the pieces before the cut
            have been given out).
        RefusedError, TryAgainError: the server refused this request with a status.
    """
    ended = False
    hider = StreamedSecrets()  # a server that repeats a key cuts it into pieces
    try:
        with client.stream(body) as response:
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
                yield from filter(None, map(hider.feed, pieces))
            yield from filter(None, [hider.flush()])
    except httpx.HTTPError as error:
        raise client.make_error(describe_network_error(error)) from None
    except SSEError as error:
        raise client.make_error(f"the answer is no stream of events ({error})") from None
    except BrokenCompletionError as error:
        raise client.make_error(error.what) from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise client.make_error(f"a piece of the stream cannot be read ({error})") from None
    if not ended:
        raise client.make_error("the stream ended before the answer did")


def _read_event(data: str) -> tuple[list[str], bool]:
    """The pieces of text in one event, and whether it says that the answer has ended."""
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
    return pieces, ended
