"""YAML files → records: a list of objects, or promptfoo's settings with their tests."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml

from residency.errors import DataError
from residency.files.decompress import open_bytes
from residency.files.opening import find_encoding, find_rows_within
from residency.files.record import Record

_MOST_BYTES = 8 << 20
"""YAML is read whole, at a hundred times the cost of JSON: half a minute and 700 MB for these."""


try:
    from yaml.cyaml import CParser as _Parser
except ImportError:  # PyYAML that was built without libyaml

    class _Parser(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser):  # type: ignore
        def __init__(self, stream: Any) -> None:
            yaml.reader.Reader.__init__(self, stream)
            yaml.scanner.Scanner.__init__(self)
            yaml.parser.Parser.__init__(self)


class _Loader(  # PyYAML brings no types
    yaml.composer.Composer,  # type: ignore[misc]
    yaml.constructor.SafeConstructor,  # type: ignore[misc]
    yaml.resolver.Resolver,  # type: ignore[misc]
    _Parser,  # type: ignore[misc]
):
    """Safe YAML, read by libyaml where PyYAML has it (four times as fast), composed by Python."""

    def __init__(self, stream: Any) -> None:
        _Parser.__init__(self, stream)
        for part in (
            yaml.composer.Composer,
            yaml.constructor.SafeConstructor,
            yaml.resolver.Resolver,
        ):
            part.__init__(self)


class _PlainLoader(_Loader):
    """Safe YAML without aliases (a few of them make billions of values), each object with its line.

    A value is a number only where the number is written as the file has it. YAML 1.1 reads ``012`` as
    10, ``12:30`` as 750, ``1_000`` as 1000, ``yes`` as true and a day as a date: an answer would be
    trained as another one.
    """

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(None, None, "aliases (*name) are not read", mark)
        return super().compose_node(parent, index)


for _tag, _form, _beginnings in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"-?(?:0|[1-9][0-9]{0,15})", "-0123456789"),
    ("float", r"-?(?:0|[1-9][0-9]{0,7})\.(?:0|(?!000)[0-9]{0,5}[1-9])", "-0123456789"),
):
    _PlainLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_form})$"), list(_beginnings)
    )


class _LinedMapping(dict[str, Any]):
    line = 0


def _construct_mapping(loader: _PlainLoader, node: yaml.MappingNode) -> _LinedMapping:
    mapping = _LinedMapping()
    for key_node, value_node in node.value:
        key = str(loader.construct_object(key_node, deep=True))
        if key in mapping:
            raise yaml.MarkedYAMLError(
                None, None, f"the key {key!r} stands twice", key_node.start_mark
            )
        mapping[key] = loader.construct_object(value_node, deep=True)
    mapping.line = node.start_mark.line + 1
    return mapping


_PlainLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)


class _SharingLoader(_PlainLoader):
    """With aliases, as programs write them for values that stand in several places."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        return _Loader.compose_node(self, parent, index)


def load_yaml(path: Path, *, aliases: bool = False, documents: bool = False) -> Any:
    """The one value of a YAML file; its objects know their line (``line``).

    Args:
        aliases: allow ``*name``, as long as the value that they make is of a size that can be read.
        documents: a file of several documents (divided by ``---``) is the list of them.

    Raises:
        DataError: it is not YAML, or too large.
    """
    with open_bytes(path) as handle:
        data = handle.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise DataError(
            f"YAML of more than {_MOST_BYTES >> 20} MB is not read",
            where=str(path),
            next_step="use JSON or JSONL",
        )
    try:
        with io.TextIOWrapper(io.BytesIO(data), encoding=find_encoding(data)) as text:
            loader = _SharingLoader if aliases else _PlainLoader
            value = _load_documents(text, loader) if documents else yaml.load(text, Loader=loader)
        if aliases:
            measure_value(value, {})
        return value
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise DataError(f"not valid YAML: {problem}", where=f"{path}{line}") from None


def _load_documents(text: io.TextIOWrapper, loader: type[_PlainLoader]) -> Any:
    """The one value, or the rows of several: each document is one, or a list of them."""
    values = [value for value in yaml.load_all(text, Loader=loader) if value is not None]
    if len(values) < 2:
        return values[0] if values else None
    return [row for value in values for row in (value if isinstance(value, list) else [value])]


def measure_value(value: Any, sizes: dict[int, int]) -> int:
    """Letters of a value with its aliases written out.

    Raises:
        ValueError: it holds itself, or is larger than 256 MB.
    """
    if not isinstance(value, dict | list):
        return len(value) if isinstance(value, str) else 8
    size = sizes.get(id(value))
    if size is None:
        sizes[id(value)] = -1  # while it is measured
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        size = sizes[id(value)] = 2 + sum(measure_value(part, sizes) for part in parts)
    if size < 0 or size > 1 << 28:
        raise ValueError("its aliases make a value without end, or of more than 256 MB")
    return size


def read_yaml(path: Path) -> Iterator[Record]:
    """The objects of a list, or the tests of promptfoo settings, each with its first prompt.

    Raises:
        DataError: it is not YAML, or holds no list of objects.
    """
    value = load_yaml(path, documents=True)
    prompt = None
    if isinstance(value, dict):
        prompts = value.get("prompts")
        prompt = prompts[0] if isinstance(prompts, list) and prompts else prompts
        tests = value.get("tests")
        value = tests if isinstance(tests, list) else find_rows_within(value) or [value]
    if not isinstance(value, list):
        raise DataError("a list of objects is expected", where=str(path))
    for number, row in enumerate(value, 1):
        if not isinstance(row, Mapping):
            yield Record(number, None, f"an object is expected, found {type(row).__name__}")
            continue
        values = dict(row)
        if isinstance(prompt, str) and "vars" in values:
            values.setdefault("prompt", prompt)
        yield Record(getattr(row, "line", number) or number, values)
