"""What the benchmark asks of a load generator."""

import json
import os
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from ..failure import Failure
from ..machine import ROOT
from ..process import end_with_parent
from ..protocol import Protocol

_GRACE_SECONDS = 30


@dataclass(frozen=True)
class Count:
    """`answers` counts the parts of bodies that were under way at the end, which matters for large ones. Latencies are
    in milliseconds, None where the generator does not tell them. `late`: how late it sent itself, at the 99th
    percentile."""
    requests: int
    answers: float
    seconds: float
    p50: float | None = None
    p99: float | None = None
    p999: float | None = None
    late: float | None = None


@dataclass(frozen=True)
class Load(ABC):
    """`connections` at a time, with one request again and again or any of many, each answered with `body_size`."""
    connections: int
    requests: tuple[bytes, ...]
    body_size: int
    protocol: Protocol = Protocol.HTTP

    @property
    @abstractmethod
    def programs(self) -> list[str]:
        """What must be installed for it, in the words of machine.PACKAGE_OF."""

    @abstractmethod
    def run(self, port: int, seconds: int, directory: Path) -> Count:
        """Raises Failure on any error, and when fewer bytes came than the answers have. May write to `directory`."""

    def write_requests(self, directory: Path) -> Path:
        path = directory / "requests"
        path.write_bytes(b"".join(self.requests))
        return path


def run_generator(command: list, seconds: int) -> str:
    """Its output. Over TLS it offers what bench/tls/client.cnf says, whatever the generator is."""
    program = Path(command[0]).name
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace",
                              timeout=seconds + _GRACE_SECONDS, preexec_fn=end_with_parent,
                              env={**os.environ, "OPENSSL_CONF": str(ROOT / "bench" / "tls" / "client.cnf")})
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{program} did not end: connections hang") from error
    if done.returncode != 0:
        raise Failure(f"{program} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def read_summary(output: str, body_size: int) -> dict:
    """The count that our own generators and scripts print, checked."""
    lines = [line for line in output.splitlines() if line.startswith("summary ")]
    if not lines:
        raise Failure(f"no summary: {output.strip()}")
    said = json.loads(lines[-1].removeprefix("summary "))
    errors = ", ".join(f"{number} {kind}" for kind, number in said["errors"].items() if number)
    if errors:
        raise Failure(f"errors among {said['requests']} requests: {errors}")
    check_bytes(said["requests"], said["bytes"], body_size)
    return said


def check_bytes(requests: int, received: int, body_size: int) -> None:
    if requests == 0:
        raise Failure("not one answer")
    if received < requests * body_size:
        raise Failure(f"{received} bytes in {requests} answers that should have {body_size} each")
