"""Limits of a chat template: it is text from a stranger, and runs on every row.

The sandbox keeps a template from reaching Python; these limits keep it from running without end
and from filling the memory. Steps are counted, not seconds, so that the same template is refused on
every machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.sandbox import (
    ImmutableSandboxedEnvironment,
    SandboxedEscapeFormatter,
    SandboxedFormatter,
)
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

MOST_TEMPLATE = 1_000_000
"""Characters of a template's text."""
MOST_STEPS = 300_000
"""Turns of loops and calls of macros in one rendering."""
MOST_TEXT = 16_000_000
"""Characters of any text that a template makes."""
_MOST_NUMBER = 1_000_000
"""Largest number that may stand for a width or a count."""
_WIDTH = re.compile(r"\d{7,}")
_MOST_DEPTH = 100
_MOST_BITS = 100_000
"""Size of any number that a template makes."""
_MAKES_TEXT = frozenset({"do_join", "sync_do_join", "soft_str", "_write_json", "do_pprint"})
"""Filters that make one text of a list, by the names of their functions."""


class TemplateLimitError(jinja2.TemplateError):
    """The template did more than a chat template needs to."""


class LimitedEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with limits on steps and on the size of texts."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, **options: Any) -> None:
        super().__init__(finalize=_measure_output, **options)
        self._steps = 0
        self.globals.pop("lipsum", None)
        self.globals["count_template_step"] = self._count_step
        self.globals["join_template_texts"] = _join_texts
        for name, apply in list(self.filters.items()):
            self.filters[name] = limit_filter(apply)

    def compile_template(self, text: str) -> jinja2.Template:
        """A template whose loops and macros count their steps.

        Raises:
            TemplateLimitError: its text is too long. jinja2.TemplateSyntaxError: no valid Jinja.
        """
        if len(text) > MOST_TEMPLATE:
            raise TemplateLimitError(
                f"its text has {len(text)} characters, more than {MOST_TEMPLATE}"
            )
        try:
            tree = _CountedSteps().visit(self.parse(text))
            return self.from_string(tree)
        except RecursionError:
            raise TemplateLimitError("it is nested too deeply") from None

    def start_rendering(self) -> None:
        """Count from nothing again."""
        self._steps = 0

    def _count_step(self) -> str:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise TemplateLimitError(f"it takes more than {MOST_STEPS} steps")
        return ""

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """The operation, unless its result would be out of all proportion."""
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            _check_size(len(left) + len(right))  # by far the most frequent
            return left + right
        if operator == "*":
            for one, other in ((left, right), (right, left)):
                if hasattr(one, "__len__") and isinstance(other, int):
                    _check_size(len(one) * max(0, other))
        if operator == "**" and isinstance(left, int) and isinstance(right, int):
            _check_bits(abs(left).bit_length() * max(0, right))
        if operator == "*" and isinstance(left, int) and isinstance(right, int):
            _check_bits(left.bit_length() + right.bit_length())
        if operator == "%" and isinstance(left, str):
            _check_width(left, right)
            _check_filled(left, right)
        result = super().call_binop(context, operator, left, right)
        if hasattr(result, "__len__"):
            _check_size(len(result))
        return result

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """The sandbox's ``str.format``, with limits on every field and on their sum."""
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None
        template = value.__self__

        @wraps(wrapped)
        def limited(*args: Any, **named: Any) -> str:
            if value.__name__ == "format_map":
                (named,), args = args, ()
            if isinstance(template, Markup):
                escaping = _LimitedEscapeFormatter(self, escape=template.escape)
                return Markup(escaping.vformat(template, args, named))
            return _LimitedFormatter(self).vformat(template, args, named)

        return limited

    @staticmethod
    def concat(pieces: Iterable[str]) -> str:
        """What a template, a macro or a block writes, as one text."""
        size, texts = 0, []
        for piece in pieces:
            size += len(piece)
            if size > MOST_TEXT:
                _check_size(size)
            texts.append(piece)
        return "".join(texts)

    def call(self, context: Any, function: Any, *args: Any, **named: Any) -> Any:
        """The call, unless an argument is out of all proportion."""
        owner = getattr(function, "__self__", None)
        if isinstance(owner, str):
            _check_arguments(args, named)
            name = getattr(function, "__name__", "")
            if name in ("expandtabs", "translate"):  # no chat template needs them
                raise TemplateLimitError(f"it calls {name}, which may make a text of any size")
            if name == "replace" and len(args) > 1 and isinstance(args[1], str):
                _check_size((owner.count(str(args[0])) + 1) * len(args[1]))
            if name == "join" and args and hasattr(args[0], "__len__"):
                _check_size(len(owner) * len(args[0]) + _measure_text(args[0]))
        return super().call(context, function, *args, **named)


