"""Numbers are read as people write them, and what can be read in two ways is said to be so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from residency.text.decimal_marks import find_convention
from residency.text.foreign_number_words import join_words, list_languages
from residency.text.number_equality import is_near
from residency.text.number_words import find_number_words
from residency.text.numbers import Number, drop_labels, find_numbers

WRITTEN = {
    "5,99": [5.99],
    "19,99 €": [19.99],
    "1 234": [1234],
    "1\u202f234,5": [1234.5],
    "1'000": [1000],
    "1’234’567.5": [1234567.5],
    "12km": [12],
    ".5": [0.5],
    "-3": [-3],
    "−3.5 and –2": [-3.5, -2],
    "10-12": [10, 12],
    "1.234.567": [1234567],
    "1,23,456": [123456],
    "1.234,56": [1234.56],
    "1,234.56": [1234.56],
    "٣٫٥": [3.5],
    "1e5": [100000],
    "1.5×10³ or 2 x 10^-2": [1500, 0.02],
    "3/4": [0.75],
    "$5.00": [5],
    "5,-": [5],
    "1.234,-": [1234],
    "1½ cups, ¾ l": [1.5, 0.75],
    "0x1F": [],
    "0,125": [0.125],
    "0.125": [0.125],
    "on 2026-11-27 at 10:30": [],
    "27.11.2026": [],
    "h2o and A4": [],
    "version 1.2.3.4": [],
    "１２": [12],
    "no": [],
    "3 1/2 cups": [3.5],
    "2023 3/2": [2023, 1.5],
    "2 \\times 10^{5}": [200000],
    "\\frac{1}{2} and \\dfrac{3}{4}": [0.5, 0.75],
    "-$5, −€ 5,50 and -US$ 7": [-5, -5.5, -7],
    "minus 5": [-5],
    "7 minus 5": [7, 5],
    "7 - 5": [7, 5],
    "共15个，第3章": [15, 3],
    "총15개": [15],
    "มี15คน": [15],
    "1,2,3": [1, 2, 3],
    "1999,2000,2001": [1999, 2000, 2001],
    "1,0000,0000": [100000000],
    "total: 42.": [42],
    "1{,}000 and 10,\\!080 and 1\\,234.5": [1000, 10080, 1234.5],
    "3{,}14": [3.14],
    "1´000": [1000],
    "１，２３４円、２．５": [1234, 2.5],
    "１，２，３": [1, 2, 3],
    "2^10, 10^{-2}, 2**3 and 10²": [1024, 0.01, 8, 100],
    "12 m² of x^2": [12, 2],
}


@pytest.mark.parametrize("text", WRITTEN)
def test_numbers_as_people_write_them(text: str) -> None:
    numbers = find_numbers(text)
    assert [n.value for n in numbers] == pytest.approx(WRITTEN[text])
    for number in numbers:
        assert any(character.isnumeric() for character in text[number.start : number.end])


SCALED = {
    "3,5 Mio. €": 3.5e6,
    "$1.2M": 1.2e6,
    "$5m": 5e6,
    "5 m": 5,
    "5k": 5000,
    "2 crore": 2e7,
    "3 mil millones": 3e9,
    "2 Milliarden": 2e9,
    "120 тыс.": 120e3,
    "3万": 30000,
    "3億5000万": 350e6,
    "5 millimetres": 5,
    "5 Mb/s": 5,
}


@pytest.mark.parametrize("text", SCALED)
def test_what_multiplies_a_number_is_read(text: str) -> None:
    numbers = find_numbers(text)
    assert [n.amount for n in numbers] == pytest.approx([SCALED[text]])


@pytest.mark.parametrize(
    ("answer", "wanted", "near"),
    [
        ("3,500,000", "3.5 million", True),
        ("3.5", "3.5 million", True),
        ("3.5 billion", "3.5 million", False),
        ("3.6 million", "3.5 million", False),
        ("(1,234.50)", "-1234.5", None),
        ("(1,234.50)", "1234.5", True),
        ("7/10", "7", None),
        ("7/10", "0.7", True),
        ("1,234,56", "1234.56", None),
    ],
)
def test_amounts_are_compared_as_people_mean_them(
    answer: str, wanted: str, near: bool | None
) -> None:
    assert is_near(find_numbers(answer)[0], find_numbers(wanted)[0], 0) is near


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("7, since\n1. a\n2. b", 7),
        ("42. That is all", 42),
        ("it has 12 cases of COVID-19", 12),
        ("B-52", 52),
        ("1. Paris", 1),
    ],
)
def test_marks_of_lists_and_names_are_no_answer(text: str, last: float) -> None:
    assert drop_labels(find_numbers(text), text)[-1].value == last


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("twenty-five", [25]),
        ("Two hundred and five thousand", [205000]),
        ("fünf", [5]),
        ("Trois.", [3]),
        ("it happened only once when the payment was due to be made", []),
        ("三十五 and 二〇二六", [35, 2026]),
        ("这是一个很长的问题，没有数字在里面", []),
        ("一", [1]),
        ("三万五千", [35000]),
    ],
)
def test_numbers_as_words(text: str, values: list[int]) -> None:
    assert [value for value, _, _ in find_number_words(text)] == values


def test_percent_is_told() -> None:
    assert [n.is_percent for n in find_numbers("5 % and 6percent, 7")] == [True, True, False]
    assert is_near(find_numbers("15 %")[0], find_numbers("0.15")[0], 0) is True
    assert is_near(find_numbers("0.15")[0], find_numbers("15 %")[0], 0) is True
    assert is_near(find_numbers("15")[0], find_numbers("15 %")[0], 0) is True
    assert is_near(find_numbers("16")[0], find_numbers("15 %")[0], 0) is False


def test_other_numbers_tell_decimals_from_thousands() -> None:
    assert [n.value for n in find_numbers("1.234 Stück zu 5,99")] == [1234, 5.99]
    assert [n.value for n in find_numbers("1,234 pieces at 5.99")] == [1234, 5.99]
    assert [n.value for n in find_numbers("1,234", context=["2,5 kg"])] == [1.234]
    assert find_convention(["5.99", "5,99"]) == "mixed"


def test_what_can_be_read_in_two_ways_is_left_open() -> None:
    number = find_numbers("1,234", context=["5.99 or 5,99"])[0]
    assert number.value is None and "1234 or 1.234" in number.reason
    assert is_near(number, Number(1234, 0, 0), 0) is None
    # Without a hint the English reading stands, unless only the other one would be right.
    assert is_near(find_numbers("1,234")[0], find_numbers("1234")[0], 0) is True
    assert is_near(find_numbers("1.234")[0], find_numbers("1234")[0], 0) is None
    assert is_near(find_numbers("1.234")[0], find_numbers("77")[0], 0) is False


@pytest.mark.parametrize(("answer", "expected"), [("5,99", "19,99"), ("1 234", "9 234")])
def test_different_prices_differ(answer: str, expected: str) -> None:
    assert is_near(find_numbers(answer)[0], find_numbers(expected)[0], 0) is False


@given(st.integers(0, 10**9), st.integers(0, 99))
def test_every_convention_gives_the_same_value(whole: int, cents: int) -> None:
    value = whole + cents / 100
    grouped = f"{whole:,}"
    for group, decimal in ((",", "."), (".", ","), (" ", ","), ("'", "."), ("\u202f", ".")):
        text = grouped.replace(",", group) + decimal + f"{cents:02d}"
        assert [n.value for n in find_numbers(text)] == pytest.approx([value])


@given(st.text(max_size=80))
def test_any_text_is_read(text: str) -> None:
    for number in find_numbers(text):
        assert number.value is not None or number.reason


@pytest.mark.parametrize(
    "text", ["1e400", "9" * 400, "9^999", "1.5 × 10^999", "build 340846e613 of Monday"]
)
def test_a_number_beyond_what_is_compared_has_no_value(text: str) -> None:
    (number,) = find_numbers(text)
    assert number.value is None and "greater than" in number.reason
    assert is_near(number, Number(1.0, 0, 1), 0) is None


def test_a_small_digit_is_a_power_or_a_note() -> None:
    (number,) = find_numbers("5²")
    assert is_near(number, Number(25, 0, 1), 0) is True
    assert is_near(number, Number(5, 0, 1), 0) is None
    assert is_near(number, Number(6, 0, 1), 0) is False


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("minus five", [-5]),
        ("it fell by seven minus five", [7, 5]),
        ("the answer is negative twenty-five", [-25]),
        ("one and a half", [1.5]),
        ("two and a half million", [2_500_000]),
        ("one point five million", [1_500_000]),
        ("three point one four", [3.14]),
        ("two billion", [2e9]),
        ("two dozen", [24]),
        ("half a million", [500_000]),
        ("three quarters", [0.75]),
        ("half past ten", [0.5, 10]),
        ("one two three", [1, 2, 3]),
        ("five and six", [5, 6]),
        ("nineteen eighty-four", [1984]),
        ("twenty twenty-six", [2026]),
        ("two thousand and twenty-four", [2024]),
        ("un perro", []),
        ("hundred " * 400, [100.0] * 400),
        ("一" * 5000, []),
    ],
)
def test_words_with_what_stands_around_them(text: str, values: list[float]) -> None:
    assert [value for value, _, _ in find_number_words(text)] == values


def test_a_percent_sign_of_a_formula_is_one() -> None:
    (number,) = find_numbers("42\\%")
    assert is_near(number, Number(0.42, 0, 1), 0) is True


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("zweiundvierzig", 42),
        ("Es waren gestern auf dem großen Markt wirklich zweiundvierzig Leute.", 42),
        ("einhundertfünfundzwanzig", 125),
        ("neunzehnhundertneunundneunzig", 1999),
        ("zweitausendvierundzwanzig", 2024),
        ("drei Millionen zweihunderttausend", 3_200_000),
        ("zweieinhalb", 2.5),
        ("anderthalb", 1.5),
        ("drei Komma eins vier", 3.14),
        ("dreißig", 30),
        ("quatre-vingt-dix-sept", 97),
        ("Quatre vingt dix sept", 97),
        ("quatre-vingts", 80),
        ("nonante-sept", 97),
        ("septante", 70),
        ("huitante et un", 81),
        ("soixante et onze", 71),
        ("vingt et un", 21),
        ("six cent vingt", 620),
        ("deux mille vingt-quatre", 2024),
        ("trois virgule quatorze", 3.14),
        ("cuarenta y dos", 42),
        ("mil novecientos noventa y nueve", 1999),
        ("veintidós", 22),
        ("quarantadue", 42),
        ("millenovecentonovantanove", 1999),
        ("ventotto", 28),
        ("ventitré", 23),
        ("quarenta e dois", 42),
        ("mil novecentos e noventa e nove", 1999),
        ("tweeënveertig", 42),
        ("tweeduizend vierentwintig", 2024),
    ],
)
def test_words_of_other_languages_are_read_whole(text: str, value: float) -> None:
    assert [number for number, _, _ in find_number_words(text)] == [value]


def test_the_tables_name_every_number_below_a_thousand_once() -> None:
    for language in list_languages():
        values = set(language.below_thousand.values())
        assert {float(value) for value in range(1000)} <= values
        joined = sorted(language.below_thousand)
        assert all(word == join_words(word) for word in joined)


@pytest.mark.parametrize(
    ("text", "value"),
    [("5 ‰", 0.005), ("5 per mille", 0.005), ("%50", 0.5), ("% 50", 0.5), ("5 ‱", 0.0005)],
)
def test_parts_of_a_hundred_and_a_thousand(text: str, value: float) -> None:
    (number,) = find_numbers(text)
    assert is_near(number, Number(value, 0, 1), 0) is True
    assert is_near(Number(value, 0, 1), number, 0) is True
    assert is_near(number, Number(value, 0, 1, parts=100), 0) is False
