"""Who writes by a request, and whether it may: names, and the token of this server's own pages."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response

from residency.errors import UserError
from residency.store.record_kind import RecordKind
from residency.text.terminal_text import make_safe
from residency.web.request_project import RequestProject
from residency.web.security import ForeignRequestError, find_token, is_token

PERSON_COOKIE = "residency_person"
LONGEST_NAME = 60
_MONTHS = 60 * 60 * 24 * 180


class RequestWriter(RequestProject):
    """Appends what people write, with their names.

    Args:
        several: whether other people may be here too, so that nobody's name is guessed.
    """

    def __init__(self, folder: Path, *, several: bool = False) -> None:
        super().__init__(folder)
        self.several = several
        self._secret = secrets.token_bytes(32)

    def person(self, request: Request) -> str:
        """The name of who writes: what they said, or on the user's machine the login name."""
        cookie_name = clean_name(unquote(request.cookies.get(PERSON_COOKIE, "")))
        return cookie_name or ("" if self.several else _login_name())

    def need_person(self, request: Request) -> str:
        """The name of who writes.

        Raises:
            UserError: nobody said it.
        """
        person = self.person(request)
        if not person:
            raise UserError(
                "nobody said who writes", next_step="give your name at the end of the page"
            )
        return person

    def write(self, request: Request, kind: RecordKind, key: str, body: Mapping[str, Any]) -> None:
        """Append a record with who wrote it; when is added by the store.

        Raises:
            UserError: nobody said who writes. StoreLockedError: somebody else writes, for long.
        """
        person, store = self.need_person(request), self.store(request)
        with self._lock:
            store.add_record(kind, key, {**body, "who": person})

    def csrf(self, request: Request) -> str:
        """The token of this browser's pages: of this server and of the project that they show.

        A page of one project cannot write into another that was chosen in the meantime.
        """
        root = self.root(request)
        return hmac.new(self._secret, str(root).encode(), hashlib.sha256).hexdigest()

    def mark_project(self, request: Request) -> str:
        """Tells the project of this browser from others: a page that is older than the choice of
        another one gets no token for it."""
        return hashlib.sha256(str(self.root(request)).encode()).hexdigest()[:16]

    async def check_token(self, request: Request) -> None:
        """A dependency of every address: a request to write carries the token.

        Raises:
            ForeignRequestError: it does not.
        """
        if request.method in ("GET", "HEAD"):
            return
        if not is_token(await find_token(request), self.csrf(request)):
            raise ForeignRequestError(
                "this page is older than the server, or belongs to another project",
                next_step="load it again; what you wrote into a field is still there",
            )


def clean_name(text: str) -> str:
    """A person's name as one short line."""
    return make_safe(" ".join(text.split()))[:LONGEST_NAME].strip()


def remember(response: Response, cookie: str, value: str) -> None:
    """Keep a choice in this browser."""
    response.set_cookie(
        cookie, quote(value, safe=""), max_age=_MONTHS, httponly=True, samesite="strict"
    )


def _login_name() -> str:
    import getpass

    try:
        return clean_name(getpass.getuser())
    except (OSError, KeyError, ImportError):
        return ""
