"""A scripted web server with a page for probes, and what palier's event log says of servers."""

import re
import threading
import time
from typing import Callable, NamedTuple

from .environment import duration, seconds
from .messages import Request, response
from .waiting import wait_for

Step = int | bytes | Callable[[Request], bytes]

# Probes that find a fault in an instant, with a timeout that a busy machine keeps.
QUICK = {"interval": duration(0.4), "fast_interval": duration(0.05), "down_interval": duration(0.1),
         "timeout": duration(0.4), "rise": 2, "fall": 2}


class Probe(NamedTuple):
    at: float  # monotonic
    request: Request


class ProbedFront:
    """A RawBackend that answers probes as scripted: each takes the next of `script` (a status, bytes, or a function of
    the request), and the last one stays. Everything else gets `live`, or the front's name.

        front = ProbedFront(raw_backend, "a", 200, 503)
        front.health = 200        from now on"""

    def __init__(self, raw_backend, name: str, *script: Step, live: Step | None = None, path: str = "/health",
                 **options):
        self.name, self.path = name, path
        self.live: Step = live if live is not None else response(name)
        self._script = list(script) or [200]
        self._lock = threading.Lock()
        self.probes: list[Probe] = []
        self.backend = raw_backend(self.answer, **options)
        self.address = self.backend.address

    @property
    def health(self) -> Step:
        """What the last probe of the script gets."""
        return self._script[-1]

    @health.setter
    def health(self, step: Step) -> None:
        with self._lock:
            self._script = [step]

    def answer(self, request: Request) -> bytes:
        if request.target != self.path:
            return _bytes_of(self.live, request)
        with self._lock:
            self.probes.append(Probe(time.monotonic(), request))
            step = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        return _bytes_of(step, request)

    @property
    def served(self) -> int:
        """How many requests came that were no probes."""
        return self.backend.served - len(self.probes)

    def wait_probes(self, more: int) -> list[Probe]:
        """All probes so far, once `more` have come from now on."""
        count = len(self.probes) + more
        wait_for(lambda: len(self.probes) >= count, f"{more} more probes at {self.name}")
        return self.probes[:]


def _bytes_of(step: Step, request: Request) -> bytes:
    if callable(step):
        return step(request)
    return step if isinstance(step, bytes) else response("health", f"{step} Scripted")


class HeldProbe:
    """A probe's answer that is given when the test opens it."""

    def __init__(self, status: int = 200):
        self.status, self.open, self.asked = status, threading.Event(), threading.Event()

    def __call__(self, request: Request) -> bytes:
        self.asked.set()
        self.open.wait(seconds(10))
        return _bytes_of(self.status, request)


class Change(NamedTuple):
    """One line of the event log on a server: SERVER: BEFORE -> AFTER after LASTED: REASON"""
    level: str
    server: str
    before: str
    after: str
    lasted: str
    reason: str

    @property
    def seconds(self) -> float:
        """How long the former state lasted."""
        units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
        return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)(ms|[smhd])", self.lasted))


_STATE = r"(unknown|up|falling|down|rising|in use|ejected)"
_CHANGE = re.compile(rf"^\S+ (debug|info|warning|error) server (\S+): {_STATE} -> {_STATE} after (\S+): (.*)$",
                     re.MULTILINE)


def changes(palier, server: str = "web/a") -> list[Change]:
    """All changes of a server's standing so far, in order. `server` as the log names it, or as it begins: an address
    may follow where that came from the DNS."""
    text = palier.events()
    found = [Change(*match) for match in _CHANGE.findall(text[:text.rfind("\n") + 1])]
    return [change for change in found if change.server.split("@")[0] == server or change.server == server]


def steps(palier, server: str = "web/a") -> list[str]:
    """The same as "up -> falling"."""
    return [f"{change.before} -> {change.after}" for change in changes(palier, server)]


def wait_change(palier, step: str, server: str = "web/a", number: int = 1) -> Change:
    """The change "up -> falling", once it has come for the `number`th time."""
    def found():
        matching = [change for change in changes(palier, server) if f"{change.before} -> {change.after}" == step]
        return matching[number - 1] if len(matching) >= number else None

    return wait_for(found, f"{step} of {server}")


def wait_all_up(palier, *servers: str) -> None:
    """Their first probes have succeeded."""
    for server in servers:
        wait_change(palier, "unknown -> up", server)
