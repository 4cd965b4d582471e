"""``residency.toml`` ↔ typed settings. A docstring under each field becomes its help text.

Every setting is read by something and tested. Unknown keys are refused, with the nearest
known name in the message.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from residency.errors import ConfigError

CONFIG_NAME = "residency.toml"


class Section(BaseModel):
    """A table of ``residency.toml``."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ProjectConfig(Section):
    """Whose project it is, and its seed."""

    name: str = "residency"
    """Name shown in reports."""
    seed: int = 0
    """Seed of everything random; the same seed repeats a run bit for bit on CPU."""
    store: str = ""
    """Database URL for a team (PostgreSQL); empty means the SQLite file in `.residency/`."""


class ModelConfig(Section):
    """The base model."""

    base: str = "smollm2-135m"
    """Base model: `smollm2-135m`, `tiny`, a folder, a hub name, or a `.gguf` file."""
    max_length: int = Field(1024, ge=16)
    """Longest training row, in tokens; longer rows are dropped and listed (see `data.truncation`)."""
    threads: int = Field(0, ge=0)
    """CPU threads; 0 means all cores."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1`, `mps`."""
    template: str = ""
    """Path of a Jinja chat template file to use instead of the model's own."""


class DataConfig(Section):
    """Where the examples are and how they are read."""

    train: list[str] = []
    """Training files (any supported format)."""
    dev: list[str] = []
    """Development files: errors are found here. Empty: split off from `train`."""
    test: list[str] = []
    """Sealed test files. Empty: split off from `train`."""
    pool: list[str] = []
    """Real examples kept back, from which targeted rows are drawn. Empty: split off from `train`."""
    split: dict[str, float] = {"train": 0.4, "dev": 0.15, "test": 0.15, "pool": 0.3}
    """Shares by which files in `train` are split when the other lists are empty."""
    limit: dict[str, int] = {}
    """Most rows used of a split, e.g. `{train = 250, dev = 150}`; `--full` ignores it."""
    format: str = "auto"
    """Row format, or `auto` to find it by content."""
    columns: dict[str, str] = {}
    """Your column names, e.g. `{instruction = "frage", response = "antwort"}`; also `input`, `tags`, `group`."""
    instruction: str = ""
    """Instruction put before every row that has none of its own."""
    tags: list[str] = []
    """Columns whose values become tags `column=value` (slices)."""
    stratify: str = ""
    """Tag column by which the automatic split is stratified."""
    truncation: Literal["drop", "left", "right"] = "drop"
    """What happens to a row longer than `model.max_length`: dropped and listed, or cut."""
    near_duplicate: float = Field(0.8, gt=0, le=1)
    """Jaccard similarity of word 5-grams from which two rows count as near-duplicates."""
    benchmarks: str = ""
    """Folder with local copies of ARC, HellaSwag, MMLU or TruthfulQA; `residency check` lists training rows that come near them."""
    cluster: str = ""
    """Ray cluster over which `residency check` spreads its passes: `auto`, `host:port`, `ray://…`, or `local` for processes on this machine; empty: this process."""


