"""Every causal architecture of the installed transformers, small and random, from load to merge.

    python benchmarks/architectures.py                # all of them, a table on standard output
    python benchmarks/architectures.py --only llama mamba2
    python benchmarks/architectures.py --json out.jsonl   # goes on where an earlier run stopped
    python benchmarks/architectures.py --table out.jsonl > docs/architectures.md

A model either *works*: our first training loss is that of plain transformers on the same rows, our
greedy tokens are those of ``generate`` (alone and in a batch, with and without an adapter), and the
merged folder gives the adapter's answers; or it is *refused* with a reason, in the same words by
training and by evaluation; everything else is *broken*. Each runs in a process of its own.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import multiprocessing
import re
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "helpers"))
PRELOADED = [
    "torch",
    "infer_models",
    "residency.train.train_loop",
    "residency.model.merging",
    "transformers.generation.utils",
]
SECONDS = 240
"""Longest time of one architecture, unless --seconds says otherwise."""
VOCABULARY = 400
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "n_embd": 48,
    "d_model": 48,
    "dim": 48,
    "word_embed_proj_dim": 48,
    "embedding_size": 48,
    "intermediate_size": 64,
    "ffn_dim": 64,
    "ffn_hidden_size": 64,
    "d_ff": 64,
    "dim_ff": 64,
    "n_inner": 64,
    "dff": 64,
    "decoder_ffn_dim": 64,
    "encoder_ffn_dim": 64,
    "feed_forward_size": 64,
    "shared_intermediate_size": 64,
    "moe_intermediate_size": 32,
    "expert_ffn_hidden_size": 32,
    "shared_expert_intermediate_size": 32,
    "mamba_intermediate": 64,
    "num_hidden_layers": 2,
    "n_layer": 2,
    "n_layers": 2,
    "num_layers": 2,
    "decoder_layers": 2,
    "encoder_layers": 2,
    "num_attention_heads": 4,
    "n_head": 4,
    "n_heads": 4,
    "num_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_kv_heads": 2,
    "n_kv_heads": 2,
    "head_dim": 12,
    "attention_head_dim": 12,
    "max_position_embeddings": 256,
    "n_positions": 256,
    "n_ctx": 256,
    "max_seq_len": 256,
    "max_sequence_length": 256,
    "max_target_positions": 256,
    "seq_length": 256,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "moe_num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_topk": 2,
    "moe_k": 2,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "num_dense_layers": 1,
    "moe_layer_start_index": 1,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 12,
    "state_size": 8,
    "ssm_state_size": 8,
    "mamba_d_state": 8,
    "mamba_n_heads": 4,
    "mamba_d_head": 24,
    "mamba_num_heads": 4,
    "mamba_head_dim": 24,
    "mamba_n_groups": 1,
    "mamba_chunk_size": 16,
    "n_groups": 1,
    "chunk_size": 16,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 12,
    "linear_value_head_dim": 12,
    "linear_num_heads": 2,
    "linear_head_dim": 12,
    "time_step_rank": 4,
    "sliding_window": 24,
    "pad_token_id": 2,
    "decoder_start_token_id": 1,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.2,
}
GEMMA3N = {
    "vocab_size_per_layer_input": VOCABULARY,
    "hidden_size_per_layer_input": 8,
    "num_kv_shared_layers": 0,
    "activation_sparsity_pattern": [0.5, 0.0],
}
GEMMA4 = {
    "vocab_size_per_layer_input": VOCABULARY,
    "hidden_size_per_layer_input": 8,
    "global_head_dim": 12,
}
QWEN4 = {
    "indexer_n_heads": 2,
    "indexer_kv_heads": 1,
    "indexer_head_dim": 12,
    "indexer_budget": 64,
    "indexer_compress_ratio": 4,
}
BYTES = {
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "vocab_size": VOCABULARY,
}
SPECIAL: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1]},
    "blt": {
        "encoder_hash_byte_group_vocab": 50,
        "patcher_config": BYTES | {"num_attention_heads": 4},
        "encoder_config": BYTES | {"num_attention_heads": 4, "hidden_size_global": 96},
        "decoder_config": BYTES | {"num_attention_heads": 4, "hidden_size_global": 96},
        "global_config": BYTES
        | {"hidden_size": 96, "num_attention_heads": 4, "num_hidden_layers": 2},
    },
    "codegen": {"rotary_dim": 8},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "falcon_h1": {"mamba_d_ssm": 96},
    "gemma3n": {"text_config": GEMMA3N},
    "gemma3n_text": GEMMA3N,
    "gemma4": {"text_config": GEMMA4},
    "gemma4_text": GEMMA4,
    "gemma4_unified": {"text_config": {"global_head_dim": 12}},
    "gemma4_unified_text": {"global_head_dim": 12},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 24},
    "gptj": {"rotary_dim": 8},
    "granitemoehybrid": {"layer_types": ["linear_attention", "full_attention"]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "mamba2": {"num_heads": 4, "head_dim": 24, "expand": 2},
    "phi3": {"rope_parameters": None},
    "qwen4_exp": {"text_config": QWEN4},
    "qwen4_exp_text": QWEN4,
    "recurrent_gemma": {"lru_width": 48, "attention_window_size": 24, "num_hidden_layers": 3},
    "reformer": {"axial_pos_embds": False, "is_decoder": True},
    "stablelm": {"partial_rotary_factor": 0.5},
    "whisper": {"begin_suppress_tokens": [3]},
    "xlnet": {"d_inner": 64},
    "xlstm": {"hidden_size": 64, "embedding_dim": 64, "qk_dim_factor": 1.0},
    "xmod": {"default_language": "en_XX"},
    "zamba": {"num_hidden_layers": 4, "layers_block_type": ["mamba", "hybrid"] * 2},
    "zamba2": {"num_hidden_layers": 4, "layers_block_type": ["mamba", "hybrid"] * 2},
    "zaya": {"num_experts_per_tok": 1},
}
"""What a kind needs beside ``SIZES``."""
LISTS = ("layer_types", "mlp_layer_types", "layers_block_type", "attn_type_list")


def shrink_config(kind: str) -> Any:
    """The kind's own defaults with small sizes, in its text part too."""
    from transformers import CONFIG_MAPPING

    cls = CONFIG_MAPPING[kind]
    default = cls()

    def sizes_for(config: Any) -> dict[str, Any]:
        here = config.to_dict()
        aliases = getattr(config, "attribute_map", {})
        chosen = {k: v for k, v in SIZES.items() if k in here or k in aliases}
        if "hidden_size" in chosen and "n_embd" in here:
            chosen.pop("hidden_size")
        for key in ("sliding_window", "q_lora_rank", "moe_intermediate_size"):
            if key in here and here[key] is None:
                chosen.pop(key, None)
        if "qk_rope_head_dim" in here:  # latent attention: every head has keys of its own
            chosen |= {"num_key_value_heads": 4} if "num_key_value_heads" in here else {}
            chosen |= {"head_dim": 4} if "head_dim" in here else {}
        if here.get("per_layer_config") is not None:
            chosen["per_layer_config"] = None
        if "num_attention_heads" in aliases:
            chosen.pop("num_attention_heads", None)
        layers = 2
        for key in LISTS:
            if isinstance(here.get(key), list) and here[key]:
                distinct = list(dict.fromkeys(here[key]))
                layers = max(layers, len(distinct))
                chosen[key] = (distinct * 4)[:layers]
        for key in ("num_hidden_layers", "n_layer", "num_layers", "n_layers"):
            if key in chosen:
                chosen[key] = layers
        for key in LISTS:
            if key in chosen:
                chosen[key] = (chosen[key] * 4)[:layers]
        return chosen

    settings = sizes_for(default)
    for part in ("text_config", "language_config", "decoder", "llm_config"):
        inner = getattr(default, part, None)
        if inner is not None and hasattr(inner, "to_dict"):
            settings[part] = {**inner.to_dict(), **sizes_for(inner)}
    for key, value in SPECIAL.get(kind, {}).items():
        inside = isinstance(value, dict) and isinstance(settings.get(key), dict)
        settings[key] = settings[key] | value if inside else value
    for part in (settings, *(value for value in settings.values() if isinstance(value, dict))):
        if (
            "global_head_dim" in part
        ):  # Gemma 4 writes it into a table of layers unless there is one
            part.pop("per_layer_config", None)
    for flag in ("is_decoder",):
        if flag in default.to_dict():
            settings[flag] = True
    return cls(**settings)


