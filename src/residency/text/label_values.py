"""Which fields of structured references hold class labels, and which labels."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from residency.nouns.example import Example
from residency.text.answer_fields import find_fields
from residency.text.words import split_words


def find_label_values(examples: Iterable[Example]) -> dict[str, set[str]]:
    """Field → its class labels in the references (lower-cased); free fields are left out.

    A field holds labels when its values are few (each counts three times or more on average) and
    do not come out of the prompt (under 90 % stand there). ``order`` or ``name`` copy the
    prompt, so they are free; ``urgency: high`` is a label.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    in_prompt: Counter[str] = Counter()
    for example in examples:
        if example.reference is None:
            continue
        prompt = set(split_words(example.prompt_text))
        for key, field in find_fields(example.reference).items():
            if field.is_empty or field.is_prose:
                continue
            counts[key][field.value.strip().lower()] += 1
            in_prompt[key] += all(word in prompt for word in split_words(field.value))
    labels = {}
    for key, values in counts.items():
        total = values.total()
        if in_prompt[key] < 0.9 * total and total >= 3 * len(values):
            labels[key] = set(values)
    return labels
