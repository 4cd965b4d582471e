"""Pain 23: nothing that is trained on comes near dev or test; honest rows pass."""

from __future__ import annotations

import random

import pytest

from leak_rows import DEV_36, INSTRUCTION, LEAKS, POOL_ROWS, PROTECTED, message, row
from residency.nouns.example import Example, Message
from residency.overlap.firewall import screen_rows


def test_pain_23_independent_rows_of_the_same_task_pass() -> None:
    result = screen_rows(POOL_ROWS, PROTECTED)
    assert len(result.accepted) == len(POOL_ROWS)
    assert result.rejected == ()


@pytest.mark.parametrize("kind", LEAKS)
def test_pain_23_planted_leaks_are_rejected(kind: str) -> None:
    rng = random.Random(4)
    leaks = [row(LEAKS[kind](message(e), rng)) for e in PROTECTED[:40]]
    result = screen_rows([*POOL_ROWS[:50], *leaks], PROTECTED, background=POOL_ROWS)
    assert {r.example.id for r in result.rejected} == {e.id for e in leaks}
    first = result.rejected[0]
    assert first.near in {e.id for e in PROTECTED}
    assert "test.jsonl:1" in first.reason


def test_a_rewording_is_rejected() -> None:
    secret = row("How do I get red wine stains out of a white woollen carpet?", "test")
    reworded = row("Getting stains of red wine out of white woollen carpets: how?")
    other = row("How do I descale an old coffee machine with vinegar?")
    result = screen_rows([reworded, other], [secret], background=POOL_ROWS)
    assert [r.rule for r in result.rejected] == ["rewording"]
    assert [e.id for e in result.accepted] == [other.id]


def test_an_instruction_shared_by_all_rows_is_boilerplate() -> None:
    """Also where instruction and message are one line of one string."""

    def flat(example: Example) -> Example:
        text = f"{INSTRUCTION} {message(example)}"
        return Example((Message("user", text), example.messages[1]), split=example.split)

    pool, protected = [flat(e) for e in POOL_ROWS], [flat(e) for e in PROTECTED]
    honest = screen_rows(pool, protected)
    assert honest.rejected == ()
    leaks = [flat(row(message(e))) for e in PROTECTED[:20]]
    caught = screen_rows(leaks, protected, background=pool)
    assert caught.accepted == ()


def test_an_answer_does_not_leak_without_its_prompt() -> None:
    prose = (
        "The lighthouse keeper had counted every ship since the storm of his youth, and each one "
        "that passed without stopping made the lamp seem a little heavier to lift at dusk."
    )
    secret = row("Tell a story.", "test", prose)
    thief = row("Continue: it was a dark night on the coast.", "pool", prose)
    honest = row("Continue: the market opened early.", "pool", "Baskets of figs. " * 12)
    result = screen_rows([thief, honest], [secret], background=POOL_ROWS)
    assert [r.rule for r in result.rejected] == ["answer 13-gram"]


def test_nothing_to_check() -> None:
    assert screen_rows([], PROTECTED).accepted == ()
    assert screen_rows(POOL_ROWS[:3], []).accepted == tuple(POOL_ROWS[:3])


def test_two_shared_runs_of_twelve_words_are_a_leak() -> None:
    words = DEV_36.split()
    assert len(words) >= 34
    text = " ".join([*words[:12], "and", "besides", "that", *words[18:30], "thank", "you"])
    result = screen_rows([row(text)], [row(DEV_36, "dev")], background=POOL_ROWS)
    assert len(result.rejected) == 1


def test_questions_on_the_same_table_are_no_leak() -> None:
    table = "table: city | country | population | area km2 | mayor | founded | region | elevation m"

    def ask(question: str, split: str) -> Example:
        message = Message("user", f"{table}\nQ: {question}")
        return Example((message, Message("assistant", "SELECT 1")), split=split)  # type: ignore[arg-type]

    secret = ask("Which mayor governs the highest town of the northern region?", "dev")
    honest = ask("How many people live in cities that were founded before 1500?", "train")
    leak = ask("which mayor governs the highest town of the northern region", "train")
    result = screen_rows([honest, leak], [secret], background=POOL_ROWS)
    assert [e.id for e in result.accepted] == [honest.id]


SCHEMA = "CREATE TABLE head (age INTEGER, name VARCHAR, born_state VARCHAR, head_id INTEGER)"


@pytest.mark.parametrize("repeat", [1, 12])
def test_questions_on_the_same_schema_are_no_leak(repeat: int) -> None:
    """The question is the instruction and the schema the input, short or very long."""
    schema = " ".join(SCHEMA.replace("head", f"head{n}") for n in range(repeat))

    def ask(question: str, schema: str, split: str) -> Example:
        turn = Message("user", question, input=schema)
        return Example((turn, Message("assistant", "SELECT 1")), split=split)  # type: ignore[arg-type]

    secret = ask("How many heads of the departments are older than 56?", schema, "dev")
    honest = ask("List the names of all heads who were born in California.", schema, "train")
    leak = ask("how many heads of the departments are older than 56", schema, "train")
    result = screen_rows([honest, leak], [secret], background=POOL_ROWS)
    assert [e.id for e in result.accepted] == [honest.id]


def test_a_generic_instruction_beside_another_input_is_no_leak() -> None:
    instruction = (
        "Read the following text carefully and write a short summary of it in two sentences, "
        "keeping the names and leaving out everything that is an opinion of the author."
    )

    def summarise(text: str, split: str) -> Example:
        turn = Message("user", instruction, input=text)
        return Example((turn, Message("assistant", "Short.")), split=split)  # type: ignore[arg-type]

    secret = summarise("The council closed the old bridge on Monday for repairs.", "dev")
    honest = summarise("A heron was seen at the lake, said the ranger.", "train")
    assert screen_rows([honest], [secret], background=POOL_ROWS).rejected == ()


def test_pain_41_chinese_rows_that_share_an_instruction_are_no_leak() -> None:
    def ask(text: str, split: str) -> Example:
        message = Message("user", "请根据以下内容写一段简短的总结：" + text)
        return Example((message, Message("assistant", "好")), split=split)  # type: ignore[arg-type]

    secret = ask("昨天下了大雨，体育场的足球比赛推迟到下周举行，观众可以退票。", "dev")
    honest = ask("公司今年的利润比去年增长了一成，管理层计划扩大海外市场的投资。", "train")
    leak = ask("昨天下了大雨，体育场的足球比赛推迟到下周举行，观众可以退票了。", "train")
    result = screen_rows([honest, leak], [secret], background=POOL_ROWS)
    assert [e.id for e in result.accepted] == [honest.id]


def test_short_questions_of_one_form_are_no_leak() -> None:
    secret = Example((Message("user", "What is the capital of France?"),), split="dev")
    rows = [
        Example((Message("user", f"What is the capital of {name}?"),)) for name in ("Spain", "Chad")
    ]
    assert screen_rows(rows, [secret], background=POOL_ROWS).rejected == ()
    same = Example((Message("user", "what is the capital of FRANCE"),))
    assert len(screen_rows([same], [secret], background=POOL_ROWS).rejected) == 1
