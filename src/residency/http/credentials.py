"""Key and address of a server, as its requests need them; no message ever holds them."""

from __future__ import annotations

import json
import os
from urllib.parse import urlsplit, urlunsplit

from residency.config.endpoint import EndpointConfig
from residency.config.secret_url import reveal_url
from residency.errors import ConfigError
from residency.secrets import mask_mistake, remember_secret

_ROUTES = ("/chat/completions", "/completions", "/responses", "/models", "/embeddings")
"""What people copy along with a base address, the longest first."""


def read_key_header(config: EndpointConfig) -> dict[str, str]:
    """The header with the key of the environment variable in the settings; none where none is named.

    The key is remembered as a secret, so that it is taken out of whatever a server repeats.

    Raises:
        ConfigError: the variable is not set, or holds what no header may hold. The key is not in
            the message.
    """
    if not config.key_env:
        return {}
    key = os.environ.get(config.key_env, "").strip()
    if not key:
        raise ConfigError(
            f"the environment variable {config.key_env} with the API key is not set",
            next_step=f"export {config.key_env}=…",
        )
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(
            f"the API key in {config.key_env} holds characters that no header may hold",
            next_step=f"export {config.key_env} again, with the key alone",
        )
    remember_secret(key)
    remember_secret(json.dumps(key)[1:-1])
    return {"Authorization": f"Bearer {key}"}


def route_url(config: EndpointConfig, route: str) -> str:
    """Where to post to: the base address (or a route of it) with ``route`` at its end.

    Raises:
        ConfigError: it is no address of a web server.
    """
    try:
        parts = urlsplit(reveal_url(config.url))
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise ConfigError(
            f"the endpoint's url is {mask_mistake(str(config.url))!r}",
            next_step="set url to the server's base address, e.g. http://localhost:8080/v1",
        )
    path = parts.path.rstrip("/")
    copied = next((other for other in _ROUTES if path.endswith(other)), "")
    path = path.removesuffix(copied)
    return urlunsplit((parts.scheme, parts.netloc, path + route, parts.query, ""))
