"""Token rows, the truncation ledger, the token cache and dataset versions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from chat_families import tokenizer_of
from residency.chat.chat_format import ChatFormat
from residency.data.checks.truncation_ledger import POLICIES
from residency.data.dataset_versions import (
    compare_versions,
    make_version,
    read_version,
    write_version,
)
from residency.data.token_rows import EncodedRows, encode_rows
from residency.errors import DataError
from residency.nouns.example import Example, Message


@pytest.fixture(scope="module")
def chat() -> ChatFormat:
    return ChatFormat(tokenizer_of("chatml"))


def example(question: str, answer: str, **more: Any) -> Example:
    return Example((Message("user", question), Message("assistant", answer)), **more)


SHORT = example("Hello there", "ok", source="a.jsonl:1")
LONG_ANSWER = example("Hello", "kettle " * 200, source="a.jsonl:2")
LONG_PROMPT = example("kettle " * 200, "ok", source="a.jsonl:3")
ROWS = [SHORT, LONG_ANSWER, LONG_PROMPT]


def encode(chat: ChatFormat, rows: list[Example], truncation: Any, **more: Any) -> EncodedRows:
    return encode_rows(rows, chat, max_length=100, truncation=truncation, **more)


def test_pain_03_nothing_is_truncated_silently(chat: ChatFormat) -> None:
    full = {e.id: chat.encode(e.messages) for e in ROWS}
    for policy in POLICIES:
        result = encode(chat, ROWS, policy)
        ledger = result.ledger
        assert (ledger.rows, ledger.too_long) == (3, 2)
        assert ledger.tokens == sum(len(e.ids) for e in full.values())
        assert ledger.trained == sum(sum(e.mask) for e in full.values())
        # Every token of every row is either in a row that is trained or in the ledger's list.
        kept = sum(len(r.ids) for r in result.rows)
        assert kept + sum(a.lost for a in ledger.affected) == ledger.tokens
        trained = sum(sum(r.mask) for r in result.rows)
        assert trained + sum(a.lost_trained for a in ledger.affected) == ledger.trained
        assert ledger.policies[policy].lost_trained == sum(a.lost_trained for a in ledger.affected)
        assert all(len(r.ids) <= 100 and any(r.mask) for r in result.rows)
        assert {a.source for a in ledger.affected} == {"a.jsonl:2", "a.jsonl:3"}


def test_each_policy_does_what_it_says(chat: ChatFormat) -> None:
    dropped = encode(chat, ROWS, "drop")
    assert [r.example for r in dropped.rows] == [SHORT.id]
    assert dropped.dropped_ids == (LONG_ANSWER.id, LONG_PROMPT.id)
    left = {r.example: r for r in encode(chat, ROWS, "left").rows}
    for row in (LONG_ANSWER, LONG_PROMPT):
        whole = chat.encode(row.messages)
        assert list(left[row.id].ids) == whole.ids[:1] + whole.ids[-99:]
        assert any(
            i in chat.end_ids for i, m in zip(left[row.id].ids, left[row.id].mask, strict=True) if m
        )
    right = encode(chat, ROWS, "right")
    assert right.ledger.policies["right"].without_end == 1
    assert right.ledger.policies["drop"].dropped == 2
    # Cut on the right, the row with a long prompt has no answer left.
    assert right.dropped_ids == (LONG_PROMPT.id,)
    [note] = [a for a in right.ledger.affected if a.source == "a.jsonl:3"]
    assert note.action == "trains on nothing"


def test_pain_02_rows_that_would_train_on_nothing_are_left_out_and_listed(chat: ChatFormat) -> None:
    result = encode(chat, [LONG_PROMPT], "right")
    assert result.rows == []
    assert [a.action for a in result.ledger.affected] == ["trains on nothing"]


def test_a_row_that_the_template_refuses_is_listed() -> None:
    mistral = ChatFormat(tokenizer_of("mistral"))
    bad = Example((Message("system", "Be kind."), *SHORT.messages), source="a.jsonl:9")
    result = encode(mistral, [bad, SHORT], "drop")
    assert [r.example for r in result.rows] == [SHORT.id]
    [refused] = result.ledger.refused
    assert refused.source == "a.jsonl:9"
    assert "Only user and assistant" in refused.reason
    assert result.dropped_ids == (bad.id,)


def test_raw_text_is_divided_and_never_lost(chat: ChatFormat) -> None:
    text = Example((Message("assistant", "kettle broke " * 300),))
    result = encode(chat, [text], "drop")
    whole = chat.encode(text.messages)
    assert [i for r in result.rows for i in r.ids] == whole.ids
    assert [a.action for a in result.ledger.affected] == ["divided"]
    assert result.dropped_ids == ()


def test_preference_rows_carry_both_sides(chat: ChatFormat) -> None:
    row = replace(SHORT, rejected="no")
    [encoded] = encode(chat, [row], "drop").rows
    prompt = chat.prompt_ids(row.prompt)
    for ids, mask, answer in (
        (encoded.ids, encoded.mask, "ok"),
        (encoded.rejected_ids, encoded.rejected_mask, "no"),
    ):
        assert list(ids[: len(prompt)]) == prompt
        trained = [i for i, m in zip(ids, mask, strict=True) if m]
        assert chat.decode(trained) == answer
    long = replace(SHORT, rejected="kettle " * 200)
    assert encode(chat, [long], "drop").rows == []
    assert len(encode(chat, [long], "right").rows[0].rejected_ids) == 100


def test_pain_19_the_token_cache_is_never_stale(chat: ChatFormat, tmp_path: Path) -> None:
    first = encode(chat, ROWS, "left", cache_dir=tmp_path)
    [file] = tmp_path.glob("*.parquet")
    assert encode(chat, ROWS, "left", cache_dir=tmp_path) == first
    # Another template, another tokenizer, another row, another order: other tokens, other files.
    other = ChatFormat(tokenizer_of("chatml"), chat.template.replace("careful", "careless"))
    for rows, format_ in (
        (ROWS, other),
        (ROWS, ChatFormat(tokenizer_of("qwen2_5"))),
        ([example("Hello there", "no"), *ROWS[1:]], chat),
        (ROWS[::-1], chat),
    ):
        fresh = encode(format_, rows, "left")
        cached = encode(format_, rows, "left", cache_dir=tmp_path)
        again = encode(format_, rows, "left", cache_dir=tmp_path)
        assert fresh.rows == cached.rows == again.rows
        assert cached.rows != first.rows
    assert len(list(tmp_path.glob("*.parquet"))) == 5
    # The limit and the policy are applied after the cache.
    assert encode(chat, ROWS, "drop", cache_dir=tmp_path).rows == first.rows[:1]
    # A weight is no part of the ids.
    heavy = [replace(SHORT, weight=3.0), *ROWS[1:]]
    assert encode(chat, heavy, "left", cache_dir=tmp_path).rows[0].weight == 3.0
    # A damaged or swapped file is not believed.
    file.write_bytes(b"PAR1 broken")
    assert encode(chat, ROWS, "left", cache_dir=tmp_path) == first
    for place in (4, 100, -40, -1):  # neither is one of which a bit was flipped
        data = bytearray(file.read_bytes())
        data[place] ^= 1
        file.write_bytes(data)
        assert encode(chat, ROWS, "left", cache_dir=tmp_path) == first
        assert file.read_bytes() != data
    others = [p for p in tmp_path.glob("*.parquet") if p != file]
    file.write_bytes(others[0].read_bytes())
    assert encode(chat, ROWS, "left", cache_dir=tmp_path) == first


def test_refused_rows_come_back_from_the_cache(tmp_path: Path) -> None:
    mistral = ChatFormat(tokenizer_of("mistral"))
    bad = Example((Message("system", "Be kind."), *SHORT.messages))
    first = encode(mistral, [bad, SHORT], "drop", cache_dir=tmp_path)
    assert encode(mistral, [bad, SHORT], "drop", cache_dir=tmp_path) == first
    assert len(first.ledger.refused) == 1


# --- versions ----------------------------------------------------------------------------------


def test_pain_32_a_version_is_its_content(chat: ChatFormat, tmp_path: Path) -> None:
    rows = [
        replace(SHORT, tags=("a=b",), group="g", weight=2.0),
        replace(LONG_ANSWER, rejected="x"),
    ]
    version = make_version(rows, chat, {"max_length": 100}, note="first")
    assert version.template_hash == chat.hash
    assert version.tokenizer_hash == chat.tokenizer_hash
    place = write_version(version, rows, tmp_path)
    assert read_version(place) == (version, rows)
    assert write_version(version, rows, tmp_path) == place
    assert make_version(rows, chat, {"max_length": 100}, note="other words").id == version.id
    assert make_version(rows[::-1], chat, {"max_length": 100}).id != version.id
    assert make_version(rows, chat, {"max_length": 101}).id != version.id
    with pytest.raises(DataError, match="not those of the manifest"):
        write_version(version, rows[:1], tmp_path)


def test_a_changed_version_is_found_out(chat: ChatFormat, tmp_path: Path) -> None:
    version = make_version(ROWS, chat)
    place = write_version(version, ROWS, tmp_path)
    table = pq.read_table(place / "rows.parquet").to_pylist()
    table[1]["messages"] = table[1]["messages"].replace("Hello", "Goodbye")
    import pyarrow as pa

    pq.write_table(pa.Table.from_pylist(table), place / "rows.parquet")
    with pytest.raises(DataError, match="row 2 was changed"):
        read_version(place)
    place = write_version(version, ROWS, tmp_path / "again")
    manifest = json.loads((place / "manifest.json").read_text())
    (place / "manifest.json").write_text(json.dumps(manifest | {"template_hash": "x"}))
    with pytest.raises(DataError, match="manifest was changed"):
        read_version(place)
    with pytest.raises(DataError, match="not a dataset version"):
        read_version(tmp_path / "nowhere")


def test_diff_says_what_changed(chat: ChatFormat) -> None:
    old = make_version(ROWS, chat, {"a": 1, "b": 2})
    new = make_version(
        [LONG_PROMPT, SHORT, example("New", "row")],
        ChatFormat(tokenizer_of("chatml"), chat.template.replace("careful", "careless")),
        {"a": 1, "b": 3},
    )
    found = compare_versions(old, new)
    assert found.added == (example("New", "row").id,)
    assert found.removed == (LONG_ANSWER.id,)
    assert (found.kept, found.reordered) == (2, True)
    assert found.template_changed
    assert not found.tokenizer_changed
    assert found.settings == {"b": (2, 3)}
    assert json.dumps(found.to_dict())
    other = compare_versions(
        old, make_version(ROWS, ChatFormat(tokenizer_of("qwen2_5")), {"a": 1, "b": 2})
    )
    assert other.tokenizer_changed and other.template_changed
    assert (other.added, other.removed, other.settings) == ((), (), {})
    assert compare_versions(old, old).added == compare_versions(old, old).removed == ()
