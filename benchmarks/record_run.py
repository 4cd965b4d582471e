"""Records the main job: the run that README, docs/performance.md and docs/report.png speak of.

    python benchmarks/record_run.py run DIR [--base tiny] [--cpu "2 cores of an AMD EPYC (Zen 5)"]
    python benchmarks/record_run.py write      # put the recorded figures into README and docs
    python benchmarks/record_run.py picture DIR   # docs/report.png: the first screen of DIR's report

``run`` makes a project in DIR (which must be new) as README's first command does, and writes what
``residency status --json`` says into docs/recorded/BASE.json, beside the machine and the minutes.
``write`` puts the sentences that these files give between the marks in README.md and
docs/performance.md; a test compares them.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RECORDED = ROOT / "docs" / "recorded"
PAGES = ("README.md", "docs/performance.md")
STATUSES = (
    "resolved",
    "improved",
    "persisting",
    "inconclusive",
    "regressed",
    "new",
    "newly detected",
    "missing answers",
)


def record_run(folder: Path, base: str, cpu: str) -> Path:
    """Run the example in a new folder and keep its read-out."""
    residency = [sys.executable, "-m", "residency"]
    began = time.monotonic()
    subprocess.run([*residency, "init", str(folder), "--example", "tickets"], check=True)
    flags = ["--base", base] if base != "smollm2-135m" else []
    subprocess.run([*residency, "run", str(folder), *flags], check=True)
    subprocess.run([*residency, "report", str(folder)], check=True)
    minutes = (time.monotonic() - began) / 60
    status = subprocess.run(
        [*residency, "status", str(folder), "--json"], check=True, capture_output=True, text=True
    )
    RECORDED.mkdir(exist_ok=True)
    target = RECORDED / f"{base}.json"
    record = {
        "command": "python benchmarks/record_run.py run DIR" + (f" --base {base}" if flags else ""),
        "date": time.strftime("%Y-%m-%d"),
        "cpu": cpu or platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "minutes": round(minutes, 1),
        "status": keep_essentials(json.loads(status.stdout)),
    }
    target.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return target


def keep_essentials(status: dict[str, Any]) -> dict[str, Any]:
    """What pages speak of: the conclusion, every issue's status and verdict, and the times."""
    issues = [
        {
            "title": row["title"],
            "status": row["status"],
            "verdict": (row["verdicts"] or [None])[-1],
            "confirmed": row["confirmed"],
        }
        for row in status["issues"]
    ]
    kept = ("complete", "stopped", "conclusion", "seconds", "stages")
    return {"issues": issues, **{key: status[key] for key in kept}}


def count_statuses(status: dict[str, Any]) -> Counter[str]:
    """How many issues have which status at the end of a run; the numbers add up to all issues."""
    return Counter(row["status"] for row in status["issues"])


def describe_statuses(counts: Counter[str]) -> str:
    """``"7 resolved, 4 improved, 1 inconclusive, 3 persisting"``."""
    return ", ".join(f"{counts[s]} {s}" for s in STATUSES if counts[s])


def describe_run(record: dict[str, Any]) -> str:
    """The sentence about a recorded run in README."""
    status = record["status"]
    counts = count_statuses(status)
    answer = next((c for c in status["conclusion"] if "sealed test items" in c), "")
    return (
        f"{record['minutes']:.1f} minutes on {record['cpu']}. "
        f"{answer} Of {sum(counts.values())} issues: {describe_statuses(counts)}."
    )


def read_record(base: str) -> dict[str, Any] | None:
    """A recorded run, or None where none was recorded."""
    path = RECORDED / f"{base}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def fill_pages(pages: tuple[str, ...] = PAGES, *, check: bool = False) -> list[str]:
    """Put the recorded sentences between the marks of each page; gives the pages that differ."""
    stale = []
    for name in pages:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")

        def sentence(match: re.Match[str]) -> str:
            record = read_record(match["base"])
            if record is None:
                return match[0]
            return f"{match['open']}\n{describe_run(record)}\n{match['close']}"

        new = re.sub(
            r"(?P<open><!-- recorded (?P<base>[\w.-]+) -->).*?(?P<close><!-- end -->)",
            sentence,
            text,
            flags=re.S,
        )
        if new != text:
            stale.append(name)
            if not check:
                path.write_text(new, encoding="utf-8")
    return stale


def take_picture(folder: Path, out: Path = ROOT / "docs" / "report.png") -> None:
    """The first screen of a run's report, as a headless browser shows it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 960})
        page.goto((folder / "report.html").resolve().as_uri())
        page.screenshot(path=out)
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the example and keep its read-out")
    run.add_argument("folder", type=Path)
    run.add_argument("--base", default="smollm2-135m")
    run.add_argument("--cpu", default="")
    commands.add_parser("write", help="put the recorded figures into README and docs")
    picture = commands.add_parser("picture", help="docs/report.png from a finished run")
    picture.add_argument("folder", type=Path)
    options = parser.parse_args()
    if options.command == "picture":
        take_picture(options.folder)
        return
    if options.command == "run":
        print(record_run(options.folder, options.base, options.cpu))
    for page in fill_pages():
        print("written:", page)


if __name__ == "__main__":
    main()
