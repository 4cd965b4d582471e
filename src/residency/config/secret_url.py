"""Addresses that may hold a password or key: masked as text, whole only where they are used."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any, Self

from pydantic_core import PydanticCustomError, core_schema

from residency.errors import ConfigError
from residency.secrets import (
    REFERENCE,
    is_secret_name,
    mask_address,
    quote_password,
    remember_secret,
)

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler


class SecretUrl(str):
    """An address as it may be shown and stored; ``reveal`` gives what it stands for.

    A password is masked whatever letters it holds (``@``, ``:``, ``/``, ``%40``); where that is
    ambiguous, too much is masked. A reference such as ``${DB_PASSWORD}`` or
    ``${keyring:judge/bob}`` stays as it is written, and is all that is stored.
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
            ConfigError: it refers to an environment variable that is not set, or to an entry that
                the keyring does not have.
        """
        if "://" not in self._written and not self._written.startswith("${"):
            return self._written  # a path
        address = REFERENCE.sub(lambda reference: self._look_up(reference[1]), self._written)
        for secret in mask_address(address)[1]:
            remember_secret(secret)
        return quote_password(address)

    def _look_up(self, name: str) -> str:
        """What a reference stands for."""
        if name.startswith("keyring:"):
            secret = read_keyring(name.removeprefix("keyring:"), where=str(self))
            remember_secret(secret)
            return secret
        if name not in os.environ:
            raise ConfigError(
                f"the environment variable {name} is not set",
                where=str(self),
                next_step=f"export {name}=…",
            )
        if is_secret_name(name):
            remember_secret(os.environ[name])
        return os.environ[name]

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


def read_keyring(entry: str, *, where: str) -> str:
    """A password of the system's keyring, by ``SERVICE/USER``.

    Raises:
        ConfigError: the package keyring is not installed, or the keyring has no such entry.
    """
    service, _, user = entry.partition("/")
    try:
        keyring = importlib.import_module("keyring")
        secret = keyring.get_password(service, user)
    except ImportError:
        raise ConfigError(
            "the package keyring is not installed", where=where, next_step="pip install keyring"
        ) from None
    except Exception as error:  # each system's keyring has other errors
        raise ConfigError(
            f"the keyring cannot be read: {type(error).__name__}",
            where=where,
            next_step="unlock it, or name an environment variable: ${NAME}",
        ) from None
    if not secret:
        raise ConfigError(
            f"the keyring has no password of {user} for {service}",
            where=where,
            next_step=f"keyring set {service} {user}",
        )
    return str(secret)


def reveal_url(address: str) -> str:
    """An address as it is used: a ``SecretUrl`` revealed, any other text with its references."""
    return SecretUrl(address).reveal()
