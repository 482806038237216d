"""wrk, h2load and curl, with their results as values."""

import os
import re
import signal
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from .environment import seconds
from .waiting import wait_for

_PACE = Path(__file__).resolve().parent / "pace.lua"


@dataclass
class WrkResult:
    requests: int
    socket_errors: int     # connect, read, write and timeout together
    bad_statuses: int      # other than 2xx and 3xx
    requests_per_second: float
    text: str

    @property
    def failures(self) -> int:
        return self.socket_errors + self.bad_statuses


class Wrk:
    """wrk in the background until stop(), so that a test says when the load has seen enough."""

    def __init__(self, url: str, connections: int = 16, threads: int = 1, longest: int = 60, paced: bool = False):
        """`paced`: some thousands of requests a second and no more, which leaves the machine time for what is measured
        meanwhile."""
        self._process = subprocess.Popen(
            ["wrk", "-t", str(threads), "-c", str(connections), "-d", f"{int(seconds(longest))}s", "--timeout",
             f"{int(seconds(10))}s", *(["-s", str(_PACE)] if paced else []), url],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wait_for(self._minds_interrupts, "wrk to start")

    def _minds_interrupts(self) -> bool:
        """Only once wrk catches SIGINT may stop() send it."""
        caught = re.search(r"SigCgt:\s+([0-9a-f]+)", Path(f"/proc/{self._process.pid}/status").read_text())
        return caught is not None and bool(int(caught[1], 16) & 1 << signal.SIGINT - 1)

    def __enter__(self) -> "Wrk":
        return self

    def __exit__(self, *_) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def stop(self) -> WrkResult:
        """Ends the load; requests in flight at that moment are not counted."""
        assert self._process.poll() is None, "wrk ended before the test was done with it"
        self._process.send_signal(signal.SIGINT)
        text, _ = self._process.communicate(timeout=seconds(20))
        total = re.search(r"(\d+) requests in", text)
        assert total, f"wrk said:\n{text}"
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
        return WrkResult(requests=int(total[1]), socket_errors=sum(map(int, errors.groups())) if errors else 0,
                         bad_statuses=int(bad[1]) if bad else 0, requests_per_second=float(rate[1]) if rate else 0.0,
                         text=text)


@dataclass
class H2loadResult:
    succeeded: int
    failed: int
    statuses: dict[str, int]  # "2xx": …
    text: str


def h2load(url: str, requests: int, connections: int = 8, *options: str, http2: bool = False) -> H2loadResult:
    """h2load over HTTP/1.1, or HTTP/2: exactly `requests` requests."""
    version = [] if http2 else ["--h1"]
    done = subprocess.run(["h2load", *version, "-n", str(requests), "-c", str(connections), *options, url],
                          capture_output=True, text=True, timeout=seconds(60))
    counts = re.search(r"(\d+) succeeded, (\d+) failed", done.stdout)
    assert counts, f"h2load said:\n{done.stdout}{done.stderr}"
    statuses = {kind: int(count) for count, kind in re.findall(r"(\d+) (\dxx)", done.stdout)}
    return H2loadResult(int(counts[1]), int(counts[2]), statuses, done.stdout)


class SteadyH2load:
    """h2load over HTTP/2 in the background, one run after the other until stop(); each run is about half a second of
    some hundred requests a second, on connections of its own."""

    def __init__(self, url: str):
        self.requests = 0
        self.failures = 0
        self.texts: list[str] = []  # of runs with failures
        self._error: Exception | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(url,), name="h2load")
        self._thread.start()

    def __enter__(self) -> "SteadyH2load":
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._thread.join()

    def stop(self) -> "SteadyH2load":
        """Lets the last run come to its end: no request is left out."""
        self._ended.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self

    def _run(self, url: str) -> None:
        count = 200
        try:
            while not self._ended.is_set():
                result = h2load(url, count, 4, "-m", "4", "--rps=100", http2=True)
                self.requests += count
                failures = count - result.statuses["2xx"]
                self.failures += failures
                if failures:
                    self.texts.append(result.text)
        except Exception as error:  # noqa: BLE001 - it is the caller's, in another thread
            self._error = error


@dataclass
class CurlResult:
    exit_code: int
    status: int
    fields: list[tuple[str, str]]  # of the last response
    body: bytes
    size_download: int
    error: str

    def get(self, name: str) -> str | None:
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        return values[0] if values else None


def curl(url: str, *options: str, timeout: float = 30.0, discard: bool = False) -> CurlResult:
    """One curl run; `discard` leaves the body unread by us (size_download counts it)."""
    with tempfile.TemporaryDirectory() as directory:
        heads, body = Path(directory) / "heads", Path(directory) / "body"
        command = ["curl", "--silent", "--show-error", "--globoff", "--noproxy", "*", "--dump-header", str(heads),
                   "--output", os.devnull if discard else str(body), "--write-out", "%{http_code} %{size_download}",
                   *options, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds(timeout))
        status, size = done.stdout.split()
        last = heads.read_text("latin-1").strip().split("\r\n\r\n")[-1] if heads.exists() else ""
        fields = [(name, value.strip()) for name, _, value in (line.partition(":") for line in last.splitlines()[1:])]
        return CurlResult(done.returncode, int(status), fields, body.read_bytes() if body.exists() else b"", int(size),
                          done.stderr)
