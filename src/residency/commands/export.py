"""``residency export``: a model leaves in its final form, proved and graded on the file itself."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from residency.commands.export_log import ExportLog
from residency.errors import ConfigError, ParityError, UserError
from residency.export.export_formats import FORMATS, QUANTISATIONS, ExportFormat
from residency.files.atomic_write import open_draft_folder, open_work_folder, write_text
from residency.files.content_hash import hash_file_hex
from residency.files.own_folder import check_replaceable, mark_folder
from residency.interfaces import Prompt
from residency.nouns.issue import Issue
from residency.project.named_models import find_model, require_local
from residency.project.workspace import Workspace
from residency.text.percent import write_percent

if TYPE_CHECKING:
    from residency.export.export_model import ExportedFile, ModelSource
    from residency.export.licences import LicenceCheck
    from residency.export.proof import FileProof
    from residency.loop.assess import Assessment
    from residency.nouns.issue_change import IssueChange
    from residency.nouns.model import Model

MARGIN = 0.05
"""How far an issue's rate may rise in the exported file."""
PROBES = 6
"""Dev prompts whose answers are compared letter by letter."""


@dataclass(frozen=True)
class FileResult:
    """A file of the export: its proof, its score on dev, each issue again, why it fails, and what to do."""

    file: str
    size: int
    proof: FileProof | None
    score: float | None
    issues: list[IssueChange] = field(default_factory=list)
    refused: str = ""
    next_step: str = ""


@dataclass(frozen=True)
class ExportResult:
    """What an export wrote and showed. ``licences``: what is said of them; ``pushed``: an address.

    ``written`` is False where every file was refused: then there is no folder, and ``next_step`` says
    what to try.
    """

    folder: Path
    score: float | None
    files: list[FileResult]
    notes: list[str]
    licences: list[str] = field(default_factory=list)
    pushed: str = ""
    written: bool = True
    next_step: str = ""

    @property
    def failed(self) -> bool:
        """Whether any file was refused."""
        return any(row.refused for row in self.files)


def export(
    ws: Workspace,
    name: str,
    out: Path,
    export_format: str,
    *,
    quantisations: Sequence[str] = ("q8_0",),
    margin: float = MARGIN,
    grade: bool = True,
    force: bool = False,
    push: str = "",
    public: bool = False,
) -> ExportResult:
    """Write a stored model in its final form, and let the program that will load it prove it.

    Each file is loaded by stock transformers, PEFT or llama.cpp: it must cut text into the same
    tokens, ask with the same prompt (one BOS, the same chat template), stop, and, where weights are
    not rounded, give the same answers. Then it answers the dev items, and every issue is graded again.
    A file that fails is not kept; where all fail nothing is written, and the result still says what was
    measured.

    Args:
        name: ``final``, ``round-N`` or an id. out: the new folder.
        quantisations: for GGUF files, of ``QUANTISATIONS``.
        margin: how far an issue's failure rate may rise, 0 to 1.
        grade: False leaves the dev items out. force: replace a folder of an earlier export.
        push: OWNER/NAME of a repository on the hub that gets the folder when no file was refused; the
            token stands in ``HF_TOKEN``. public: make it public where it is new.

    Raises:
        ConfigError: an unknown format or quantisation. UserError: nothing to export, or something
            else lies at ``out``. ModelError: this model cannot leave in this format. FetchError: the hub
            refuses; what was written stays.
    """
    chosen = _choose_format(export_format, quantisations)
    token = _prepare_push(push, public)
    model = find_model(ws, name)
    require_local(ws, model, "only local models are exported")
    if not model.adapter:
        raise UserError(
            f"{name} is the base itself: there is nothing to export",
            where="--model",
            next_step="name a trained model: final, round-1, or an id from residency status",
        )
    check_replaceable(out, force=force)
    from residency.commands.export_cards import gather_licences
    from residency.export.export_model import write_export
    from residency.export.proof import describe_stops
    from residency.export.regrade_issues import assess_model

    log = ExportLog(ws.store, model.id)
    begun: dict[str, object] = {"model": name, "folder": str(out.resolve()), "format": chosen}
    begun |= {"margin": margin, "graded": grade}
    begun |= {"quantisations": list(quantisations) if chosen in ("gguf", "ollama") else []}
    with ws.store.writer("export"), log.follow(begun):
        issues = ws.store.issues(ws.latest_run()) if ws.store.latest_run() else []
        before = assess_model(ws, model) if grade else None
        log.add_score(_read_score(before))
        source = _make_source(ws, model, name)
        rows: list[FileResult] = []
        licences = gather_licences(ws, model)
        with (
            contextlib.suppress(_EveryFileRefusedError),
            open_draft_folder(out) as draft, open_work_folder(out) as work,
        ):  # fmt: skip
            for file in (files := write_export(source, chosen, draft, work, quantisations)):
                rows.append(_prove_and_grade(ws, model, source, file, before, issues, margin))
                log.add_file(rows[-1])
            stopping = describe_stops([row.proof for row in rows if row.proof])
            source.notes.extend(stopping)
            for row, file in zip(rows, files, strict=True):
                if row.refused and file.path.is_file():
                    file.path.unlink()
            if all(row.refused for row in rows):
                raise _EveryFileRefusedError  # the draft goes
            _write_cards(ws, model, draft, name, rows, licences, chosen, stopping)
            mark_folder(draft)
        result = ExportResult(
            out, _read_score(before), rows, source.notes, licences.sentences,
            written=not all(row.refused for row in rows),
            next_step=_suggest_other_file(chosen, rows),
        )  # fmt: skip
        log.add_end(result)
    return _push_result(result, push, token, public)


class _EveryFileRefusedError(Exception):
    """Ends the draft of an export of which nothing is kept."""


