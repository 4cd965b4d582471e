"""``residency pretrain``: train a model from raw text, or go on training one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from residency.cli.options import Json
from residency.text.counts import write_count

if TYPE_CHECKING:
    from residency.pretraining.recipe import PretrainConfig


def pretrain_command(
    recipe: Annotated[
        Path | None,
        typer.Argument(metavar="RECIPE", help="A recipe (TOML); see docs/pretraining.md."),
    ] = None,
    text: Annotated[
        Path | None, typer.Option(help="A file or folder of text instead of a recipe.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("pretrained"),
    start: Annotated[
        str, typer.Option("--from", help="Go on from this base model (domain adaptation).")
    ] = "",
    also: Annotated[
        list[Path] | None,
        typer.Option(help="Text that is only measured: what is forgotten elsewhere?"),
    ] = None,
    tokens: Annotated[int, typer.Option(min=0, help="Training tokens (0: the recipe's).")] = 0,
    learning_rate: Annotated[float, typer.Option(min=0, help="Peak rate (0: the recipe's).")] = 0.0,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads (0: all).")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    snapshot_only: Annotated[
        bool, typer.Option("--snapshot", help="Only write the last checkpoint's model.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a tokenizer and a model from raw text. Interrupted, the same command goes on.

    Example: residency pretrain --text books/ --tokens 2000000 --out mymodel
    """
    from residency.cli.progress import ProgressDisplay
    from residency.cli.terminal import print_json, print_line
    from residency.commands.pretrain import pretrain, snapshot

    chosen = _choose_recipe(recipe, text, start, tokens=tokens, learning_rate=learning_rate)
    if snapshot_only:
        print_line(str(snapshot(chosen, out, start=start, device=device)))
        return
    with ProgressDisplay() as display:
        result = pretrain(
            chosen,
            out,
            start=start,
            others=also or [],
            threads=threads,
            device=device,
            progress=display,
            say=display.say,
        )
    if as_json:
        print_json(json.dumps(result.to_dict(), indent=1))
        return
    for name, bits in result.bits_per_byte.items():
        print_line(_describe_text(name, bits, result.before.get(name)))
    for note in result.notes:
        print_line(f"note: {note}")
    print_line(
        f"{result.parameters / 1e6:.2f} M parameters, {write_count(result.tokens, 'token')} in "
        f"{result.seconds:.0f} s: {result.folder}"
    )


def _choose_recipe(
    recipe: Path | None, text: Path | None, start: str, *, tokens: int, learning_rate: float
) -> PretrainConfig:
    """The recipe file, or one for a folder of text, with what the flags change.

    Raises:
        ConfigError: both are named, or none.
    """
    from residency.errors import ConfigError
    from residency.pretraining.recipe import load_recipe, recipe_for

    changed: dict[str, float] = {}
    if tokens:
        changed["tokens"] = tokens
    if learning_rate:
        changed["learning_rate"] = learning_rate
    if recipe is not None and text is None:
        chosen = load_recipe(recipe)
        return chosen.model_copy(update={"run": chosen.run.model_copy(update=changed)})
    if text is None or recipe is not None:
        raise ConfigError(
            "give a recipe or --text, one of the two",
            next_step="residency pretrain --text FOLDER --out MODEL",
        )
    if start:  # trained weights want a gentle hand, and no optimizer that they never saw
        changed = {"learning_rate": 5e-5, "muon_rate": 0.0, "context": 512, **changed}
    return recipe_for(text, changed)


def _describe_text(name: str, bits: float, before: float | None) -> str:
    """One text's line: what is held out, what is elsewhere, and what changed."""
    _, elsewhere, other = name.rpartition("elsewhere-")
    line = f"elsewhere, {other}" if elsewhere else f"{name}, held out"
    line += f": {bits:.4f} bits per byte"
    if before is None:
        return line
    return f"{line} (before: {before:.4f}, {100 * (bits / before - 1):+.1f} %)"
