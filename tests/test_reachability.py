"""Every public function and class is reached by a command, a page, a benchmark or the documented API.

A symbol is reached when something that is reached names it; tests reach nothing. What this test
lists is deleted or wired, not added to an exception.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
Symbol = tuple[str, str]
"""A module and a name at its top; the empty name is what runs when the module is imported."""


@cache
def modules() -> dict[str, ast.Module]:
    out = {}
    for path in (SOURCE / "residency").rglob("*.py"):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        out[name] = ast.parse(path.read_text(encoding="utf-8"))
    return out


def top_level(tree: ast.Module) -> dict[str, list[ast.stmt]]:
    """Statements of a module by the name that they define; the empty name has all others."""
    out: dict[str, list[ast.stmt]] = defaultdict(list)
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            out[node.name].append(node)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]
            for name in names or [""]:
                out[name].append(node)
        elif not isinstance(node, (ast.Import, ast.ImportFrom)):
            out[""].append(node)
    return out


def imported(tree: ast.AST) -> dict[str, Symbol]:
    """Local names of what a piece of code imports from the package."""
    out: dict[str, Symbol] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("residency"):
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                is_module = module in modules()
                target = (module, "") if is_module else (str(node.module), alias.name)
                out[alias.asname or alias.name] = target
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("residency"):
                    out[alias.asname or alias.name] = (alias.name, "")
    return out


def named_by(nodes: list[ast.stmt], names: dict[str, Symbol], module: str) -> set[Symbol]:
    """Symbols that statements name: directly, through a module, or as text (``package.module:name``)."""
    out: set[Symbol] = set()
    own = top_level(modules()[module]) if module in modules() else {}
    for statement in nodes:
        inner = {**names, **imported(statement)}
        out |= set(imported(statement).values())
        attributes = {n.attr for n in ast.walk(statement) if isinstance(n, ast.Attribute)}
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and inner.get(node.id, ("", "x"))[1] == "":
                # a module as a value: what is taken from any value here may be its own
                out |= {(inner[node.id][0], name) for name in attributes}
            if isinstance(node, ast.Name):
                if node.id in inner:
                    out.add(inner[node.id])
                elif node.id in own:
                    out.add((module, node.id))
            elif isinstance(node, ast.Attribute):
                text = ast.unparse(node)
                base, _, name = text.rpartition(".")
                if base in inner and inner[base][1] == "":
                    out.add((inner[base][0], name))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                out |= find_names_in_text(node.value)
    return out


def find_names_in_text(text: str) -> set[Symbol]:
    out: set[Symbol] = set()
    for match in re.finditer(r"residency(?:\.\w+)+(?:[:.]\w+)?", text):
        path = match[0].replace(":", ".")
        module, _, name = path.rpartition(".")
        if path in modules():
            out.add((path, ""))
        elif module in modules():
            out.add((module, name))
    return out


@cache
def graph() -> dict[Symbol, set[Symbol]]:
    edges: dict[Symbol, set[Symbol]] = {}
    for module, tree in modules().items():
        names = imported(ast.Module([n for n in tree.body if _is_import(n)], []))
        for name, nodes in top_level(tree).items():
            edges[module, name] = named_by(nodes, names, module) | {(module, "")}
        edges.setdefault((module, ""), set())
    return edges


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, (ast.Import, ast.ImportFrom, ast.If, ast.Try))


def roots() -> set[Symbol]:
    """Commands, pages, benchmarks, recipes, and what the documents show as Python."""
    out: set[Symbol] = {("residency", ""), ("residency", "__getattr__"), ("residency.__main__", "")}
    for module in modules():
        if module.startswith("residency.web") or module.startswith("residency.cli"):
            out |= {
                (module, name)
                for name in top_level(modules()[module])
                if not _is_helper(module, name)
            }
    for folder in ("benchmarks", "recipes", "docs"):
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            out |= named_by(tree.body, imported(tree), "")
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        out |= {(name, "") for name in re.findall(r"python -m (residency[.\w]*)", text)}
        for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
            try:
                tree = ast.parse(block)
            except SyntaxError:
                continue
            out |= named_by(tree.body, imported(tree), "")
    return out


def _is_helper(module: str, name: str) -> bool:
    """Whether a name of the command line is neither a command nor what builds the application."""
    return module.startswith("residency.cli") and not (
        name in ("", "app", "main") or name.endswith("_command")
    )


def reached() -> set[Symbol]:
    edges, seen, queue = graph(), set[Symbol](), list(roots())
    while queue:
        symbol = queue.pop()
        if symbol in seen:
            continue
        seen.add(symbol)
        queue += edges.get(symbol, set())
    return seen


def find_unreached() -> list[str]:
    seen = reached()
    return sorted(
        f"{module}.{name}"
        for module, tree in modules().items()
        for name, nodes in top_level(tree).items()
        if name
        and not name.startswith("_")
        and isinstance(nodes[0], (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        and (module, name) not in seen
    )


def test_every_public_function_and_class_is_reached() -> None:
    assert find_unreached() == []


def test_the_search_itself_finds_what_nothing_names() -> None:
    tree = ast.parse("def used(): ...\ndef unused(): ...\nx = used()\n")
    assert set(top_level(tree)) == {"used", "unused", "x"}
    assert ("residency.commands.project", "Project") in reached()
    assert len(reached()) > 500
