"""Fronts that fall in every way that a front falls, under load over HTTP/1.1 and HTTP/2: what visitors notice, how soon a
front gets no more requests, how soon it gets them back. Four machines, one of them palier's; live traffic ejects nobody
here, so that what is measured is the probes' doing.

Time to leave: from the fault to the last attempt to connect to the front, or the last request, as seen on its cable. Time
to return: from when the fault has ended to the front's first answer to a request of after that, by the access log."""

import math
import time
import warnings
from dataclasses import dataclass, field
from typing import Callable, Iterator

import pytest
from harness import (
    Network, Palier, Passersby, SteadyH2load, Visits, WebFront, Wrk, duration, seconds, server, wait_for,
    why_no_networks)
from harness.h2_client import h2_site

INTERVAL, TIMEOUT, FALL, RISE = 0.25, 0.2, 2, 2
# What palier promises, and what a busy machine may add to it.
LEAVES_WITHIN = seconds(INTERVAL * FALL + TIMEOUT)
LEAVES_WITHIN_IF_PROBES_FAIL_AT_ONCE = seconds(INTERVAL * FALL)
RETURNS_WITHIN = seconds(INTERVAL * RISE + TIMEOUT)
SLACK = seconds(0.15)

# A request that a front does not answer goes to another one.
IMPATIENT = {"connect": duration(0.3), "server": duration(0.5)}
RETRY_TIMEOUTS = {"retry_on": ["connect", "reset", "timeout"]}
# A request that a front does not answer waits for as long as probes take to find that out.
PATIENT = {"connect": duration(3), "server": duration(60)}
CUT = {"on_down": "close"}


@dataclass
class Fault:
    name: str
    harm: Callable[[WebFront], None]
    mend: Callable[[WebFront], None] = WebFront.start
    pool: dict = field(default_factory=dict)
    timeouts: dict = field(default_factory=dict)
    why_failures: str = ""  # where visitors do notice

    @property
    def leaves_within(self) -> float:
        silent = bool(self.timeouts)
        return LEAVES_WITHIN if silent else LEAVES_WITHIN_IF_PROBES_FAIL_AT_ONCE


def kill_all(front: WebFront) -> None:
    front.kill()
    front.kill_php()


def cut_off(front: WebFront) -> None:
    front.machine.cut_off()


def reconnect(front: WebFront) -> None:
    front.machine.reconnect()


FAULTS = [
    Fault("nginx and php-fpm killed", kill_all),
    Fault("php-fpm killed, nginx answers 502", WebFront.kill_php, pool={"retry_on": ["connect", "reset", "502"]}),
    Fault("500 on /health only", WebFront.ill, WebFront.well),
    Fault("frozen; `timeout` in retry_on", WebFront.freeze, WebFront.thaw, RETRY_TIMEOUTS, IMPATIENT),
    Fault('frozen; on_down = "close"', WebFront.freeze, WebFront.thaw, CUT, PATIENT),
    Fault("frozen; neither", WebFront.freeze, WebFront.thaw, {}, IMPATIENT,
          why_failures="what it had accepted when it froze, and until it was found out, ends as 504"),
    Fault("packets dropped; `timeout` in retry_on", cut_off, reconnect, RETRY_TIMEOUTS, IMPATIENT),
    Fault('packets dropped; on_down = "close"', cut_off, reconnect, CUT, PATIENT),
    Fault("accept queue full; `timeout` in retry_on", WebFront.fill_queues, WebFront.thaw, RETRY_TIMEOUTS, IMPATIENT),
    Fault('accept queue full; on_down = "close"', WebFront.fill_queues, WebFront.thaw, CUT, PATIENT),
]


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    if reason := why_no_networks():
        warnings.warn(pytest.PytestWarning(f"FAILOVER IS NOT TESTED: {reason}"), stacklevel=1)
        pytest.skip(f"FAILOVER IS NOT TESTED: {reason}")
    made = Network("balancer", "one", "two", "three")
    yield made
    made.close()


