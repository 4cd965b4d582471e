"""What each detector finds, what it leaves alone, and where it points."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.detectors.misspelling import edit_distance, find_correction
from residency.diagnose.detectors.registry import DETECTORS
from residency.diagnose.detectors.repetition import find_tandem
from residency.diagnose.run_detectors import run_detectors
from residency.embedding.wordllama import WordLlamaEmbedder
from residency.errors import ConfigError, DataError
from residency.loop.assess import find_known_words
from residency.nouns.example import Example, Message
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.text.answer_fields import find_fields
from residency.text.label_values import find_label_values

CONFIG = DiagnoseConfig()
TICKET = "product: kettle\nproblem: leak\nurgency: high\norder: K62912\nname: Zara Vogel\nreply: Dear Zara, we are sorry about your kettle and will have it repaired right away."
MESSAGE = "Hello, Zara Vogel here. My kettel leaks, please act at once. Order no. K 62912. It cost 138 euros."
LABELS = {"problem": {"leak", "noise"}, "urgency": {"high", "low", "normal"}}


@pytest.fixture(scope="module")
def embedder() -> WordLlamaEmbedder:
    return WordLlamaEmbedder()


def ask(prompt: str, reference: str | None = None, *, source: str = "", group: str = "") -> Example:
    turns = [Message("user", prompt, input=source)]
    if reference is not None:
        turns.append(Message("assistant", reference))
    return Example(tuple(turns), split="dev", group=group)


TASK = ask("Write the ticket.", TICKET, source=MESSAGE)


@pytest.fixture
def look(embedder: WordLlamaEmbedder):  # type: ignore[no-untyped-def]
    def run(
        name: str,
        text: str,
        example: Example = TASK,
        *,
        known: Sequence[str] = (),
        finish: str = "stop",
        config: DiagnoseConfig = CONFIG,
    ) -> Finding:
        response = Response("m", example.id, text, finish=finish)  # type: ignore[arg-type]
        (found,) = run_detectors(
            [example], [response], known_words=set(known), embedder=embedder, config=config,
            max_new_tokens=64, names=[name], label_values=LABELS,
        )  # fmt: skip
        assert (found.kind, found.detector) == (name, name)
        assert all(0 <= s.start < s.end <= len(text) for s in found.spans)
        assert found.severity == 0 if found.status != "fail" else found.severity > 0
        return found

    return run


def evidence(found: Finding, text: str) -> list[str]:
    return [text[span.start : span.end] for span in found.spans]


# --- misspelling --------------------------------------------------------------------------

ENGLISH = ask("Please write to the customer about the late delivery of the washing machine.")


@pytest.mark.parametrize(
    "word",
    ["refrigirator", "definately", "recieve", "accomodate", "wafflle", "custmoer", "unfortunatly",
     "machne", "delivary", "apologze", "seperate"],
)  # fmt: skip
def test_misspelt_words_are_found_where_they_stand(look, word: str) -> None:  # type: ignore[no-untyped-def]
    text = f"We are sorry, the {word} is here now."
    found = look("misspelling", text, ENGLISH)
    assert found.status == "fail"
    assert evidence(found, text) == [word]


@pytest.mark.parametrize(
    "text",
    [
        "We are sorry about your dishwasher and will send a new one.",
        "The espresso machine gurgles; descaling usually helps.",
        "Dear Zbigniew, we met Mrs Kowalczyk in Szczecin.",
        "Use `getUsrNm()` and see https://exmaple.com/recieve or mail hepl@exmple.org.",
        "```\nfro i in rnage(3): prnt(i)\n```",
        "Order ORD7382x and model XJ-23b arrived, the WLAN works.",
        "Unboxing, rebooting, unrepairable; it's a bread-maker, don't worry.",
        "whine, puddle, kettle, grille, nozzle, gasket, hinge, casserole",
    ],
)
def test_what_is_not_misspelt_passes(look, text: str) -> None:  # type: ignore[no-untyped-def]
    assert look("misspelling", text, ENGLISH).status == "pass"


def test_words_of_the_prompt_and_of_the_training_data_are_never_misspelt(look) -> None:  # type: ignore[no-untyped-def]
    # It stands in the message, and no reference says how it should be spelt.
    assert (
        look("misspelling", "The kettel leaks.", ask("Repeat: the kettel leaks.")).status == "pass"
    )
    assert (
        look("misspelling", "The frobnicatr broke.", ENGLISH, known=["frobnicatr"]).status == "pass"
    )


def test_a_slip_copied_from_the_prompt_is_misspelt_where_the_reference_corrects_it(look) -> None:  # type: ignore[no-untyped-def]
    example = ask(
        "Write the product.", "product: dishwasher", source="My dishwahser from Brita leaks."
    )
    (span,) = look("misspelling", "product: dishwahser", example).spans
    assert span.note == "dishwahser → dishwasher?"
    # A word that the reference has no other form of stays the prompt's own.
    assert look("misspelling", "product: brita", example).status == "pass"
    assert look("misspelling", "product: dishwasher", example).status == "pass"


def test_one_training_prompt_makes_no_known_word_but_three_and_any_answer_do() -> None:
    asked = ["My dishwahser leaks.", "A grommet fell.", "One grommet.", "The grommet again."]
    known = find_known_words([ask(prompt, "product: ferrule") for prompt in asked])
    assert {"grommet", "ferrule", "product"} <= known
    assert "dishwahser" not in known


def test_another_language_is_unscored_not_wrong(look) -> None:  # type: ignore[no-untyped-def]
    german = ask(
        "Bitte schreiben Sie dem Kunden wegen der verspäteten Lieferung der Waschmaschine."
    )
    found = look("misspelling", "Wir bitten um Entschuldigung für die Verspätung.", german)
    assert found.status == "unscored"


def test_edit_distance_counts_a_swap_once() -> None:
    assert edit_distance("custmoer", "customer", 2) == 1
    assert edit_distance("kitten", "sitting", 3) == 3
    assert edit_distance("abc", "abcdefg", 2) == 3
    assert find_correction("customer") is None


# --- overlong -----------------------------------------------------------------------------


def test_overlong_against_the_reference(look) -> None:  # type: ignore[no-untyped-def]
    example = ask("Say it short.", "one two three four five six seven eight nine ten")
    assert look("overlong", "word " * 17, example).status == "pass"
    text = "word " * 40
    found = look("overlong", text, example)
    assert found.status == "fail"
    assert found.value == 4.0
    assert found.spans[0].start == 50  # evidence begins where the reference's length is used up


def test_overlong_when_only_the_limit_stopped_it(look) -> None:  # type: ignore[no-untyped-def]
    free = ask("Tell me anything.")
    assert look("overlong", "and then " * 30, free).status == "unscored"
    assert look("overlong", "and then " * 30, free, finish="length").status == "fail"


def test_pain_27_an_answer_cut_by_a_budget_below_its_reference_is_unscored(look) -> None:  # type: ignore[no-untyped-def]
    example = ask("Tell it all.", "word " * 100)
    assert look("overlong", "word " * 60, example, finish="length").status == "unscored"
    assert look("overlong", "word " * 120, example, finish="length").status == "fail"


# --- repetition ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry for your loss. " * 6,
        "Dear Zara, we are sorry. We are sorry about this and we are sorry about this and we are sorry about",
        "product: kettle\nproblem: leak\nproduct: kettle\nproblem: leak\nproduct: kettle\nproblem: leak",
        "The order is " + "ha" * 30,
        "We will repair the kettle today. Please wait for our call. We will repair the kettle today.",
    ],
)
def test_pain_29_loops_are_found(look, text: str) -> None:  # type: ignore[no-untyped-def]
    found = look("repetition", text)
    assert found.status == "fail"
    assert found.spans


@pytest.mark.parametrize(
    "text",
    [
        TICKET,
        "It was a very very very long day.",
        "No, no, no.",
        "- one apple\n- two pears\n- three plums\n- four figs",
        "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12",
        "",
    ],
)
def test_what_does_not_loop_passes(look, text: str) -> None:  # type: ignore[no-untyped-def]
    assert look("repetition", text).status == "pass"


def test_a_reference_that_repeats_itself_raises_the_limit(look) -> None:  # type: ignore[no-untyped-def]
    song = "\n".join(
        f"{k} green bottles hanging on the wall" for k in ("ten", "nine", "eight", "six")
    )
    text = song.replace("six", "five").replace("ten", "two")
    assert look("repetition", text, ask("Sing.", song)).status == "pass"
    assert look("repetition", text, ask("Sing.", "La la.")).status == "fail"


def test_tandem_sees_a_loop_cut_in_the_middle() -> None:
    assert find_tandem(
        ["a", "b", "c", "d", "a", "b", "c", "d", "a", "b", "c", "d", "a", "b"], 3
    ) == (
        4,
        3,
    )
    assert find_tandem(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"], 3) is None
    assert find_tandem(["x", "x", "x"], 3) is None  # too short to be a loop


# --- inconsistency ------------------------------------------------------------------------


def family(
    embedder: WordLlamaEmbedder, texts: Sequence[str], references: Sequence[str]
) -> list[Finding]:
    examples = [
        ask("Write the ticket.", reference, source=f"message {k}", group="g")
        for k, reference in enumerate(references)
    ]
    responses = [Response("m", e.id, t) for e, t in zip(examples, texts, strict=True)]
    return run_detectors(
        examples, responses, known_words=set(), embedder=embedder, config=CONFIG,
        max_new_tokens=64, names=["inconsistency"],
    )  # fmt: skip


def test_paraphrases_that_get_other_fields_are_inconsistent(embedder: WordLlamaEmbedder) -> None:
    other = TICKET.replace("urgency: high", "urgency: low")
    found = family(embedder, [TICKET, TICKET, other], [TICKET] * 3)
    assert [f.status for f in found] == ["pass", "pass", "fail"]
    span = found[2].spans[0]
    assert other[span.start : span.end] == "low"


def test_fields_that_should_differ_may_differ(embedder: WordLlamaEmbedder) -> None:
    other = TICKET.replace("urgency: high", "urgency: low")
    found = family(embedder, [TICKET, other], [TICKET, other])
    assert [f.status for f in found] == ["pass", "pass"]


def test_prose_is_compared_by_meaning(embedder: WordLlamaEmbedder) -> None:
    same = ["The shop opens at nine in the morning.", "In the morning the shop opens at nine."]
    apart = ["The shop opens at nine in the morning.", "Bananas grow in tropical climates."]
    reference = ["It opens at nine."] * 2
    assert [f.status for f in family(embedder, same, reference)] == ["pass", "pass"]
    assert [f.status for f in family(embedder, apart, reference)] == ["fail", "fail"]


def test_samples_of_one_prompt_are_compared(embedder: WordLlamaEmbedder) -> None:
    texts = [TICKET, TICKET.replace("K62912", "K1"), TICKET]
    responses = [Response("m", TASK.id, text, sample=k) for k, text in enumerate(texts)]
    found = run_detectors(
        [TASK], responses, known_words=set(), embedder=embedder, config=CONFIG,
        max_new_tokens=64, names=["inconsistency"],
    )  # fmt: skip
    assert [f.status for f in found] == ["pass", "fail", "pass"]


def test_a_lone_answer_cannot_be_inconsistent(look) -> None:  # type: ignore[no-untyped-def]
    assert look("inconsistency", TICKET).status == "unscored"


# --- hallucination ------------------------------------------------------------------------


def test_a_faithful_ticket_passes_typos_and_spaces_apart(look) -> None:  # type: ignore[no-untyped-def]
    assert look("hallucination", TICKET).status == "pass"
    assert look("hallucination", TICKET.replace("K62912", "K 62912")).status == "pass"
    assert look("hallucination", TICKET.replace("order: K62912", "order: none")).status == "pass"


@pytest.mark.parametrize(
    ("line", "invented"),
    [
        ("product: toaster", "toaster"),
        ("order: K62913", "K62913"),
        ("order: 62", "62"),
        ("name: Anna Vogel", "Anna Vogel"),
        ("problem: broken screen", "broken screen"),
        ("urgency: extreme", "extreme"),
    ],
)
def test_a_value_that_the_message_does_not_contain_is_found(look, line: str, invented: str) -> None:  # type: ignore[no-untyped-def]
    key = line.split(":")[0]
    text = "\n".join(line if row.startswith(key) else row for row in TICKET.splitlines())
    found = look("hallucination", text)
    assert found.status == "fail"
    assert invented in evidence(found, text)


def test_a_class_label_needs_no_support_and_a_wrong_value_from_the_message_is_not_invented(
    look,  # type: ignore[no-untyped-def]
) -> None:
    assert look("hallucination", TICKET.replace("problem: leak", "problem: noise")).status == "pass"
    assert look("hallucination", TICKET.replace("K62912", "138 euros")).status == "pass"


def test_names_numbers_and_dates_in_prose(look) -> None:  # type: ignore[no-untyped-def]
    source = "Mr Brandt from Hamburg ordered 3 lamps on Monday and paid 240 euros."
    example = ask("Summarise.", "Mr Brandt bought lamps.", source=source)
    assert (
        look("hallucination", "Mr Brandt of Hamburg bought three lamps.", example).status == "pass"
    )
    text = "On Friday Mr Brandt and Mrs Quispe bought 5 lamps."
    found = look("hallucination", text, example)
    assert evidence(found, text) == ["Friday", "Quispe", "5"]


def test_a_reply_to_a_person_nobody_named(look) -> None:  # type: ignore[no-untyped-def]
    found = look("hallucination", TICKET.replace("Dear Zara", "Dear Marta"))
    assert found.status == "fail"
    assert "Marta" in found.message
    assert look("hallucination", TICKET.replace("Dear Zara", "Dear customer")).status == "pass"


def test_without_a_source_it_is_unscored(look) -> None:  # type: ignore[no-untyped-def]
    open_question = ask("Who wrote Faust?", "Goethe wrote it.")
    assert (
        look("hallucination", "Shakespeare wrote it in 1604.", open_question).status == "unscored"
    )


def test_a_task_that_computes_numbers_may_write_new_ones(look) -> None:  # type: ignore[no-untyped-def]
    example = ask("Add them.", "7", source="3 and 4")
    assert look("hallucination", "12", example).status == "pass"


# --- all of them --------------------------------------------------------------------------


def test_fields_and_labels() -> None:
    found = find_fields(TICKET)
    assert found["order"].value == "K62912"
    assert TICKET[found["name"].start : found["name"].end] == "Zara Vogel"
    assert found["reply"].is_prose
    assert find_fields("Just prose: with a colon.\nAnd another line.") == {}
    rows = [
        ask("t", f"name: N{k}\nproblem: {'leak' if k % 2 else 'noise'}", source=f"my N{k} broke")
        for k in range(20)
    ]
    assert find_label_values(rows) == {"problem": {"leak", "noise"}}


def test_one_finding_a_response_and_detector_and_errors_are_unscored(
    embedder: WordLlamaEmbedder,
) -> None:
    responses = [
        Response("m", TASK.id, TICKET),
        Response("m", TASK.id, "", finish="error", sample=1),
    ]
    found = run_detectors(
        [TASK], responses, known_words=set(), embedder=embedder, config=CONFIG, max_new_tokens=64
    )
    assert len(found) == 2 * len(DETECTORS)
    assert {f.status for f in found if f.response == responses[1].id} == {"unscored"}


def test_unknown_detectors_and_examples_are_refused(embedder: WordLlamaEmbedder) -> None:
    with pytest.raises(ConfigError, match="unknown detector"):
        run_detectors([TASK], [], known_words=set(), embedder=embedder, config=CONFIG, max_new_tokens=9, names=["x"])  # fmt: skip
    with pytest.raises(DataError, match="answers an example"):
        run_detectors([], [Response("m", TASK.id, "")], known_words=set(), embedder=embedder, config=CONFIG, max_new_tokens=9)  # fmt: skip


def test_detection_repeats(embedder: WordLlamaEmbedder) -> None:
    examples = [
        ask("Write the ticket.", TICKET, source=f"{MESSAGE} {k}", group=f"g{k // 2}")
        for k in range(150)
    ]
    responses = [
        Response("m", e.id, TICKET.replace("sorry", f"sorri{k}h")) for k, e in enumerate(examples)
    ]

    def run() -> list[Finding]:
        return run_detectors(
            examples, responses, known_words=set(), embedder=embedder, config=CONFIG,
            max_new_tokens=64, label_values=LABELS,
        )  # fmt: skip

    assert run() == run()
