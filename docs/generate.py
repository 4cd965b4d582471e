"""Writes docs/configuration.md, docs/commands.md and the table of layouts in docs/data.md from the code.

python docs/generate.py            # write
python docs/generate.py --check    # fail when a page is stale
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["COLUMNS"] = "88"
os.environ["NO_COLOR"] = "1"
os.environ["TERMINAL_WIDTH"] = "88"

import ast
import inspect
import itertools
import json
import re
import textwrap
import tomllib
from collections.abc import Mapping

import typer
from pydantic_core import PydanticUndefined
from typer.testing import CliRunner

from residency.cli.app import COMMANDS, build_app, load_command
from residency.config.settings import Config
from residency.data.reading.layouts.known_layouts import describe_layouts

HERE = Path(__file__).parent


def configuration() -> str:
    """The configuration reference."""
    lines = [
        "# Settings: `residency.toml`",
        "",
        "Made by `python docs/generate.py` from the docstrings in `src/residency/config/`.",
        "What is not named has its default. Unknown settings are refused.",
        "",
    ]
    for name, field in Config.model_fields.items():
        section = field.annotation
        assert isinstance(section, type)
        lines += [f"## `[{name}]`", "", (section.__doc__ or "").strip(), ""]
        lines += ["| setting | default | meaning |", "|---|---|---|"]
        meanings = read_field_docstrings(section)
        for key, setting in section.model_fields.items():  # type: ignore[attr-defined]
            default = setting.get_default(call_default_factory=True)
            shown = "required" if default is PydanticUndefined else f"`{toml(default)}`"
            text = " ".join(meanings[key].split()).replace("|", "\\|")
            lines.append(f"| `{key}` | {shown} | {text} |")
        lines.append("")
    return "\n".join(lines)


def read_field_docstrings(section: type) -> dict[str, str]:
    """What stands below each field of a class and of those that it is made of."""
    texts: dict[str, str] = {}
    for part in reversed(section.__mro__):
        if not part.__module__.startswith("residency."):
            continue
        [tree] = ast.parse(textwrap.dedent(inspect.getsource(part))).body
        assert isinstance(tree, ast.ClassDef)
        for field, after in itertools.pairwise(tree.body):
            said = after.value if isinstance(after, ast.Expr) else None
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(said, ast.Constant)
            ):
                texts[field.target.id] = inspect.cleandoc(str(said.value))
    return texts


def toml(value: object) -> str:
    """A default as it would stand in the file."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {toml(v)}" for k, v in value.items()) + " }"
    text = json.dumps(value)
    if not isinstance(value, (list, type(None))):
        tomllib.loads(f"x = {text}")
    return text


def commands() -> str:
    """Every command's help."""
    lines = [
        "# Commands",
        "",
        "Made by `python docs/generate.py` from the commands' own help.",
        "Exit codes: 0 done, 2 something the user can mend, 1 a defect of Residency, 130 Ctrl-C,",
        "143 SIGTERM, 129 SIGHUP (all three keep what was done).",
        "",
        "The project's folder comes first, and may be left out where you stand in it. `--limit` is how many",
        "at most. `residency --install-completion` teaches your shell the commands and options.",
        "",
    ]
    runner = CliRunner()
    for name, command in COMMANDS.items():
        app = build_app(only=name)
        lines += [f"## residency {name}", "", command.line, ""]
        lines += block(runner, app, [name, "--help"])
        body = load_command(name)
        inner = body.registered_commands if isinstance(body, typer.Typer) else []
        for sub in inner:
            lines += block(runner, app, [name, str(sub.name), "--help"])
    return "\n".join(lines)


def _help(runner: CliRunner, app: object, arguments: list[str]) -> str:
    result = runner.invoke(app, arguments, env={"COLUMNS": "88", "NO_COLOR": "1"})  # type: ignore[arg-type]
    if result.exit_code:
        raise SystemExit(f"{arguments} failed: {result.output}{result.exception}")
    return result.output


def block(runner: CliRunner, app: object, arguments: list[str]) -> list[str]:
    """One help text as a code block."""
    text = "\n".join(line.rstrip() for line in _help(runner, app, arguments).splitlines())
    return ["```text", text.strip("\n"), "```", ""]


def data() -> str:
    """The page on data with the table of layouts that the code has."""
    page = (HERE / "data.md").read_text(encoding="utf-8")
    table = re.compile(r"^\| layout \| fields \|\n(\|.*\n)+", re.M)
    made = describe_layouts().split("\n\n")[0] + "\n"
    if not table.search(page):
        raise SystemExit("data.md has no table of layouts")
    return table.sub(lambda _: made, page, count=1)


def json_page() -> str:
    """Every command's JSON: its schema's name, what it is, and its fields."""
    from residency.cli.json_schemas import name_schema
    from residency.cli.json_shapes import SHAPES, WITHOUT_JSON

    lines = [
        "# What commands print with `--json`",
        "",
        "Made by `python docs/generate.py` from `src/residency/cli/json_shapes.py` and the files that it names.",
        "",
        "Every output is one object on stdout; progress and messages go to stderr. Its first field is",
        "`schema`: `residency.COMMAND/VERSION`. A version rises when a field goes away or changes its",
        "meaning; fields may be added within one. Lists stand under `rows`. A number that JSON cannot hold is",
        "`null`. Rates and scores are shares from 0 to 1, `low` and `high` the ends of a 95 % interval.",
        "`residency schema COMMAND` (or the name: `residency schema residency.gate/1`) prints the JSON Schema.",
        "",
    ]
    for name, shape in SHAPES.items():
        lines += [f"## residency {name}", "", f"`{name_schema(name.split())}`: {shape.about}", ""]
        prefix, fields = ("rows[].", shape.row_fields) if shape.row_fields else ("", shape.fields)
        lines += list_json_fields(fields | shape.with_options, prefix)
        for when, other in shape.other_forms.items():
            lines += [f"Instead, {when}:" if " " in when else f"Instead, with `{when}`:", ""]
            lines += list_json_fields(other)
    lines += ["## Without JSON", ""]
    lines += [f"- `residency {name}`: {why}" for name, why in WITHOUT_JSON.items()]
    return "\n".join(lines) + "\n"


def list_json_fields(fields: Mapping[str, str], prefix: str = "") -> list[str]:
    """A table of the fields of an output."""
    lines = ["| field | meaning |", "|---|---|"]
    return [*lines, *(f"| `{prefix}{key}` | {text or '–'} |" for key, text in fields.items()), ""]


PAGES = {
    "json.md": json_page,
    "configuration.md": configuration,
    "commands.md": commands,
    "data.md": data,
}


def main() -> None:
    """Write the pages, or check them."""
    stale = []
    for name, make in PAGES.items():
        path, text = HERE / name, make()
        if "--check" in sys.argv:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            path.write_text(text, encoding="utf-8")
    if stale:
        raise SystemExit(f"stale: {', '.join(stale)}; run: python docs/generate.py")


if __name__ == "__main__":
    main()
