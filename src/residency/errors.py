"""One tree of errors. Each says what is wrong, where, and what to do next.

``exit_code`` is 2 where the user can mend it (settings, data, a missing file)
and 1 where the product is at fault. Every class is also a standard-library
error, every instance survives pickling (worker processes raise them too), and none holds a
password or key (``residency.secrets``).
"""

from __future__ import annotations

from residency.secrets import hide_secrets, mask_addresses


class ResidencyError(Exception):
    """Base of every error that Residency raises on purpose.

    Args:
        what: one sentence, what is wrong.
        where: file, line, row, field, or setting, e.g. ``data/train.jsonl:17 field "response"``.
        next_step: what the user does about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", next_step: str = "") -> None:
        self.what, self.where, self.next_step = (
            _write_whole(hide_secrets(mask_addresses(text))) for text in (what, where, next_step)
        )
        super().__init__(self.what)

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.next_step:
            lines.append(f"→ {self.next_step}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.where, self.next_step))


def _write_whole(text: str) -> str:
    """Halves of a surrogate pair, which no file and no answer can hold, as ``\\udXXX``."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _rebuild(cls: type[ResidencyError], what: str, where: str, next_step: str) -> ResidencyError:
    return cls(what, where=where, next_step=next_step)


class UserError(ResidencyError):
    """The user can mend it; the command exits with 2."""

    exit_code = 2


class ConfigError(UserError, ValueError):
    """``residency.toml`` or a flag is wrong."""


class DataError(UserError, ValueError):
    """A data file or a row is wrong."""


class TemplateError(UserError, ValueError):
    """The chat template, its loss mask, end token or BOS cannot be trusted."""


class ModelError(UserError, ValueError):
    """A base model or adapter cannot be loaded, or is not what it claims to be."""


class FetchError(UserError, OSError):
    """A download failed: no network, cut in half, wrong checksum, no room."""


class OfflineError(FetchError):
    """A download failed because the network or the registry does not answer."""


class SuiteError(UserError, ValueError):
    """A test suite or benchmark file is wrong."""


class EndpointError(UserError, ConnectionError):
    """An OpenAI-compatible endpoint did not answer as it should."""


class StoreError(UserError, RuntimeError):
    """The project's store cannot be opened or does not hold what was asked for."""


class NotRunError(StoreError):
    """Nothing was run in this project yet."""


class StoreLockedError(StoreError):
    """Another process is writing to this project."""


class UnlockedWriteError(ResidencyError, RuntimeError):
    """The product tried to write to a store without the writer lock: a defect of its own."""


class ResumeError(UserError, RuntimeError):
    """A checkpoint does not belong to this data or these settings."""


class MissingExtraError(UserError, ImportError):
    """An optional dependency is not installed."""


class TrainingError(ResidencyError, RuntimeError):
    """Training had to stop (a non-finite loss, say); the last good checkpoint is kept."""


class ParityError(ResidencyError, AssertionError):
    """A merged or exported model does not give the adapter's outputs."""
