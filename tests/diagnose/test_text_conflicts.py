"""What an embedding does not see, and numbers of an answer against those of its source."""

from __future__ import annotations

import pytest

from residency.diagnose.detectors.misspelling import is_english
from residency.diagnose.source_numbers import find_swapped, is_rounding
from residency.diagnose.text_conflicts import find_conflict


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("The fee is $50.", "The fee is $500."),
        ("It costs 4.95 dollars", "It costs 49.5 dollars"),
        ("You have 30 days to return it.", "You have 14 days to return it."),
        ("We deliver to Norway.", "We do not deliver to Norway."),
        ("We deliver on Sundays.", "We don't deliver on Sundays."),
        ("Refunds are possible.", "Refunds are never possible."),
        ("Turn the valve clockwise.", "Turn the valve anticlockwise."),
        ("Turn the valve clockwise.", "Turn the valve counterclockwise to close it."),
        ("Smoking is allowed inside.", "Smoking is forbidden inside."),
        ("Switch the pump on.", "Switch the pump off."),
        ("The contract is valid.", "The contract is invalid."),
        ("Yes.", "No."),
        ("Sales increased by 5 %.", "Sales decreased by 5 %."),
        ("It opens at 9 am.", "It opens at 9 pm."),
        ("It opens at 9:00.", "It opens at 10:00."),
        ("The meeting is on Monday.", "The meeting is on Tuesday."),
        ("Press the red button.", "Press the green button."),
        ("It is 5 km away.", "It is 5 miles away."),
        ("It costs 3 million.", "It costs 3 billion."),
        ("Temperatures rise in spring.", "Temperatures fall in spring."),
        ("Der Versand ist möglich.", "Der Versand ist nicht möglich."),
    ],
)
def test_numbers_negation_and_opposites_are_differences(a: str, b: str) -> None:
    assert find_conflict(a, b)
    assert find_conflict(b, a)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("The fee is $50.", "You pay a fee of $50."),
        ("It weighs 2 kg.", "It weighs 2000 g."),
        ("It takes 2 weeks.", "It takes 14 days."),
        ("You have 30 days.", "You have 30."),
        ("It opens at 9 am.", "It opens at 9:00 a.m."),
        ("It opens at 3 pm.", "It opens at 15:00."),
        ("It costs 1.5 million.", "It costs 1,500,000."),
        ("On Monday and Tuesday it is open.", "It is open on Tuesday and Monday."),
        ("You may cancel it in spring.", "In spring you can cancel it."),
        ("We deliver to Norway.", "Delivery to Norway is possible."),
        ("The price is 1,000 euros.", "It costs 1000 euros."),
        ("It takes 3 days.", "It takes 3 days, 5 at most."),
        ("Please do not open the case.", "Do not open the case, please."),
        ("The left wing is closed in winter.", "In winter the left wing is closed."),
        ("", ""),
    ],
)
def test_rewordings_are_none(a: str, b: str) -> None:
    assert find_conflict(a, b) is None


SOURCE = "Revenue was 4.95 million dollars in 2019. The team grew from 198 to 1,204 people."


@pytest.mark.parametrize(
    ("answer", "number", "right"),
    [
        ("Revenue was about $5 million.", "5", True),
        ("Revenue was nearly 5 million dollars.", "5", True),
        ("The team has about 1,200 people.", "1,200", True),
        ("The team has 1,200 people.", "1,200", True),
        ("About 200 people at first.", "200", True),
        ("Revenue was about $6 million.", "6", False),
        ("Revenue was 5 billion.", "5", False),
        ("The team has 1,300 people.", "1,300", False),
        ("The team has 1,205 people.", "1,205", False),
        ("It began in 2018.", "2018", False),
    ],
)
def test_right_roundings_are_told_from_other_numbers(answer: str, number: str, right: bool) -> None:
    start = answer.index(number)
    assert is_rounding(answer, start, start + len(number), SOURCE) == right


def test_numbers_that_change_places_are_found() -> None:
    source = "Alice paid 30 dollars, Bob sent 50 dollars. The hall seats 120 guests."
    swapped = "Alice paid 50 dollars, Bob sent 30 dollars."
    assert len(list(find_swapped(swapped, source))) == 2
    for right in (
        "Alice paid 30 dollars, Bob sent 50 dollars.",
        "Bob sent 50 dollars and Alice paid 30.",
        "120 guests fit in.",
        "They paid 80 dollars.",
    ):
        assert not list(find_swapped(right, source)), right


@pytest.mark.parametrize(
    "text",
    [
        "Dziękujemy za zamówienie, paczka zostanie wysłana jutro rano do sklepu.",
        "Tack för din beställning, paketet skickas i morgon till butiken.",
        "Tak for din bestilling, pakken bliver sendt i morgen til butikken.",
        "Kiitos tilauksestasi, paketti lähetetään huomenna aamulla kauppaan.",
        "Köszönjük a rendelését, a csomagot holnap reggel küldjük el.",
        "Děkujeme za objednávku, balík bude odeslán zítra ráno do obchodu.",
        "Mulțumim pentru comandă, pachetul va fi trimis mâine dimineață.",
        "Siparişiniz için teşekkürler, paket yarın sabah gönderilecek.",
        "Vielen Dank für Ihre Bestellung, das Paket wird morgen verschickt.",
        "Dank u voor uw bestelling, het pakket wordt morgen verzonden.",
        "Hvala na narudžbi, paket će biti poslan sutra ujutro.",
        "Ačiū už užsakymą, siunta bus išsiųsta rytoj ryte.",
        "注文ありがとうございます。荷物は明日発送されます。",
        "Спасибо за заказ, посылка будет отправлена завтра утром.",
    ],
)
def test_answers_in_other_languages_are_not_read_as_english(text: str) -> None:
    assert not is_english(text, fewest=5)


@pytest.mark.parametrize(
    "text",
    [
        "Thank you for your order, the parcel will be sent tomorow morning.",
        "The capacitor's dielectric breaks down above the rated voltage.",
        "definately recieve teh parcle tommorow from our warehouse in Leeds",
        "order: A-12\nproblem: overheating\nurgency: high\nproduct: TurboFan 3000",
    ],
)
def test_english_with_slips_names_and_terms_is_english(text: str) -> None:
    assert is_english(text, fewest=5)


def test_what_stands_in_the_source_as_written_is_supported() -> None:
    """Possessives, hyphens and letters run together: the same text is never a hallucination."""
    from residency.diagnose.detectors.hallucination import _Source

    source = _Source(
        "Near the Earth's core, Connor McDavid stands 5'6'' tall by the Demon-Haunted", ""
    )
    for name in ("Earth's", "Earth", "McDavid", "Mc", "Demon-Haunted"):
        assert source.holds(name)
    assert source.holds_number("6") and source.holds_number("5")
    assert not source.holds_number("56")
    assert not source.holds("Mars")
