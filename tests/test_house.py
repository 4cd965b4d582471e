"""The house: files of one concept, no circles between them, and a contract for every room."""

from __future__ import annotations

import ast
import io
import statistics
import tokenize
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
LONGEST = 400
TYPICAL = 150
SCREEN = 50
"""Lines of a function's own body: without docstring, signature and the functions inside it."""
VAGUE = frozenset({"found", "kept", "asked", "own", "place"})
MOST_VAGUE = 1.0
"""Vague names in a thousand lines: well-kept code has 1 to 4, since none of them says what it holds."""


@cache
def modules() -> dict[str, Path]:
    out = {}
    for path in sorted((SOURCE / "residency").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        out[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return out


def room_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def find_imports(node: ast.AST, inside: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Imports that run, with whether a function holds them; those for type checkers alone do not."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from find_imports(ast.Module([other], []), inside)
            continue
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child, inside
        held = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield from find_imports(child, inside or held)


def find_targets(node: ast.AST) -> set[str]:
    """Modules of the package that an import names."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names} & set(modules())
    assert isinstance(node, ast.ImportFrom) and node.level == 0, "imports name the whole path"
    names = {f"{node.module}.{alias.name}" for alias in node.names}
    below = names & set(modules())
    whole = {str(node.module)} & set(modules()) if below != names else set()
    return below | whole


def find_uses(module: str, code: str) -> set[str]:
    """What a module imports when it is imported, and later from its own room."""
    out = set()
    for node, inside in find_imports(ast.parse(code)):
        for target in find_targets(node):
            if target != module and (not inside or room_of(target) == room_of(module)):
                out.add(target)
    return out


def find_circles(uses: dict[str, set[str]]) -> list[list[str]]:
    """Modules that reach themselves: what is left when those without open imports are taken away,
    from both ends."""
    left = {module: set(targets) for module, targets in uses.items()}
    while True:
        used = {target for targets in left.values() for target in targets}
        free = {module for module, targets in left.items() if not targets or module not in used}
        if not free:
            return [[module, *sorted(targets)] for module, targets in sorted(left.items())]
        left = {m: targets - free for m, targets in left.items() if m not in free}


@cache
def contracts() -> list[dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    out: list[dict[str, Any]] = settings["tool"]["importlinter"]["contracts"]
    return out


def test_no_file_is_long_and_most_are_short() -> None:
    lengths = {m: len(p.read_text(encoding="utf-8").splitlines()) for m, p in modules().items()}
    assert {m: n for m, n in lengths.items() if n > LONGEST} == {}
    assert statistics.median(lengths.values()) <= TYPICAL


def count_own_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    if not body:
        return 0
    inside = (n for n in ast.walk(function) if n is not function)
    held = sum(
        (n.end_lineno or 0) - n.lineno + 1
        for n in inside
        if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))
    )
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 - held


def test_a_function_fits_on_a_screen() -> None:
    long = {}
    for module, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                long[f"{module}.{node.name}"] = count_own_lines(node)
    assert len(long) > 3000  # the search sees the functions
    assert {name: lines for name, lines in long.items() if lines > SCREEN} == {}


def count_vague(code: str) -> int:
    """Identifiers of a file that are one of the vague words alone; words in texts are none."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    return sum(token.type == tokenize.NAME and token.string in VAGUE for token in tokens)


def test_names_say_what_they_hold() -> None:
    assert count_vague("found = [own.kept for own in place]  # asked\n") == 5
    assert count_vague("found_rows = match('own place')\n") == 0
    texts = {module: path.read_text(encoding="utf-8") for module, path in modules().items()}
    counts = {module: count_vague(text) for module, text in texts.items()}
    lines = sum(text.count("\n") for text in texts.values())
    most = sorted(counts, key=lambda module: -counts[module])[:5]
    assert 1000 * sum(counts.values()) / lines <= MOST_VAGUE, f"most of them: {most}"


def test_a_step_of_the_loop_takes_what_it_needs_and_only_the_story_takes_the_whole() -> None:
    whole = []
    for module, path in modules().items():
        if room_of(module) != "residency.loop":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = ast.unparse(node.annotation or node) if isinstance(node, ast.arg) else ""
            if "Workspace" in named:
                whole.append(module)
    assert whole == ["residency.loop.run_loop"]


def test_files_import_each_other_in_no_circle() -> None:
    uses = {m: find_uses(m, path.read_text(encoding="utf-8")) for m, path in modules().items()}
    assert sum(map(len, uses.values())) > 500  # the search sees the imports
    assert find_circles(uses) == []


def test_every_room_stands_in_a_contract_of_imports() -> None:
    named: set[str] = set()
    for contract in contracts():
        for key in ("layers", "source_modules", "forbidden_modules", "modules"):
            named |= {name.strip() for line in contract.get(key, ()) for name in line.split("|")}
    rooms = {module for module in modules() if module.count(".") == 1}
    assert rooms - named == set()
    gone = {name for name in named if name.startswith("residency.")} - set(modules())
    assert gone == set(), "a contract names what is not there"


def test_a_circle_is_found_and_a_ladder_is_none() -> None:
    assert find_circles({"a": {"b"}, "b": {"c"}, "c": set(), "d": {"a", "c"}}) == []
    assert find_circles({"a": {"b"}, "b": {"a", "c"}, "c": set(), "d": {"a"}}) == [
        ["a", "b"],
        ["b", "a"],
    ]


def test_late_imports_count_within_a_room_and_those_for_types_never() -> None:
    late = "def f():\n    from residency.stats import intervals\n"
    assert find_uses("residency.stats.power", late) == {"residency.stats.intervals"}
    assert find_uses("residency.data.splits", late) == set()
    typed = "if TYPE_CHECKING:\n    from residency.stats import intervals\n"
    assert find_uses("residency.stats.power", typed) == set()
    plain = "from residency.stats.intervals import clopper_pearson\n"
    assert find_uses("residency.data.splits", plain) == {"residency.stats.intervals"}
