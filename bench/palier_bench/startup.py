"""Many certificates: how long a start takes, what they cost in memory, and what a name's first handshake costs."""

import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from . import requests
from .certificates import Certificates, make_certificates
from .exchange import Client
from .failure import Failure
from .machine import Cpus
from .peers import Peer
from .ports import free_port
from .process import Process
from .protocol import Protocol
from .site import Site
from .stage import start_backend, tail

NAME = "certificates"
_COUNTS = (0, 1000, 10_000, 50_000)  # beside the default one
_MOST = {"nginx": 10_000, "haproxy": 10_000, "palier": 50_000}  # who takes part, up to how many
_NAMES = 100  # whose handshakes are timed
_START_SECONDS = 180


@dataclass(frozen=True)
class Start:
    """`ready`: seconds from the program's start to the end of the first handshake. `first` and `later`: seconds of a
    name's first handshake and of its second, as the client sees them. `resident`: bytes, after these."""
    ready: float
    resident: float
    first: float | None
    later: float | None


@dataclass
class StartupResult:
    """By number of certificates, then by peer."""
    medians: dict[int, dict[str, Start]] = field(default_factory=dict)
    samples: dict[int, dict[str, list[Start]]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def measure_startup(peers: list[Peer], cpus: Cpus, rounds: int, directory: Path) -> StartupResult:
    result = StartupResult()
    peers = [peer for peer in peers if peer.name in _MOST]
    backend, port = start_backend(cpus, directory)
    try:
        for count in _COUNTS:
            able = [peer for peer in peers if count <= _MOST[peer.name] and peer.name not in result.problems]
            if not able:
                continue
            certificates = make_certificates(directory / f"certificates-{count}", count)
            site = Site(port, certificates=certificates)
            starts: dict[str, list[Start]] = defaultdict(list)
            for _ in range(rounds):
                for peer in able:
                    _attempt(result, peer, starts, site, cpus, directory)
            result.samples[count] = dict(starts)
            result.medians[count] = {name: _median(samples) for name, samples in starts.items()}
    finally:
        backend.stop()
    return result


def _attempt(result: StartupResult, peer: Peer, starts: dict[str, list[Start]], site: Site, cpus: Cpus,
             directory: Path) -> None:
    if peer.name in result.problems:
        return
    try:
        starts[peer.name].append(_one_start(peer, site, cpus, directory))
    except (Failure, OSError) as failure:
        result.problems[peer.name] = f"with {site.certificates.count} certificates: {failure}"
        starts.pop(peer.name, None)


def _one_start(peer: Peer, site: Site, cpus: Cpus, directory: Path) -> Start:
    port = free_port()
    where = directory / f"{NAME}-{peer.name}"
    where.mkdir(exist_ok=True)
    command = peer.command(site, port, where)
    began = time.monotonic()
    with _running(command, cpus, where) as process:
        ready = _wait_for_handshake(process, port) - began
        first, later = _handshakes(port, site.certificates)
        resident = process.resident_bytes()
        with Client(Protocol.HTTPS, port) as client:
            client.check_answer(requests.get("/128"), requests.expected_body(128))
    return Start(ready, resident, first, later)


@contextmanager
def _running(command: list, cpus: Cpus, where: Path) -> Iterator[Process]:
    process = Process(command, cpus.proxy, where / "log")
    try:
        yield process
    finally:
        process.stop()


def _wait_for_handshake(process: Process, port: int) -> float:
    """The time when it ended."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            with Client(Protocol.HTTPS, port):
                return time.monotonic()
        except ConnectionError:
            pass
        if not process.running():
            raise Failure(f"did not start{tail(process)}")
        if time.monotonic() > deadline:
            raise Failure(f"not ready after {_START_SECONDS} s{tail(process)}")
        time.sleep(0.001)


def _handshakes(port: int, certificates: Certificates) -> tuple[float | None, float | None]:
    """Medians over names from all over the directory, each greeted twice, the second time when all were once."""
    names = certificates.names[:: max(1, certificates.count // _NAMES)]
    if not names:
        return None, None
    first, later = ([_handshake(port, name) for name in names] for _ in range(2))
    return statistics.median(first), statistics.median(later)


def _handshake(port: int, name: str) -> float:
    began = time.monotonic()
    with Client(Protocol.HTTPS, port, name=name) as client:
        took = time.monotonic() - began
        if name.encode() not in client.certificate():
            raise Failure(f"the certificate is not that of {name}")
    return took


def _median(starts: list[Start]) -> Start:
    columns = [asdict(start) for start in starts]
    return Start(**{key: None if columns[0][key] is None else statistics.median(column[key] for column in columns)
                    for key in columns[0]})
