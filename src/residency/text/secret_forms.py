"""Suspects of keys, tokens and passwords, by the forms that their makers give them.

Most forms are those of detect-secrets. Added here: whole blocks of private keys (detect-secrets knows
their first line only) and keys of services that it does not know yet. A password in prose has no form
and is not seen.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

_SHORTEST_TOKEN = 16
_LONG_TOKEN = re.compile(
    rf"[A-Za-z0-9_\-+/=.]{{{_SHORTEST_TOKEN},}}|-----BEGIN|://[^/\s:@]{{1,64}}:[^/\s@]{{1,64}}@"
)
PRIVATE_KEY_START = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
PRIVATE_KEY_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_OWN_FORMS = tuple(
    (kind, re.compile(form, re.ASCII))  # a letter of another script may stand before a key
    for kind, form in (
        ("Anthropic Key", r"\bsk-ant-[A-Za-z0-9_-]{20,}"),
        ("OpenAI Key", r"\bsk-(?:proj-|svcacct-|admin-)?(?!ant-)[A-Za-z0-9_-]{32,}"),
        ("Hugging Face Token", r"\bhf_[A-Za-z0-9]{30,}"),
        ("Google API Key", r"\bAIza[A-Za-z0-9_-]{35}"),
        ("GitHub Fine-grained Token", r"\bgithub_pat_[A-Za-z0-9_]{50,}"),
        ("NPM tokens", r":_authToken=\s*(?:npm_[A-Za-z0-9]{20,}|[A-Fa-f0-9-]{36})"),
        (
            "JSON Web Token",
            r"(?<![\w=.-])eyJ[\w-]{8,}={0,2}\.[\w-]{8,}={0,2}(?:\.[\w+/=-]+)?",
        ),
    )
)
_WITHOUT_GROUPS = ("GitHubTokenDetector", "GitLabTokenDetector")
"""Forms whose groups are a part of the beginning; a group of the others is the secret itself."""


@lru_cache(maxsize=1)
def _load_detectors() -> list[Any]:
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    # Left out: entropy and keyword detectors (made for source code; prose is full of false
    # alarms), public IP addresses (no secret), and those that take minutes on a row of slashes, of
    # ``sk-`` or of ``eyJ`` (ours above).
    unfit = {
        "Base64HighEntropyString",
        "HexHighEntropyString",
        "KeywordDetector",
        "IPPublicDetector",
        "NpmDetector",
        "OpenAIDetector",
        "JwtTokenDetector",
    }
    match: dict[str, Any] = get_mapping_from_secret_type_to_class()
    return [
        detector() for name, detector in sorted(match.items()) if detector.__name__ not in unfit
    ]


def find_secrets(text: str) -> list[tuple[str, int, int]]:
    """Kind, start and end of every suspect, each time it occurs; none overlaps another."""
    if not _holds_token(text):
        return []
    hits = [("Private Key", start, end) for start, end in find_private_keys(text)]
    for kind, form in _OWN_FORMS:
        hits += [(kind, match.start(), match.end()) for match in form.finditer(text)]
    for detector in _load_detectors():
        whole = type(detector).__name__ in _WITHOUT_GROUPS
        for match in (match for form in detector.denylist for match in form.finditer(text)):
            group = 0 if whole or match.lastindex is None else match.lastindex
            hits.append((str(detector.secret_type), match.start(group), match.end(group)))
    return _drop_overlaps(hits)


def _holds_token(text: str) -> bool:
    """Whether anything in the text is as long as a secret (quick to tell)."""
    longest = max(map(len, text.split()), default=0)
    if longest < _SHORTEST_TOKEN and "://" not in text and "-----BEGIN" not in text:
        return False
    return _LONG_TOKEN.search(text) is not None


def find_private_keys(text: str) -> list[tuple[int, int]]:
    """Start and end of every block of a private key; one that is not closed ends with the text."""
    blocks: list[tuple[int, int]] = []
    for opening in PRIVATE_KEY_START.finditer(text):
        if blocks and opening.start() < blocks[-1][1]:
            continue
        closing = PRIVATE_KEY_END.search(text, opening.end())
        blocks.append((opening.start(), closing.end() if closing else len(text)))
    return blocks


def _drop_overlaps(hits: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """Of suspects that overlap, the one that begins first, and of those the longest."""
    out: list[tuple[str, int, int]] = []
    for hit in sorted(set(hits), key=lambda hit: (hit[1], -hit[2], hit[0])):
        if out and hit[1] < out[-1][2]:
            kind, start, end = out[-1]
            out[-1] = (kind, start, max(end, hit[2]))
        elif hit[2] > hit[1]:
            out.append(hit)
    return out
