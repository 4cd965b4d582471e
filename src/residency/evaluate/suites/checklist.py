"""CheckList's tests from templates: minimum functionality, invariance, direction.

After Ribeiro, Wu, Guestrin, Singh: Beyond Accuracy: Behavioral Testing of NLP Models with
CheckList (ACL 2020).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from residency.errors import SuiteError
from residency.nouns.example import Example

CHECKLIST_KEYS = (
    "type", "name", "template", "variant", "fill", "vary", "reference", "tags", "severity",
    "rules", "compare", "fields", "threshold", "of", "order", "expect",
)  # fmt: skip
HELP = "docs/suites.md shows a [[checklist]] table of each type"
BASE, VARIANT = "checklist-base", "checklist-variant"
_NAME = re.compile(r"\{(\w+)\}")

MakeExample = Callable[[Mapping[str, Any], str], Example]
ScopedRule = tuple[dict[str, Any], tuple[str, ...]]


def expand_checklist(
    table: Mapping[str, Any], example: MakeExample, *, where: str
) -> tuple[list[Example], list[ScopedRule]]:
    """The test's items, and its rules with the ids of the items that they concern.

    Raises:
        SuiteError: the type is unknown, a key is missing, or a placeholder has no filler.
    """
    kind = table.get("type")
    makers = {"MFT": _expand_minimum, "INV": _expand_invariance, "DIR": _expand_direction}
    if kind not in makers:
        raise SuiteError(
            f"'type' is one of MFT, INV, DIR, not {kind!r}", where=where, next_step=HELP
        )
    needed = {"MFT": ["rules"], "INV": ["fill"], "DIR": ["variant", "of", "expect"]}[kind]
    for key in ("name", "template", *needed):
        if not table.get(key):
            raise SuiteError(
                f"a test of type {kind} needs the key {key!r}", where=where, next_step=HELP
            )
    fill = table.get("fill", {})
    for text in (table["template"], table.get("variant", ""), table.get("reference", "")):
        for name in _NAME.findall(text):
            if name not in fill:
                raise SuiteError(
                    f"'{{{name}}}' has no filler in 'fill'", where=where, next_step=HELP
                )
    return makers[kind](table, example, where)


def _list_combinations(fill: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    names = list(fill)
    for values in itertools.product(*(fill[name] for name in names)):
        yield dict(zip(names, map(str, values), strict=True))


def _fill_placeholders(value: Any, filler: Mapping[str, str]) -> Any:
    """``{name}`` replaced in every text of a nested value; other braces stay as they are."""
    if isinstance(value, str):
        return _NAME.sub(lambda hit: filler.get(hit[1], hit[0]), value)
    if isinstance(value, list):
        return [_fill_placeholders(part, filler) for part in value]
    if isinstance(value, dict):
        return {key: _fill_placeholders(part, filler) for key, part in value.items()}
    return value


def _make_item(
    table: Mapping[str, Any],
    example: MakeExample,
    where: str,
    filler: Mapping[str, str],
    *,
    group: str,
    template: str = "template",
    tag: str = "",
) -> Example:
    raw = {
        "prompt": _fill_placeholders(table[template], filler),
        "group": group,
        "tags": [*table.get("tags", []), _label_test(table), *([tag] if tag else [])],
    }
    if table.get("reference"):
        raw["reference"] = _fill_placeholders(table["reference"], filler)
    return example(raw, where)


def _label_test(table: Mapping[str, Any]) -> str:
    return f"checklist:{table['name']}"


def _shared_keys(table: Mapping[str, Any], kind: str) -> dict[str, Any]:
    shared = {"name": table["name"], "kind": f"{kind}:{table['name']}"}
    return shared | ({"severity": table["severity"]} if "severity" in table else {})


def _expand_minimum(
    table: Mapping[str, Any], example: MakeExample, where: str
) -> tuple[list[Example], list[ScopedRule]]:
    items: dict[str, Example] = {}
    rules: list[ScopedRule] = []
    for number, filler in enumerate(_list_combinations(table.get("fill", {}))):
        item = _make_item(table, example, where, filler, group=f"{_label_test(table)}:{number}")
        if item.id in items:
            continue
        items[item.id] = item
        for rule_number, rule in enumerate(table["rules"]):
            shared = _shared_keys(table, "mft")
            if len(table["rules"]) > 1:
                shared["name"] += f":{rule.get('name') or rule.get('rule')}"
                if sum(r.get("rule") == rule.get("rule") for r in table["rules"]) > 1:
                    shared["name"] += f":{rule_number + 1}"
            rules.append(({**_fill_placeholders(rule, filler), **shared}, (item.id,)))
    return list(items.values()), rules


def _expand_invariance(
    table: Mapping[str, Any], example: MakeExample, where: str
) -> tuple[list[Example], list[ScopedRule]]:
    fill = table["fill"]
    vary = table.get("vary", list(fill))
    items: dict[str, Example] = {}
    constant = {name: values for name, values in fill.items() if name not in vary}
    varied = {name: values for name, values in fill.items() if name in vary}
    for number, fixed in enumerate(_list_combinations(constant)):
        for variant, filler in enumerate(_list_combinations(varied)):
            item = _make_item(
                table,
                example,
                where,
                {**fixed, **filler},
                group=f"{_label_test(table)}:{number}",
                tag=VARIANT if variant else BASE,
            )
            items.setdefault(item.id, item)
    if len(items) < 2:
        raise SuiteError(
            "an INV test needs at least two different prompts", where=where, next_step=HELP
        )
    rule = {"rule": "invariance", "base": BASE, **_shared_keys(table, "invariance")}
    rule |= {key: table[key] for key in ("compare", "fields", "threshold") if key in table}
    return list(items.values()), [(rule, tuple(items))]


def _expand_direction(
    table: Mapping[str, Any], example: MakeExample, where: str
) -> tuple[list[Example], list[ScopedRule]]:
    items: dict[str, Example] = {}
    for number, filler in enumerate(_list_combinations(table.get("fill", {}))):
        group = f"{_label_test(table)}:{number}"
        for template, tag in (("template", BASE), ("variant", VARIANT)):
            item = _make_item(
                table, example, where, filler, group=group, template=template, tag=tag
            )
            items.setdefault(item.id, item)
    rule = {
        "rule": "directional",
        "base": BASE,
        "variant": VARIANT,
        "of": table["of"],
        "expect": table["expect"],
        **_shared_keys(table, "direction"),
    }
    rule |= {key: table[key] for key in ("order",) if key in table}
    return list(items.values()), [(rule, tuple(items))]
