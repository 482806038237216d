"""bench/handshakes: a TLS connection for each request, with a full handshake or a resumed one."""

from dataclasses import dataclass
from pathlib import Path

from ..failure import Failure
from ..machine import compile_program
from .load import Count, Load, read_summary, run_generator


@dataclass(frozen=True)
class Handshakes(Load):
    resumed: bool = False

    @property
    def programs(self) -> list[str]:
        return ["c++", "openssl/ssl.h"]

    def run(self, port: int, seconds: int, directory: Path) -> Count:
        program = compile_program("handshakes")
        said = read_summary(run_generator([program, port, seconds, self.connections,
                                           "resumed" if self.resumed else "full", self.write_requests(directory),
                                           self.body_size], seconds), self.body_size)
        requests, resumed = said["requests"], said["resumed"]
        # The first of the resuming connections is the one that fetched a ticket.
        if resumed != (requests - 1 if self.resumed else 0):
            raise Failure(f"{resumed} of {requests} handshakes were resumed")
        return Count(requests, requests, said["microseconds"] / 1e6, said["p50"] / 1e3, said["p99"] / 1e3)
