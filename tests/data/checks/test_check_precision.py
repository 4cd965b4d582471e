"""What the doctor's suspects are, and what only looks like one.

The second half of each list was flagged once, wrongly, in public instruction sets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from residency.config.data import DataConfig
from residency.config.settings import Config
from residency.data.checks import languages
from residency.data.checks.answers import Answers
from residency.data.checks.artefacts import Artefacts
from residency.data.checks.figures import Figure, View
from residency.data.checks.languages import check_languages, tell_languages
from residency.data.checks.personal_data import PersonalData
from residency.data.checks.spelling import check_spelling
from residency.data.checks.topics import find_semantic_duplicates
from residency.data.cleaning.decide_rows import decide_rows
from residency.data.row_table import TableBuilder
from residency.embedding.wordllama import WordLlamaEmbedder
from residency.nouns.example import Example, Message
from residency.text.words import split_words


def view(prompt: str, answer: str, number: int = 0, *, extra: str = "") -> View:
    asked = Message("user", prompt, input=extra)
    example = Example((asked, Message("assistant", answer)), source=f"rows.jsonl:{number + 1}")
    return View(number, example, example.prompt_text, answer, split_words(answer))


def seen(meter: Callable[[], Any], name: str, answer: str, prompt: str = "Tell me.") -> bool:
    made = meter()
    made.add(view(prompt, answer))
    figures: dict[str, Figure] = {f.name: f for f in made.figures()}
    return figures[name].rows == 1


REFUSALS = {
    "I'm sorry, but I can't help with that.": True,
    "As an AI language model, I don't have access to real-time prices.": True,
    "I am unable to provide medical advice.": True,
    "I’m sorry, but I don’t have the capability to book flights.": True,
    "Es tut mir leid, aber ich kann dabei nicht helfen.": True,
    "抱歉，作为一个人工智能，我无法执行外部任务。": True,
    "I cannot help but reflect on how the society shapes my writing.": False,
    "I can't help feeling a little out of place at the ball.": False,
    "My knowledge cutoff is 2021; then the president was Steinmeier.": False,
    "As an AI assistant, I can certainly name some sights of Rome.": False,
    "The king said: I will not answer. " * 30 + "I cannot answer you, he cried.": False,
}


@pytest.mark.parametrize("answer", REFUSALS)
def test_refusals(answer: str) -> None:
    assert seen(Answers, "refusals", answer) is REFUSALS[answer]


PLACEHOLDERS = {
    "Best regards, [Your Name]": True,
    "The meeting is on [date] at noon.": True,
    "I am {{name}}, made by {{author}}.": True,
    "Dear {name}, your parcel is here.": True,
    "Lorem ipsum dolor sit amet.": True,
    "I need to add a new todo item to my list.": False,
    "def greet(name):\n    return f'Hello, {name}!'": False,
    "return ` Born in ${place}, ${name} was loud`": False,
    "const days = ['Monday'];\nreturn days[date.getDay()];": False,
    "See [name of the page](https://kettles.io/page).": False,
}


@pytest.mark.parametrize("answer", PLACEHOLDERS)
def test_placeholders(answer: str) -> None:
    assert seen(Artefacts, "placeholders", answer) is PLACEHOLDERS[answer]


def test_a_field_left_out_in_words_is_a_placeholder_in_the_prompt_alone() -> None:
    assert seen(Artefacts, "placeholders", "Two cases.", prompt="Name use cases.\n\nNo input.")
    assert not seen(Artefacts, "placeholders", "None.", prompt="How many are left?")


PERSONAL = {
    "Write to ana.silva@kettles.io": True,
    "与会者是ana.silva@kettles.io和其他人": True,
    "Call us at 650-636-4884 today": True,
    "Call +49 221 4710 3321 or (0221) 4710332": True,
    "card 4539 1488 0343 6467": True,
    "user@example.com, boss@company.com, your_email@kettles.io": False,
    '"2021-01-01 00:00:00","A",32.5': False,
    "1 2 3 4 5 6 7 8 9 10 11 12 13 14": False,
    "56 57 58 59 60 61 62 63 64 65 66 67 68 69 70": False,
    "signal: 1010 1101 1001 0001 1010 1101": False,
    "127.0.0.1 127.0.0.12 10.0.0.1": False,
    "ISBN 9780747532743 and 9787020033455": False,
    "472547338\n+934863791\n=1407411129": False,
}


@pytest.mark.parametrize("answer", PERSONAL)
def test_personal_data(answer: str) -> None:
    assert seen(PersonalData, "personal", answer) is PERSONAL[answer]


ENGLISH = [
    "The kettle stands beside the window since yesterday, and nobody has used it.",
    "A synonym of the word quick is fast, and another one would be rapid or speedy.",
]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Der Wasserkocher steht seit gestern in der Küche neben dem großen Fenster.", "German"),
        (
            "La dentisterie, également appelée médecine dentaire, est une branche de la médecine.",
            "French",
        ),
        ("Tämä tarkoittaa, että uuden parlamentin tehtäväksi jää antaa mielipiteensä.", "Finnish"),
        (
            "她周一去了学校但是却发现没有其他的同学，所以她意识到这个周一实际上是国家假日。",
            "Chinese",
        ),
        ('"Lose You to Love Me" by Selena Gomez is classified as a pop song.', "English"),
        ("Our new app, FitMind, is designed to improve wellness by daily exercises.", "English"),
        ("-Theory of scales -Theory of chords -Theory of melody -Theory of harmony", ""),
        ("Input: Output: Input: Output: Input: Output: Input: Output: Input: Output:", ""),
    ],
)
def test_a_language_is_believed_when_its_common_words_are_there(text: str, language: str) -> None:
    told = tell_languages([*ENGLISH * 3, text])
    assert told[:2] == ["English", "English"]
    assert told[-1] == language


def test_what_is_told_does_not_depend_on_how_many_texts_lingua_is_asked_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others = [
        "Der Hund liegt vor dem Haus und wartet auf die Kinder, die bald aus der Schule kommen.",
        "Tämä tarkoittaa, että uuden parlamentin tehtäväksi jää antaa mielipiteensä.",
        "Hunden ligger foran huset og venter på børnene, som snart kommer hjem fra skolen.",
        "Собака лежит перед домом и ждёт детей, которые скоро придут из школы домой.",
        "-Theory of scales -Theory of chords -Theory of melody -Theory of harmony",
        "",
    ]
    texts = [text for n in range(60) for text in (*ENGLISH, others[n % len(others)])]
    told = tell_languages(texts)
    assert len(texts) > 2 * languages.ASKED_FIRST // 3
    monkeypatch.setattr(languages, "ASKED_FIRST", 20)
    assert tell_languages(texts) == told
    assert {"English", "German", "Finnish", "Russian", ""} <= set(told)


def test_code_and_short_answers_have_no_language() -> None:
    code = '#!/bin/bash\nif [ $# -lt 3 ]; then echo "Usage: $0 a b"; exit 1; fi; out=""'
    rows = [view(ENGLISH[0], ENGLISH[1], n) for n in range(30)]
    rows += [view(ENGLISH[0], code, 30), view(ENGLISH[0], "oui", 31)]
    figures = check_languages(rows, partial=False)
    assert [f.rows for f in figures] == [0, 0]


MISSPELT = {
    "It was a long jouney to the old house.": True,
    "Write to jsmith@kettles.io about the house.": False,
    "Use the `ipairs` function of the house.": False,
    "It is written with System.stdio in the house.": False,
    "He keeps maintainin' the grounds of the house.": False,
    "C'est la prévention et le traitement des maladies dentaires contacter.": False,
}


@pytest.mark.parametrize("answer", MISSPELT)
def test_misspellings(answer: str) -> None:
    rows = [view("Tell me.", ENGLISH[0], n) for n in range(5)] + [view("Tell me.", answer, 5)]
    assert check_spelling(rows, partial=False).rows == MISSPELT[answer]


def test_inputs_alike_under_other_instructions_are_not_near_in_meaning() -> None:
    tasks = [
        "Sort the list of a bakery",
        "Translate into Greek",
        "Which planet is this about",
        "Rhyme",
    ]
    rows = [view(f"{t} {n}", "yes", n, extra="5") for n, t in enumerate(tasks * 5)]
    texts = WordLlamaEmbedder()
    from residency.data.checks.topics import embed_prompts

    near = find_semantic_duplicates(rows, embed_prompts(rows, texts), partial=False)
    assert not any(
        "rows.jsonl:1:" in e.excerpt and e.source == "rows.jsonl:2" for e in near.examples
    )


def contradictions(*rows: Example) -> list[tuple[int, int]]:
    builder = TableBuilder()
    for row in rows:
        builder.add(row)
    return decide_rows(builder.table(), DataConfig(train=["x"])).contradictions


def row(prompt: str, answer: str, *, system: str = "", rejected: str | None = None) -> Example:
    turns = (Message("user", prompt), Message("assistant", answer))
    return Example((Message("system", system), *turns) if system else turns, rejected=rejected)


def test_signs_make_two_questions_of_one() -> None:
    cpp = row("Write the factorial in C++", "#include <iostream> int main()")
    c = row("Write the factorial in C", "#include <stdio.h> printf it")
    assert contradictions(cpp, c) == []
    assert contradictions(c, row("write the  factorial in c.", "no")) == [(0, 1)]


def test_a_contradiction_is_found_among_many_near_prompts() -> None:
    near = [
        row(f"Where is my order number {n} from the big kettle shop", f"in {n}") for n in range(20)
    ]
    again = row("Where is my order number 13 from the big kettle shop", "nowhere")
    assert contradictions(*near, again) == [(13, 20)]


def test_what_is_told_to_the_model_before_is_part_of_the_question() -> None:
    assert (
        contradictions(row("Who?", "Ada", system="Be Ada"), row("Who?", "Bo", system="Be Bo")) == []
    )
    assert contradictions(row("Who?", "Ada", system="Be Ada"), row("Who?", "I", system="Be Ada"))


def test_pairs_contradict_when_they_prefer_otherwise() -> None:
    first = row("Who?", "Ada", rejected="Bo")
    assert contradictions(first, row("Who?", "Cy", rejected="Di")) == []
    assert contradictions(first, row("Who?", "Bo", rejected="Ada")) == [(0, 1)]


def test_both_answers_are_shown(tmp_path: Any) -> None:
    import json

    from residency.data.checks.data_doctor import check_data

    rows = [{"prompt": "Who is it?", "completion": a} for a in ("Ada of the kettles", "Bo")]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    config = Config(data=DataConfig(train=["rows.jsonl"]))
    (example,) = check_data(config, tmp_path, missing=())[0].figure("contradictions").examples
    assert example.source == "rows.jsonl:2"
    assert example.excerpt == "Who is it? → Bo | rows.jsonl:1: Ada of the kettles"
