"""Settings that are text with a grammar, as types: what is wrong is refused when the file is read."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, GetCoreSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

from residency.config.secret_url import SecretUrl


class Layers(str):
    """``all`` layers, or ``top-N``: the last N, with N from 1."""

    __slots__ = ()
    _TOP = re.compile(r"top-([1-9][0-9]{0,5})", re.ASCII)

    def __new__(cls, text: str) -> Layers:
        """Raises ``ValueError`` for any other text."""
        if text != "all" and cls._TOP.fullmatch(text) is None:
            raise ValueError(f'"all" or "top-N" with N from 1 is expected, not {text!r}')
        return super().__new__(cls, text)

    @property
    def top(self) -> int | None:
        """N of ``top-N``; None for all."""
        match = self._TOP.fullmatch(self)
        return int(match[1]) if match else None

    def find_first(self, total: int) -> int:
        """Index of the lowest layer of ``total`` that trains."""
        return 0 if self.top is None else max(0, total - self.top)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        def validate(value: Any) -> Layers:
            if not isinstance(value, str):
                raise PydanticCustomError("string_type", "input should be a valid string")
            return cls(value)

        return core_schema.no_info_plain_validator_function(
            validate,
            serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json"),
        )


def _match(pattern: str, expected: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise ValueError(f"{expected} is expected")
        return text

    return AfterValidator(check)


Device = Annotated[
    str, _match(r"auto|cpu|mps|(cuda|xpu)(:[0-9]{1,3})?", "auto, cpu, cuda, cuda:N or mps")
]
"""Where tensors live."""

Embedder = Annotated[
    str,
    _match(
        r"|wordllama|endpoint|sentence-transformers:.+",
        'empty, "sentence-transformers:NAME" or "endpoint"',
    ),
]
"""What compares meanings."""


def _check_cluster(address: SecretUrl) -> SecretUrl:
    if not re.fullmatch(r"|auto|local|ray://.+|\$\{.+|[^\s:/@]+:[0-9]{1,5}", address):
        raise ValueError("auto, local, HOST:PORT or ray://HOST:PORT is expected")
    return address


def _check_server(address: SecretUrl) -> SecretUrl:
    if address and not re.match(r"https?://[^/\s]|\$\{", address):
        raise ValueError("an address that begins with http:// or https:// is expected")
    if re.search(r"\s", address):
        raise ValueError("an address without spaces is expected")
    return address


def _check_database(address: SecretUrl) -> SecretUrl:
    if address and not re.match(r"[A-Za-z][A-Za-z0-9+]*://|\$\{", address):
        raise ValueError('a database\'s address is expected, e.g. "postgresql://user@host/name"')
    return address


def _check_shared_place(address: SecretUrl) -> SecretUrl:
    if re.match(r"https?://|[A-Za-z0-9+]+://$", address):
        raise ValueError(
            'a folder, or an address that can be written to such as "s3://bucket/path"'
        )
    return address


ClusterAddress = Annotated[SecretUrl, AfterValidator(_check_cluster)]
ServerAddress = Annotated[SecretUrl, AfterValidator(_check_server)]
DatabaseAddress = Annotated[SecretUrl, AfterValidator(_check_database)]
SharedPlace = Annotated[SecretUrl, AfterValidator(_check_shared_place)]

LONGEST_PLAIN_NAME = 20
"""Letters from which a lower-case name with digits in it is taken for a key, not for a name."""


def _check_variable(name: str) -> str:
    # What stands here instead may be the key itself, so the message does not repeat it.
    is_name = re.fullmatch(r"|[A-Za-z_][A-Za-z0-9_]*", name) is not None
    looks_like_key = len(name) >= LONGEST_PLAIN_NAME and bool(
        re.search(r"[a-z]", name) and re.search(r"[0-9]", name)
    )
    if not is_name or looks_like_key:
        raise PydanticCustomError(
            "variable_name",
            "the name of an environment variable that holds the key is expected, not the key",
        )
    return name


VariableName = Annotated[str, AfterValidator(_check_variable)]
"""An environment variable's name."""
