"""wrk: HTTP/1.1 with keep-alive, in the clear or over TLS; its own count comes from a script of ours."""

from dataclasses import dataclass
from pathlib import Path

from ..machine import ROOT, require_program
from .load import Count, Load, read_summary, run_generator

_SCRIPTS = ROOT / "bench" / "wrk"
_LARGE = 1024 * 1024


@dataclass(frozen=True)
class Wrk(Load):
    @property
    def programs(self) -> list[str]:
        return ["wrk"]

    def run(self, port: int, seconds: int, directory: Path) -> Count:
        scheme = "https" if self.protocol.secure else "http"
        script = _SCRIPTS / ("same.lua" if len(self.requests) == 1 else "any.lua")
        said = read_summary(run_generator([require_program("wrk"), "-t1", f"-c{self.connections}", f"-d{seconds}s",
                                           "--timeout", "10s", f"{scheme}://127.0.0.1:{port}/", "-s", script, "--",
                                           self.write_requests(directory)], seconds), self.body_size)
        answers = said["requests"]
        if self.body_size >= _LARGE:
            answers = max(answers, said["bytes"] / self.body_size)
        return Count(said["requests"], answers, said["microseconds"] / 1e6, said["p50"] / 1e3, said["p99"] / 1e3)
