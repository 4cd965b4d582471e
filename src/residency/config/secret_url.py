"""Addresses that may hold a password or key: masked as text, whole only where they are used."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self

from pydantic_core import PydanticCustomError, core_schema

from residency.errors import ConfigError
from residency.secrets import REFERENCE, is_secret_name, mask_address, remember_secret

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler


class SecretUrl(str):
    """An address as it may be shown and stored; ``reveal`` gives what it stands for.

    A password is masked whatever letters it holds (``@``, ``:``, ``/``, ``%40``); where that is
    ambiguous, too much is masked. A reference such as ``${DB_PASSWORD}`` stays as it is written.
    """

    __slots__ = ("_written",)
    _written: str

    def __new__(cls, written: str) -> Self:
        if isinstance(written, cls):
            return written
        shown, _ = mask_address(written)
        url = super().__new__(cls, shown)
        url._written = written
        return url

    def reveal(self) -> str:
        """The address itself.

        Raises:
            ConfigError: it refers to an environment variable that is not set.
        """
        if "://" not in self._written and not self._written.startswith("${"):
            return self._written  # a path
        for name in REFERENCE.findall(self._written):
            if name not in os.environ:
                raise ConfigError(
                    f"the environment variable {name} is not set",
                    where=str(self),
                    next_step=f"export {name}=…",
                )
            if is_secret_name(name):
                remember_secret(os.environ[name])
        address = REFERENCE.sub(lambda found: os.environ[found[1]], self._written)
        for secret in mask_address(address)[1]:
            remember_secret(secret)
        return address

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self._written,))

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        def validate(value: Any) -> SecretUrl:
            if not isinstance(value, str):  # the value stands in no message: it may be a secret
                raise PydanticCustomError("string_type", "input should be a valid string")
            return cls(value)

        return core_schema.no_info_plain_validator_function(
            validate,
            serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json"),
        )


def reveal_url(address: str) -> str:
    """An address as it is used: a ``SecretUrl`` revealed, any other text with its references."""
    return SecretUrl(address).reveal()