def save_random_model(kind: str, folder: Path) -> dict[str, Any]:
    """A random model and a tokenizer in ``folder``; what kind of model it is.

    Raises:
        Exception: transformers cannot build it this small; that is not ours to mend.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from infer_models import tokenizer

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(shrink_config(kind))
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim > 1 and "norm" not in name:
                value.copy_(torch.randn_like(value) * 0.15)
            elif name.endswith("bias"):
                value.add_(torch.randn_like(value) * 0.05)
    model.generation_config.pad_token_id = 2
    model.generation_config.eos_token_id = 2
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    count = sum(p.numel() for p in model.parameters())
    return {"class": type(model).__name__, "parameters": count}


def make_rows() -> list[Any]:
    """Rows of several lengths, the last tokens trained."""
    import random

    from residency.interfaces import TokenRow

    draw = random.Random(0)
    rows = []
    for number in range(6):
        prompt = [1, *(draw.randrange(3, VOCABULARY) for _ in range(draw.randrange(4, 40)))]
        answer = [*(draw.randrange(3, VOCABULARY) for _ in range(draw.randrange(3, 9))), 2]
        mask = (False,) * len(prompt) + (True,) * len(answer)
        rows.append(TokenRow(f"ex-{number}", tuple(prompt + answer), mask))
    return rows


def mean_nll(model: Any, rows: list[Any]) -> float:
    """Plain transformers: summed negative log-likelihood of trained tokens over their number."""
    import torch

    total, count = 0.0, 0
    with torch.no_grad():
        for row in rows:
            ids = torch.tensor([row.ids])
            logits = model(input_ids=ids, use_cache=False).logits[0, :-1].float()
            nll = torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none")
            chosen = torch.tensor(row.mask[1:])
            total += float(nll[chosen].sum())
            count += int(chosen.sum())
    return total / count


def measure_balance(model: Any, rows: list[Any]) -> float:
    """A mixture's balancing loss by its own forward on a padded batch, its own coefficient included."""
    import torch

    config = model.config.get_text_config()
    coefficient = getattr(config, "router_aux_loss_coef", 0.0)
    if not coefficient or not hasattr(config, "output_router_logits"):
        return 0.0
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(row.ids) for row in rows], batch_first=True)
    lengths = torch.tensor([len(row.ids) for row in rows])
    mask = (torch.arange(ids.shape[1])[None] < lengths[:, None]).long()
    try:
        with torch.no_grad():
            out = model(
                input_ids=ids, attention_mask=mask, output_router_logits=True, use_cache=False
            )
    except (IndexError, TypeError, ValueError, AttributeError, RuntimeError):
        return 0.0  # the model's own forward cannot give it, so nobody adds it
    loss = getattr(out, "aux_loss", None)
    return 0.0 if loss is None else float(coefficient * loss)