class TrainConfig(Section):
    """How the model is trained."""

    method: Literal["lora", "full"] = "lora"
    """`lora` trains adapters, `full` trains every weight."""
    rank: int = Field(16, ge=1)
    """LoRA rank r."""
    alpha: float = Field(32.0, gt=0)
    """LoRA alpha; the update is scaled by alpha / r."""
    layers: str = "top-10"
    """Layers that get adapters: `all`, or `top-N`: the frozen layers below are computed once and cached."""
    epochs: float = Field(4.0, gt=0)
    """Passes over the training rows."""
    learning_rate: float = Field(1e-3, gt=0)
    """Peak learning rate."""
    batch_size: int = Field(8, ge=1)
    """Examples an optimizer step."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """Learning-rate schedule after warm-up."""
    warmup: float = Field(0.05, ge=0, le=1)
    """Share of the steps over which the learning rate rises from 0."""
    weight_decay: float = Field(0.0, ge=0)
    """AdamW weight decay."""
    clip: float = Field(1.0, gt=0)
    """Largest gradient norm."""
    objective: Literal["response", "full", "dpo"] = "response"
    """What is learned: the masked tokens, every token, or chosen over rejected answers (DPO)."""
    beta: float = Field(0.1, gt=0)
    """DPO's β: how far the model may move from the reference (the adapter switched off)."""
    targets: list[str] = []
    """Names of the linear layers that get adapters, e.g. `["q_proj", "v_proj"]`; empty means all."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout on the adapters' input (the base's own dropout is always off)."""
    rslora: bool = False
    """Scale the update by alpha / √r (rsLoRA) instead of alpha / r."""
    dora: bool = False
    """Also train the magnitude of each output (DoRA)."""
    lora_plus: float = Field(1.0, ge=1)
    """LoRA+: learning rate of B over that of A; 1 is plain LoRA, 16 is the paper's choice."""
    quantize: Literal["none", "nf4"] = "none"
    """`nf4` keeps the frozen base in 4 bits (QLoRA; needs the extra `gpu`; on a CPU it saves memory and costs time)."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Number format of the products; `auto` is bf16 on GPUs that have it and fp32 elsewhere."""
    packing: Literal["auto", "off"] = "auto"
    """`auto` runs examples unpadded where that is proved exact for the model; `off` always pads."""
    micro_tokens: int = Field(4096, ge=1)
    """Most tokens in one forward pass; a larger batch accumulates gradients over several."""
    sharding: Literal["none", "full"] = "none"
    """Under torchrun: `none` keeps a whole model on each process, `full` splits weights, gradients and optimizer over them (FSDP2)."""
    activation_checkpointing: bool = False
    """Compute activations again in the backward pass: less memory, about a third slower."""
    eval_every: int = Field(0, ge=0)
    """Steps between evaluations while training; 0 evaluates never, and the last step is kept."""
    early_stopping: int = Field(0, ge=0)
    """Stop after so many evaluations without a better score; 0 never stops early."""
    track: Literal["", "tensorboard", "wandb", "mlflow", "trackio"] = ""
    """Also send each step's metrics to this tracker (extra `track`); W&B leaves the machine."""


class GenerateConfig(Section):
    """How answers are generated for evaluation."""

    max_new_tokens: int = Field(128, ge=1)
    """Token budget of an answer."""
    temperature: float = Field(0.0, ge=0)
    """0 is greedy."""
    samples: int = Field(1, ge=1)
    """Answers an item (more than one needs a temperature above 0)."""
    batch_size: int = Field(32, ge=1)
    """Sequences decoded together."""
    stop: list[str] = []
    """Strings at which an answer ends."""


class EvaluateConfig(Section):
    """How answers are scored."""

    suite: str = ""
    """Path of the test suite (TOML or JSONL); empty: exact match and similarity with the reference."""
    few_shot: int = Field(4, ge=0)
    """Examples in the few-shot prompt of round 0; 0 leaves that baseline out."""
    embedder: str = ""
    """Compares meanings: empty for WordLlama (offline), `sentence-transformers:NAME`, or `endpoint`."""


class DiagnoseConfig(Section):
    """How errors become issues, and when an issue counts as resolved."""

    alpha: float = Field(0.05, gt=0, lt=1)
    """Chance, over the whole project, of any false *resolved*, *improved* or *regressed*."""
    tolerance: float = Field(0.05, ge=0, lt=1)
    """Failure rate that you accept for an issue."""
    min_rate: float = Field(0.1, ge=0, le=1)
    """Failure rate from which a kind within a slice becomes an issue."""
    min_items: int = Field(5, ge=1)
    """Fewest failing items (paraphrases count once) from which a kind within a slice becomes an issue."""
    max_issues: int = Field(12, ge=1)
    """Most issues kept a round: the common and the catastrophic first."""
    detectors: list[str] = []
    """Detectors to run; empty means all."""
    finding_share: float = Field(0.4, gt=0, lt=1)
    """Share of dev that finds issues; the rest measures what becomes of them."""
    misspelling_words: int = Field(1, ge=1)
    """Misspelt words from which an answer fails."""
    overlong_ratio: float = Field(1.6, gt=1)
    """Length, in words, against the reference from which an answer is overlong."""
    overlong_slack: int = Field(8, ge=0)
    """Words that an answer may always exceed its reference by."""
    repetition_share: float = Field(0.25, gt=0, le=1)
    """Share of repeated 4-grams of words from which an answer is repetitive."""
    repetition_tandem: int = Field(3, ge=2)
    """Times in a row that an answer may not end on the same words."""
    similar: float = Field(0.75, gt=0, le=1)
    """Cosine similarity of embeddings from which two free answers count as the same."""


