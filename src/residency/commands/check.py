"""``residency check``: the data doctor on a project, a folder or one file."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from residency.config.data import DataConfig
from residency.config.model import ModelConfig
from residency.config.settings import CONFIG_NAME, Config
from residency.errors import DataError, TemplateError
from residency.files.atomic_write import write_json, write_json_lines
from residency.files.path_text import check_path_text
from residency.interfaces import Progress, no_progress
from residency.nouns.example import Split
from residency.nouns.short_view import ShortView
from residency.text.counts import write_count

if TYPE_CHECKING:
    from residency.chat.chat_format import ChatFormat
    from residency.data.checks.data_doctor import CheckReport
    from residency.data.checks.survey import Leak, Survey
    from residency.data.cleaning.cleaned_copy import CleanedCopy

REPORT_FOLDER = Path(".residency") / "check"


@dataclass(frozen=True)
class Shown:
    """One row as it is trained on: pieces of text, and whether each is trained."""

    source: str
    tokens: int
    trained: int
    pieces: list[tuple[str, bool]]


@dataclass(frozen=True, repr=False)
class Checked(ShortView):
    """What ``check`` says, showed and wrote.

    ``written`` names the report and the lists of rejected, removed and too long rows, where they
    were written.
    """

    report: CheckReport
    shown: list[Shown] = field(default_factory=list)
    fixed: CleanedCopy | None = None
    written: list[Path] = field(default_factory=list)
    template_notes: tuple[str, ...] = ()
    """How the answers of an unusual chat template are trained."""

    settings: Config = field(default_factory=Config)
    removable: Mapping[tuple[Split, str], int] = field(default_factory=dict)
    """Rows that ``fix`` leaves out, by split and kind; those that cannot be read come on top."""

    def describe(self) -> str:
        """Rows that stay and that do not, in a sentence."""
        report = self.report
        sizes = ", ".join(f"{n} of {report.rows.get(s, n)} in {s}" for s, n in report.kept.items())
        unread = write_count(report.rejected, "row cannot", "rows cannot")
        return f"Rows that stay: {sizes or 'none'}; {unread} be read."

    @property
    def dev_needs(self) -> str:
        """How many dev rows a slice needs to show a fall by these settings, and what its tags can show."""
        from residency.diagnose.plan_dev import describe_dev_needs, describe_tags

        kept = self.report.kept.get("dev", 0)
        dev = min(kept, self.settings.data.limit.get("dev", kept))
        used = (dev, self.settings.diagnose, self.settings.rounds)
        data = self.settings.data  # of a limit, oversampled rows come first
        tags = {
            tag: n if tag in data.oversample_dev else n * dev // kept
            for tag, n in self.report.dev_tags.items()
            if kept
        }
        shown = describe_tags(tags, *used, split_off=not data.dev)
        return " ".join(filter(None, (describe_dev_needs(*used), shown)))

    @property
    def fixable(self) -> bool:
        """Whether ``fix`` would leave rows out."""
        return bool(self.report.rejected or self.removable)


def check(
    target: Path | str,
    *,
    base: str = "",
    columns: dict[str, str] | None = None,
    split_at: str = "",
    least: Mapping[str, float] | None = None,
    show: int = 0,
    fix: bool = False,
    keep: Collection[str] = (),
    strict: bool = False,
    benchmarks: Path | None = None,
    cluster: str = "",
    out: Path | None = None,
    progress: Progress = no_progress,
) -> Checked:
    """Look at every row of a project, a folder of data or a file, and say what is wrong.

    Nothing is fetched: without a local copy of the base model, token figures are left out.

    Args:
        target: a path, or a source with a scheme (``sqlite:///…``, given as text: a ``Path``
            would lose a slash).
        base: base model whose tokenizer and template are used (default: the project's).
        columns: the user's column names, as ``data.columns``. split_at: as ``data.split_at``.
        least: as ``data.least``.
        show: rows to show with their trained tokens.
        benchmarks: folder of copies to compare with, or ``hub`` to read them from the hub
            (default: the project's ``data.benchmarks``).
        cluster: where the passes run (default: the project's ``data.cluster``).
        fix: write a cleaned version beside the data; the sources stay as they are. keep: kinds of
            ``cleaned_copy.DROPPED`` that it does not leave out.
        out: where report and lists are written (default: ``.residency/check`` of a project,
            nowhere for a file).

    Raises:
        ConfigError, DataError: the settings or the data cannot be read, or ``keep`` names no kind; with ``strict`` also the
            first bad row. SuiteError: the project's suite cannot be read. TemplateError: the chat
            template cannot be trusted.
    """
    from residency.data.benchmark_questions import load_benchmarks
    from residency.data.block_workers import spread_over
    from residency.data.checks.data_doctor import check_data as examine
    from residency.data.cleaning.cleaned_copy import list_reasons, write_cleaned_copy
    from residency.embedding.wordllama import WordLlamaEmbedder

    _check_kept_kinds(keep, fix)
    reading = {"columns": columns, "split_at": split_at, "least": dict(least or {})}
    root, config, project = _settings(target, base, {k: v for k, v in reading.items() if v})
    chat = _chat_format(root, config)
    named = str(benchmarks or config.data.benchmarks or "")
    known = None
    if named == "hub":
        from residency.loop.benchmark_contamination import hub_benchmarks

        known = hub_benchmarks(progress)
    elif named:
        known = load_benchmarks(benchmarks or root / named)
    judged = _check_what_judges(root, config) if project else nullcontext()
    with judged, spread_over(cluster or config.data.cluster) as spread:
        report, survey = examine(
            config,
            root,
            subject=str(target),
            chat=chat,
            embedder=WordLlamaEmbedder(),
            benchmarks=known,
            missing=None if project else (),
            loose=not project,
            strict=strict,
            spread=spread,
            progress=progress,
        )
    report_folder = out or (root / REPORT_FOLDER if project else None)
    if project:
        report.notes.extend(_note_collected(root, config))
        report.near_guard.extend(_find_near_guard(root, config, survey))
    written = _write(report, survey, report_folder) if report_folder else []
    leaks = {row: leak.benchmark for row, leak in survey.leaks(known or {})}
    fixed = write_cleaned_copy(survey, root / "clean", leaks=leaks, keep=keep) if fix else None
    reasons = list_reasons(survey, leaks)
    removable = Counter((survey.split(row), kind) for row, (kind, _) in reasons.items())
    notes = survey.chat.notes if survey.chat is not None else ()
    return Checked(report, _show(survey, show), fixed, written, notes, config, removable)


def _check_kept_kinds(keep: Collection[str], fix: bool) -> None:
    from residency.data.cleaning.cleaned_copy import DROPPED

    if keep and not fix:
        raise DataError(
            "rows are kept from a cleaned copy, and none is asked for",
            where="--keep",
            next_step="add --fix, or leave it out",
        )
    if unknown := sorted(set(keep) - set(DROPPED)):
        raise DataError(
            f"{unknown[0]!r} is no kind of rows that can be kept",
            where="--keep",
            next_step=f"one of {', '.join(DROPPED)}",
        )


@contextmanager
def _check_what_judges(root: Path, config: Config) -> Iterator[None]:
    """What ``run`` would refuse before its first row: names, suite, plugins; inside, those hold."""
    from residency.plugins import use_plugin_files
    from residency.project.check_names import check_names
    from residency.project.workspace import Workspace

    ws = Workspace(root, config)
    with use_plugin_files(ws.plugin_files):
        check_names(root, config)
        _ = ws.suite  # read, or refused
        yield


def _settings(
    target: Path | str, base: str, reading: Mapping[str, Any]
) -> tuple[Path, Config, bool]:
    """Root folder, settings, and whether the target is a project.

    Args:
        reading: settings of ``[data]`` that take the place of the project's.
    """
    from residency.project.settings_file import read_config

    if "://" in str(target):  # a database or a file on the hub: taken as it is written
        return Path(), _of_source(str(target), base, reading), False
    target = Path(target)
    check_path_text(target.resolve())
    if (target / CONFIG_NAME).exists():  # a folder of that name is refused in words
        overrides = {f"data.{name}": value for name, value in reading.items()}
        if base:
            overrides["model.base"] = base
        return target, read_config(target, overrides), True
    if not target.exists():
        raise DataError(
            "no such file or folder", where=str(target), next_step="residency check FILE"
        )
    root = target if target.is_dir() else target.parent
    name = "." if target.is_dir() else target.name
    return root, _of_source(name, base, reading, folder=root), False


def _of_source(
    name: str, base: str, reading: Mapping[str, Any], folder: Path | None = None
) -> Config:
    """Settings for a source that belongs to no project; the files of a folder are in the splits
    that their names say."""
    from residency.data.reading.named_splits import name_folder_splits

    model = ModelConfig(base=base) if base else ModelConfig()
    files: Mapping[Split, list[str]] = {"train": [name]}
    if name == "." and folder is not None and (named := name_folder_splits(folder)):
        files = named
    data = DataConfig.model_validate({**files, **reading})
    return Config(data=data, model=model)


def _chat_format(root: Path, config: Config) -> ChatFormat | None:
    from residency.model.base_model import is_here
    from residency.project.workspace import Workspace

    name = config.model.base
    if not ((root / name).exists() or Path(name).exists() or is_here(name)):
        return None
    return Workspace(root, config).chat_format


def _show(survey: Survey, count: int) -> list[Shown]:
    """The first rows of train, with what is trained of each."""
    from residency.data.token_rows import encode_example

    out: list[Shown] = []
    if survey.chat is None:
        return out
    for view in survey.findings.sample.views:
        if len(out) >= count:
            break
        if survey.split(view.number) != "train" or not survey.decision.alive[view.number]:
            continue
        try:
            rows = encode_example(view.example, survey.chat)
        except TemplateError:
            continue
        for row in rows:
            pieces = survey.chat.pieces(row.ids, row.mask)
            out.append(Shown(view.example.source, len(row.ids), sum(row.mask), pieces))
    return out[:count]


def _find_near_guard(root: Path, config: Config, survey: Survey) -> list[Leak]:
    """General rows near a question of ``rounds.guard``, which a run leaves out; the first hit of each."""
    from residency.project.general_rows import read_guard_questions
    from residency.project.workspace import Workspace

    if not (config.data.replay and config.rounds.guard):
        return []
    hits = survey.leaks(read_guard_questions(Workspace(root, config)), ("replay",))
    first: dict[int, Leak] = {}
    for row, leak in hits:
        first.setdefault(row, leak)
    return [first[row] for row in sorted(first)]


def _note_collected(root: Path, config: Config) -> list[str]:
    """That rows that were collected join train or wait, and how they are looked at."""
    from residency.data.collected_rows import COLLECTED
    from residency.project.made_rows import read_settled_rows

    notes = read_settled_rows(root, config).write_notes()
    if notes:
        file = shlex.quote(str(root / COLLECTED))
        notes.append(f"{COLLECTED} is not looked at here: residency check {file}")
    return notes


def _write(report: CheckReport, survey: Survey, folder: Path) -> list[Path]:
    """Report, rejected rows and removed rows, as JSON."""
    from residency.data.reading.row_reader import write_rejects

    write_json(folder / "report.json", report.to_dict())
    write_rejects(survey.rejects(), folder / "rejects.jsonl")
    removed = [survey.removal(n) for n in range(len(survey.decision.drops))]
    write_json_lines(folder / "removed.jsonl", removed)
    ledger = report.ledger
    write_json_lines(
        folder / "truncated.jsonl",
        [vars(row) for row in (*ledger.affected, *ledger.refused)] if ledger else [],
    )
    names = ("report.json", "rejects.jsonl", "removed.jsonl", "truncated.jsonl")
    return [folder / name for name in names]
