"""A message, what a model answered, and the reference, for a person who reads them in a terminal."""

from __future__ import annotations

from rich.text import Text

from residency.cli.terminal import console
from residency.nouns.example import Example
from residency.nouns.response import Response
from residency.text.terminal_text import make_safe


def show_answer(example: Example, response: Response) -> None:
    """Print all three; what a model or a file wrote cannot drive the terminal."""
    console.print(Text(make_safe(example.prompt_text), style="bold"))
    console.print(Text("\nThe model:", style="dim"))
    console.print(Text(make_safe(response.text).strip() or "(nothing)"))
    if example.reference:
        console.print(Text("\nIn your data:", style="dim"))
        console.print(Text(make_safe(example.reference), style="green"))
