"""A new tokenizer, trained on the corpora and saved as AutoTokenizer reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from residency.errors import DataError
from residency.pretraining.documents import Corpus, split_documents

END_TOKEN, PAD_TOKEN = "<|endoftext|>", "<|pad|>"


def save_tokenizer(tokenizer: Any, out: Path) -> None:
    """A ``tokenizers.Tokenizer`` as a folder that ``AutoTokenizer`` loads."""
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token=END_TOKEN,
        eos_token=END_TOKEN,
        pad_token=PAD_TOKEN,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(out)


def train_tokenizer(texts: Iterable[str], vocab_size: int, out: Path) -> None:
    """A byte-level BPE tokenizer (digits one by one) as a Hugging Face folder.

    It adds nothing by itself: no beginning token; documents end with ``<|endoftext|>``.

    Raises:
        DataError: the text does not support so many tokens.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    smallest = 256 + 2
    if vocab_size < smallest:
        raise DataError(
            f"a byte-level vocabulary needs at least {smallest} entries, not {vocab_size}",
            where="tokenizer.vocab_size",
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[END_TOKEN, PAD_TOKEN],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    supported = tokenizer.get_vocab_size()
    if supported < vocab_size:
        raise DataError(
            f"the text supports a vocabulary of {supported} entries, not {vocab_size}",
            where="tokenizer.vocab_size",
            next_step=f"set tokenizer.vocab_size in a recipe to {supported} or less, or give more text",
        )
    save_tokenizer(tokenizer, out)


def tokenizer_sample(corpora: Sequence[Corpus], characters: int) -> Iterator[str]:
    """Beginnings of training documents, in equal parts from each corpus."""
    for corpus in corpora:
        remaining = characters // len(corpora)
        for document in split_documents(corpus, held_out=False):
            if remaining <= 0:
                break
            beginning = document.text[: min(remaining, 40_000)]
            remaining -= len(beginning)
            yield beginning
