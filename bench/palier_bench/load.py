"""The load generator: one run of wrk, its own count, and whether every answer was right."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .failure import Failure
from .machine import WRK_SCRIPTS
from .process import end_with_parent


@dataclass(frozen=True)
class Load:
    """What wrk is told: one request again and again, or any of many."""
    connections: int
    requests: tuple[bytes, ...]
    body_size: int

    def write(self, directory: Path) -> list[str]:
        """Writes the requests to a file; returns the end of wrk's command line."""
        path = directory / "requests"
        path.write_bytes(b"".join(self.requests))
        script = "same.lua" if len(self.requests) == 1 else "any.lua"
        return ["-s", str(WRK_SCRIPTS / script), "--", str(path)]


@dataclass(frozen=True)
class Count:
    """`answers` counts the parts of bodies that were under way at the end, which matters for large ones."""
    requests: int
    answers: float
    seconds: float
    p50: float
    p99: float


def run_load(wrk: str, load: Load, port: int, seconds: int, directory: Path) -> Count:
    """Raises Failure on any error that wrk saw, or when it received fewer bytes than its answers have."""
    command = [wrk, "-t1", f"-c{load.connections}", f"-d{seconds}s", "--timeout", "10s", f"http://127.0.0.1:{port}/"]
    try:
        done = subprocess.run([*command, *load.write(directory)], capture_output=True, text=True, timeout=seconds + 30,
                              preexec_fn=end_with_parent)
    except subprocess.TimeoutExpired as error:
        raise Failure("wrk did not end: connections hang") from error
    lines = [line for line in done.stdout.splitlines() if line.startswith("summary ")]
    if done.returncode != 0 or not lines:
        raise Failure(f"wrk failed: {(done.stderr or done.stdout).strip()}")
    said = json.loads(lines[0].removeprefix("summary "))
    errors = ", ".join(f"{number} {kind}" for kind, number in said["errors"].items() if number)
    if errors:
        raise Failure(f"errors among {said['requests']} requests: {errors}")
    if said["requests"] == 0:
        raise Failure("not one answer")
    if said["bytes"] < said["requests"] * load.body_size:
        raise Failure(f"{said['bytes']} bytes in {said['requests']} answers that should have {load.body_size} each")
    milliseconds = {name: said[name] / 1e3 for name in ("p50", "p99")}
    return Count(said["requests"], _answers(said, load), said["microseconds"] / 1e6, **milliseconds)


def _answers(said: dict, load: Load) -> float:
    return max(said["requests"], said["bytes"] / load.body_size) if load.body_size >= 1024 * 1024 else said["requests"]
