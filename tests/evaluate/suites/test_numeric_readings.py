"""``numeric`` on what people and models write around a number: right, wrong, or left open."""

from __future__ import annotations

import pytest

from residency.evaluate.suites.check_result import Item
from residency.evaluate.suites.rules.numeric import Numeric
from residency.nouns.example import Example, Message
from residency.nouns.response import Response


def judge(reference: str, answer: str, prompt: str = "How much?") -> tuple[str, str]:
    """Status and message of the rule's one check."""
    messages = (Message("user", prompt), Message("assistant", reference))
    example = Example(messages=messages, split="dev")
    item = Item(example, Response("m", example.id, text=answer), answer, reference)
    (check,) = Numeric().check(item)
    return check.status, check.message


@pytest.mark.parametrize(
    ("reference", "answer", "status"),
    [
        ("5‰", "0.5 %", "pass"),
        ("5 %", "5‰", "fail"),
        ("0.5", "%50", "pass"),
        ("50 %", "fifty percent", "pass"),
        ("0.5", "fifty percent", "pass"),
        ("42", "zweiundvierzig", "pass"),
        ("40", "zweiundvierzig", "fail"),
        ("97", "quatre-vingt-dix-sept", "pass"),
        ("80", "quatre-vingt-dix-sept", "fail"),
        ("zweiundvierzig", "42", "pass"),
        # a range is neither of its ends
        ("7", "5-10", "unscored"),
        ("5", "5-10", "unscored"),
        ("10", "5–10 km", "unscored"),
        ("7", "between 5 and 10", "unscored"),
        ("7", "5 to 10", "unscored"),
        ("12", "5-10", "fail"),
        ("5-10", "5–10", "pass"),
        ("5-10", "6-10", "fail"),
        ("5-10", "7", "unscored"),
        ("5-10", "12", "fail"),
        ("10", "It rose from 5 to 10", "pass"),
        ("5", "10-5 = 5", "pass"),
        ("2:1", "2:1", "pass"),
        ("2:1", "3:1", "fail"),
        ("2-1", "3-1", "fail"),
        # bounds and tolerances
        ("5", "<5", "unscored"),
        ("5", "at least 5", "unscored"),
        ("5", "<6", "fail"),
        ("< 5", "<5", "pass"),
        ("5", "5 ± 1", "pass"),
        ("1", "5 ± 1", "fail"),
        # units
        ("5 km", "5000 m", "pass"),
        ("5 km", "5 m", "fail"),
        ("5 kg", "5 lb", "fail"),
        ("2 hours", "120 minutes", "pass"),
        ("5 €", "$5", "unscored"),
        ("5 €", "$6", "fail"),
        ("5 km", "5", "pass"),
        ("5 km", "5 kg", "unscored"),
        # Roman numerals
        ("4", "IV", "pass"),
        ("IV", "4", "pass"),
        ("4", "VI", "fail"),
        ("4", "Chapter IV", "unscored"),
        ("10", "X", "unscored"),
        ("5", "X", "fail"),
        ("1", "I think so", "fail"),
        ("4", "I do not know", "fail"),
        ("1.234,5", "1,234.5", "pass"),
        ("1e6", "1,000,000", "pass"),
        ("3/4", "¾", "pass"),
    ],
)
def test_what_stands_around_a_number_counts(reference: str, answer: str, status: str) -> None:
    found, message = judge(reference, answer)
    assert found == status, message
    assert message or status == "pass"


GERMAN = "Wie viele Äpfel bleiben übrig, wenn man alle isst?"
SPANISH = "¿Cuántos jugadores hay en un equipo de fútbol?"


@pytest.mark.parametrize(
    ("prompt", "reference", "answer", "status"),
    [
        ("What does the function return?", "0", "null", "unscored"),
        ("What does the function return?", "3", "null", "fail"),
        (GERMAN, "0", "Null.", "pass"),
        (GERMAN, "0", "null Äpfel", "pass"),
        ("Who made the toys?", "11", "Elf", "unscored"),
        ("Hoeveel spelers heeft een voetbalelftal?", "11", "elf", "pass"),
        ("How often does it happen?", "11", "once", "unscored"),
        (SPANISH, "11", "once", "pass"),
        ("Who is your brother?", "8", "Otto", "unscored"),
        ("When is it due?", "2", "due", "unscored"),
        ("Quanti sono due più quattro, per favore?", "6", "sei", "pass"),
        ("In which month?", "7", "Sept", "unscored"),
        ("5 + 5 =", "10", "ten", "pass"),
        ("5 + 6 =", "11", "elf", "unscored"),
        ("5 + 0 =", "5", "fünf", "pass"),
        ("How often?", "11", "only once a day", "unscored"),
        ("How much is it?", "1", "one cent", "pass"),
        ("How much is it?", "100", "one cent", "fail"),
        ("Who knows?", "1", "No one", "unscored"),
        ("Who knows?", "1", "the right one", "unscored"),
        ("Who knows?", "1", "one of them", "unscored"),
        ("How many are there?", "1", "one", "pass"),
        ("How many are there?", "1", "There is one.", "pass"),
        ("How much is it?", "5", "five for a Venti", "pass"),
    ],
)
def test_a_word_that_means_something_else_too_is_a_number_in_its_own_language(
    prompt: str, reference: str, answer: str, status: str
) -> None:
    assert judge(reference, answer, prompt)[0] == status
