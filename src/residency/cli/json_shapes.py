"""What each command prints with ``--json``."""

from __future__ import annotations

from residency.cli.json_shape import JsonShape
from residency.cli.json_shapes_of_measures import MEASURE_SHAPES
from residency.cli.json_shapes_of_rounds import ROUND_SHAPES
from residency.cli.json_shapes_of_tools import TOOL_SHAPES

FIELD_TYPES: dict[str, str] = {
    **dict.fromkeys(("complete", "healthy", "passed", "here", "accepted"), "boolean"),
    **dict.fromkeys(("id", "run", "stopped", "report", "line"), "string"),
    **dict.fromkeys(
        ("rounds", "stages", "conclusion", "looked_at", "problems", "repaired"), "array"
    ),
    **dict.fromkeys(("checks", "parents", "answers", "notes"), "array"),
    **dict.fromkeys(("limits", "failing"), "object"),
}
"""JSON type of fields that have the same one wherever they stand."""

SHAPES: dict[str, JsonShape] = {**ROUND_SHAPES, **MEASURE_SHAPES, **TOOL_SHAPES}
"""By the words of the command."""

WITHOUT_JSON = {
    "web": "serves pages until it is ended",
    "mcp": "speaks a protocol on its own pipe",
    "schema": "prints JSON Schemas, or their names",
    "arena review": "asks a person, answer by answer; arena board --json has what came of it",
    "judge label": "asks a person, answer by answer; judge run --json has what came of it",
}
"""Commands whose output no program reads, and why."""
