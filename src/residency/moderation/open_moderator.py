"""From settings to the moderators of both sides."""

from __future__ import annotations

from collections.abc import Mapping

from residency.config.guard import GuardConfig
from residency.config.moderation import ModerationConfig
from residency.moderation.endpoint_guard import EndpointGuard
from residency.moderation.judge import TextJudge, WholeJudge
from residency.moderation.moderator import Moderator, Side
from residency.moderation.offensive_words import OffensiveWordsJudge
from residency.moderation.private_text import PersonalDataJudge, SecretsJudge
from residency.moderation.rules_judge import BreaksRule, RulesJudge


def open_moderator(
    config: ModerationConfig,
    guard: GuardConfig,
    side: Side,
    *,
    rules: Mapping[str, BreaksRule] | None = None,
    rules_version: str = "rules",
) -> Moderator:
    """The moderator of a side.

    Args:
        rules: rules on complete texts by name, e.g. those of the project's suite.

    Raises:
        ConfigError: the guard's key is not set.
    """
    whole: list[WholeJudge] = []
    if guard.url and config.choose_action(side, "guard") != "off":
        whole.append(EndpointGuard(guard))
    if rules:
        whole.append(RulesJudge(rules, rules_version))
    return Moderator(config, side, open_text_judges(config.offensive_threshold), whole)


def open_text_judges(threshold: float) -> list[TextJudge]:
    """The judges that need no server."""
    return [PersonalDataJudge(), SecretsJudge(), OffensiveWordsJudge(threshold)]
