"""Rules by name, and a rule made from a table of the suite's file."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from residency.errors import SuiteError
from residency.evaluate.suites.rule import Rule
from residency.evaluate.suites.rules.choices import Choices
from residency.evaluate.suites.rules.consistency import Consistency
from residency.evaluate.suites.rules.contains import Contains
from residency.evaluate.suites.rules.directional import Directional
from residency.evaluate.suites.rules.exact import Exact
from residency.evaluate.suites.rules.facts import Facts
from residency.evaluate.suites.rules.fields import Fields
from residency.evaluate.suites.rules.invariance import Invariance
from residency.evaluate.suites.rules.json_schema import JsonSchema
from residency.evaluate.suites.rules.language import Language
from residency.evaluate.suites.rules.length import Length
from residency.evaluate.suites.rules.negation import Negation
from residency.evaluate.suites.rules.non_empty import NonEmpty
from residency.evaluate.suites.rules.numeric import Numeric
from residency.evaluate.suites.rules.python_function import PythonFunction
from residency.evaluate.suites.rules.regex import Regex
from residency.evaluate.suites.rules.similarity import Similarity
from residency.evaluate.suites.rules.stop_words import StopWords
from residency.plugins import find_plugins

HELP = "docs/suites.md lists every rule and its keys"

BUILT_IN_RULES: tuple[type[Rule], ...] = (
    NonEmpty,
    StopWords,
    Exact,
    Contains,
    Regex,
    Length,
    Language,
    Fields,
    JsonSchema,
    Choices,
    Numeric,
    Consistency,
    Invariance,
    Directional,
    Similarity,
    Facts,
    Negation,
    PythonFunction,
)


def list_rules() -> dict[str, type[Rule]]:
    """Rules by the name that a suite's file calls them by: ours, and those that plugins add.

    Raises:
        SuiteError: a plugin is no rule, or a rule of ours has its name.
    """
    rules = {rule.NAME: rule for rule in BUILT_IN_RULES}
    for name, plugin in find_plugins("rules").items():
        if not (isinstance(plugin, type) and issubclass(plugin, Rule)):
            raise SuiteError(
                f"the plugin {name!r} is not a class made from Rule",
                where="plugins, group 'rules'",
                next_step="CONTRIBUTING.md shows how a rule is added",
            )
        if name in rules:
            raise SuiteError(
                f"the plugin {name!r} has the name of a rule that is there already",
                where="plugins, group 'rules'",
                next_step="give it another name",
            )
        if not plugin.NAME:
            plugin.NAME = name
        rules[name] = plugin
    return rules


def make_rule(raw: Any, *, where: str, **scope: Any) -> Rule:
    """A rule from a parsed table.

    Raises:
        SuiteError: the rule or one of its keys is unknown, or a value is wrong.
    """
    if not isinstance(raw, dict) or not isinstance(raw.get("rule"), str):
        raise SuiteError("a rule needs the key 'rule'", where=where, next_step=HELP)
    name = raw["rule"]
    rules = list_rules()
    cls = rules.get(name)
    if cls is None:
        raise SuiteError(
            f"unknown rule {name!r}{suggest_name(name, rules)}",
            where=where,
            next_step=f"known rules: {', '.join(sorted(rules))}; {HELP}",
        )
    try:
        return cls.model_validate({**{k: v for k, v in raw.items() if k != "rule"}, **scope})
    except ValidationError as error:
        raise SuiteError(
            f"rule {name!r}: {_describe_errors(cls, error)}", where=where, next_step=HELP
        ) from None


def _describe_errors(cls: type[Rule], error: ValidationError) -> str:
    lines = []
    known = [f.alias or key for key, f in cls.model_fields.items()]
    for item in error.errors():
        key = ".".join(str(step) for step in item["loc"])
        if item["type"] == "extra_forbidden":
            lines.append(f"unknown key {key!r}{suggest_name(key, known)}")
        else:
            message = item["msg"].removeprefix("Value error, ")
            value = f" (found {item.get('input')!r})" if message == item["msg"] else ""
            lines.append((f"{key}: " if key else "") + message[:1].lower() + message[1:] + value)
    return "; ".join(lines)


def suggest_name(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'X'?)`` or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
