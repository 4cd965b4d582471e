"""Moderation: what may leave, in whatever pieces a text arrives."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from residency.config.guard import GuardConfig
from residency.config.moderation import ModerationConfig
from residency.moderation.fold_text import fold_text
from residency.moderation.moderator import Moderator
from residency.moderation.open_moderator import open_moderator
from residency.nouns.example import Message

CARD = "4111 1111 1111 1111"
KEY = "sk-ant-" + "a1B2" * 12
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow. IBAAK\nabc! def\n-----END RSA PRIVATE KEY-----"
PIECES = [
    "Dear Ms Weber, ",
    "write to anna.weber@shop.de",
    ". ",
    "\n",
    CARD,
    "DE89 3704 0044 0532 0130 00",
    KEY,
    PEM,
    "you stupid fuck",
    "word " * 180,
    "x" * 1300,
    "+49 30 1234567",
    "ünïcode \u200b",
    "! ",
    " ",
]
texts = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
actions = st.fixed_dictionaries(
    {},
    optional={
        kind: st.sampled_from(["off", "flag", "mask", "refuse"])
        for kind in ("personal", "card", "secrets", "offensive")
    },
)


def make(hold: str = "sentence", **outputs: str) -> Moderator:
    config = ModerationConfig.model_validate({"outputs": outputs, "hold": hold})
    return open_moderator(config, GuardConfig(), "output")


@settings(max_examples=150, deadline=None)
@given(texts, actions, st.sampled_from(["sentence", "answer"]), st.lists(st.integers(0, 3000)))
def test_what_leaves_of_a_stream_is_what_is_left_of_the_whole(
    text: str, outputs: dict[str, str], hold: str, cuts: list[int]
) -> None:
    whole = make(hold, **outputs).moderate_text(text)
    moderator = make(hold, **outputs)
    released = ""
    for cut in sorted({cut for cut in cuts if cut < len(text)}):
        moderated = moderator.moderate_text(text[:cut], final=False)
        assert moderated.text.startswith(released)
        released = moderated.text
        if moderated.action == "refuse":
            assert released == whole.text
            return
    last = moderator.moderate_text(text)
    assert last.text.startswith(released)
    assert (last.text, last.action) == (whole.text, whole.action)


@settings(max_examples=60, deadline=None)
@given(texts)
def test_every_character_by_character_stream_is_the_whole(text: str) -> None:
    text = text[:900]
    moderator = make(personal="mask", secrets="mask")
    released = ""
    for end in range(len(text)):
        now = moderator.moderate_text(text[:end], final=False).text
        assert now.startswith(released)
        released = now
    assert moderator.moderate_text(text).text.startswith(released)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 1400),
    st.sampled_from([CARD, KEY, "anna.weber@shop.de", PEM]),
    st.sampled_from(["", "ok.", "next line\nmore", "word " * 300, "x" * 1500]),
)
def test_a_masked_suspect_is_nowhere_in_what_leaves(room: int, suspect: str, after: str) -> None:
    filler = ("lorem ipsum dolor " * 100)[:room]
    text = f"{filler} {suspect}; {after}"
    left = make(personal="mask", secrets="mask").moderate_text(text)
    assert suspect not in left.text
    assert left.action == "mask"


def test_each_kind_has_its_own_action() -> None:
    moderator = make(personal="mask", card="refuse", secrets="off")
    assert moderator.moderate_text("anna.weber@shop.de").text == "[email address]"
    assert moderator.moderate_text(KEY).text == KEY
    refused = moderator.moderate_text(f"First. Then {CARD}. Last.")
    assert (refused.action, refused.kinds) == ("refuse", ("payment card",))
    assert refused.text == "First. I cannot answer this."
    whole = make("answer", card="refuse").moderate_text(f"First. Then {CARD}. Last.")
    assert whole.text == "I cannot answer this."


def test_flags_change_nothing_and_hold_nothing_back() -> None:
    moderator = make()
    text = f"Pay with {CARD} now"
    assert moderator.moderate_text(text, final=False).text == text
    last = moderator.moderate_text(text)
    assert (last.text, last.action, last.kinds) == (text, "flag", ("payment card",))


def test_a_conversation_is_masked_in_every_text_of_it() -> None:
    config = ModerationConfig.model_validate({"inputs": {"secrets": "mask", "card": "refuse"}})
    moderator = open_moderator(config, GuardConfig(), "input")
    call = {"function": {"name": "pay", "arguments": f'{{"token": "{KEY}"}}'}}
    messages = [
        Message("user", f"My key: {KEY}", input=f"again {KEY}"),
        Message("assistant", "", tool_calls=(call,)),
    ]
    masked, decided = moderator.moderate_messages(messages)
    assert KEY not in str(masked) and str(masked).count("[secret]") == 3
    assert (decided.action, decided.text) == ("mask", "")
    _, refused = moderator.moderate_messages([Message("user", CARD)])
    assert (refused.action, refused.text) == ("refuse", "I cannot answer this.")


class Parrot:
    """A judge of whole texts that dislikes one word."""

    group = "rules"
    version = "parrot 1"

    def judge(self, messages: Sequence[Message]) -> list[object]:
        from residency.moderation.judge import Hit

        text = messages[-1].text
        return [Hit("rule parrot", "rules", 0, len(text))] if "parrot" in text else []


@pytest.mark.parametrize(
    ("action", "left"),
    [("mask", "[rule parrot]"), ("refuse", "I cannot answer this."), ("flag", "a. parrot.")],
)
def test_judges_of_whole_texts_hold_the_answer_when_they_change_it(action: str, left: str) -> None:
    config = ModerationConfig.model_validate({"outputs": {"rules": action}})
    moderator = Moderator(config, "output", [], [Parrot()])  # type: ignore[list-item]
    assert moderator.holds_all is (action != "flag")
    early = moderator.moderate_text("a. parrot.", final=False)
    assert early.text == ("" if action != "flag" else "a. parrot.")
    last = moderator.moderate_text("a. parrot.")
    assert (last.text, last.action) == (left, action)


@pytest.mark.parametrize(
    "hidden", ["anna．weber＠shop.de", "anna.we\u200bber@shop.de", "anna.weber@shop\u00ad.de"]
)
def test_what_a_reader_reads_is_what_is_judged(hidden: str) -> None:
    left = make(personal="mask").moderate_text(f"Write to {hidden} today")
    assert left.text == "Write to [email address] today"


@given(st.text())
def test_places_of_folded_text_lie_in_the_original(text: str) -> None:
    folded = fold_text(text)
    for place in range(len(folded.text)):
        start, end = folded.find_span(place, place + 1)
        assert 0 <= start < end <= len(text)
