"""An active and a passive front with failback = "manual": probes say who is up, and whoever took over keeps the traffic."""

import re
import time

from harness import Palier, SteadyH2load, Wrk, duration, seconds, server, wait_for
from harness.h2_client import h2_site

INTERVAL = 0.25
HEALTH = {"type": "http", "path": "/health", "interval": duration(INTERVAL), "timeout": duration(0.2), "rise": 2,
          "fall": 2}


def wait_taken_over(palier: Palier, by: str) -> float:
    """When `by` was seen to serve."""
    wait_for(lambda: palier.get("/page").get("X-Front") == by, f"{by} to take over")
    return time.time()


def test_traffic_stays_with_the_passive_front_when_the_active_one_returns(web_front, start_palier):
    active, passive = web_front("active"), web_front("passive")
    palier = start_palier(h2_site(
        [server("active", active.address), server("passive", passive.address, role="passive")],
        pool={"failback": "manual", "health": HEALTH, "outlier": {"failures": 0}}))
    palier.wait_event("server web/active: .*-> up")
    palier.wait_event("server web/passive: .*-> up")
    with Wrk(f"{palier.url}/page", paced=True) as wrk, SteadyH2load(f"{palier.url}/page") as streams:
        palier.wait_logged(100_000)
        active.kill()
        palier.wait_event("server web/active: .*-> down")
        taken = wait_taken_over(palier, "passive")

        active.start()
        wait_for(lambda: len(re.findall("server web/active: .*-> up", palier.events())) == 2, "the second event up")
        returned = time.time()
        wait_for(lambda: time.time() > returned + seconds(4 * INTERVAL), "time enough to fail back")
        assert palier.get("/page").get("X-Front") == "passive"

        kept = time.time()
        passive.kill()  # holding on to a front does not mean to go down with it
        palier.wait_event("server web/passive: .*-> down")
        back = wait_taken_over(palier, "active")
        palier.wait_logged(50_000)
        result, streams = wrk.stop(), streams.stop()
    palier.stop()
    assert (result.failures, streams.failures) == (0, 0), (result.text, streams.texts, palier.events()[-2000:])
    served = [(palier.logged_at(line), line["server"]) for line in palier.access_log()]
    assert {name for at, name in served if taken < at < kept} == {"passive"}
    assert {name for at, name in served if at > back} == {"active"}
