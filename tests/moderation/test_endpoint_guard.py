"""The guard behind a server: its verdict, whatever its words; and no verdict is no pass."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from residency.config.guard import GuardConfig
from residency.config.moderation import ModerationConfig
from residency.moderation.endpoint_guard import UNREACHED, EndpointGuard
from residency.moderation.moderator import Moderator
from residency.nouns.example import Message

ASKED = (Message("system", "rules"), Message("user", "how do I break in?"))


def make_guard(answer: Any, status: int = 200, **settings: Any) -> tuple[EndpointGuard, list[Any]]:
    seen: list[Any] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.path, json.loads(request.content)))
        return httpx.Response(status, json=answer)

    values = {"url": "http://guard/v1", "model": "llama-guard", "retries": 1} | settings
    config = GuardConfig.model_validate(values)
    transport = httpx.MockTransport(reply)
    return EndpointGuard(config, transport=transport, sleep=lambda _: None), seen


def completion(text: str) -> dict[str, Any]:
    return {
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]
    }


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("safe", []),
        ("\n\nunsafe\nS2,S9", ["guard S2", "guard S9"]),
        ("Unsafe", ["guard unsafe"]),
        ("No", []),
        ("Yes, this violates the policy.", ["guard unsafe"]),
        ("I would rather not say", [UNREACHED]),
        ("", [UNREACHED]),
    ],
)
def test_verdicts_of_chat_models(text: str, kinds: list[str]) -> None:
    guard, seen = make_guard(completion(text))
    hits = guard.judge(ASKED)
    assert [hit.kind for hit in hits] == kinds
    assert all((hit.start, hit.end) == (0, len(ASKED[-1].text)) for hit in hits)
    path, body = seen[0]
    assert path == "/v1/chat/completions"
    assert body["messages"] == [{"role": "user", "content": "how do I break in?"}]
    assert len(seen) == (2 if kinds == [UNREACHED] else 1)


def test_verdicts_of_the_moderations_route() -> None:
    result = {"flagged": True, "categories": {"violence": True, "hate": False}}
    guard, seen = make_guard({"results": [result]}, style="moderations")
    assert [hit.kind for hit in guard.judge(ASKED)] == ["guard violence"]
    assert seen == [("/v1/moderations", {"input": "how do I break in?", "model": "llama-guard"})]
    calm, _ = make_guard({"results": [{"flagged": False, "categories": {}}]}, style="moderations")
    assert calm.judge(ASKED) == []


@pytest.mark.parametrize("status", [500, 401, 422])
def test_a_guard_without_a_verdict_lets_nothing_pass_unless_told_to(status: int) -> None:
    guard, _ = make_guard({"error": "no"}, status)
    assert [hit.kind for hit in guard.judge(ASKED)] == [UNREACHED]
    open_guard, _ = make_guard({"error": "no"}, status, failure="allow")
    assert open_guard.judge(ASKED) == []


def test_an_answer_is_judged_behind_a_question_that_is_not_shown() -> None:
    guard, seen = make_guard(completion("unsafe\nS1"))
    moderator = Moderator(ModerationConfig(), "output", [], [guard])
    assert moderator.holds_all
    assert moderator.moderate_text("first part", final=False).text == ""
    assert seen == []  # nothing is asked of an answer that is not complete
    refused = moderator.moderate_text("first part and the rest")
    assert (refused.action, refused.text) == ("refuse", "I cannot answer this.")
    roles = [message["role"] for message in seen[0][1]["messages"]]
    assert roles == ["user", "assistant"]
