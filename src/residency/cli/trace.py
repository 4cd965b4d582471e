"""``residency trace``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.tree import Tree

from residency.cli.json_output import to_jsonable
from residency.cli.terminal import console, print_json
from residency.text.counts import write_count

if TYPE_CHECKING:
    from residency.results.trace import Trace
from residency.cli.options import Json, split_folder


def trace_command(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[DIR] ID",
            help="Of a model, issue, example, response or dataset version; or final, round-1.",
        ),
    ],
    as_json: Json = False,
) -> None:
    """From any id back to everything it came from.

    Example: residency trace demo final

    Example: residency trace demo is-1a2b3c
    """
    from residency.project.settings_file import find_project_root, read_config
    from residency.results.trace import trace_id
    from residency.store.store import Store

    directory, (key,) = split_folder(arguments, ["ID"])
    root = find_project_root(directory)
    store = Store(root, read_config(root).project.store, create=False)
    traced = trace_id(store, key)
    if as_json:
        print_json(json.dumps(to_jsonable(traced.to_dict()), ensure_ascii=False))
        return
    console.print(_build_tree(traced))


def _build_tree(traced: Trace) -> Tree:
    from rich.text import Text

    tree = Tree(Text(f"{traced.line}  {traced.id}", style="bold"))
    for name, value in traced.details.items():
        if isinstance(value, list) and value and not isinstance(value[0], dict):
            branch = tree.add(Text(f"{name} ({len(value)})"))
            for item in value[:20]:
                branch.add(Text(str(item)))
            if len(value) > 20:
                branch.add(Text(f"… {len(value) - 20} more (--json shows all)"))
        elif isinstance(value, dict) and any(isinstance(v, list) for v in value.values()):
            branch = tree.add(Text(name))
            for inner, items in value.items():
                size = (
                    f"{write_count(len(items), 'row')}" if isinstance(items, list) else str(items)
                )
                branch.add(Text(f"{inner}: {size}"))
        else:
            tree.add(Text(f"{name}: {value}"))
    for parent in traced.parents:
        tree.add(_build_tree(parent))
    return tree
