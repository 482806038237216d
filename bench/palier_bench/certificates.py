"""The certificates that proxies serve, made for each run."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from .failure import Failure
from .machine import compile_program

DEFAULT_NAME = "bench.test"


@dataclass(frozen=True)
class Certificates:
    """PEM files of chain and key, one for DEFAULT_NAME and `count` more."""
    directory: Path
    count: int = 0

    @property
    def default(self) -> Path:
        return self.file(DEFAULT_NAME)

    @property
    def names(self) -> list[str]:
        return [f"shop{number}.example.com" for number in range(self.count)]

    def file(self, name: str) -> Path:
        return self.directory / f"{name}.pem"


def make_certificates(directory: Path, count: int = 0) -> Certificates:
    directory.mkdir(exist_ok=True)
    done = subprocess.run([compile_program("certificates"), directory, str(count)], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"cannot make certificates: {done.stderr.strip()}")
    return Certificates(directory, count)
