"""Whatever the scores are, an answer that ends within a schema's constraint is valid under it."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
import torch
from tokenizers import Tokenizer

from residency.errors import DataError
from residency.infer.json_constraint import JsonGrammars
from residency.model.own_bases import shipped_folder

pytest.importorskip("llguidance", reason="constrained answers need llguidance")

MOST_TOKENS = 600
SHORT = {"type": "string", "maxLength": 6}
SCHEMAS: dict[str, dict[str, Any]] = {
    "objects in lists in objects": {
        "type": "object",
        "properties": {
            "order": {
                "type": "object",
                "properties": {
                    "lines": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 3,
                        "items": {
                            "type": "object",
                            "properties": {"name": SHORT, "count": {"type": "integer"}},
                            "required": ["name", "count"],
                            "additionalProperties": False,
                        },
                    }
                },
                "required": ["lines"],
                "additionalProperties": False,
            }
        },
        "required": ["order"],
        "additionalProperties": False,
    },
    "definitions": {
        "$defs": {"colour": {"enum": ["red", "blue", 3, None, True]}},
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/colour"}, "b": {"$ref": "#/$defs/colour"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
    "a tree": {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "value": {"type": "integer", "minimum": 0, "maximum": 9},
                    "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]},
                },
                "required": ["value", "next"],
                "additionalProperties": False,
            }
        },
        "$ref": "#/$defs/node",
    },
    "one of several kinds": {
        "anyOf": [
            {
                "type": "object",
                "properties": {
                    "kind": {"const": "n"},
                    "n": {"type": "number", "minimum": 0, "maximum": 99},
                },
                "required": ["kind", "n"],
                "additionalProperties": False,
            },
            {
                "type": "object",
                "properties": {"kind": {"const": "s"}, "s": SHORT},
                "required": ["kind", "s"],
                "additionalProperties": False,
            },
        ]
    },
    "several types at once": {
        "type": "object",
        "properties": {"v": {"type": ["string", "null", "boolean"], "maxLength": 4}},
        "required": ["v"],
        "additionalProperties": False,
    },
    "a pair": {
        "type": "array",
        "prefixItems": [{"type": "boolean"}, {"type": "integer"}],
        "items": False,
        "minItems": 2,
    },
    "a pattern": {
        "type": "object",
        "properties": {"id": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"}},
        "required": ["id"],
        "additionalProperties": False,
    },
    "a date": {
        "type": "object",
        "properties": {"day": {"type": "string", "format": "date"}},
        "required": ["day"],
        "additionalProperties": False,
    },
    "umlauts and quotes": {
        "type": "object",
        "properties": {'grö"ße': {"enum": ["groß", 'a"b', "日本"]}},
        "required": ['grö"ße'],
        "additionalProperties": False,
    },
    "optional fields": {
        "type": "object",
        "properties": {n: {"type": "boolean"} for n in "abc"},
        "additionalProperties": False,
    },
}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(shipped_folder() / "tokenizer.json"))


def write_answer(
    grammars: JsonGrammars, tokenizer: Tokenizer, schema: Any, seed: int
) -> str | None:
    """An answer drawn at random under the constraint; None: it was not over after MOST_TOKENS."""
    vocabulary = tokenizer.get_vocab_size()
    generator = torch.Generator().manual_seed(seed)
    rule = grammars.constrain(schema)
    texts = [tokenizer.decode([n]) for n in range(vocabulary)]
    closing = torch.tensor([6.0 if set(t.strip()) & set('"}]') else 0.0 for t in texts])
    answer: list[int] = []
    for _ in range(MOST_TOKENS):
        scores = torch.randn(vocabulary, generator=generator) * 3
        scores = rule(answer, scores + closing * (len(answer) > 40))
        assert torch.isfinite(scores).any()
        token = int(scores.argmax())
        if token == END:
            return tokenizer.decode(answer, skip_special_tokens=False)
        answer.append(token)
    return None


END = 0


@pytest.mark.parametrize("name", SCHEMAS)
def test_whatever_the_scores_an_answer_that_ends_is_valid(name: str, tokenizer: Tokenizer) -> None:
    grammars = JsonGrammars(tokenizer, tokenizer.get_vocab_size(), [END])
    checker = jsonschema_rs.Draft202012Validator(SCHEMAS[name], validate_formats=True)
    answers = [write_answer(grammars, tokenizer, SCHEMAS[name], seed) for seed in range(6)]
    ended = [answer for answer in answers if answer is not None]
    assert len(ended) >= 4
    for answer in ended:
        checker.validate(json.loads(answer))


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.org/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"properties": {"a": {"$dynamicRef": "other.json#x"}}},
        {"$id": "https://example.org/x", "type": "object"},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/missing"}}, "required": ["a"]},
        {"type": "nothing"},
        {"type": "string", "pattern": "(?=lookahead)"},
    ],
)
def test_a_schema_that_cannot_be_followed_is_refused(schema: Any, tokenizer: Tokenizer) -> None:
    grammars = JsonGrammars(tokenizer, tokenizer.get_vocab_size(), [END])
    with pytest.raises(DataError, match=r"schema|\$ref|\$id|\$dynamicRef"):
        grammars.constrain(schema)
