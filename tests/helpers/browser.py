"""A real browser on pages that are really served, for tests; skipped, with the reason, without one."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from server_thread import run_in_thread

WIDTHS = (390, 1440)
_TOO_WIDE = """[...document.querySelectorAll("main *")]
  .filter((e) => e.getBoundingClientRect().right > innerWidth)
  .map((e) => `${e.tagName} ${e.id} ${e.className} ${e.textContent.slice(0, 40)}`).slice(-5)"""
"""What makes a page wider than the screen, the innermost last."""


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """The workbench on a folder, in a thread; gives its address."""
    import uvicorn

    from residency.web.app import create_app
    from residency.web.server import make_settings

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = uvicorn.Server(make_settings(create_app(folder), host="127.0.0.1", port=port))
    with run_in_thread(running):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def open_browser() -> Iterator[Any]:
    """Chromium, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    with playwright.sync_playwright() as driver:
        if path is None and not Path(driver.chromium.executable_path).exists():
            pytest.skip("there is no Chromium here")
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page whose errors are kept: a test ends with none."""

    def __init__(self, browser: Any, width: int, *, dark: bool = False) -> None:
        scheme = "dark" if dark else "light"
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(90_000)
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", lambda dialog: self._refuse(dialog))
        self.page.on("console", self._note)

    def _refuse(self, dialog: Any) -> None:
        self.errors.append(f"a dialog opened: {dialog.message}")
        dialog.dismiss()

    def _note(self, message: Any) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def check(self) -> None:
        """No script failed, nothing was blocked, and nothing is wider than the screen."""
        assert self.errors == []
        width = self.page.viewport_size["width"]
        wide = self.page.evaluate(_TOO_WIDE) if self._measure_page() > width else []
        assert self._measure_page() <= width, (self.page.url, wide)

    def _measure_page(self) -> int:
        return int(self.page.evaluate("document.documentElement.scrollWidth"))
