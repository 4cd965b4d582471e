"""Passwords, keys and tokens: what is used is remembered, and taken out of every text.

``hide_secrets`` is the last guard of messages and of what servers answer (some repeat the key that
they refuse); ``mask_address`` says which part of an address is secret. Addresses in settings are
``residency.config.secret_url.SecretUrl``.
"""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from typing import Any
from urllib.parse import quote, quote_plus, unquote

MASK = "***"

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_SECRET_NAME = re.compile(
    r"key|token|secret|passw|pwd|signature|credential|auth|bearer|hmac|jwt"
    r"|(?:^|[_.-])(?:sig|sas|pw|pass|pat|pin|otp|sid|code|session)(?:$|[_.-])",
    re.IGNORECASE,
)
"""Names of variables and parameters that hold secrets (``code``: Azure's functions)."""
_PARAMETER = re.compile(r"([?&;#])([^=&?;#\s]+)=((?:[^&;#\s]|;(?![^=&?;#\s]+=))*)")
_KEY_LIKE = re.compile(
    r"(?=[^&]*[0-9])(?=[^&]*[A-Za-z])[A-Za-z0-9_+/=%]{20,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    re.IGNORECASE,
)
"""Values that are keys, whatever their parameter is called."""
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

SHORTEST = 4
"""Letters from which a secret is looked for in messages; a shorter one stands in every text."""
_SHORTEST_ENCODED = 8
"""Letters from which it is looked for in base64 and hexadecimal too."""
_WORD = re.compile(r"[A-Za-z]?[a-z]*|[A-Z]*|[0-9.,+-]*|.{,5}", re.DOTALL)
_LONGEST_WORD = 16
_PIECE = 16
"""Letters of a long key's beginning or end by which a piece of it is known."""

_in_messages: list[str] = []
"""Every form of the secrets that were used, the longest first."""
_in_data: list[str] = []
"""Those of them that are no words or numbers."""


def remember_secret(secret: str) -> None:
    """Take this out of every text that ``hide_secrets`` sees from now on, however it is escaped."""
    forms = _write_forms(secret) if len(secret) >= SHORTEST else set()
    added = {form for form in forms if len(form) >= SHORTEST} - {*_in_messages}
    if added:
        _in_messages[:] = sorted({*_in_messages, *added}, key=len, reverse=True)
    if added and not (len(secret) < _LONGEST_WORD and _WORD.fullmatch(secret)):
        _in_data[:] = sorted({*_in_data, *added}, key=len, reverse=True)


def hide_secrets(text: str) -> str:
    """A message without any secret that was used in this process."""
    return _hide(text, _in_messages)


def hide_secrets_in_data(text: str) -> str:
    """As ``hide_secrets``, for answers, rows and figures: there a password such as *test* or *1234*
    is a word or a number, which nobody could tell from the others."""
    return _hide(text, _in_data)


def _hide(text: str, forms: list[str]) -> str:
    for form in forms:
        if form in text:
            text = text.replace(form, MASK)
    return text


class StreamedSecrets:
    """Takes secrets out of a text that comes in pieces, which may cut them anywhere."""

    def __init__(self) -> None:
        self._waiting = ""

    def feed(self, piece: str) -> str:
        """What may be shown so far; what may be the beginning of a secret waits."""
        text = self._waiting + piece
        cut = min((_find_beginning(text, form) for form in _in_data), default=len(text))
        while True:  # nor is a secret cut that ends in the beginning of another one
            starts = [
                text.find(form, max(0, cut - len(form) + 1), cut + len(form) - 1)
                for form in _in_data
            ]
            if max(starts, default=-1) < 0:
                break
            cut = min(at for at in starts if at >= 0)
        self._waiting = text[cut:]
        return hide_secrets_in_data(text[:cut])

    def flush(self) -> str:
        """What waited, at the end of the text."""
        text, self._waiting = self._waiting, ""
        return hide_secrets_in_data(text)


def _find_beginning(text: str, secret: str) -> int:
    """Where a secret begins that the text does not end any more; the text's length if nowhere."""
    first = max(0, len(text) - len(secret) + 1)
    return next((at for at in range(first, len(text)) if secret.startswith(text[at:])), len(text))


