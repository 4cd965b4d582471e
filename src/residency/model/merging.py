"""Merge an adapter into its base, and prove that the merged model says what the adapter said.

The proof compares logits and greedy continuations on a fixed probe set before and after:
base with the adapter beside it, against the merged folder as a stranger would load it. And it asks
stock transformers whether ``generate`` stops at each token that ends a turn.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from residency.errors import ModelError, ParityError
from residency.files.atomic_write import draft_name, publish_folder
from residency.files.own_folder import check_replaceable, mark_folder
from residency.files.write_errors import raise_os_errors
from residency.model.end_ids import find_leaving_ends, write_ends
from residency.model.length_classes import read_context_length
from residency.model.load_model import load_model, load_tokenizer
from residency.model.quiet_libraries import quiet_libraries
from residency.nouns.short_view import ShortView

PROBES = (
    "The quick brown fox jumps over the lazy dog.",
    "Dear customer, thank you for your message about the",
    "1, 2, 3, 5, 8, 13,",
    "Question: What is the capital of France?\nAnswer:",
    "def add(a, b):\n    return",
)
TOLERANCE = 1e-3
"""Largest difference of two logits in fp32."""
NEW_TOKENS = 16
"""Length of the greedy continuations that are compared."""
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "generation_config.json",
)


@dataclass(frozen=True, repr=False)
class MergeProof(ShortView):
    """What the comparison gave.

    Attributes:
        logits: largest absolute difference. changed: largest difference from the bare base.
        same_greedy: probes whose greedy continuation is the same. probes: how many there are.
        ends: ids of the end tokens at which stock ``generate`` was seen to stop.
    """

    logits: float
    changed: float
    same_greedy: int
    probes: int
    ends: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Answers:
    logits: list[Tensor]
    greedy: list[list[int]]


def copy_tokenizer(base: Path, out: Path) -> None:
    """Copy the tokenizer, its chat template and the generation settings, byte for byte."""
    for name in TOKENIZER_FILES:
        if (base / name).is_file():
            shutil.copy(base / name, out / name)


def probe_ids(base: Path, config: Any) -> list[list[int]]:
    """Token ids of the probe texts, as far as they leave room for an answer in the model's context;
    without a tokenizer, fixed random ids."""
    context = read_context_length(config)
    longest = None if context is None else context - NEW_TOKENS
    try:
        tokenizer = load_tokenizer(base)
        return [list(tokenizer(text)["input_ids"])[:longest] for text in PROBES]
    except ModelError:
        generator = torch.Generator().manual_seed(0)
        vocabulary = config.get_text_config().vocab_size
        return [torch.randint(0, vocabulary, (12,), generator=generator).tolist() for _ in PROBES]


@torch.no_grad()
def answer_probes(
    model: Any, probes: Sequence[Sequence[int]], new_tokens: int = NEW_TOKENS
) -> _Answers:
    """Logits at every position, and greedy continuations, of each probe."""
    logits, greedy = [], []
    device = next(model.parameters()).device
    for ids in probes:
        row = torch.tensor([list(ids)], device=device)
        logits.append(model(input_ids=row).logits[0].float().cpu())
        for _ in range(new_tokens):
            best = model(input_ids=row).logits[:, -1].argmax(-1, keepdim=True)
            row = torch.cat([row, best], 1)
        greedy.append(row[0, len(ids) :].tolist())
    return _Answers(logits, greedy)


def compare_answers(before: _Answers, after: _Answers, bare: _Answers) -> MergeProof:
    """Differences of two models' answers, and how far the first is from the bare base."""
    gap = _logit_gap(before, after)
    same = sum(a == b for a, b in zip(before.greedy, after.greedy, strict=True))
    return MergeProof(gap, _logit_gap(before, bare), same, len(before.greedy))


def _logit_gap(first: _Answers, second: _Answers) -> float:
    pairs = zip(first.logits, second.logits, strict=True)
    return max(float((a - b).abs().max()) for a, b in pairs)


