"""Speed of the evaluation engine beside its peers, alternating in one run.

    python benchmarks/eval.py generate --base FOLDER            # against transformers.generate
    python benchmarks/eval.py choices --base FOLDER             # against lm-eval's HF backend
    python benchmarks/eval.py precision --base FOLDER --data DIR  # int8 and bf16: speed and quality
    python benchmarks/eval.py drafts --base FOLDER              # stored answers as drafts
    python benchmarks/eval.py rounds --base FOLDER --project DIR  # a finished run's answers again

FOLDER is a Hugging Face folder, or ``random:14m`` for a model with random weights. Prompts and
items are made of random words by a fixed seed, so nothing has to be downloaded. Each arm is run
once in turn, several rounds; the median is printed as one JSON line an arm. Figures:
docs/inference.md.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from residency.chat.chat_format import ChatFormat
from residency.infer.local_engine import LocalEngine
from residency.interfaces import Choice, Prompt
from residency.model.load_model import load_tokenizer
from residency.nouns.example import Message
from residency.nouns.response import Sampling

WORDS = [
    "kettle",
    "toaster",
    "lamp",
    "radio",
    "phone",
    "printer",
    "order",
    "broken",
    "late",
    "please",
    "refund",
    "noise",
    "monday",
    "invoice",
    "battery",
    "screen",
    "button",
    "cable",
    "water",
    "light",
    "heat",
    "box",
    "shop",
    "name",
    "street",
    "new",
    "old",
    "today",
]


def words(rng: random.Random, count: int) -> str:
    """Random words as one line."""
    return " ".join(rng.choice(WORDS) for _ in range(count))


def random_base(into: Path) -> Path:
    """A Llama of 14 M parameters with random weights, and a tokenizer of the words above."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=8000,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator([words(random.Random(9), 5000)], trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>"
    ).save_pretrained(into)
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=384,
        intermediate_size=1024,
        num_hidden_layers=6,
        num_attention_heads=6,
        vocab_size=8000,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(into)
    return into


