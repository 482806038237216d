"""bench/steady: requests at a constant rate, each timed from the moment when it was due."""

from array import array
from dataclasses import dataclass
from pathlib import Path

from ..failure import Failure
from ..machine import compile_program
from ..percentiles import percentile
from .load import Count, Load, read_summary, run_generator

_MILLISECOND = 1e6  # in nanoseconds


@dataclass(frozen=True)
class Steady(Load):
    """`rate`: requests a second, on all connections together. `streams`: of HTTP/2, at most at a time on each
    connection; of the request only its path is then used."""
    rate: int = 1000
    streams: int = 0

    @property
    def programs(self) -> list[str]:
        return ["c++", "openssl/ssl.h"]

    def run(self, port: int, seconds: int, directory: Path) -> Count:
        times = directory / "times"
        said = read_summary(run_generator([compile_program("steady"), port, seconds, self.rate, self.connections,
                                           self.streams, self.write_requests(directory), self.body_size, times],
                                          seconds), self.body_size)
        taken, late = read_times(times.read_bytes())
        if len(taken) != said["requests"]:
            raise Failure(f"{len(taken)} times of {said['requests']} requests")
        p50, p99, p999 = (percentile(taken, share) / _MILLISECOND for share in (0.5, 0.99, 0.999))
        return Count(said["requests"], said["requests"], said["microseconds"] / 1e6, p50, p99, p999,
                     percentile(late, 0.99) / _MILLISECOND)


def read_times(data: bytes) -> tuple[list[int], list[int]]:
    """Nanoseconds to the answers, and those to when the generator came to it, each in order."""
    pairs = array("q", data)
    return sorted(pairs[::2]), sorted(pairs[1::2])
