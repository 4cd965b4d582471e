"""Conversations written out as one text with the marks of a chat → messages.

Read are the marks of published files: Anthropic's ``Human:`` and ``Assistant:`` between blank lines,
Guanaco's ``### Human:``, Vicuna's and Glaive's ``USER:``, ChatML, and the templates of Llama 2 to 4, Mistral,
Gemma, Zephyr, Phi, Granite, Command R, DeepSeek and gpt-oss (``harmony.py``). The text must begin with a mark: prose that only quotes one is prose.
"""

from __future__ import annotations

import re

from residency.data.reading.harmony import read_harmony_text
from residency.nouns.example import Message, Role

_NAMES: dict[str, Role] = {
    "human": "user",
    "user": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "system": "system",
    "function response": "tool",
    "chatbot": "assistant",
    "moss": "assistant",
}
_WHO = "|".join(name for name in _NAMES if name != "moss")
_BEGIN = re.compile(
    r"\s*(?:<s>|<bos>|<\|begin_of_text\|>|\[gMASK\]<sop>|<BOS_TOKEN>|<｜begin▁of▁sentence｜>|<\|startoftext\|>)?\s*"
)
_FORMS = tuple(
    (re.compile(mark, re.IGNORECASE), re.compile(end))
    for mark, end in (
        (rf"<\|im_start\|>({_WHO})\n", r"<\|im_end\|>|<\|endoftext\|>"),
        (
            rf"<\|start_header_id\|>({_WHO})<\|end_header_id\|>\n*",
            r"<\|eot_id\|>|<\|end_of_text\|>",
        ),
        (
            rf"<\|header_start\|>({_WHO})<\|header_end\|>\n*",
            r"<\|eot\|>|<\|end_of_text\|>",
        ),
        (rf"<\|start_of_role\|>({_WHO})<\|end_of_role\|>", r"<\|end_of_text\|>"),
        (
            rf"<\|START_OF_TURN_TOKEN\|><\|({_WHO})_TOKEN\|>",
            r"<\|END_OF_TURN_TOKEN\|>",
        ),
        (rf"<｜({_WHO})｜>", r"<｜end▁of▁sentence｜>"),
        (r"\[(Human|MOSS)\]: ?", r"<eo[a-z]>"),
        (rf"<start_of_turn>({_WHO})\n", r"<end_of_turn>|<eos>"),
        (rf"<\|({_WHO})\|>\n?", r"</s>|<\|end\|>|<\|endoftext\|>"),
        (rf"(?:^|(?<=\n\n))({_WHO}): ?", r"<\|endoftext\|>|</s>"),
        (rf"#{{2,3}} ?({_WHO}): ?", r"</s>"),
        (rf"(?:^|(?<=\s)|(?<=</s>))({_WHO}): ", r"</s>"),
    )
)
"""Mark of a turn, with who speaks; and what may end a turn. The forms that are hardest to write by
chance come first."""
_LLAMA = re.compile(r"\[INST\](.*?)\[/INST\](.*?)(?=</s>|<s>|\[INST\]|$)", re.DOTALL)
_LLAMA_SYSTEM = re.compile(r"^\s*<<SYS>>\s*(.*?)\s*<</SYS>>\s*", re.DOTALL)
_MISTRAL_SYSTEM = re.compile(
    r"\[SYSTEM_PROMPT\]\s*(.*?)\s*\[/SYSTEM_PROMPT\]\s*(?=\[INST\])", re.DOTALL
)
_VICUNA_SYSTEM = re.compile(r"(A chat between [^\n]{10,300}?)\s+(?=USER: )")


def read_marked_turns(text: str) -> tuple[Message, ...]:
    """The turns of a text that begins with the mark of one; none where it does not.

    A last turn that is only opened (``…\\n\\nAssistant:``) is left out.
    """
    start = _BEGIN.match(text)
    body = text[start.end() if start else 0 :]
    before = _MISTRAL_SYSTEM.match(body) or _VICUNA_SYSTEM.match(body)
    if before:
        turns = read_marked_turns(body[before.end() :])
        return (Message("system", before[1]), *turns) if turns else ()
    if body.startswith("<|start|>"):
        return read_harmony_text(body)
    if body.startswith("[INST]"):
        return _read_llama(body)
    readings = [_divide(body, mark, end) for mark, end in _FORMS if mark.match(body)]
    readings = [turns for turns in readings if turns and turns[0].role != "assistant"]
    answered = [turns for turns in readings if any(turn.role == "assistant" for turn in turns)]
    return next(iter((*answered, *readings)), ())


def read_marked_system(text: str) -> str:
    """A system message without the mark ``SYSTEM:`` that some files write before it (Glaive's)."""
    return text.removeprefix("SYSTEM: ").strip() if text.startswith("SYSTEM: ") else text


def _divide(body: str, mark: re.Pattern[str], end: re.Pattern[str]) -> tuple[Message, ...]:
    marks = list(mark.finditer(body))
    stops = [match.start() for match in marks[1:]] + [len(body)]
    turns: list[Message] = []
    for match, stop in zip(marks, stops, strict=True):
        role = _NAMES[match[1].lower()]
        words = end.split(body[match.end() : stop])[0].strip()
        turns.append(Message(role, words))
    if turns and not turns[-1].content:
        turns.pop()
    return tuple(turns)


def _read_llama(body: str) -> tuple[Message, ...]:
    turns: list[Message] = []
    for match in _LLAMA.finditer(body):
        request, answer = match[1].strip(), match[2].strip()
        if not turns and (system := _LLAMA_SYSTEM.match(request)):
            turns.append(Message("system", system[1]))
            request = request[system.end() :].strip()
        turns.append(Message("user", request))
        if answer:
            turns.append(Message("assistant", answer))
    return tuple(turns)