def alternate(arms: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Median of each arm's rate; the arms take turns, so that a slow minute hits all."""
    rates: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, arm in arms.items():
            rates[name].append(arm())
    return {name: statistics.median(found) for name, found in rates.items()}


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
clock = CLOCKS["wall"]


def timed(work: Callable[[], Any], units: Callable[[Any], int]) -> tuple[float, Any]:
    """Units a second, and the result."""
    began = clock()
    result = work()
    return units(result) / (clock() - began), result


def say(**figures: Any) -> None:
    """One JSON line."""
    print(json.dumps(figures), flush=True)


# --- generation --------------------------------------------------------------------------------


def prompts(count: int) -> list[Prompt]:
    """Conversations with one instruction and messages of 20 to 150 words."""
    rng = random.Random(0)
    task = "Turn the customer's message into a ticket: product, problem, order number and name."
    return [
        Prompt((Message("user", f"{task}\n\n{words(rng, rng.randint(20, 150))}"),), key=str(at))
        for at in range(count)
    ]


def hugging_face(engine: LocalEngine, model: Any, asked: list[Prompt], budget: int) -> list[Any]:
    """transformers.generate on batches of 32 sorted by length, padded on the left."""
    ids = [engine.chat.prompt_ids(p.messages) for p in asked]
    order = sorted(range(len(ids)), key=lambda at: len(ids[at]))
    ends = list(engine.chat.end_ids)
    out: list[Any] = [None] * len(ids)
    for start in range(0, len(order), 32):
        some = order[start : start + 32]
        longest = max(len(ids[at]) for at in some)
        padded = torch.tensor([[0] * (longest - len(ids[at])) + ids[at] for at in some])
        mask = torch.tensor([[0] * (longest - len(ids[at])) + [1] * len(ids[at]) for at in some])
        with torch.inference_mode():
            found = model.generate(
                input_ids=padded,
                attention_mask=mask,
                max_new_tokens=budget,
                do_sample=False,
                eos_token_id=ends,
                pad_token_id=ends[0],
            )
        for at, row in zip(some, found[:, longest:].tolist(), strict=True):
            stop = next((n + 1 for n, token in enumerate(row) if token in ends), len(row))
            out[at] = tuple(row[:stop])
    return out


def plain_model(base: Path) -> Any:
    """The model as transformers itself loads it."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()


def generate(engine: LocalEngine, base: Path, settings: argparse.Namespace) -> None:
    """Tokens a second of the engine and of transformers.generate, and whether they agree."""
    model, asked = plain_model(base), prompts(settings.count)
    sampling = Sampling(max_new_tokens=settings.budget)
    found: dict[str, list[Any]] = {}

    def ours() -> float:
        rate, answers = timed(
            lambda: engine.generate(asked, sampling), lambda r: sum(len(a.token_ids) for a in r)
        )
        found["ours"] = [a.token_ids for a in answers]
        return rate

    def theirs() -> float:
        rate, answers = timed(
            lambda: hugging_face(engine, model, asked, settings.budget),
            lambda r: sum(len(a) for a in r),
        )
        found["theirs"] = answers
        return rate

    engine.generate(asked[:4], Sampling(max_new_tokens=4))
    rates = alternate({"ours": ours, "theirs": theirs}, settings.rounds)
    same = sum(a == b for a, b in zip(found["ours"], found["theirs"], strict=True))
    say(
        what="generate",
        prompts=len(asked),
        tokens=sum(map(len, found["ours"])),
        residency=round(rates["ours"], 1),
        transformers=round(rates["theirs"], 1),
        unit="generated tokens/s",
        ratio=round(rates["ours"] / rates["theirs"], 2),
        identical=f"{same}/{len(asked)}",
    )


def drafts(engine: LocalEngine, base: Path, settings: argparse.Namespace) -> None:
    """Stored answers as drafts: all right, cut half-way wrong, and none."""
    asked = prompts(settings.count)
    sampling = Sampling(max_new_tokens=settings.budget)
    plain = engine.generate(asked, sampling)

    def with_draft(kind: str) -> list[Prompt]:
        out = []
        for prompt, answer in zip(asked, plain, strict=True):
            ids = list(answer.token_ids)
            if kind == "half":
                ids[len(ids) // 2] += 1
            draft = () if kind == "none" else tuple(ids)
            out.append(Prompt(prompt.messages, key=prompt.key, draft=draft))
        return out

    def arm(kind: str) -> Callable[[], float]:
        given = with_draft(kind)

        def run() -> float:
            rate, answers = timed(
                lambda: engine.generate(given, sampling),
                lambda r: sum(len(a.token_ids) for a in r),
            )
            assert [a.token_ids for a in answers] == [a.token_ids for a in plain]
            return rate

        return run

    kinds = ("none", "half", "right")
    rates = alternate({kind: arm(kind) for kind in kinds}, settings.rounds)
    say(what="drafts", unit="generated tokens/s", **{k: round(v, 1) for k, v in rates.items()})


def rounds(engine: LocalEngine, base: Path, settings: argparse.Namespace) -> None:
    """The dev answers of base, rounds and control arm again: plain, with drafts, kept states, both.

    Each model's answers are generated from the stored ones of the model before it as drafts, in
    the order of the run; every answer must equal the stored one.
    """
    from residency.commands.project import Project
    from residency.infer.trunk_states import TrunkStates
    from residency.loop.respond import build_prompt
    from residency.model.find_layers import first_trained_layer

    project = Project.open(Path(settings.project))
    dev = project.split("dev")[: settings.count]
    models = sorted(
        (m for m in project.store.models() if m.prompting == "zero-shot"),
        key=lambda m: (m.round, m.arm != "main"),
    )
    stored = {
        m.id: {r.example: r for r in project.store.responses(m.id, dev, project.sampling)}
        for m in models
    }
    models = [m for m in models if len(stored[m.id]) == len(dev)]
    few = [m for m in project.store.models() if m.prompting.startswith("few-shot")]
    prompted = project.store.responses(few[0].id, dev, project.sampling) if few else []
    stored["few-shot"] = {r.example: r for r in prompted}
    layers = engine.model.config.num_hidden_layers
    depth = first_trained_layer(project.config.train.layers, layers)
    arms = {"plain": (False, 0), "drafts": (True, 0), "kept": (False, depth), "both": (True, depth)}
    for name, (drafted, kept) in arms.items():
        if settings.arms and name not in settings.arms.split(","):
            continue
        engine._trunk = TrunkStates(kept, 1 << 30) if kept else None
        figures: dict[str, Any] = {}
        for model in models:
            before = [m.id for m in models if m.round == model.round - 1 and m.arm == "main"]
            if model.round == 1:
                # Not in a run: a prompt's answers are no use as drafts, as this shows.
                before = ["few-shot"] if settings.prompted and stored["few-shot"] else []
            drafts = stored[before[0]] if drafted and before else {}
            asked = [
                Prompt(build_prompt(e, []), e.id, 0, drafts[e.id].token_ids if drafts else ())
                for e in dev
            ]
            folder = project.store.artifacts.folder(model.adapter) if model.adapter else None
            engine.use_adapter(folder)
            began = clock()
            answers = engine.generate(asked, project.sampling)
            label = f"round_{model.round}" + ("_control" if model.arm == "control" else "")
            figures[label] = round(clock() - began, 2)
            found = [stored[model.id][e.id].token_ids for e in dev]
            assert [a.token_ids for a in answers] == found, (name, label)
        megabytes = round(engine._trunk.size / 1e6) if engine._trunk else 0
        say(what="rounds", arm=name, items=len(dev), unit="s", **figures, kept_mb=megabytes)


# --- multiple choice ---------------------------------------------------------------------------


def items(count: int, *, letters: bool) -> list[list[Choice]]:
    """Five shots of about 600 tokens, then a question and four answers (or four letters)."""
    rng = random.Random(1)
    shots = "\n\n".join(f"Question: {words(rng, 105)}\nAnswer: {words(rng, 4)}" for _ in range(5))
    out = []
    for _ in range(count):
        context = f"{shots}\n\nQuestion: {words(rng, 60)}\nAnswer:"
        answers = list("ABCD") if letters else [words(rng, rng.randint(2, 6)) for _ in range(4)]
        out.append([Choice(context, f" {answer}") for answer in answers])
    return out


def choices(engine: LocalEngine, base: Path, settings: argparse.Namespace) -> None:
    """Items a second of the engine and of lm-eval's Hugging Face backend at its best batch size."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model = plain_model(base)
    for letters in (False, True):
        asked = items(settings.count, letters=letters)
        few = asked[: settings.peer]
        requests = [
            Instance("loglikelihood", {}, (c.context, c.continuation), at)
            for item in few
            for at, c in enumerate(item)
        ]
        found: dict[str, list[float]] = {}

        def ours(asked: Any = asked, found: Any = found) -> float:
            rate, scores = timed(lambda: engine.score(asked), len)
            found["ours"] = [s.logprob for item in scores for s in item]
            return rate

        def theirs(size: int, requests: Any = requests, found: Any = found) -> float:
            lm = HFLM(pretrained=model, tokenizer=engine.tokenizer, device="cpu", batch_size=size)
            rate, scores = timed(
                lambda: lm.loglikelihood(requests, disable_tqdm=True), lambda r: len(r) // 4
            )
            found["theirs"] = [s[0] for s in scores]
            return rate

        engine.score(asked[:2])
        arms = {"ours": ours, "1": lambda: theirs(1), "8": lambda: theirs(8)}
        rates = alternate(arms, settings.rounds)
        best = max(rates["1"], rates["8"])
        gaps = [abs(a - b) for a, b in zip(found["ours"], found["theirs"], strict=False)]
        say(
            what="single letters" if letters else "answers",
            items=len(asked),
            peer_items=len(few),
            tokens=len(engine.tokenizer.encode(asked[0][0].context)),
            residency=round(rates["ours"], 2),
            lm_eval_batch_1=round(rates["1"], 3),
            lm_eval_batch_8=round(rates["8"], 3),
            unit="items/s",
            ratio=round(rates["ours"] / best, 1),
            largest_difference=max(gaps),
        )


def precision(engine: LocalEngine, base: Path, settings: argparse.Namespace) -> None:
    """Speed and quality of the approximate products beside fp32."""
    from residency.evaluate.benchmarks.load_rows import LocalSplits
    from residency.evaluate.benchmarks.run_tasks import run_tasks
    from residency.evaluate.benchmarks.task_registry import find_tasks

    asked = prompts(settings.count)
    sampling = Sampling(max_new_tokens=settings.budget)
    exact = engine.generate(asked, sampling)
    reference = None
    for kind in ("fp32", "bf16", "int8"):
        other = engine
        if kind != "fp32":
            other = LocalEngine(base, engine.chat, device="cpu", precision=kind)
        rate, answers = timed(
            lambda other=other: other.generate(asked, sampling),  # type: ignore[misc]
            lambda r: sum(len(a.token_ids) for a in r),
        )
        same = sum(a.token_ids == b.token_ids for a, b in zip(exact, answers, strict=True))
        figures: dict[str, Any] = {"tokens_per_s": round(rate, 1), "same_answers": same}
        if settings.data:
            tasks = find_tasks(["arc_easy"])
            result = run_tasks(
                tasks, LocalSplits(Path(settings.data)), other, limit=settings.items, shots=0
            )
            reference = reference or result
            figures["arc_easy_acc"] = round(result.metrics["arc_easy"]["acc"].value, 4)
            figures["choices_kept"] = round(
                sum(
                    a.chosen == b.chosen for a, b in zip(reference.items, result.items, strict=True)
                )
                / len(result.items),
                4,
            )
        say(what="precision", kind=kind, prompts=len(asked), **figures)


def main() -> None:
    """Reads the arguments and runs one comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["generate", "choices", "precision", "drafts", "rounds"])
    parser.add_argument("--base", required=True, help="model folder, or random:14m")
    parser.add_argument("--count", type=int, default=200, help="prompts or items")
    parser.add_argument("--peer", type=int, default=16, help="items given to lm-eval")
    parser.add_argument("--budget", type=int, default=80, help="tokens an answer at most")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", default="", help="folder of benchmark files (precision)")
    parser.add_argument("--items", type=int, default=200, help="benchmark items (precision)")
    parser.add_argument("--arms", default="", help="plain,drafts,kept,both (rounds); empty: all")
    parser.add_argument(
        "--prompted", action="store_true", help="the few-shot answers as round 1's drafts (rounds)"
    )
    parser.add_argument("--project", default="", help="folder of a finished project (rounds)")
    parser.add_argument(
        "--clock",
        choices=list(CLOCKS),
        default="wall",
        help="cpu counts processor time: for one thread on a machine that others use too",
    )
    settings = parser.parse_args()
    global clock
    clock = CLOCKS[settings.clock]
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(settings.base)
        if settings.base == "random:14m":
            base = random_base(Path(scratch))
        chat = ChatFormat(load_tokenizer(base))
        engine = LocalEngine(
            base, chat, device="cpu", threads=settings.threads, batch_size=settings.batch
        )
        run = {
            "generate": generate,
            "choices": choices,
            "precision": precision,
            "drafts": drafts,
            "rounds": rounds,
        }[settings.what]
        run(engine, base, settings)


if __name__ == "__main__":
    main()