def _write_forms(secret: str) -> set[str]:
    """A secret as servers, libraries and files may write it."""
    plain = {secret, unquote(secret)}
    forms = set(plain)
    for text in plain:
        forms |= {quote(text, safe, errors="surrogatepass") for safe in ("", "/", _UNRESERVED)}
        forms |= {
            quote_plus(text, errors="surrogatepass"),
            html.escape(text),
            html.escape(text, quote=False),
        }
        forms |= {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
        forms |= {text.replace("/", "\\/"), repr(text)[1:-1]}
        if len(text) >= _SHORTEST_ENCODED:
            forms |= _encode_forms(text.encode("utf-8", "surrogatepass"))
        if len(text) >= 2 * _PIECE and _KEY_LIKE.fullmatch(text.replace("-", "").replace(".", "")):
            forms |= {text[:_PIECE], text[-_PIECE:]}
    escaped = {form for form in forms if "%" in form}
    return forms | {re.sub("%[0-9A-F]{2}", lambda c: c[0].lower(), form) for form in escaped}


def _encode_forms(data: bytes) -> set[str]:
    """Bytes in hexadecimal, and in base64 wherever they stand in what is encoded."""
    forms = {data.hex(), data.hex().upper()}
    for before in range(3):
        # letters that hold nothing but bits of ``data``: what stands beside it changes the others
        encoded = b64encode(bytes(before) + data).decode()
        inner = encoded[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        forms |= {inner, inner.replace("+", "-").replace("/", "_")}
    return forms


def is_secret_name(name: str) -> bool:
    """Whether a variable or parameter of this name holds a secret."""
    return _SECRET_NAME.search(name) is not None


def mask_addresses(text: str) -> str:
    """The text with the passwords and keys of every address in it masked."""
    return _IN_TEXT.sub(lambda match: mask_address(match[0])[0], text)


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
        if _is_written_out(secret) and (colon or "http" in scheme.lower()):
            secrets += _read_secrets(secret)
            user = f"{name}:{MASK}" if colon else MASK
        rest = f"{user}@{rest}"

    def hide(match: re.Match[str]) -> str:
        shown, values = _mask_parameter(match)
        secrets.extend(values)
        return shown

    start = min((rest.find(sign) for sign in "?#" if sign in rest), default=len(rest))
    return f"{scheme}://{rest[:start]}{_PARAMETER.sub(hide, rest[start:])}", secrets


def _is_secret_parameter(name: str, value: str) -> bool:
    return is_secret_name(unquote(name)) or _KEY_LIKE.fullmatch(value) is not None


def _mask_parameter(match: re.Match[str]) -> tuple[str, list[str]]:
    """A parameter to show, and the secrets in it."""
    if not (_is_secret_parameter(match[2], match[3]) and _is_written_out(match[3])):
        return match[0], []
    return f"{match[1]}{match[2]}={MASK}", [match[3]]


def _read_secrets(secret: str) -> list[str]:
    """The secret, and every part of it that a message about the address could repeat alone."""
    parts = [part for part in re.split(r"[/?#@:]", secret) if not part.isdigit()]
    pairs = [(match[2], match[3]) for match in _PARAMETER.finditer(secret)]
    inside = [value for name, value in pairs if _is_secret_parameter(name, value)]
    return list(dict.fromkeys(filter(_is_written_out, [secret, *parts, *inside])))


def mask_mistake(text: str) -> str:
    """What somebody wrote where an address was expected: it may be one without its scheme."""
    shown, secrets = mask_address(mask_addresses(text))
    if not secrets and "@" in shown and MASK not in shown:
        shown = f"{MASK}@{shown.rpartition('@')[2]}"
    return _PARAMETER.sub(lambda match: _mask_parameter(match)[0], shown)


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
    if scheme in _WITHOUT_PASSWORD and not re.match(r"[^/@:]+:[^/@]+@", rest):
        return None, rest
    end = rest.rfind("@", 0, _find_parameters(scheme, rest))
    return (rest[:end], rest[end + 1 :]) if end >= 0 else (None, rest)


def _find_parameters(scheme: str, rest: str) -> int:
    """Where the parameters begin. A ``?`` of a password is none of theirs: it is followed by no
    parameter that the scheme knows, or stands where a host would have no path yet."""
    has_name = re.match(r"(?:\[[^]]*\])?[^/?#\[\]]*[:@]", rest) is not None
    for mark in re.finditer(r"\?", rest):
        position, following = mark.start(), rest[mark.end() :]
        if not scheme.startswith("http"):
            if _DATABASE_PARAMETER.match(following):
                return position
        elif has_name and "@" in following:
            continue  # a password may hold "?x=y" too: rather too much is masked
        elif re.match(r"[\w.\[\]%-]*=", following) and (
            "/" in rest[:position] or "@" in rest[:position]
        ):
            return position
    return len(rest)


def _is_written_out(secret: str) -> bool:
    """Whether it is the secret itself, not a reference to where it lies."""
    return bool(REFERENCE.sub("", secret)) and secret != MASK
