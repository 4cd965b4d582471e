"""Commands run in a child that notes every address it reaches for."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

NETWORK = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}
"""Audit events of a program that looks for another machine."""


def run_watched(lines: list[list[str]], told: str, own_host: str = "") -> None:
    """In a child: run commands, and write what was reached for and every exit code.

    Whatever is not on ``own_host`` is refused as well as noted.
    """
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        os.environ.pop(name, None)  # nothing may keep the program honest but itself
    reached: list[str] = []

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in NETWORK:
            return
        address = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[:2]
        if isinstance(address, str | bytes):
            return  # a socket of this machine's own processes
        reached.append(f"{address[0]}:{address[1]}")
        if address[0] != own_host:
            raise OSError("the network is not there")

    sys.addaudithook(watch)
    from residency.cli.invoke import run_command_line

    codes = [run_command_line(line) for line in lines]
    Path(told).write_text(json.dumps({"reached": reached, "codes": codes}), encoding="utf-8")
