"""What the arms say, in words: of two models, and of the data, never one for the other."""

from __future__ import annotations

from residency.results.arm_figures import ArmAnswer, ArmsPlan, ArmsTested, Falls
from residency.results.change_figures import ArmsTogether
from residency.results.number_formats import format_interval, format_percent, format_points
from residency.text.counts import write_count

QUESTIONS = {"aimed": "what the rows aimed at", "rest": "all the rest"}
DEV_IS_A_GUIDE = (
    "This is dev, a guide: rows drawn near its failures fit what dev alone has. The sealed test says "
    "what holds."
)
_ONE = "Whether the data made a difference cannot be told from one training of each arm."


def together_sentence(number: int, together: ArmsTogether) -> str:
    """The arms on dev, a guide: which of the two models fails less, and what is said of the data."""
    return (
        f"Round {number}, targeted against as many random rows: of {together.groups} requests, "
        f"{together.better} fail fewer of the issues that drew rows, {together.worse} fail more; "
        f"net {format_points(together.delta)} points, 95 % interval "
        f"{format_interval(together.low, together.high, signed=True)}, "
        f"p = {together.p_value:.2g}. {_say_of_models(together)} {together.data or _ONE}"
    )


def _say_of_models(figures: ArmsTogether | ArmAnswer) -> str:
    if figures.low > 0 and figures.p_value < 0.05:
        return "Of these two models the one with targeted rows fails less."
    if figures.high < 0 and figures.p_value < 0.05:
        return "Of these two models the one with targeted rows fails more."
    return "No difference between these two models could be shown."


def tell_arms(tested: ArmsTested | None, plan: ArmsPlan | None) -> list[str]:
    """The arms on the sealed test: both questions, what more trainings would do, what was adapted."""
    if tested is None:
        return []
    lines = []
    for name, words in QUESTIONS.items():
        answer = tested.questions.get(name)
        if answer is not None and answer.groups:
            lines.append(_tell_question(tested, name, words, answer))
    if plan is not None and lines:
        lines += _tell_plan(plan)
    if tested.falls.is_adapted:
        lines.append(
            f"Dev was adapted to: there the targeted rows took "
            f"{format_points(tested.falls.first)} points more than the random ones from what they "
            f"aimed at, on the sealed test {format_points(tested.falls.second)} "
            f"(p = {tested.falls.p_value:.2g} that both are alike). The sealed figure counts."
        )
    return lines


def _tell_question(tested: ArmsTested, name: str, words: str, answer: ArmAnswer) -> str:
    sentence = (
        f"Sealed test, {words} (round {tested.round}): {format_percent(answer.before)} of "
        f"{write_count(answer.checks, 'check')} on {write_count(answer.groups, 'request fails', 'requests fail')} with random rows, "
        f"{format_percent(answer.after)} with targeted ones; net {format_points(answer.delta)} "
        f"points, 95 % interval {format_interval(answer.low, answer.high, signed=True)}, "
        f"p = {answer.p_value:.2g}. {_say_of_models(answer)} "
    )
    if name != "aimed" and not tested.questions["aimed"].data.rows_differ:
        return sentence + (
            "Of the data it is asked only where the first question is decided; "
            f"the trainings differ by {format_points(answer.data.delta)} points on average."
        )
    return sentence + answer.data.sentence


def _tell_plan(plan: ArmsPlan) -> list[str]:
    lines = []
    if plan.trainings < plan.needed:
        lines.append(
            f"{plan.trainings} {'training' if plan.trainings == 1 else 'trainings'} of each arm can "
            f"show nothing of the data; {plan.needed} could, and would take about "
            f"{format_minutes(plan.minutes_more)} more (rounds.trainings = {plan.needed})."
        )
    targeted, control = plan.rows.get("targeted", 0), plan.rows.get("control", 0)
    if targeted != control:
        lines.append(
            f"The arms are not of equal size: {write_count(targeted, 'targeted row')}, and only {control} random "
            "ones passed; part of a difference may be their number."
        )
    return lines


def format_minutes(minutes: float) -> str:
    """``12 minutes``; under one minute so."""
    return "a minute" if minutes < 1.5 else f"{minutes:.0f} minutes"


def tell_falls(falls: dict[str, Falls], titles: dict[str, str]) -> list[str]:
    """Issues that fell further on dev than on the sealed test, beyond chance."""
    adapted = [row for row in falls.values() if row.is_adapted and row.issue in titles]
    if not adapted:
        return []
    listed = "; ".join(
        f"{titles[row.issue]}: {format_points(row.first)} points on dev, "
        f"{format_points(row.second)} on the sealed test"
        for row in adapted
    )
    return [
        f"Dev was adapted to, beyond chance with all issues counted: {listed}. The sealed figures "
        "count; fresh dev rows would tell more."
    ]
