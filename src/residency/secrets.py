"""Passwords, keys and tokens: what is used is remembered, and taken out of every text.

``hide_secrets`` is the last guard of messages and of what servers answer (some repeat the key that
they refuse); ``mask_address`` says which part of an address is secret. Addresses in settings are
``residency.config.secret_url.SecretUrl``.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, unquote

MASK = "***"
SHORTEST = 4
"""Letters from which a secret is looked for in other texts; a shorter one stands in every text."""

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_SECRET_WORDS = r"(?:key|token|secret|passw|pwd|signature|credential|auth)"
_PARAMETER = re.compile(
    rf"([?&;#])([^=&?;#\s]*{_SECRET_WORDS}[^=&?;#\s]*|sig|pw|pass)=([^&#\s]*)", re.IGNORECASE
)
REFERENCE = re.compile(r"\$\{(keyring:[^/{}]+/[^{}]+|[A-Za-z_][A-Za-z0-9_]*)\}")
"""A secret by name: ``${NAME}`` of the environment, ``${keyring:SERVICE/USER}`` of the system's keyring."""
_WITHOUT_PASSWORD = ("hf", "file", "sqlite")
"""Schemes in which ``@`` means something else: a revision, or a letter of a path."""
_DATABASE_PARAMETER = re.compile(
    r"(query|host|hostaddr|port|user|dbname|password|ssl\w*|connect_timeout|application_name|options"
    r"|service|passfile|target_session_attrs|channel_binding|gss\w*|keepalives\w*|tcp_user_timeout"
    r"|client_encoding|charset|driver)=",
    re.IGNORECASE,
)
"""Parameters of libpq, SQLAlchemy and ours."""
_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,40}://[^\s\"'<>]+")

_UNRESERVED = "%!$&'()*+,;=~"
"""What may stand in a password of an address as it is; ``%`` because it may be escaped already."""

_remembered: set[str] = set()


def remember_secret(secret: str) -> None:
    """Take this out of every text that ``hide_secrets`` sees from now on, however it is escaped."""
    for form in (secret, unquote(secret), quote(secret, safe=""), quote(unquote(secret), safe="")):
        if len(form) >= SHORTEST:
            _remembered.add(form)


def is_secret_name(name: str) -> bool:
    """Whether a variable or parameter of this name holds a secret."""
    return re.search(rf"{_SECRET_WORDS}|(^|_)(pw|pass)(_|$)", name, re.IGNORECASE) is not None


def hide_secrets(text: str) -> str:
    """The text without any secret that was used in this process."""
    for secret in sorted(_remembered, key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, MASK)
    return text


def mask_addresses(text: str) -> str:
    """The text with the passwords and keys of every address in it masked."""
    return _IN_TEXT.sub(lambda found: mask_address(found[0])[0], text)


def mask_values(value: Any) -> Any:
    """A JSON tree with every address in its texts masked."""
    if isinstance(value, str):
        return mask_addresses(value)
    if isinstance(value, dict):
        return {key: mask_values(item) for key, item in value.items()}
    if isinstance(value, list):
        return [mask_values(item) for item in value]
    return value


def mask_address(address: str) -> tuple[str, list[str]]:
    """The address to show, and the secrets in it."""
    match = _ADDRESS.fullmatch(address)
    if match is None:
        return address, []
    scheme, rest = match[1], match[2]
    secrets: list[str] = []
    user, rest = _split_user(scheme.lower(), rest)
    if user is not None:
        name, colon, password = user.partition(":")
        secret = password if colon else name
        if _is_written_out(secret) and (colon or scheme.lower().startswith("http")):
            secrets += _read_secrets(secret)
            user = f"{name}:{MASK}" if colon else MASK
        rest = f"{user}@{rest}"

    def hide(found: re.Match[str]) -> str:
        if not _is_written_out(found[3]):
            return found[0]
        secrets.append(found[3])
        return f"{found[1]}{found[2]}={MASK}"

    start = min((rest.find(sign) for sign in "?#" if sign in rest), default=len(rest))
    return f"{scheme}://{rest[:start]}{_PARAMETER.sub(hide, rest[start:])}", secrets


def _read_secrets(secret: str) -> list[str]:
    """The secret, and every part of it that a message about the address could repeat alone."""
    parts = [part for part in re.split(r"[/?#@:]", secret) if not part.isdigit()]
    inside = [found[3] for found in _PARAMETER.finditer(secret)]
    return list(dict.fromkeys(filter(_is_written_out, [secret, *parts, *inside])))


def quote_password(address: str) -> str:
    """A web address as programs read it: a password's ``/``, ``?``, ``#`` and ``@`` are escaped.

    An address in which the password may as well be a port and a path stays as it is written.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or not match[1].lower().startswith("http"):
        return address
    user, rest = _split_user(match[1].lower(), match[2])
    if user is None or ":" not in user:
        return address
    name, _, password = user.partition(":")
    if re.match(r"\d*[/?#]", password):
        return address
    return f"{match[1]}://{name}:{quote(password, safe=_UNRESERVED)}@{rest}"


def _split_user(scheme: str, rest: str) -> tuple[str | None, str]:
    """What stands before the last ``@`` that can end a name and password, and what follows it."""
    if scheme in _WITHOUT_PASSWORD:
        return None, rest
    end = rest.rfind("@", 0, _find_parameters(scheme, rest))
    return (rest[:end], rest[end + 1 :]) if end >= 0 else (None, rest)


def _find_parameters(scheme: str, rest: str) -> int:
    """Where the parameters begin. A ``?`` of a password is none of theirs: it is followed by no
    parameter that the scheme knows, or stands where a host would have no path yet."""
    has_name = re.match(r"(?:\[[^]]*\])?[^/?#\[\]]*[:@]", rest) is not None
    for found in re.finditer(r"\?", rest):
        place, following = found.start(), rest[found.end() :]
        if not scheme.startswith("http"):
            if _DATABASE_PARAMETER.match(following):
                return place
        elif has_name and "@" in following:
            continue  # a password may hold "?x=y" too: rather too much is masked
        elif re.match(r"[\w.\[\]%-]*=", following) and ("/" in rest[:place] or "@" in rest[:place]):
            return place
    return len(rest)


def _is_written_out(secret: str) -> bool:
    """Whether it is the secret itself, not a reference to where it is kept."""
    return bool(REFERENCE.sub("", secret)) and secret != MASK