class TargetConfig(Section):
    """How rows are chosen for issues that persist."""

    rows_per_issue: int = Field(24, ge=1)
    """Targeted rows an issue."""
    max_rows: int = Field(120, ge=1)
    """Most targeted rows a round."""
    control: bool = True
    """Also train a control arm with the same number of random pool rows."""


class RoundsConfig(Section):
    """The budget."""

    max: int = Field(2, ge=1)
    """Most fine-tuning rounds (round 0, the prompted base, is not counted)."""
    guard: list[str] = []
    """Benchmarks in `data.benchmarks` on which base and final model are compared at the end (has it forgotten?), e.g. `["arc_easy"]`."""
    guard_items: int = Field(200, ge=1)
    """Items of each of them, the first ones, asked without examples."""


class EndpointConfig(Section):
    """An OpenAI-compatible endpoint. Nothing is sent anywhere unless `url` is set."""

    url: str = ""
    """Base URL, e.g. `http://localhost:8080/v1`."""
    model: str = ""
    """Model name sent to it."""
    key_env: str = ""
    """Name of the environment variable that holds the API key."""
    concurrency: int = Field(4, ge=1)
    """Requests in flight at one time."""
    timeout: float = Field(120.0, gt=0)
    """Seconds to wait for one answer."""
    retries: int = Field(4, ge=0)
    """Times a request is sent again after a time-out, 429, 5xx or an unreadable answer."""
    structured: bool = True
    """Ask for JSON by a schema (`response_format`) where the answer has one: the judge's verdicts. A server that refuses is asked without."""
    prompt_price: float = Field(0.0, ge=0)
    """Price of a million prompt tokens, in your currency; for the record of costs."""
    answer_price: float = Field(0.0, ge=0)
    """Price of a million generated tokens."""


class Config(Section):
    """The whole of ``residency.toml``."""

    project: ProjectConfig = ProjectConfig()
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()
    generate: GenerateConfig = GenerateConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    diagnose: DiagnoseConfig = DiagnoseConfig()
    target: TargetConfig = TargetConfig()
    rounds: RoundsConfig = RoundsConfig()
    judge: EndpointConfig = EndpointConfig()
    embedding: EndpointConfig = EndpointConfig()
    teacher: EndpointConfig = EndpointConfig()


def parse_config(raw: dict[str, Any], *, where: str = CONFIG_NAME) -> Config:
    """Settings from a parsed TOML table.

    Raises:
        ConfigError: with every wrong key or value named, and the nearest known name.
    """
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        lines = []
        for item in error.errors():
            key = ".".join(str(part) for part in item["loc"])
            if item["type"] == "extra_forbidden":
                lines.append(f"unknown setting {key!r}{_nearest(item['loc'])}")
            else:
                lines.append(f"{key}: {item['msg'].lower()} (found {item.get('input')!r})")
        raise ConfigError(
            "; ".join(lines),
            where=where,
            next_step="see docs/configuration.md for every setting",
        ) from None


def load_config(path: Path) -> Config:
    """Settings from a ``residency.toml``.

    Raises:
        ConfigError: the file is missing, is not TOML, or holds a wrong setting.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"no {CONFIG_NAME} here",
            where=str(path.parent),
            next_step="make a project with: residency init DIR --example tickets",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not valid TOML: {error}", where=str(path)) from None
    return parse_config(raw, where=str(path))


def _nearest(loc: tuple[int | str, ...]) -> str:
    section: type[BaseModel] = Config
    for part in loc[:-1]:
        found = section.model_fields.get(str(part))
        if found is None or not isinstance(found.annotation, type):
            return ""
        section = found.annotation
    close = difflib.get_close_matches(str(loc[-1]), list(section.model_fields), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