class _LimitedFormatter(SandboxedFormatter):
    """Fields of ``str.format``: a width may come from the text, an argument or a field in it."""

    _size = 0

    def format_field(self, value: Any, format_spec: str) -> Any:
        if _WIDTH.search(format_spec):
            raise TemplateLimitError("it asks for a very wide field")
        _measure_text(value)
        text = super().format_field(value, format_spec)
        self._size += len(text)
        _check_size(self._size)
        return text


class _LimitedEscapeFormatter(_LimitedFormatter, SandboxedEscapeFormatter):
    pass


class _CountedSteps(NodeTransformer):
    """Counts every turn of a loop and every call of a macro; joins texts with a limit."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.body.insert(0, _count_node(node.lineno))
        if node.test is not None:  # a filtered loop turns also where the test says no
            node.test = nodes.And(
                nodes.Not(_call_node("count_template_step", [], node.lineno), lineno=node.lineno),
                node.test,
                lineno=node.lineno,
            )
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.body.insert(0, _count_node(node.lineno))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _call_node("join_template_texts", list(node.nodes), node.lineno)


def _call_node(name: str, arguments: list[nodes.Expr], line: int) -> nodes.Call:
    function = nodes.Name(name, "load", lineno=line)
    return nodes.Call(function, arguments, [], None, None, lineno=line)


def _count_node(line: int) -> nodes.ExprStmt:
    return nodes.ExprStmt(_call_node("count_template_step", [], line), lineno=line)


def _join_texts(*parts: Any) -> str:
    _measure_text(parts)
    texts = [str(part) for part in parts]
    _check_size(sum(map(len, texts)))
    return "".join(texts)


def limit_filter(apply: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that takes no number and gives no text out of all proportion."""

    @wraps(apply)
    def limited(*args: Any, **named: Any) -> Any:
        _check_arguments(args, named)
        for value in args[:2]:
            if isinstance(value, str) and apply.__name__ in ("do_format", "format"):
                _check_width(value, 0)
                _check_filled(value, args[1:] if args[0] is value else args[2:])
        if apply.__name__ in _MAKES_TEXT:
            _measure_text(args)
        if apply.__name__ == "do_replace" and len(args) > 3:
            _check_size((str(args[1]).count(str(args[2])) + 1) * len(str(args[3])))
        result = apply(*args, **named)
        if isinstance(result, str):
            _check_size(len(result))
        return result

    return limited


def _check_arguments(args: tuple[Any, ...], named: dict[str, Any]) -> None:
    for value in (*args, *named.values()):
        if isinstance(value, int) and abs(value) > _MOST_NUMBER:
            raise TemplateLimitError(f"it asks for a width or count of {value}")


def _check_width(template: str, values: Any) -> None:
    numbers = values if isinstance(values, tuple) else (values,)
    wide = "*" in template and any(isinstance(v, int) and v > _MOST_NUMBER for v in numbers)
    if _WIDTH.search(template) or wide:
        raise TemplateLimitError("it asks for a very wide field")


def _measure_output(value: Any) -> Any:
    """What a template writes, unchanged, if it makes no huge text."""
    if not isinstance(value, str):
        _measure_text(value)
    return value


def _measure_text(value: Any, depth: int = 0) -> int:
    """Characters of the texts in a value, at least, without making one text of it.

    Raises:
        TemplateLimitError: they are too many.
    """
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        value = [*value.keys(), *value.values()]
    if not isinstance(value, list | tuple):
        return 0
    _check_depth(depth)
    size = 0
    for member in value:
        size += _measure_text(member, depth + 1) + 1
        _check_size(size)
    return size


def _check_depth(depth: int) -> None:
    if depth > _MOST_DEPTH:
        raise TemplateLimitError("it nests lists too deeply")


def _check_filled(template: str, values: Any) -> None:
    """The size of ``template % values``, before it is made."""
    if isinstance(values, Mapping):
        largest = max((_measure_text(v) for v in values.values()), default=0)
        _check_size(len(template) + template.count("%") * largest)
    else:
        _check_size(len(template) + _measure_text(values))


def _check_bits(bits: int) -> None:
    if bits > _MOST_BITS:
        raise TemplateLimitError(f"it makes a number of {bits} bits, more than {_MOST_BITS}")


def _check_size(size: int) -> None:
    if size > MOST_TEXT:
        raise TemplateLimitError(f"it makes a text of {size} characters, more than {MOST_TEXT}")