class _ForceEnd(LogitsProcessor):
    """Makes a model write one end token at one position, and no end token before."""

    def __init__(self, end: int, ends: Sequence[int], length: int) -> None:
        self.end, self.ends, self.position = end, list(ends), length

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """scores: [1, V]."""
        forced = scores.clone()
        if input_ids.shape[1] == self.position:
            forced.fill_(float("-inf"))
            forced[:, self.end] = 0.0
        else:
            forced[:, self.ends] = float("-inf")
        return forced


@torch.no_grad()
def find_endless(model: Any, ends: Sequence[int], prompt: Sequence[int]) -> list[int]:
    """End tokens at which stock transformers' ``generate`` goes on writing.

    Each is forced as the third token of an answer: whether it stops there depends on what the
    model's files declare, and on nothing that the model has learned.
    """
    row = torch.tensor([list(prompt)], device=next(model.parameters()).device)
    endless = []
    for end in ends:
        force = _ForceEnd(end, ends, row.shape[1] + 2)
        with quiet_libraries():
            out = model.generate(
                row,
                attention_mask=torch.ones_like(row),
                max_new_tokens=8,
                do_sample=False,
                num_beams=1,
                logits_processor=LogitsProcessorList([force]),
                pad_token_id=ends[0],
            )
        if out.shape[1] != row.shape[1] + 3:
            endless.append(end)
    return endless


def merge_adapter(
    base: Path, adapter: Path, out: Path, *, force: bool = False, tolerance: float = TOLERANCE
) -> MergeProof:
    """Write base and adapter as one ordinary model folder, ``out``, with its tokenizer.

    Args:
        force: replace a folder that an earlier merge wrote. tolerance: largest difference of logits.

    Raises:
        UserError: something that we did not make lies at ``out``.
        ModelError: the adapter does not fit the base, or changes nothing.
        ParityError: the merged folder, loaded again, does not give the adapter's outputs, or does
            not stop where answers end; nothing is left in ``out``.
    """
    check_replaceable(out, force=force)
    plain = load_model(base, device="cpu")
    probes = probe_ids(base, plain.config)
    bare = answer_probes(plain, probes, new_tokens=0)  # only its logits are compared
    del plain
    before = answer_probes(load_model(base, adapter, device="cpu", merge=False), probes)
    ends = find_leaving_ends(base, adapter)
    draft = draft_name(out)
    shutil.rmtree(draft, ignore_errors=True)
    try:
        _write_merged(base, adapter, draft, ends, out)
        stored = load_model(draft, device="cpu")
        proof = compare_answers(before, answer_probes(stored, probes), bare)
        _check_proof(proof, find_endless(stored, ends, probes[0]), adapter, out, tolerance)
        mark_folder(draft)
        publish_folder(draft, out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return replace(proof, ends=tuple(ends))


def _write_merged(base: Path, adapter: Path, draft: Path, ends: Sequence[int], out: Path) -> None:
    merged = load_model(base, adapter, device="cpu", merge=True)
    with quiet_libraries(), raise_os_errors(out):
        merged.save_pretrained(draft)
    copy_tokenizer(base, draft)
    write_ends(draft, ends)


def _check_proof(
    proof: MergeProof, endless: Sequence[int], adapter: Path, out: Path, tolerance: float
) -> None:
    """Refuse a merge that changes nothing, differs, or never stops."""
    if proof.changed <= tolerance / 10:
        raise ModelError("the adapter does not change the base's outputs", where=str(adapter))
    if proof.logits > tolerance or proof.same_greedy < proof.probes:
        raise ParityError(
            f"the merged model differs from the adapter: logits by {proof.logits:.2e} "
            f"(tolerance {tolerance:.0e}), {proof.probes - proof.same_greedy} of {proof.probes} "
            "greedy continuations",
            where=str(out),
            next_step="use the adapter beside its base, unmerged",
        )
    if endless:
        raise ParityError(
            f"generation does not stop at {', '.join(map(str, endless))}, which end answers",
            where=str(out),
            next_step="use the adapter beside its base, unmerged",
        )
