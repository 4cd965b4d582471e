"""A folder of an export on the hub, when the user says so."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from residency.errors import ConfigError, FetchError
from residency.secrets import remember_secret

_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_PART = r"[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?"
_REPOSITORY = re.compile(f"{_PART}/{_PART}", re.ASCII)


def read_hub_token() -> str:
    """The hub's token, of the environment alone: no file of a login is read.

    Raises:
        ConfigError: there is none.
    """
    for variable in _VARIABLES:
        if token := os.environ.get(variable, "").strip():
            remember_secret(token)
            return token
    raise ConfigError(
        "the hub asks for a token",
        where="--push",
        next_step=f"set {_VARIABLES[0]} in the environment",
    )


def check_repository(name: str) -> None:
    """Refuse a name that is none, before anything is made.

    Raises:
        ConfigError: it is not OWNER/NAME.
    """
    if not _REPOSITORY.fullmatch(name) or "--" in name or ".." in name:
        raise ConfigError(
            f"{name!r} is no name of a repository",
            where="--push",
            next_step="give it as OWNER/NAME: letters, digits, dots, hyphens",
        )


def push_folder(folder: Path, repository: str, token: str, *, public: bool = False) -> str:
    """Put the folder's files into a repository of models, which is made where it is absent.

    A new repository is private unless ``public``; one that is there stays as it is.

    Returns:
        Its address.

    Raises:
        FetchError: the hub refuses, or does not answer. What was written here stays.
    """
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api: Any = HfApi(token=token, endpoint=os.environ.get("HF_ENDPOINT") or None)
    try:
        api.create_repo(repository, private=not public, exist_ok=True, repo_type="model")
        api.upload_folder(
            folder_path=folder,
            repo_id=repository,
            repo_type="model",
            ignore_patterns=[".*"],
            commit_message="Export of Residency",
        )
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "")
        raise FetchError(
            f"the hub refuses {repository}: {status} {error.server_message or ''}".strip(),
            where="--push",
            next_step="check the token's rights and the name; the files are in the folder already",
        ) from None
    except (httpx.HTTPError, OSError) as error:
        raise FetchError(
            f"the hub does not answer: {type(error).__name__}: {error}",
            where="--push",
            next_step="the files are in the folder already; push them again when it answers",
        ) from None
    return f"{api.endpoint}/{repository}"
