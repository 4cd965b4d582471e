"""Licences of base, data and teacher: read where they stand, and told in plain words."""

from __future__ import annotations

from pathlib import Path

import pytest

from residency.export.licences import (
    Licence,
    check_licences,
    choose_card_licence,
    find_base_licence,
    find_data_licence,
    find_teacher_licence,
    read_licence_name,
)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("apache-2.0", "Apache-2.0"), ("MIT", "MIT"), ("cc-by-sa-4.0", "CC-BY-SA-4.0"),
        ("gpl-3.0", "GPL-3.0-only"), ("llama3.1", "llama3.1"), ("", "unknown"), ("other", "unknown"),
        ("MIT OR Apache-2.0", "MIT OR Apache-2.0"), ("my own (((", "my own ((("),
        ("Apache License, Version 2.0", "Apache-2.0"), ("The MIT License", "MIT"),
        ("CC BY-NC 4.0", "CC-BY-NC-4.0"), ("cc by sa 4.0", "CC-BY-SA-4.0"), ("MIT AND", "MIT AND"),
        ("mit, apache-2.0", "mit, apache-2.0"), ("MIT WITH love", "MIT WITH love"),
    ],
)  # fmt: skip
def test_names_are_spdx_where_they_can_be(written: str, name: str) -> None:
    assert read_licence_name(written) == name


def test_a_setting_wins_then_the_card_then_the_text(tmp_path: Path) -> None:
    assert find_base_licence("", "x", tmp_path).name == "unknown"
    (tmp_path / "LICENSE").write_text("   Apache License\n   Version 2.0, January 2004\n")
    assert find_base_licence("", "x", tmp_path).name == "Apache-2.0"
    (tmp_path / "README.md").write_text("---\nlicense: mit\nlanguage: en\n---\n# A model\n")
    assert find_base_licence("", "x", tmp_path).name == "MIT"
    (tmp_path / "README.md").write_text("---\nlicense: other\nlicense_name: llama3.2\n---\n")
    assert find_base_licence("", "x", tmp_path).name == "llama3.2"
    assert find_base_licence("cc0-1.0", "x", tmp_path) == Licence(
        "base", "CC0-1.0", "[model] license"
    )
    assert find_base_licence("", "smollm2-135m", tmp_path / "none").name == "Apache-2.0"
    for hostile in (
        "---\n- [",
        "---\nlicense: [[[\n---",
        "---",
        "---\nlicense: {a: b}\n---\n",
        "\x00",
    ):
        (tmp_path / "README.md").write_text(hostile)
        assert find_base_licence("", "x", tmp_path).name == "Apache-2.0"


def test_data_of_several_folders(tmp_path: Path) -> None:
    for name, licence in (("a", "mit"), ("b", "cc-by-4.0"), ("c", "")):
        (tmp_path / name).mkdir()
        if licence:
            (tmp_path / name / "README.md").write_text(f"---\nlicense: {licence}\n---\n")
    folders = [tmp_path / name for name in "abc"]
    assert find_data_licence("", folders).name == "CC-BY-4.0 AND MIT"
    assert find_data_licence("", folders[:1]).name == "MIT"
    assert not find_data_licence("", folders[2:]).known


def say(base: str, data: str, teacher: str = "") -> tuple[str, str]:
    licences = [Licence("base", base, "x"), Licence("data", data, "x")]
    licences += [Licence("teacher", teacher, "x")] if teacher else []
    check = check_licences(licences)
    return " ".join(check.sentences), choose_card_licence(check)


@pytest.mark.parametrize("data", ["Proprietary", "gemma", "llama3.1", "openrail++", "my own ((("])
def test_a_licence_that_spdx_does_not_list_narrows_the_card(data: str) -> None:
    said, card = say("Apache-2.0", data)
    assert card == "other" and f"{data} (data)" in said.replace(f"data: {data} (x)", "")


def test_what_goes_together_and_what_does_not() -> None:
    said, card = say("Apache-2.0", "CC-BY-4.0")
    assert "does not" not in said and "notice" in said and card == "apache-2.0"
    said, card = say("Apache-2.0", "CC-BY-NC-4.0")
    assert "CC-BY-NC-4.0 (data) does not allow commercial use" in said and card == "other"
    said, card = say("MIT", "CC-BY-SA-4.0")
    assert "same terms; the others are MIT (base)" in said and card == "other"
    said, _ = say("GPL-3.0-only", "CC-BY-SA-4.0")
    assert "both cannot be kept at once" in said
    said, card = say("llama3.1", "MIT")
    assert "begins with “Llama”" in said and "Built with Llama" in said and card == "llama3.1"
    said, card = say("Apache-2.0", "MIT", "llama3.1")
    assert "llama3.1 (teacher) asks that the name" in said
    said, _ = say("Apache-2.0", "MIT", "llama3")
    assert "does not allow its answers to improve another model" in said
    said, card = say("Apache-2.0", "MIT", "terms of OpenAI")
    assert "restrict the use of answers to train other models" in said and card == "other"
    said, card = say("Apache-2.0", "unknown")
    assert "licence of the data is not known" in said and card == "apache-2.0"
    assert say("unknown", "MIT")[1] == "other"
    assert "no licence of the SPDX list" in say("House rules 7", "MIT")[0]


def test_a_hosted_teacher_has_its_services_terms() -> None:
    assert find_teacher_licence("", "https://api.openai.com/v1").name == "terms of OpenAI"
    assert find_teacher_licence("MIT", "https://api.openai.com/v1").name == "MIT"
    assert not find_teacher_licence("", "http://localhost:8000/v1").known