def _make_source(ws: Workspace, model: Model, name: str) -> ModelSource:
    """What is exported, under the name that its files get."""
    from residency.export.export_model import ModelSource

    assert model.adapter is not None  # a bare base was refused
    return ModelSource(
        ws.base.path,
        ws.store.artifacts.folder(model.adapter),
        ws.chat_format,
        name=f"{ws.base.name.split('/')[-1]}-{name}",
        context=min(ws.exact_engine.context, 4096),
        instruction=ws.instruction,
        stops=tuple(
            dict.fromkeys((*ws.sampling.stop, *ws.chat_format.stop, *ws.exact_engine.settings.stop))
        ),
        hub_base=ws.base.hub_id,
    )


def _prepare_push(push: str, public: bool) -> str:
    """The token, where something is to be pushed; what is wrong is told before anything is made."""
    if public and not push:
        raise UserError(
            "nothing is put anywhere that could be public",
            where="--public",
            next_step="add --push OWNER/NAME, or leave it out",
        )
    if not push:
        return ""
    from residency.export.hub_push import check_repository, read_hub_token

    check_repository(push)
    return read_hub_token()


def _choose_format(name: str, quantisations: Sequence[str]) -> ExportFormat:
    for known in FORMATS:
        if name == known:
            break
    else:
        raise ConfigError(
            f"unknown format {name!r}", where="--format", next_step=f"use {', '.join(FORMATS)}"
        )
    wrong = [q for q in quantisations if q not in QUANTISATIONS]
    if wrong or not quantisations:
        raise ConfigError(
            f"unknown quantisation {', '.join(map(repr, wrong)) or '(none)'}",
            where="--quantise",
            next_step=f"use {', '.join(QUANTISATIONS)}",
        )
    return known


def _prove_and_grade(
    ws: Workspace,
    model: Model,
    source: ModelSource,
    file: ExportedFile,
    before: Assessment | None,
    issues: Sequence[Issue],
    margin: float,
) -> FileResult:
    """One file through its own program."""
    from residency.export.export_model import open_file
    from residency.export.proof import prove_file
    from residency.export.regrade_issues import answer_dev, regrade_issues
    from residency.loop.respond import build_prompt

    examples = ws.split("dev")[:PROBES] or ws.split("train")[:PROBES]
    prompts = [Prompt(build_prompt(example, ()), example.id) for example in examples]
    engine = ws.exact_engine
    engine.use_adapter(source.adapter)
    expected = engine.generate(prompts, ws.sampling)
    try:
        with open_file(file, source, threads=ws.config.model.threads) as consumer:
            proof = prove_file(
                consumer, source.chat, prompts, expected, ws.sampling,
                exact=file.exact and ws.sampling.temperature == 0,
                measure_lead=engine.measure_lead, where=file.name,
            )  # fmt: skip
            if before is None:
                return FileResult(file.name, file.size, proof, None)
            digest = "+".join(hash_file_hex(path) for path in file.weights())
            after = answer_dev(ws, model, consumer, digest, file.name)
    except ParityError as error:
        return FileResult(
            file.name, file.size, None, None, refused=error.what, next_step=error.next_step
        )
    changes = regrade_issues(issues, before, after)
    worse = [c for c in changes if c.rise > margin]
    refused = "; ".join(
        f"{c.title} rises from {write_percent(c.before)} to {write_percent(c.after)}, more than the margin of {100 * margin:g} points"
        for c in worse
    )
    return FileResult(file.name, file.size, proof, _read_score(after), changes, refused)


def _suggest_other_file(export_format: ExportFormat, rows: Sequence[FileResult]) -> str:
    """What to try where every file was refused; empty where one was kept."""
    if not all(row.refused for row in rows):
        return ""
    if not any(row.issues for row in rows):
        return next((row.next_step for row in rows if row.next_step), "")  # the proof itself failed
    wider = "take a wider --margin if you accept the rise"
    if export_format in ("gguf", "ollama"):
        return f"export a wider type (--quantise q8_0 or f16), or {wider}"
    return wider


def _read_score(assessed: Assessment | None) -> float | None:
    """The mean item score on dev; None where nothing was scored."""
    return None if assessed is None else assessed.scores.score.mean


def _write_cards(
    ws: Workspace,
    model: Model,
    folder: Path,
    name: str,
    rows: Sequence[FileResult],
    licences: LicenceCheck,
    export_format: str,
    stopping: Sequence[str],
) -> None:
    from residency.commands.export_cards import gather_card, gather_dataset_card
    from residency.export.dataset_card import write_dataset_card
    from residency.export.model_card import write_model_card

    files = [
        {
            "file": row.file,
            "bytes": row.size,
            "speed": row.proof.speed if row.proof else 0.0,
            "same_text": row.proof.same_text if row.proof else 0,
            "prompts": row.proof.prompts if row.proof else 0,
            "score": row.score,
            "rose": ", ".join(c.title for c in row.issues if c.rise > 0),
        }
        for row in rows
        if not row.refused
    ]
    facts = gather_card(ws, model, name, files, licences, export_format, stopping)
    write_text(folder / "README.md", write_model_card(facts))
    data = gather_dataset_card(ws, model, licences)
    write_text(folder / "dataset-card.md", write_dataset_card(data))


def _push_result(result: ExportResult, push: str, token: str, public: bool) -> ExportResult:
    """The written folder on the hub; nothing where a file was refused."""
    if not push:
        return result
    if result.failed:
        note = f"not pushed to {push}: a file was refused"
        return replace(result, notes=[*result.notes, note])
    from residency.export.hub_push import push_folder

    return replace(result, pushed=push_folder(result.folder, push, token, public=public))