@pytest.fixture(scope="module")
def fronts(network, tmp_path_factory) -> Iterator[list[WebFront]]:
    started: list[WebFront] = []
    try:
        for machine in network.machines[1:]:
            started.append(WebFront(machine.name, tmp_path_factory.mktemp("fronts"), machine=machine, backlog=64))
        yield started
    finally:
        for front in started:
            front.stop()


@pytest.fixture(scope="module")
def table(request, tmp_path_factory) -> Iterator[list[str]]:
    """Rows of the table in README.md, shown at the end."""
    rows = ["| fault | failed requests: wrk | h2load, HTTP/2 | one by one | longest wait | time to leave | time to return |",
            "|---|---|---|---|---|---|---|"]
    yield rows
    text = "\n".join([*rows, "", f"bounds: {LEAVES_WITHIN:.2f} s to leave ({LEAVES_WITHIN_IF_PROBES_FAIL_AT_ONCE:.2f} s "
                                 f"where probes fail at once), {RETURNS_WITHIN:.2f} s to return, and {SLACK:.2f} s for "
                                 "the machine"])
    path = tmp_path_factory.mktemp("faults") / "table.md"
    path.write_text(text + "\n")
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n\n{text}\n({path})\n")


def configuration(fronts: list[WebFront], fault: Fault) -> dict:
    health = {"type": "http", "path": "/health", "interval": duration(INTERVAL), "fast_interval": duration(INTERVAL),
              "timeout": duration(TIMEOUT), "rise": RISE, "fall": FALL}
    # Probes have a port of their own, so that what comes to the other one is a visitor's.
    servers = [server(front.name, front.address, health={"port": front.probe_port}) for front in fronts]
    pool = {"health": health, "outlier": {"failures": 0}, "retries": 2, **fault.pool}
    return h2_site(servers, workers=2, pool=pool, timeouts=fault.timeouts)


def first_answer_of(front: WebFront, palier: Palier, since: float) -> float:
    """When a request that began after `since` was first answered by `front`, from the access log."""
    return min((ended for line in palier.access_log() if line["server"] == front.name and line["status"] == 200
                and (ended := palier.logged_at(line)) - line["total_ms"] / 1000 >= since), default=math.inf)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault(network, fronts, table, start_palier, fault):
    front = fronts[1]
    with network["balancer"].inside(), Visits(front.machine, front.port) as visits:
        palier = start_palier(configuration(fronts, fault))
        with (Wrk(f"{palier.url}/page", paced=True) as wrk, SteadyH2load(f"{palier.url}/page") as streams,
              Passersby(palier.port, "/page") as passersby):
            try:
                visits.wait(time.time(), 200)
                harmed = time.time()
                fault.harm(front)
                palier.wait_event(f"server web/{front.name}: .*-> down")
                # What must not happen within a time: a visit after the front has left.
                wait_for(lambda: time.time() > harmed + LEAVES_WITHIN + SLACK + seconds(INTERVAL), "the time to leave")
            finally:
                mending = time.time()
                fault.mend(front)
            mended = time.time()
            visits.wait(mended, 200)
            loads = [wrk.stop(), streams.stop(), passersby.stop()]
        palier.stop()

    left = max((at - harmed for at in visits.times if harmed < at < mending), default=0)
    back = first_answer_of(front, palier, mended) - mended
    waited = max(line["total_ms"] for line in palier.access_log()) / 1000
    counts = " | ".join(f"{load.failures} of {load.requests}" for load in loads)
    table.append(f"| {fault.name} | {counts} | {waited:.2f} s | {left:.2f} s | {back:.2f} s |")
    said = palier.events()[-2000:]
    assert (sum(load.failures for load in loads) > 0) == bool(fault.why_failures), (table[-1], said)
    assert left <= fault.leaves_within + SLACK and back <= RETURNS_WITHIN + SLACK, (table[-1], said)
    # Nobody waits for longer than it takes to find the fault out, or than timeouts.server allows.
    assert waited <= LEAVES_WITHIN + SLACK, (table[-1], said)
    assert all(load.requests > 50 for load in loads), table[-1]
