"""Licences of base, data and teacher: what is known of them, and what they ask for together.

These are facts that anybody can read in the licences' texts, in plain words. They are no legal advice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from license_expression import ExpressionError, get_spdx_licensing

Part = Literal["base", "data", "teacher"]
UNKNOWN = "unknown"
_README = 1 << 20
_BY_BASE = {"smollm2-135m": "Apache-2.0", "tiny": "Apache-2.0"}
"""Bases that the package ships or fetches."""

_TEXTS = (
    (r"Apache License\s+Version 2\.0", "Apache-2.0"),
    (r"GNU AFFERO GENERAL PUBLIC LICENSE\s+Version 3", "AGPL-3.0-only"),
    (r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 3", "LGPL-3.0-only"),
    (r"GNU GENERAL PUBLIC LICENSE\s+Version 3", "GPL-3.0-only"),
    (r"Permission is hereby granted, free of charge, to any person obtaining a copy", "MIT"),
    (r"LLAMA 4 COMMUNITY LICENSE", "llama4"),
    (r"LLAMA 3\.3 COMMUNITY LICENSE", "llama3.3"),
    (r"LLAMA 3\.2 COMMUNITY LICENSE", "llama3.2"),
    (r"LLAMA 3\.1 COMMUNITY LICENSE", "llama3.1"),
    (r"META LLAMA 3 COMMUNITY LICENSE", "llama3"),
    (r"LLAMA 2 COMMUNITY LICENSE", "llama2"),
    (r"Gemma Terms of Use", "gemma"),
    (r"Attribution-NonCommercial-ShareAlike 4\.0", "CC-BY-NC-SA-4.0"),
    (r"Attribution-NonCommercial 4\.0", "CC-BY-NC-4.0"),
    (r"Attribution-ShareAlike 4\.0", "CC-BY-SA-4.0"),
    (r"Attribution 4\.0 International", "CC-BY-4.0"),
)
"""How the texts of licences begin that models and data are given under."""

_SERVICES = {
    "api.openai.com": "OpenAI",
    "openai.azure.com": "OpenAI on Azure",
    "api.anthropic.com": "Anthropic",
    "generativelanguage.googleapis.com": "Google Gemini",
    "api.mistral.ai": "Mistral",
    "api.x.ai": "xAI",
    "api.cohere.com": "Cohere",
}
"""Hosted models whose terms say what their answers may be used for."""


@dataclass(frozen=True)
class Licence:
    """A licence of one part.

    Attributes:
        name: an SPDX expression, a name of the hub's (``llama3.1``), a service's terms, or
            ``unknown``. source: where it was read.
    """

    part: Part
    name: str
    source: str

    @property
    def known(self) -> bool:
        """Whether anything is known of it."""
        return self.name != UNKNOWN


@dataclass(frozen=True)
class LicenceCheck:
    """Licences beside each other: what they ask for, and where they do not go together."""

    licences: list[Licence]
    duties: list[str]
    conflicts: list[str]

    @property
    def sentences(self) -> list[str]:
        """Everything that is said, conflicts first."""
        names = [f"{x.part}: {x.name} ({x.source})" for x in self.licences]
        return [*self.conflicts, *names, *self.duties]


def read_licence_name(text: str) -> str:
    """The SPDX form of a licence as somebody wrote it; as written where it has none; unknown where nothing
    is said."""
    name = " ".join(text.split())
    if not name or name.lower() in ("other", "unknown", "none", "unlicensed"):
        return UNKNOWN
    for spelling in (name, _spell_as_spdx(name)):
        if is_spdx(spelling):
            return str(get_spdx_licensing().parse(spelling))
    return name


def _spell_as_spdx(name: str) -> str:
    """``Apache License, Version 2.0`` or ``CC BY-NC 4.0`` as SPDX would write it."""
    words = re.sub(r"\b(the|licen[sc]e|version)\b|,", " ", name, flags=re.IGNORECASE)
    return "-".join(re.sub(r"\bv(?=\d)", "", words, flags=re.IGNORECASE).split())


def is_spdx(name: str) -> bool:
    """Whether every licence of an expression is in the SPDX list."""
    try:
        return bool(name) and not get_spdx_licensing().unknown_license_keys(name)
    except (ExpressionError, AttributeError):
        return False


def find_base_licence(setting: str, name: str, folder: Path) -> Licence:
    """Of the setting, the bases that we know, the folder's card, or its LICENSE file."""
    if setting:
        return Licence("base", read_licence_name(setting), "[model] license")
    if known := _BY_BASE.get(name):
        return Licence("base", known, "the base's card")
    return _read_folder("base", folder)


def find_data_licence(setting: str, folders: Sequence[Path]) -> Licence:
    """Of the setting, or of a card or LICENSE beside the data files."""
    if setting:
        return Licence("data", read_licence_name(setting), "[data] license")
    folder_licences = [_read_folder("data", folder) for folder in dict.fromkeys(folders)]
    known = [licence for licence in folder_licences if licence.known]
    names = sorted({licence.name for licence in known})
    if len(names) == 1:
        return known[0]
    if names:
        joined = " AND ".join(f"({n})" if " " in n else n for n in names)
        return Licence("data", joined, "cards beside the data files")
    return Licence("data", UNKNOWN, "set [data] license")


def find_teacher_licence(setting: str, address: str) -> Licence:
    """Of the setting; for a hosted model, the terms of its service."""
    if setting:
        return Licence("teacher", read_licence_name(setting), "[target] teacher_license")
    for host, service in _SERVICES.items():
        if host in address:
            return Licence("teacher", f"terms of {service}", "the teacher's address")
    return Licence("teacher", UNKNOWN, "set [target] teacher_license")


