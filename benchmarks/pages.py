"""Server time of every page of the workbench on a project, and pictures of them for the documents.

    python benchmarks/pages.py PROJECT
    python benchmarks/pages.py PROJECT --pictures pages
    python benchmarks/pages.py PROJECT --pictures docs/pages --only overview,issue,rows,review,sweep --widths 1440
    python benchmarks/pages.py FOLDER --items 100000

Each page is asked for `--times` times by one visitor in this process, after once to load what is
loaded once; printed are the median of the time and of the processor's time (which other programs of a
busy machine do not lengthen) in milliseconds, and the bytes. Pictures are taken
by Chromium at 390 and 1440 pixels. With `--items` a project with so many dev items is made in a new folder
first, and the first answer of each page is told beside the later ones.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import statistics
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from fastapi.testclient import TestClient

from residency.project.settings_file import read_config
from residency.results.run_results import RunResults
from residency.store.store import Store
from residency.web.app import create_app, prepare_pages
from residency.web.server import make_settings


def list_paths(root: Path) -> dict[str, str]:
    """Addresses by name: of pages, and of one issue and one item."""
    results = RunResults(Store(root, read_config(root).project.store, create=False))
    issue = results.issues[0].issue.id
    item = results.answers.first_examples("dev", 1)[0].id
    models = [model.id for model in results.models]
    return {
        "start": "/start",
        "run": "/run",
        "overview": "/",
        "runs": "/runs",
        "compare": "/compare",
        "compare: metric": f"/compare/metric?before={models[0]}&after={models[-1]}",
        "issues": "/issues",
        "issue": f"/issues/{issue}",
        "rows": "/rows",
        "items": "/items",
        "items, page 50": "/items?page=50",
        "item": f"/items/{item}",
        "read": "/read",
        "review": "/review",
        "write": "/write",
        "data": "/data",
        "data, searched": "/data?split=pool&text=order",
        "chat": "/chat",
        "sweep": "/sweep",
        "ship": "/ship",
        "report": "/report",
    }


def measure(root: Path, times: int) -> None:
    """Print a table of server times."""
    client = TestClient(create_app(root), base_url="http://127.0.0.1:8642")
    prepare_pages()  # as the server does once it listens
    print("| page | first, processor ms | ms | processor ms | kB |\n|---|---:|---:|---:|---:|")
    for name, path in list_paths(root).items():
        before = time.process_time()
        first = client.get(path)
        first_work = 1000 * (time.process_time() - before)
        if first.status_code != 200:
            continue
        taken, worked = [], []
        for _ in range(times):
            start, began = time.perf_counter(), time.process_time()
            client.get(path)
            taken.append(1000 * (time.perf_counter() - start))
            worked.append(1000 * (time.process_time() - began))
        size = len(first.content) / 1000
        middle, work = statistics.median(taken), statistics.median(worked)
        print(f"| {name} | {first_work:.0f} | {middle:.0f} | {work:.0f} | {size:.0f} |", flush=True)


def take_pictures(root: Path, out: Path, names: Sequence[str], widths: Sequence[int]) -> None:
    """A picture of each page at each width, of its first screen."""
    from playwright.sync_api import sync_playwright

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(make_settings(create_app(root), host="127.0.0.1", port=port))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        paths = list_paths(root)
        for width in widths:
            page = browser.new_page(viewport={"width": width, "height": 820})
            for name in names or [name for name in paths if ":" not in name]:
                path = paths[name]
                page.goto(f"http://127.0.0.1:{port}{path}", wait_until="load")
                page.wait_for_timeout(1500)
                late = page.locator("[hx-trigger=load] > .empty")  # parts that come after the page
                while late.count():
                    page.wait_for_timeout(500)
                page.screenshot(path=out / f"{name}-{width}.png")
        browser.close()
    server.should_exit = True


def main() -> None:
    """Measure, or take pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("--times", type=int, default=9)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--only", default="", help="names of pages, with commas")
    parser.add_argument("--widths", default="390,1440")
    parser.add_argument("--items", type=int, default=0)
    given = parser.parse_args()
    if given.items and not given.project.exists():
        from many_items import fill_many_items

        fill_many_items(given.project, given.items)
    if given.pictures:
        names = [name for name in given.only.split(",") if name]
        widths = [int(width) for width in given.widths.split(",")]
        take_pictures(given.project, given.pictures, names, widths)
    else:
        measure(given.project, given.times)


if __name__ == "__main__":
    main()
