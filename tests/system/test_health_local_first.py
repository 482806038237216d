"""Three machines, each with a palier and a front: each palier serves from the front beside it, and from the others only
while that one is down."""

import time
import warnings
from contextlib import ExitStack
from typing import Iterator

import pytest
from harness import Network, Palier, WebFront, Wrk, duration, seconds, server, site, wait_for, why_no_networks

INTERVAL, TIMEOUT, FALL, RISE = 0.25, 0.2, 2, 2
HEALTH = {"type": "http", "path": "/health", "interval": duration(INTERVAL), "timeout": duration(TIMEOUT), "rise": RISE,
          "fall": FALL}
SLACK = seconds(0.15)


@pytest.fixture
def network() -> Iterator[Network]:
    if reason := why_no_networks():
        warnings.warn(pytest.PytestWarning(f"THREE MACHINES ARE NOT TESTED: {reason}"), stacklevel=1)
        pytest.skip(f"THREE MACHINES ARE NOT TESTED: {reason}")
    made = Network("srv1", "srv2", "srv3")
    yield made
    made.close()


def servers_of(palier: Palier, since: float = 0, until: float = float("inf")) -> set[str]:
    """Who answered the requests that began and ended within that time."""
    return {line["server"] for line in palier.access_log()
            if palier.logged_at(line) - line["total_ms"] / 1000 >= since and palier.logged_at(line) <= until}


def test_each_serves_from_its_own_front_and_from_the_others_while_that_is_down(network, web_front, start_palier):
    fronts = {machine.name: web_front(machine.name, machine=machine) for machine in network.machines}
    servers = [server(name, front.address, node=name) for name, front in fronts.items()]
    paliers: dict[str, Palier] = {}
    with ExitStack() as ending:
        loads: list[Wrk] = []
        for machine in network.machines:
            with machine.inside():
                # As a user would write it; that live traffic ejects as well is not to be in the way.
                paliers[machine.name] = start_palier(site(
                    servers, node=machine.name, workers=1,
                    pool={"health": HEALTH, "outlier": {"backoff": duration(0.3)}}))
                for name in fronts:
                    paliers[machine.name].wait_event(f"server web/{name}: .*-> up")
        for machine in network.machines:
            with machine.inside():
                loads.append(ending.enter_context(Wrk(f"{paliers[machine.name].url}/page", 8, paced=True)))
        begun = time.time()
        first, others = paliers["srv1"], [paliers["srv2"], paliers["srv3"]]
        for palier in paliers.values():
            palier.wait_logged(100_000)

        harmed = time.time()
        fronts["srv1"].kill()
        fronts["srv1"].kill_php()
        for palier in paliers.values():
            palier.wait_event("server web/srv1: .*-> down")
        gone = time.time()
        assert gone - harmed < seconds(INTERVAL * FALL + TIMEOUT) + SLACK
        for palier in paliers.values():
            palier.wait_logged(100_000)

        mending = time.time()
        fronts["srv1"].start()
        mended = time.time()

        def back() -> bool:
            with network["srv1"].inside():
                return first.get("/page").get("X-Front") == "srv1"

        wait_for(back, "the return to the front beside it")
        returned = time.time()
        for palier in paliers.values():
            palier.wait_logged(100_000)
        results = [load.stop() for load in loads]
    for palier in paliers.values():
        palier.stop()

    assert [result.failures for result in results] == [0, 0, 0], [result.text for result in results]
    assert all(result.requests > 200 for result in results)
    assert servers_of(first, begun, harmed) == {"srv1"}
    assert servers_of(first, gone, mending) == {"srv2", "srv3"}
    assert servers_of(first, returned) == {"srv1"}
    assert returned - mended < seconds(INTERVAL * RISE + TIMEOUT) + SLACK, first.events()
    for palier, own in zip(others, ("srv2", "srv3")):
        assert servers_of(palier) == {own}, "others are not affected"
