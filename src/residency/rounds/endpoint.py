"""From settings or flags to an OpenAI-compatible generator. Nothing is sent unless a URL is named."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from residency.config import EndpointConfig
from residency.errors import ConfigError
from residency.evaluate import Price
from residency.rounds.baseline import Endpoint
from residency.types import Generator


def configured_endpoint(settings: EndpointConfig, section: str) -> tuple[Generator, str]:
    """Generator and name of the endpoint in a section of ``residency.toml``.

    Raises:
        ConfigError: the section names no URL.
    """
    if not settings.url:
        raise ConfigError(
            "no endpoint is named",
            where=f"residency.toml [{section}]",
            next_step=f'set {section}.url, e.g. url = "http://localhost:8080/v1"',
        )
    from residency.infer import EndpointGenerator

    return EndpointGenerator(settings), f"{settings.model or 'default'}@{settings.url}"


def named_endpoint(
    url: str, model: str = "", key_env: str = "", price_in: float = 0.0, price_out: float = 0.0
) -> Endpoint | None:
    """The endpoint of a command's flags; None without a URL."""
    if not url:
        return None
    settings = EndpointConfig(
        url=url, model=model, key_env=key_env, prompt_price=price_in, answer_price=price_out
    )
    generator, name = configured_endpoint(settings, "endpoint")
    return Endpoint(generator, name, Price(price_in, price_out), remote=not is_here(url))


def is_here(url: str) -> bool:
    """Whether an address is this machine's own."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
