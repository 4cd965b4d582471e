"""From settings or flags to an OpenAI-compatible generator. Nothing is sent unless a URL is named."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np

from residency.config.endpoint import EndpointConfig
from residency.config.settings import validate_section
from residency.errors import ConfigError
from residency.evaluate.baselines.baseline_report import Price
from residency.interfaces import Generator
from residency.nouns.model import Model
from residency.project.named_models import ENDPOINT, ZERO_SHOT


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible endpoint that the user named: who answers there, and its price.

    ``remote`` is False for a server on this machine: then no data leaves it.
    """

    generator: Generator
    name: str
    price: Price = field(default_factory=Price)
    remote: bool = True

    @property
    def model(self) -> Model:
        """The model that its answers are stored under."""
        return Model(base=ENDPOINT + self.name, prompting=ZERO_SHOT)


def open_configured_endpoint(settings: EndpointConfig, section: str) -> tuple[Generator, str]:
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
    from residency.http.endpoint_generator import EndpointGenerator

    return EndpointGenerator(settings), f"{settings.model or 'default'}@{settings.url}"


def open_named_endpoint(
    url: str, model: str = "", key_env: str = "", price_in: float = 0.0, price_out: float = 0.0
) -> Endpoint | None:
    """The endpoint of a command's flags; None without a URL.

    Raises:
        ConfigError: a flag is wrong, or says something of an endpoint that is not named.
    """
    if not url:
        given: dict[str, object] = {"--endpoint-model": model, "--key-env": key_env}
        given |= {"--price-in": price_in, "--price-out": price_out}
        if lonely := [flag for flag, value in given.items() if value]:
            raise ConfigError(
                f"{', '.join(lonely)}: of which endpoint is not said",
                where="command line",
                next_step="add --endpoint URL, or leave it out",
            )
        return None
    flags = {
        "url": url,
        "model": model,
        "key_env": key_env,
        "prompt_price": price_in,
        "answer_price": price_out,
    }
    settings = validate_section(EndpointConfig, flags, where="--endpoint")
    generator, name = open_configured_endpoint(settings, "endpoint")
    return Endpoint(
        generator,
        name,
        Price(price_in, price_out),
        remote=not is_this_machine(settings.url.reveal()),
    )


@dataclass(frozen=True)
class Requests:
    """What asking an endpoint took: requests, seconds (p50, p95), answer tokens, cost, failures.

    ``tokens`` and ``cost`` are None where the server did not count what they rest on. ``notes``
    says which settings the server refused, and what was sent instead.
    """

    sent: int
    p50: float
    p95: float
    tokens: int | None
    cost: float | None
    failed: int
    error: str
    notes: tuple[str, ...] = ()


def summarise_requests(endpoint: Endpoint | None) -> Requests | None:
    """What the requests of this process took; None where none was sent."""
    from residency.http.request_costs import sum_answer_tokens, sum_costs

    calls = getattr(endpoint.generator, "calls", []) if endpoint else []
    if not calls:
        return None
    failed = [call.error for call in calls if call.error]
    seconds = sorted(call.seconds for call in calls)
    p50, p95 = (float(np.quantile(seconds, q)) for q in (0.5, 0.95))
    return Requests(
        sent=len(calls),
        p50=p50,
        p95=p95,
        tokens=sum_answer_tokens(calls),
        cost=sum_costs(calls),
        failed=len(failed),
        error=failed[-1] if failed else "",
        notes=tuple(getattr(endpoint.generator, "notes", ())) if endpoint else (),
    )


def is_this_machine(url: str) -> bool:
    """Whether an address is that of this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
