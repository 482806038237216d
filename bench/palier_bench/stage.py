"""One scenario's processes: the backend and the peers, all started, all stopped again."""

import time
from pathlib import Path

from .certificates import make_certificates
from .crowd import Crowd
from .exchange import check_connection
from .failure import Failure
from .machine import Cpus, compile_program
from .peers import Peer
from .ports import free_port, listens
from .process import Process
from .scenario import Scenario
from .site import Site

_START_SECONDS = 60


class Stage:
    """A context manager. A peer that does not start is reported in `problems` and left out of `ports`."""

    def __init__(self, scenario: Scenario, peers: list[Peer], cpus: Cpus, directory: Path):
        self._scenario = scenario
        self._peers = peers
        self._cpus = cpus
        self._directory = directory / scenario.name
        self.processes: dict[str, Process] = {}
        self.ports: dict[str, int] = {}
        self.problems: dict[str, str] = {}
        self._backend: Process | None = None
        self._crowds: dict[str, Crowd] = {}

    def __enter__(self) -> "Stage":
        self._directory.mkdir(exist_ok=True)
        try:
            site = self._build_site()
            for peer in self._peers:
                self._start(peer, site)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        for crowd in self._crowds.values():
            crowd.stop()
        for process in [*self.processes.values(), *([self._backend] if self._backend else [])]:
            process.stop()

    def check(self, name: str) -> None:
        """Raises Failure unless the peer answers the scenario's requests byte for byte."""
        process = self.processes[name]
        every = self._scenario.load.requests
        some = [every[i * len(every) // 20] for i in range(20)] if len(every) > 1 else list(every) * 3
        try:
            check_connection(self._scenario.load.protocol, self.ports[name], some, self._scenario.expected_body,
                             self._scenario.closes)
            if name in self._crowds:
                self._crowds[name].check()
        except Failure as failure:
            state = "" if process.running() else " (it has exited)"
            raise Failure(f"{failure}{state}{tail(process)}") from failure

    def _build_site(self) -> Site:
        s = self._scenario
        certificates = make_certificates(self._directory / "certificates") if s.load.protocol.secure else None
        self._backend, port = start_backend(self._cpus, self._directory, s.servers)
        return Site(port, s.servers, s.hosts, s.prefixes, certificates)

    def _start(self, peer: Peer, site: Site) -> None:
        port = free_port()
        directory = self._directory / peer.name
        directory.mkdir(exist_ok=True)
        process = Process(peer.command(site, port, directory), self._cpus.proxy, directory / "log")
        self.processes[peer.name] = process
        self.ports[peer.name] = port
        try:
            _wait_until_open(process, port)
            if self._scenario.idle:
                self._crowds[peer.name] = Crowd(self._scenario, port)
            self.check(peer.name)
        except Failure as failure:
            self.problems[peer.name] = str(failure)
            del self.ports[peer.name]
            process.stop()


def start_backend(cpus: Cpus, directory: Path, servers: int = 1) -> tuple[Process, int]:
    """The process, for the caller to stop, and its port."""
    port = free_port()
    process = Process([compile_program("backend"), port, servers], cpus.load, directory / "backend.log")
    try:
        _wait_until_open(process, port)
    except BaseException:
        process.stop()
        raise
    return process, port


def _wait_until_open(process: Process, port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not listens(port):
        if not process.running():
            raise Failure(f"did not start{tail(process)}")
        if time.monotonic() > deadline:
            raise Failure(f"did not listen within {_START_SECONDS} s{tail(process)}")
        time.sleep(0.01)


def tail(process: Process) -> str:
    """Its last words, to be appended to what is wrong with it."""
    lines = process.output().strip().splitlines()[-5:]
    return "".join(f"\n      {line}" for line in lines)
