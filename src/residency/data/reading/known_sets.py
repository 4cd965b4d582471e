"""Public data sets whose files are no rows of questions and answers, and the command that makes rows of
one. Each is known by its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class KnownSet:
    """A data set's file.

    Attributes:
        fields: which its rows have, in small letters. what: it is, in words.
        row: a row in Python, of ``rows`` (what follows ``for``). advice: instead of a command.
    """

    fields: frozenset[str]
    what: str
    row: str = ""
    rows: str = ""
    advice: str = ""


_RASA_FLOWS = "name the file of its NLU examples, which are texts with their intent (nlu.yml)"
_TURN = "{'role': ['user', 'assistant'][n % 2], 'content': text}"
_PLAIN = r"re.sub(r'\[(.+?)\](\(.*?\)|\{.*?\})', r'\1', line[2:])"
KNOWN_SETS = (
    KnownSet(
        frozenset({"definition", "instances"}),
        "a task of Super-NaturalInstructions",
        "{'instruction': data['Definition'][0], 'input': row['input'], 'output': row['output'][0]}",
        "row in data['Instances']",
    ),
    KnownSet(
        frozenset({"personality", "utterances"}),
        "conversations of PersonaChat, each with answers to choose from, of which the last is right",
        "{'system': 'Your persona: ' + ' '.join(row['personality']), 'messages': "
        f"[{_TURN} for n, text in enumerate([*turn['history'], turn['candidates'][-1]])]}}",
        "row in data for turn in row['utterances']",
    ),
    KnownSet(
        frozenset({"intent", "examples"}),
        "Rasa's NLU examples, a list of texts an intent",
        f"{{'text': {_PLAIN}, 'label': row['intent']}}",
        "row in data['nlu'] if 'intent' in row for line in row['examples'].splitlines() if line[:2] == '- '",
    ),
    KnownSet(
        frozenset({"rasa_nlu_data"}),
        "Rasa's NLU examples",
        "{'text': row['text'], 'label': row['intent']}",
        "row in data['rasa_nlu_data']['common_examples']",
    ),
    KnownSet(
        frozenset({"story", "steps"}), "Rasa's stories, flows without texts", advice=_RASA_FLOWS
    ),
    KnownSet(frozenset({"rule", "steps"}), "Rasa's rules, flows without texts", advice=_RASA_FLOWS),
    KnownSet(
        frozenset({"intents", "responses"}), "Rasa's domain, no conversations", advice=_RASA_FLOWS
    ),
)


def describe_known_set(row: Mapping[str, object], where: str) -> tuple[str, str]:
    """What a file is, by its first row, and how it becomes rows; both empty where it is none of these."""
    fields = {str(name).strip().lower() for name in row}
    known = next((known for known in KNOWN_SETS if known.fields <= fields), None)
    if known is None:
        return "", ""
    if not known.row:
        return f": {known.what}", known.advice
    suffix = Path(where).suffix.lower()
    load = f"json.load(open({where!r}))"
    if suffix in (".yaml", ".yml"):
        load = f"yaml.safe_load(open({where!r}))"
    elif suffix in (".jsonl", ".ndjson"):
        load = f"[json.loads(line) for line in open({where!r})]"
    return f": {known.what}", (
        f'python -c "import json, re, yaml; data = {load}; '
        f'[print(json.dumps({known.row})) for {known.rows}]" > rows.jsonl'
    )
