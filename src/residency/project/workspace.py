"""A project's folder, opened: settings, corpus, base model, store, each made at its first use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from residency.config.model import ModelConfig
from residency.config.read_text import read_text_file
from residency.config.settings import CONFIG_NAME, Config
from residency.errors import ConfigError, DataError, OfflineError, StoreError
from residency.interfaces import Embedder, Progress, ProgressEvent, no_progress
from residency.nouns.content_id import content_id
from residency.nouns.example import DEALT_SPLITS, SPLITS, Example, Split
from residency.nouns.issue import Slice
from residency.nouns.response import Sampling
from residency.project.project_plugins import load_project_plugins, with_own_plugins
from residency.project.result_settings import list_result_settings
from residency.store.record_kind import RecordKind
from residency.store.store import Store
from residency.text.counts import write_count

if TYPE_CHECKING:
    from residency.chat.chat_format import ChatFormat
    from residency.data.corpus import Corpus
    from residency.evaluate.suites.primary_metric import PrimaryMetric
    from residency.evaluate.suites.suite import Suite
    from residency.infer.generation_settings import GenerationSettings
    from residency.infer.local_engine import LocalEngine
    from residency.model.base_model import BaseModel
    from residency.project.general_rows import GeneralRows


class Workspace:
    """State shared by every command on one project.

    Args:
        root: the project's folder.
        config: its settings.
        full: use every row, whatever ``data.limit`` says.
        progress: called as long work goes on.
    """

    def __init__(
        self,
        root: Path,
        config: Config,
        *,
        full: bool = False,
        progress: Progress = no_progress,
    ) -> None:
        self.root = root
        self.config = config
        self.plugin_files = load_project_plugins(root, config.project.plugins)
        self.full = full
        self.progress = progress
        self.base_in_settings = config.model.base
        """What ``residency.toml`` names; another one than ``config.model.base`` after ``--base``."""
        self.chosen_options: dict[str, list[Any]] = {}
        """Settings that options of ``residency run`` chose: name → what is used, what the file says."""

    # --- settings -------------------------------------------------------------------------

    @cached_property
    def store(self) -> Store:
        """The project's store, made when there is none."""
        project = self.config.project

        def tell(trouble: str) -> None:
            self.progress(ProgressEvent("artifacts", 0, 0, "", {"trouble": trouble}))

        return Store(self.root, project.store, artifacts=project.artifacts, tell=tell)

    @cached_property
    def base(self) -> BaseModel:
        """The base model, fetched when it is absent (one line says so first).

        Without a network the default gives way to the shipped ``tiny``; its note says so.
        """
        from residency.model.base_model import resolve_base

        name = self.config.model.base
        local = self.root / name
        try:
            return resolve_base(str(local) if local.exists() else name, progress=self.progress)
        except OfflineError:
            if name != ModelConfig().base:
                raise
            shipped = resolve_base("tiny", progress=self.progress)
            note = f"tiny, which ships with Residency: {name} cannot be fetched without a network"
            return replace(shipped, note=note)

    @cached_property
    def chat_format(self) -> ChatFormat:
        """The base model's chat format."""
        from residency.chat.chat_format import ChatFormat

        template = None
        if self.config.model.template:
            path = self.root / self.config.model.template
            try:
                template = read_text_file(path)
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
                raise ConfigError(
                    f"the template file cannot be read: {reason}",
                    where=f"{CONFIG_NAME} model.template",
                    next_step="name a Jinja file, relative to the project's folder",
                ) from None
        return ChatFormat(
            self.base.tokenizer(), template, fold_system=self.config.model.fold_system
        )

    @cached_property
    def engine(self) -> LocalEngine:
        """The local generation and scoring engine on the base model."""
        return self._open_engine(self.config.generate.precision)

    @cached_property
    def exact_engine(self) -> LocalEngine:
        """An engine in fp32, whatever the settings say: what other programs' answers are compared with."""
        exact = self.config.generate.precision == "fp32"
        return self.engine if exact else self._open_engine("fp32")

    def _open_engine(self, precision: str) -> LocalEngine:
        from residency.infer.local_engine import LocalEngine

        return LocalEngine(
            self.base.path,
            self.chat_format,
            threads=self.config.model.threads,
            device=self.config.model.device,
            batch_size=self.config.generate.batch_size,
            precision=precision,
            layers="all" if self.config.train.method == "full" else self.config.train.layers,
            known=self.base.known,
        )

    @cached_property
    def embedder(self) -> Embedder:
        """Static embeddings without network, or those that ``evaluate.embedder`` names."""
        from residency.embedding.named_embedders import open_embedder

        return open_embedder(self.config.evaluate.embedder, self.config.embedding)

    @cached_property
    @with_own_plugins
    def suite(self) -> Suite:
        """The test suite that the settings name, or the default one."""
        from residency.evaluate.suites.load_suite import load_suite
        from residency.project.named_kinds import join_kinds

        path = self.config.evaluate.suite
        code_root = None if self.config.evaluate.outside_code else self.root
        suite = load_suite(self.root / path if path else None, code_root=code_root)
        return join_kinds(suite, self.root)

    @cached_property
    def primary_metric(self) -> PrimaryMetric:
        """What models are compared by: the suite's choice, or the one that fits its rules on dev."""
        from residency.evaluate.suites.primary_metric import choose_primary

        return choose_primary(self.suite, self.split("dev"))

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The classes that answers are drawn from, in normal form; empty for any other task."""
        from residency.evaluate.suites.closed_set import find_classes

        return find_classes(self.suite, self.split("dev"))

    # --- examples -------------------------------------------------------------------------

    @cached_property
    @with_own_plugins
    def corpus(self) -> Corpus:
        """Every example, read, checked and split; the test suite's items are part of dev."""
        from residency.data.corpus import load_corpus
        from residency.evaluate.suites.check_suite import check_suite
        from residency.project.made_rows import read_settled_rows

        def tell_rows(event: ProgressEvent) -> None:
            if not event.total:  # reading alone: the passes after it are short
                self.progress(event)

        collected = read_settled_rows(self.root, self.config, vars(self).get("store"))
        corpus = load_corpus(
            self.config, self.root, full=self.full, collected=collected, progress=tell_rows
        )
        known = {e.id for e in corpus.examples}
        items = [e for e in self.suite.examples if e.id not in known]
        examples = [*corpus.examples, *items]
        dev = [e for e in examples if e.split == "dev"]
        notes = check_suite(self.suite, dev) if self.suite.source else ()
        return replace(corpus, examples=examples, notes=[*corpus.notes, *notes])

    def split(self, split: Split) -> list[Example]:
        """Examples of one split, in order."""
        return [e for e in self.corpus.examples if e.split == split]

    @property
    def sizes(self) -> dict[str, int]:
        """Rows by split; general ones only where the settings name some."""
        shown = [s for s in SPLITS if s in DEALT_SPLITS or self.config.data.replay]
        return {split: len(self.split(split)) for split in shown}

    @cached_property
    def general_rows(self) -> GeneralRows:
        """General rows that may be trained beside those of the task, in the order of taking."""
        from residency.project.general_rows import choose_general_rows

        return choose_general_rows(self, self.split("replay"), self.config.project.seed)

    @cached_property
    def slices(self) -> list[Slice]:
        """Slices beside the tags: classes and field values, words of prompts, and where nobody
        tagged a row, prompts of like meaning.

        Rows of train, test and pool join too, so that an issue can be confirmed, rows be drawn for
        it and those be counted that it has; they shape nothing.
        """
        return self.list_slices()

    def list_slices(self, made: Sequence[Example] = ()) -> list[Slice]:
        """The same slices, with rows in them that the project does not have yet."""
        from residency.diagnose.cluster_slices import cluster_slices
        from residency.diagnose.feature_slices import slice_by_features

        dev = self.split("dev")
        others = [*self.split("train"), *self.split("test"), *self.split("pool")]
        features = slice_by_features(dev, also=[*others, *made])
        if any(example.tags for example in dev):
            return features
        seed = self.config.project.seed
        return [*features, *cluster_slices(dev, self.embedder, also=others, placed=made, seed=seed)]

    def forget_rows(self) -> None:
        """Read the rows again at their next use: somebody has decided of them, or added some."""
        for name in (
            "corpus",
            "general_rows",
            "slices",
            "primary_metric",
            "classes",
            "run_id",
            "_run_body",
        ):
            vars(self).pop(name, None)

    def check_splits(self) -> None:
        """Enough rows to train, measure and confirm.

        Raises:
            DataError: a split is too small.
        """
        needs: dict[Split, int] = {"train": 1, "dev": 2, "test": 1}
        for split, need in needs.items():
            rows = len(self.split(split))
            if rows < need:
                raise DataError(
                    f"the {split} split has {write_count(rows, 'row')}",
                    where=f"{CONFIG_NAME} [data]",
                    next_step=f"name a file in data.{split}, or more rows in data.train to split from",
                )

    @property
    def instruction(self) -> str:
        """The instruction that every row shares, or nothing."""
        first = {
            e.prompt[-1].content for e in self.split("train") if e.prompt and e.prompt[-1].input
        }
        return first.pop() if len(first) == 1 else self.config.data.instruction

    @property
    def sampling(self) -> Sampling:
        """How answers are generated."""
        g = self.config.generate
        sampling = Sampling(
            max_new_tokens=g.max_new_tokens,
            temperature=g.temperature,
            stop=tuple(g.stop),
            seed=self.config.project.seed,
            precision=g.precision,
        )
        return replace(sampling, model_settings=self.model_settings.name_key(sampling))

    @cached_property
    def model_settings(self) -> GenerationSettings:
        """The base's generation settings. The bases that we know have none that change anything,
        and nothing is fetched to find that out."""
        from residency.infer.generation_settings import GenerationSettings, read_generation_settings
        from residency.model.base_model import KNOWN_BASES

        if self.config.model.base in KNOWN_BASES:
            return GenerationSettings()
        return read_generation_settings(self.base.path)

    # --- the run --------------------------------------------------------------------------

    @cached_property
    def run_id(self) -> str:
        """Fingerprint of data, base model and every setting that can change a result.

        A changed setting is a new run beside the old one; ``open_run`` makes it the latest.
        """
        return content_id("run", self._run_body)

    @cached_property
    def _run_body(self) -> dict[str, Any]:
        body = {
            "settings": self.list_result_settings(),
            "base": self.base.identity,
            "template": self.chat_format.hash,
            "suite": self.suite.hash,
            "examples": hash_rows(self.corpus.examples),
        }
        if self.general_rows.rows:  # which of them are left out hangs on the guard's files
            body["general"] = hash_rows(self.general_rows.rows)
        return body

    def record_run(self) -> str:
        """Store what this run is made of and its examples, where that is not done yet; its id."""
        if not self.store.has_corpus(self.run_id):
            with self.store.writer("run"):
                self.store.add_run(self.run_id, self._run_body)
                self.store.add_corpus(self.run_id, self.corpus.examples)
        return self.run_id

    def open_run(self) -> str:
        """Make this fingerprint the run that status, report and the single steps speak of."""
        self.record_run()
        if self.store.latest_run() != self.run_id:
            with self.store.writer("run"):
                body = {
                    "full": self.full,
                    "base": self.config.model.base,
                    "base_in_settings": self.base_in_settings,
                    "options": self.chosen_options,
                }
                self.store.add_record(RecordKind.RUN_OPENED, self.run_id, body)
        return self.run_id

    def latest_run(self) -> str:
        """The run that was worked on last.

        Raises:
            StoreError: nothing was run yet.
        """
        run = self.store.latest_run()
        if run is None:
            raise StoreError("nothing was run here yet", next_step="residency run")
        return run

    def list_result_settings(self) -> dict[str, Any]:
        """The settings that can change a result, by section."""
        return list_result_settings(self.config, self.plugin_files)


def hash_rows(examples: Iterable[Example]) -> str:
    """Content id of rows, their splits, groups, tags and weights."""
    rows = [[e.id, e.split, e.group, sorted(e.tags), e.weight] for e in examples]
    return content_id("rows", rows)
