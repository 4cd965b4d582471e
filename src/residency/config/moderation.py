"""``[moderation]``: what is done with what the judges see."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from residency.config.section import Section

JudgeGroup = Literal[
    "personal", "email", "phone", "card", "iban", "ssn", "secrets", "offensive", "guard", "rules"
]
"""What an action can be named for; ``email`` to ``ssn`` are parts of ``personal``."""
Action = Literal["off", "flag", "mask", "refuse"]
PERSONAL: tuple[JudgeGroup, ...] = ("email", "phone", "card", "iban", "ssn")
GROUPS: tuple[JudgeGroup, ...] = get_args(JudgeGroup)


class ModerationConfig(Section):
    """Judges of what clients ask and models write: `off`, `flag` (stored, nothing changes), `mask` or `refuse`."""

    inputs: dict[JudgeGroup, Action] = {}
    """Actions on what clients ask, e.g. `{secrets = "mask", card = "refuse"}`; kinds: personal (or one of email, phone, card, iban, ssn), secrets, offensive, guard, rules. Kinds that are not named: guard `refuse` where `guard.url` is set, rules `off`, all others `flag`."""
    outputs: dict[JudgeGroup, Action] = {}
    """Actions on what models write, likewise; rules that are not named: `flag`."""
    offensive_threshold: float = Field(0.8, gt=0, le=1)
    """Probability from which a sentence is offensive."""
    hold: Literal["sentence", "answer"] = "sentence"
    """What is held back of a streamed answer until it is judged, where anything is masked or refused. `sentence`: a refusal ends the answer before the sentence; `answer`: nothing leaves before all is judged. Guard and rules that mask or refuse always hold the answer."""
    refusal: str = Field("I cannot answer this.", min_length=1)
    """What stands in place of a refused answer."""

    def choose_action(self, side: Literal["input", "output"], group: JudgeGroup) -> Action:
        """What is done with a kind on one side."""
        actions = self.inputs if side == "input" else self.outputs
        if group in actions:
            return actions[group]
        if group in PERSONAL:
            return self.choose_action(side, "personal")
        if group == "guard":
            return "refuse"
        return "off" if group == "rules" and side == "input" else "flag"
