"""h2load: HTTP/2 over TLS, many streams at a time on each connection."""

import re
from dataclasses import dataclass
from pathlib import Path

from ..failure import Failure
from ..machine import require_program
from ..requests import path_of
from .load import Count, Load, check_bytes, run_generator

_SESSION = ("TLS Protocol: TLSv1.3", "Cipher: TLS_AES_128_GCM_SHA256", "Application protocol: h2")


@dataclass(frozen=True)
class H2Load(Load):
    """Only the path of its one request is used: the other fields are h2load's own."""
    streams: int = 1

    @property
    def programs(self) -> list[str]:
        return ["h2load"]

    def run(self, port: int, seconds: int, directory: Path) -> Count:
        output = run_generator([require_program("h2load"), "-t1", f"-c{self.connections}", f"-m{self.streams}",
                                f"-D{seconds}", f"https://127.0.0.1:{port}{path_of(self.requests[0])}"], seconds)
        lines = set(output.splitlines())
        if missing := [line for line in _SESSION if line not in lines]:
            raise Failure(f"h2load did not say \"{missing[0]}\": {output.strip()}")
        requests, received = _read_counts(output)
        check_bytes(requests, received, self.body_size)
        rate = re.search(r"^finished in .*, ([\d.]+) req/s", output, re.MULTILINE)
        if rate is None:
            raise Failure(f"h2load tells no rate: {output.strip()}")
        return Count(requests, received / self.body_size, requests / float(rate[1]))


def _read_counts(output: str) -> tuple[int, int]:
    """Finished requests, and bytes of bodies, those of the streams under way at the end included."""
    counts = {name: int(number) for number, name in re.findall(
        r"\b(\d+) (done|succeeded|failed|errored|timeout|2xx|3xx|4xx|5xx)\b", output)}
    data = re.search(r"^traffic: .* \((\d+)\) data$", output, re.MULTILINE)
    wrong = ("failed", "errored", "timeout", "3xx", "4xx", "5xx")
    if data is None or not {"done", "succeeded", "2xx", *wrong} <= counts.keys():
        raise Failure(f"h2load's words are not understood: {output.strip()}")
    if errors := ", ".join(f"{counts[kind]} {kind}" for kind in wrong if counts[kind]):
        raise Failure(f"errors among {counts['done']} requests: {errors}")
    if not counts["succeeded"] == counts["done"] <= counts["2xx"]:
        raise Failure(f"{counts['done']} requests, but {counts['succeeded']} succeeded with {counts['2xx']} heads")
    return counts["done"], int(data[1])
