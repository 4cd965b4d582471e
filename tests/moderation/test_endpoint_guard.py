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
        ("Harmful request: no\nResponse refusal: yes\nHarmful response: no", []),
        ("Harmful request: yes\nResponse refusal: yes\nHarmful response: no", ["guard unsafe"]),
        ("Safety: Unsafe\nCategories: Violent", ["guard unsafe"]),
        ("Safety: Controversial\nCategories: None", ["guard unsafe"]),
        ("Safety: Safe\nCategories: None", []),
        ('{"User Safety": "safe", "Response Safety": "unsafe"}', ["guard unsafe"]),
        ('{"User Safety": "safe"}', []),
        ("<score> yes </score>", ["guard unsafe"]),
        ("<think>It could be unsafe, but no.</think>\nsafe", []),
        ("<think>Is it safe?", [UNREACHED]),
        ("This is not safe", [UNREACHED]),
        ("I cannot tell whether it is safe or unsafe", [UNREACHED]),
        ("The message is unsafe.", ["guard unsafe"]),
        ("**unsafe**\nS1", ["guard S1"]),
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


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        ({"results": [{"flagged": False}]}, []),
        ({"results": [{"flagged": True}]}, ["guard flagged"]),
        ({"results": [{"flagged": True, "categories": None}]}, ["guard flagged"]),
        ({"results": [{"flagged": True, "categories": ["hate"]}]}, ["guard flagged"]),
        ({"results": [{"flagged": True, "categories": {"hate": 0.01}}]}, ["guard flagged"]),
        ({"results": [{"flagged": False, "categories": {"hate": 0.01, "x": None}}]}, []),
        ({"results": [{"flagged": False, "categories": {"hate": True}}]}, ["guard hate"]),
        (
            {"results": [{"flagged": False}, {"flagged": True, "categories": {"hate": True}}]},
            ["guard hate"],
        ),
        (
            {"results": [{"flagged": True, "categories": {"a\x1b[31m\nb" + "c" * 99: True}}]},
            ["guard a 31m b" + "c" * 33],
        ),
        ({"results": [{"flagged": True, "categories": {"": True}}]}, ["guard unnamed"]),
        ({"results": []}, [UNREACHED]),
        ({"results": None}, [UNREACHED]),
        ({"results": [{"flagged": "false"}]}, [UNREACHED]),
        ({"results": [{"flagged": None, "categories": {}}]}, [UNREACHED]),
        ({"results": [{"categories": {"hate": True}}]}, [UNREACHED]),
        ({"results": ["flagged"]}, [UNREACHED]),
        ({"error": {"message": "no such model"}}, [UNREACHED]),
        ([], [UNREACHED]),
        (None, [UNREACHED]),
    ],
)
def test_every_form_of_the_moderations_route(body: Any, kinds: list[str]) -> None:
    guard, _ = make_guard(body, style="moderations")
    assert [hit.kind for hit in guard.judge(ASKED)] == kinds


def test_a_server_that_names_everything_names_a_few() -> None:
    categories = {f"category {number}": True for number in range(10_000)}
    guard, _ = make_guard(
        {"results": [{"flagged": True, "categories": categories}]}, style="moderations"
    )
    assert len(guard.judge(ASKED)) == 20


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