def first_words(error: BaseException) -> str:
    """The message without its place and next step."""
    return str(error).split("\n")[0][:220]


def generate_plainly(model: Any, prompts: list[list[int]], count: int = 10) -> list[list[int]]:
    """Greedy tokens of stock ``generate``, one prompt at a time."""
    import torch

    out = []
    for ids in prompts:
        row = torch.tensor([ids])
        done = model.generate(
            row,
            attention_mask=torch.ones_like(row),
            max_new_tokens=count,
            do_sample=False,
            pad_token_id=2,
        )
        out.append(done[0, len(ids) :].tolist())
    return out


def attempt(name: str, call: Callable[[], str], result: dict[str, Any]) -> None:
    """Call and write down what is said; a refusal is a reason, anything else a defect."""
    from residency.errors import ResidencyError

    try:
        result[name] = call()
    except ResidencyError as error:
        result[name] = f"refused: {first_words(error)}"
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        result[name] = (
            f"error: {type(error).__name__}: {first_words(error)} "
            f"({Path(where.filename).name}:{where.lineno})"
        )


def try_kind(kind: str, folder: Path) -> dict[str, Any]:
    """Everything about one architecture."""
    import warnings

    warnings.filterwarnings("ignore")
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.set_verbosity_error()
    torch.set_num_threads(1)
    result: dict[str, Any] = {"kind": kind}
    try:
        result |= save_random_model(kind, folder / "base")
        plain = AutoModelForCausalLM.from_pretrained(folder / "base").eval()
        rows = make_rows()
        reference = mean_nll(plain, rows) + measure_balance(plain, rows)
    except Exception as error:
        result["outcome"] = "not built"
        result["why"] = f"{type(error).__name__}: {first_words(error)}"
        return result
    from infer_models import prompts
    from residency.chat.chat_format import ChatFormat
    from residency.config.train import TrainConfig
    from residency.infer.local_engine import LocalEngine
    from residency.model.load_model import load_tokenizer
    from residency.model.merging import merge_adapter
    from residency.nouns.response import Sampling
    from residency.train.train_loop import train
    from residency.train.train_options import TrainOptions

    base = folder / "base"
    chat = ChatFormat(load_tokenizer(base))
    asked = prompts(6)
    ids = [list(chat.prompt_ids(prompt.messages)) for prompt in asked]
    try:
        expected = generate_plainly(plain, ids)
    except Exception as error:
        expected = None
        result["generate"] = f"{type(error).__name__}: {first_words(error)}"

    def check_generation() -> str:
        engine = LocalEngine(base, chat, device="cpu", threads=1)
        answers = engine.generate(asked, Sampling(max_new_tokens=10))
        result["path"] = "generic" if engine.why_generic else "fused"
        if expected is None:
            return "no reference"
        same = sum(
            list(a.token_ids) == e[: len(a.token_ids)]
            for a, e in zip(answers, expected, strict=True)
        )
        return "equal" if same == len(asked) else f"differs: {same} of {len(asked)} equal"

    def check_training() -> str:
        settings = TrainConfig(
            rank=4, alpha=8, layers="all", epochs=2, batch_size=len(rows), learning_rate=3e-2,
            warmup=0.0,
        )  # fmt: skip
        done = train(base, rows, settings, folder / "run", TrainOptions(seed=1))
        result["notes"] = list(done.notes)
        gap = abs(done.losses[0] - reference)
        if gap > 1e-4 * max(1.0, reference):
            return f"differs: loss {done.losses[0]:.5f} against {reference:.5f}"
        return "equal" if done.losses[-1] < done.losses[0] else "does not learn"

    def check_merge() -> str:
        merge_adapter(base, folder / "run" / "adapter", folder / "merged")
        merged = AutoModelForCausalLM.from_pretrained(folder / "merged").eval()
        tuned = generate_plainly(merged, ids) if expected is not None else None
        engine = LocalEngine(
            base, chat, device="cpu", threads=1, adapter=folder / "run" / "adapter"
        )
        answers = engine.generate(asked, Sampling(max_new_tokens=10))
        if tuned is None:
            return "no reference"
        same = sum(
            list(a.token_ids) == e[: len(a.token_ids)] for a, e in zip(answers, tuned, strict=True)
        )
        return "equal" if same == len(asked) else f"differs: {same} of {len(asked)} equal"

    for name, call in (("eval", check_generation), ("train", check_training)):
        attempt(name, call, result)
    if result["train"] in ("equal", "does not learn"):
        attempt("merge", check_merge, result)
    result["outcome"] = judge_outcome(result)
    return result


