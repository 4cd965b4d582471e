"""Near-duplicates: every pair at the threshold, no other, whatever shortcut was taken."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from residency.overlap import near_duplicates as similar
from residency.overlap.near_duplicates import find_near
from residency.overlap.word_grams import RowWords, WordStore
from residency.text.words import _PLAIN_WORD, jaccard_similarity, list_ngrams, split_words


def stored(texts: list[str]) -> RowWords:
    store = WordStore()
    places = np.asarray([store.add(text) for text in texts], np.int64).reshape(-1, 2)
    return RowWords(store.values(), places[:, 0], places[:, 1])


def family(seed: int, rows: int = 300) -> list[str]:
    """Texts of which about half are others with up to two words changed."""
    rng = random.Random(seed)
    vocabulary = [f"w{n}" for n in range(40)]
    out = [" ".join(rng.choices(vocabulary, k=rng.randint(0, 60)))]
    while len(out) < rows:
        if rng.random() < 0.5:
            copy = rng.choice(out).split()
            for _ in range(min(len(copy), rng.randint(0, 2))):
                copy[rng.randrange(len(copy))] = rng.choice(vocabulary)
            out.append(" ".join(copy))
        else:
            out.append(" ".join(rng.choices(vocabulary, k=rng.randint(0, 60))))
    return out


def similarity(a: str, b: str) -> float:
    left, right = split_words(a), split_words(b)
    shingles = [list_ngrams(w, 5) if len(w) >= 5 else [tuple(w)] for w in (left, right)]
    return jaccard_similarity(*shingles) if left and right else 0.0


@pytest.mark.parametrize("threshold", [0.6, 0.8])
@pytest.mark.parametrize("seed", range(4))
def test_a_near_row_is_near_by_exact_comparison(seed: int, threshold: float) -> None:
    texts = family(seed)
    prompts = stored(texts)
    found = find_near(prompts, stored(["same"] * len(texts)), threshold)
    for row, near in found.items():
        assert near.row < row
        assert near.score == pytest.approx(similarity(texts[row], texts[near.row]))
        assert near.score >= threshold
    for row, text in enumerate(texts):
        if row not in found and split_words(text):
            assert not any(
                similarity(text, texts[other]) >= threshold
                for other in range(row)
                if other not in found
            )


def test_sets_held_together_or_one_by_one_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts, answers = stored(family(9)), stored(family(10))
    before = find_near(prompts, answers, 0.6)
    monkeypatch.setattr(similar, "_TOGETHER", 500)
    monkeypatch.setattr(similar, "_KEPT", 200)
    assert find_near(prompts, answers, 0.6) == before
    assert before


def test_the_answer_decides_between_duplicate_and_paraphrase() -> None:
    prompt = " ".join(f"p{n}" for n in range(30))
    prompts = stored([prompt] * 3)
    answers = stored(["yes it is so by all accounts", "no never", "yes it is so by all accounts"])
    found = find_near(prompts, answers, 0.8)
    assert (found[1].row, found[1].duplicate) == (0, False)
    assert (found[2].row, found[2].duplicate) == (0, True)


def test_no_rows_and_rows_without_words() -> None:
    assert find_near(stored([]), stored([]), 0.8) == {}
    assert find_near(stored(["", "!?", ""]), stored(["a", "a", "a"]), 0.8) == {}


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("aZ9' ’_-\t\n\x1c.K\u212a"), max_size=60))
def test_words_of_ascii_are_those_of_the_expression(text: str) -> None:
    assert split_words(text) == _PLAIN_WORD.findall(text.lower().replace("\u2019", "'"))