def _read_folder(part: Part, folder: Path) -> Licence:
    """A card's front matter, or the text of a LICENSE file."""
    for name in ("README.md", "dataset-card.md", "residency-card.md"):
        front = _read_front_matter(folder / name)
        written = front.get("license")
        if written in ("other", None) and front.get("license_name"):
            written = front["license_name"]
        if isinstance(written, list):
            written = " AND ".join(map(str, written))
        if isinstance(written, str) and read_licence_name(written) != UNKNOWN:
            return Licence(part, read_licence_name(written), name)
    for file in sorted(folder.glob("LICEN[SC]E*")):
        text = _read_text(file)
        for pattern, licence in _TEXTS:
            if re.search(pattern, text[:4000], re.IGNORECASE):
                return Licence(part, licence, file.name)
    return Licence(part, UNKNOWN, f"set [{'model' if part == 'base' else part}] license")


def _read_front_matter(path: Path) -> dict[str, object]:
    text = _read_text(path)
    if not text.startswith("---"):
        return {}
    try:
        front = yaml.safe_load(text[3:].partition("\n---")[0])
    except (yaml.YAMLError, RecursionError, ValueError):
        return {}
    return front if isinstance(front, dict) else {}


def _read_text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_README)
    except OSError:
        return ""


def check_licences(licences: Sequence[Licence]) -> LicenceCheck:
    """What the licences ask for, and which do not go together."""
    duties: list[str] = []
    conflicts: list[str] = []
    for licence in licences:
        if not licence.known:
            conflicts.append(
                f"The licence of the {licence.part} is not known here: look it up before you pass the "
                f"model on ({licence.source} to tell Residency)."
            )
            continue
        if not is_spdx(licence.name) and _find_community(licence) is None:
            duties.append(
                f"{licence.name} ({licence.part}) is no licence of the SPDX list: read its text."
            )
        duties += _list_duties(licence)
        conflicts += _list_bans(licence)
    conflicts += _compare_licences(licences)
    return LicenceCheck(list(licences), list(dict.fromkeys(duties)), list(dict.fromkeys(conflicts)))


def _find_community(licence: Licence) -> str | None:
    """``llama``, ``gemma``, ``openrail`` or ``terms`` for licences that are in no SPDX list."""
    name = licence.name.lower()
    return next((k for k in ("llama", "gemma", "openrail", "terms of ") if k in name), None)


def _list_duties(licence: Licence) -> list[str]:
    name, upper = licence.name, licence.name.upper()
    duties = []
    if any(k in upper for k in ("APACHE", "MIT", "BSD", "CC-BY")):
        duties.append(
            f"{name} ({licence.part}) asks for its notice to be passed on with the model."
        )
    if "llama" in name.lower():
        began = "" if name.lower() in ("llama2", "llama3") else " or with its answers"
        begin = "“Llama 3”" if name.lower() == "llama3" else "“Llama”"
        if name.lower() != "llama2":
            duties.append(
                f"{name} ({licence.part}) asks that the name of a model trained from it{began} begins "
                f"with {begin}, and that “Built with Llama” is shown."
            )
        duties.append(
            f"{name} ({licence.part}) asks that a copy of it goes along and its use policy is kept; "
            "above 700 million users a month it asks for a licence of its own."
        )
    if "gemma" in name.lower() or "openrail" in name.lower():
        duties.append(
            f"{name} ({licence.part}) asks that its restrictions of use are passed on to whoever gets "
            "the model."
        )
    return duties


def _list_bans(licence: Licence) -> list[str]:
    name, upper = licence.name, licence.name.upper()
    bans = []
    if "-NC" in upper or "NONCOMMERCIAL" in upper or "NON-COMMERCIAL" in upper:
        bans.append(f"{name} ({licence.part}) does not allow commercial use.")
    if "-ND" in upper:
        bans.append(f"{name} ({licence.part}) does not allow adapted works to be passed on.")
    if name.startswith("terms of "):
        bans.append(
            f"The {name} restrict the use of answers to train other models, above all models that compete "
            "with the service: read their present wording before you pass this model on."
        )
    if licence.part == "teacher" and name.lower() in ("llama2", "llama3"):
        bans.append(
            f"{name} (teacher) does not allow its answers to improve another model than Llama."
        )
    return bans


def _compare_licences(licences: Sequence[Licence]) -> list[str]:
    """Pairs that ask for different things at once."""
    sentences = []
    alike = [x for x in licences if x.known and _is_share_alike(x.name)]
    for licence in alike:
        others = [x for x in licences if x is not licence and x.known and x.name != licence.name]
        sentences.append(
            f"{licence.name} ({licence.part}) asks that adapted works are passed on under the same terms"
            + (
                f"; the others are {', '.join(f'{x.name} ({x.part})' for x in others)}."
                if others
                else "."
            )
        )
    names = {x.name for x in alike}
    if len(names) > 1:
        sentences.append(
            f"{' and '.join(sorted(names))} both ask for their own terms alone: both cannot be kept at once."
        )
    return sentences


def _is_share_alike(name: str) -> bool:
    upper = name.upper()
    return "-SA" in upper or ("GPL" in upper and " OR " not in upper) or "ODBL" in upper


def choose_card_licence(check: LicenceCheck) -> str:
    """The hub's ``license`` of the model: the base's, where nothing else narrows it; else ``other``."""
    base = next((x for x in check.licences if x.part == "base"), None)
    others = [x for x in check.licences if x.part != "base" and x.known]
    if base is None or not base.known:
        return "other"
    # A licence that SPDX does not list may ask for anything.
    narrowed = any(_list_bans(x) or _is_share_alike(x.name) or not is_spdx(x.name) for x in others)
    return "other" if narrowed or " " in base.name else base.name.lower()