def judge_outcome(result: dict[str, Any]) -> str:
    """``works``, ``refused`` or ``broken``."""
    said = [result.get(name, "") for name in ("eval", "train", "merge")]
    if said[0].startswith("refused") and said[0] == said[1]:
        return "refused"
    if all(s in ("equal", "no reference") for s in said):
        return "works"
    return "broken"


def answer_through(pipe: Any, kind: str, folder: str) -> None:
    """In the child: try one architecture, send what came out."""
    pipe.send(try_kind(kind, Path(folder)))


def run_apart(kind: str, seconds: float = SECONDS) -> dict[str, Any]:
    """One architecture in a process of its own, forked where everything is imported."""
    context = multiprocessing.get_context("forkserver")
    here, there = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        child = context.Process(target=answer_through, args=(there, kind, folder))
        child.start()
        there.close()
        try:
            if not here.poll(seconds):
                return {"kind": kind, "outcome": "broken", "why": f"not done after {seconds:g} s"}
            return dict(here.recv())
        except EOFError:
            child.join()
            return {"kind": kind, "outcome": "broken", "why": f"process died: {child.exitcode}"}
        finally:
            child.kill()
            child.join()


def write_table(results: list[dict[str, Any]]) -> str:
    """Markdown: one line an architecture."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    tried = {r["kind"] for r in results}
    total = len(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    which = "Every" if len(tried) >= total else f"{len(tried)} of the {total}"
    noun = "architecture" if which == "Every" else "architectures"
    order = {"works": 0, "refused": 1, "broken": 2, "not built": 3}
    counts = {name: sum(r["outcome"] == name for r in results) for name in order}
    lines = [
        "# Architectures",
        "",
        f"{which} causal {noun} of transformers {transformers.__version__}, small and with random",
        "weights, by `python benchmarks/architectures.py`: first training loss equal to plain",
        "transformers', greedy tokens equal to `generate` alone and in a batch, with and without an",
        "adapter, and a merged folder that gives the adapter's answers.",
        "",
        ", ".join(f"{counts[name]} {name}" for name in order)
        + ". *Not built*: transformers itself does not build or run the kind at this size.",
        "",
        "| architecture | outcome | answers by | what is said |",
        "|---|---|---|---|",
    ]
    for r in sorted(results, key=lambda r: (order[r["outcome"]], r["kind"])):
        said = r.get("why") or "; ".join(
            f"{name}: {r[name]}"
            for name in ("eval", "train", "merge")
            if r.get(name) and r[name] != "equal"
        )
        if r["outcome"] == "refused":
            said = re.sub(r"^refused: (\S*/)?base: ", "", r["eval"])
        lines.append(
            f"| `{r['kind']}` | {r['outcome']} | {r.get('path', '')} | {said.replace('|', '¦')} |"
        )
    return "\n".join(lines) + "\n"


def read_results(path: Path) -> list[dict[str, Any]]:
    """What an earlier run wrote with ``--json``."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="*", default=[], help="architectures by model type")
    parser.add_argument(
        "--json",
        type=Path,
        help="write one line an architecture here; those that stand there are done",
    )
    parser.add_argument("--table", type=Path, help="print the table of an earlier run")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="longest time of one (a busy machine: more)"
    )
    options = parser.parse_args()
    if options.table:
        print(write_table(read_results(options.table)), end="")
        return
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    results = read_results(options.json) if options.json and options.json.is_file() else []
    done = {result["kind"] for result in results}
    kinds = [k for k in options.only or MODEL_FOR_CAUSAL_LM_MAPPING_NAMES if k not in done]
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(lambda kind: run_apart(kind, options.seconds), kinds):
            results.append(result)
            print(result["kind"], result["outcome"], file=sys.stderr, flush=True)
            if options.json:
                with options.json.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(result) + "\n")
    print(write_table(results), end="")


if __name__ == "__main__":
    main()
