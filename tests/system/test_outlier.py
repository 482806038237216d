"""What live traffic alone shows of a server: which of its failures count, how many eject it, how many may be out, for how
long, and what the log says. (test_failover.py has rows of failures, the trial and the doubling.)"""

import re
import time
from collections import Counter

import pytest
from harness import duration, response, seconds, server, site, wait_for
from harness.h2_client import H2Client, h2_site
from harness.probed_front import QUICK, ProbedFront, changes, steps, wait_all_up, wait_change

FAILED = response("ill", "500 Scripted")


@pytest.fixture
def judged(start_palier):
    """Starts palier with `outlier` in front of these backends, called a, b, c, …; one worker, and no retries."""
    def start(backends, outlier, **pool):
        servers = [server(name, backend.address) for name, backend in zip("abcdefgh", backends)]
        return start_palier(site(servers, workers=1, pool={
            "retries": 0, "outlier": {"backoff": "10m", **outlier}, **pool}))

    return start


class Series:
    """A backend's `answer` that gives these statuses, again and again."""

    def __init__(self, *statuses: int):
        self.statuses, self.count = statuses, 0

    def __call__(self, request) -> bytes:
        status = self.statuses[self.count % len(self.statuses)]
        self.count += 1
        return response(str(status), f"{status} Scripted")


def get_all(palier, count: int, target: str = "/") -> Counter:
    """The statuses of `count` GETs on one connection."""
    with palier.connect() as client:
        return Counter(client.request("GET", target).status for _ in range(count))


def is_ejected(palier, name: str = "web/a") -> bool:
    return (steps(palier, name) or [""])[-1].endswith("-> ejected")


# Error rate

RATE = {"failures": 1000, "error_rate": 40, "min_requests": 20, "window": "1m"}


def test_error_rate_ejects_where_rows_do_not(raw_backend, judged):
    """Every second one fails, so that there is never a row of two."""
    series = Series(500, 200)
    palier = judged([raw_backend(series), raw_backend(name="other")], {**RATE, "failures": 2})
    get_all(palier, 80)
    change = wait_change(palier, "in use -> ejected")
    assert 20 <= series.count <= 22, series.count
    assert change.level == "warning"
    failures, requests = map(int, re.search(r"(\d+) of (\d+) requests", change.reason).groups())
    assert 20 <= requests <= 22 and failures in (requests // 2, (requests + 1) // 2), change
    assert "HTTP 500" in change.reason and "live traffic" in change.reason


@pytest.mark.parametrize("series", [(500, 200, 200), (500, 500, 200, 200, 200, 200, 200, 200)])
def test_error_rate_below_the_limit_is_no_reason(raw_backend, judged, series):
    palier = judged([raw_backend(Series(*series)), raw_backend(name="other")], RATE)
    get_all(palier, 240)
    assert steps(palier) == []


def test_error_rate_at_the_limit_ejects(raw_backend, judged):
    """Two of four are 50 per cent."""
    series = Series(500, 200, 200)
    palier = judged([raw_backend(series), raw_backend(name="other")], {**RATE, "error_rate": 50, "min_requests": 4})
    get_all(palier, 20)
    assert is_ejected(palier) and series.count == 4


def test_error_rate_needs_min_requests(raw_backend, judged):
    """All of them fail, and there are not enough of them to say so."""
    series = Series(500)
    palier = judged([raw_backend(series), raw_backend(name="other")], {**RATE, "min_requests": 30})
    get_all(palier, 58)
    assert steps(palier) == [] and series.count == 29
    get_all(palier, 6)
    assert is_ejected(palier) and series.count in (30, 31), series.count


def test_error_rate_forgets_what_is_older_than_the_window(raw_backend, judged):
    """Twelve failures, again and again: never the twenty that it takes within one window."""
    window = 0.5
    series = Series(500)
    palier = judged([raw_backend(series), raw_backend(name="other")], {**RATE, "window": duration(window)})
    for _ in range(3):
        get_all(palier, 24)
        began = time.monotonic()
        wait_for(lambda: time.monotonic() - began > seconds(window) * 1.2, "the end of the window")
    assert series.count == 36 and steps(palier) == []


def test_error_rate_of_zero_is_off(raw_backend, judged):
    series = Series(500)
    palier = judged([raw_backend(series), raw_backend(name="other")], {"failures": 0, "error_rate": 0})
    get_all(palier, 100)
    assert steps(palier) == [] and series.count == 50


def test_error_rate_works_without_rows(raw_backend, judged):
    palier = judged([raw_backend(Series(500)), raw_backend(name="other")], {**RATE, "failures": 0})
    get_all(palier, 60)
    assert is_ejected(palier)


def test_error_rate_counts_all_workers_together(raw_backend, start_palier):
    series = Series(500, 200)
    palier = start_palier(site(
        [server("a", raw_backend(series).address), server("b", raw_backend(name="other").address)], workers=4,
        pool={"retries": 0, "outlier": {**RATE, "backoff": "10m"}}))
    for _ in range(80):
        palier.get()
    assert is_ejected(palier) and 20 <= series.count <= 26, series.count


def test_error_rate_begins_afresh_after_an_ejection(raw_backend, judged):
    """The failures for which a server was out must not eject it again once it is back."""
    ill = ProbedFront(raw_backend, "a", live=Series(500))
    palier = judged([ill.backend, raw_backend(name="other")], {**RATE, "backoff": duration(0.2)})
    get_all(palier, 50)
    wait_change(palier, "in use -> ejected")
    ill.live = Series(200)
    wait_for(lambda: palier.get() and "ejected -> in use" in steps(palier), "the return")
    ill.live = Series(500, 200, 200)
    get_all(palier, 120)
    assert steps(palier) == ["in use -> ejected", "ejected -> in use"]


# Which failures count


@pytest.mark.parametrize("status,counts", [(500, False), (501, False), (502, True), (504, True), (505, False)])
def test_statuses(raw_backend, judged, status, counts):
    series = Series(status)
    palier = judged([raw_backend(series), raw_backend(name="other")], {"failures": 3, "statuses": ["502-504"]})
    get_all(palier, 20)
    assert is_ejected(palier) == counts and series.count == (3 if counts else 10)


def test_statuses_may_be_others_than_5xx(raw_backend, judged):
    palier = judged([raw_backend(Series(429, 404)), raw_backend(Series(500))],
                    {"failures": 4, "statuses": ["404", "429"]})
    get_all(palier, 20)
    assert is_ejected(palier, "web/a") and steps(palier, "web/b") == []


def test_without_statuses_only_connections_count(raw_backend, judged):
    def reset(connection):
        connection.read_request()
        connection.reset()

    palier = judged([raw_backend(Series(500)), raw_backend(handler=reset), raw_backend(name="c")],
                    {"failures": 3, "statuses": []})
    get_all(palier, 30)
    assert steps(palier, "web/a") == [] and is_ejected(palier, "web/b")


def test_status_that_does_not_count_ends_a_row(raw_backend, judged):
    palier = judged([raw_backend(Series(503, 503, 500)), raw_backend(name="other")],
                    {"failures": 3, "statuses": ["503"]})
    get_all(palier, 40)
    assert steps(palier) == []


def cut_body(connection):
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    connection.close()


FAULTS = {
    "refused": None,
    "silence": lambda connection: connection.stall(),
    "garbage": lambda connection: connection.send("nonsense\r\n\r\n"),
    "endless head": lambda connection: connection.send(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000),
    "cut body": cut_body,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_other_faults_of_the_server_count(raw_backend, start_palier, fault):
    def handler(connection):
        connection.read_request()
        FAULTS[fault](connection)

    backend = raw_backend(handler=handler)
    if fault == "refused":
        backend.stop_listening()
    palier = start_palier(site([server("a", backend.address), server("b", raw_backend(name="other").address)],
                               workers=1, timeouts={"server": duration(0.2)},
                               pool={"retries": 0, "outlier": {"failures": 2, "backoff": "10m"}}))
    for _ in range(8):
        with palier.connect() as client:
            client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").read_whatever()
    assert is_ejected(palier) and len(palier.wait_access_log(8)) == 8
    assert sum(line["server"] == "a" for line in palier.access_log()) == 2


def test_clients_that_leave_are_not_the_servers_failures(raw_backend, judged):
    def handler(connection):
        while True:
            request = connection.read_request()
            if request.target == "/slow":
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
                connection.stall()
            elif request.target == "/silent":
                connection.stall()
            else:
                connection.send(response("ok"))

    backends = [raw_backend(handler=handler) for _ in range(2)]
    palier = judged(backends, {"failures": 1, "error_rate": 1, "min_requests": 1, "max_ejected": 100})
    for target in ("/slow", "/silent"):
        for _ in range(6):
            served = sum(backend.served for backend in backends)
            with palier.connect() as client:
                client.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")
                wait_for(lambda: sum(backend.served for backend in backends) > served, "the request at a backend")
                if target == "/slow":
                    assert client.read_head().status == 200
                client.reset()
    for number in range(4):
        with palier.connect() as client:
            client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
            wait_for(lambda: sum(backend.received.count(b"half") for backend in backends) > number, "half an upload")
            client.reset()
    palier.wait_access_log(16)
    assert get_all(palier, 10) == {200: 10} and steps(palier, "web/a") == steps(palier, "web/b") == []


def test_streams_that_clients_reset_are_not_the_servers_failures(raw_backend, start_palier):
    backend = raw_backend(handler=lambda connection: connection.read_request() and connection.stall())
    palier = start_palier(h2_site([server("a", backend.address), server("b", raw_backend(name="b").address, weight=0)],
                                  pool={"outlier": {"failures": 1, "backoff": "10m", "max_ejected": 100}}))
    with H2Client(palier.port) as client:
        for count in range(1, 6):
            stream = client.start()
            backend.wait_served(count)
            client.cancel(stream)
    palier.wait_access_log(5)
    assert steps(palier) == []


def test_bad_requests_are_not_the_servers_failures(raw_backend, judged):
    backends = [raw_backend(name=name) for name in "ab"]
    palier = judged(backends, {"failures": 1, "error_rate": 1, "min_requests": 1, "max_ejected": 100})
    bad = ["GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n"]
    for request in bad * 3:
        with palier.connect() as client:
            assert client.send(request).read_response().status == 400
    assert get_all(palier, 10) == {200: 10} and steps(palier, "web/a") == steps(palier, "web/b") == []


# How many may be out


@pytest.mark.parametrize("servers,max_ejected,expected", [
    (1, 100, 0), (2, 50, 1), (2, 49, 0), (2, 99, 1), (2, 100, 2), (3, 50, 1), (3, 33, 0), (3, 34, 1), (3, 67, 2),
    (4, 50, 2), (4, 0, 0)])
def test_max_ejected_is_rounded_down(raw_backend, judged, servers, max_ejected, expected):
    palier = judged([raw_backend(FAILED) for _ in range(servers)], {"failures": 1, "max_ejected": max_ejected})
    statuses = get_all(palier, 30)
    assert sum(is_ejected(palier, f"web/{name}") for name in "abcd") == expected
    assert statuses[500] == (30 if expected < servers else servers), statuses


def test_servers_held_down_by_probes_count(raw_backend, judged):
    """One of two is down already: live traffic must not take the other."""
    down, ill = ProbedFront(raw_backend, "down", 503), ProbedFront(raw_backend, "ill", live=500)
    palier = judged([down.backend, ill.backend], {"failures": 1, "max_ejected": 50}, health=QUICK)
    wait_change(palier, "unknown -> down", "web/a")
    wait_change(palier, "unknown -> up", "web/b")
    assert get_all(palier, 20) == {500: 20}
    assert "ejected" not in palier.events()
    down.health = 200
    wait_change(palier, "rising -> up", "web/a")
    wait_for(lambda: palier.get() and is_ejected(palier, "web/b"), "the ejection, now that another is up")
    assert get_all(palier, 10) == {200: 10}


def test_servers_held_down_by_probes_count_among_three(raw_backend, judged):
    down = ProbedFront(raw_backend, "down", 503)
    ill = [ProbedFront(raw_backend, name, live=500) for name in ("b", "c")]
    palier = judged([down.backend, *(front.backend for front in ill)], {"failures": 1, "max_ejected": 67}, health=QUICK)
    wait_change(palier, "unknown -> down", "web/a")
    wait_all_up(palier, "web/b", "web/c")
    assert get_all(palier, 20) == {500: 20}
    assert sum(is_ejected(palier, name) for name in ("web/b", "web/c")) == 1


def test_ejected_server_that_is_held_down_too_needs_both_to_clear(raw_backend, judged):
    ill, other = ProbedFront(raw_backend, "ill", live=500), ProbedFront(raw_backend, "other")
    palier = judged([ill.backend, other.backend], {"failures": 1, "backoff": duration(0.3)}, health=QUICK)
    wait_all_up(palier, "web/a", "web/b")
    wait_for(lambda: palier.get() and is_ejected(palier), "the ejection")
    ill.health, ill.live = 503, response("well")
    wait_change(palier, "falling -> down")
    served = ill.served
    until = time.monotonic() + seconds(0.5)  # the back-off ends meanwhile
    while time.monotonic() < until:
        assert palier.get().body == b"other"
    assert ill.served == served, "no trial while probes hold it down"
    ill.health = 200
    wait_change(palier, "rising -> up")
    wait_for(lambda: palier.get().body == b"well", "the trial")
    assert steps(palier)[-1] == "ejected -> in use"


# For how long


def outs(palier) -> list[str]:
    """For how long each ejection was to last, from the log."""
    return [re.search(r"out for (\S+)", change.reason)[1] for change in changes(palier) if change.after == "ejected"]


def test_back_off_doubles_and_begins_again_after_a_good_time(raw_backend, judged):
    ill = ProbedFront(raw_backend, "a", live=500)
    palier = judged([ill.backend, raw_backend(name="other")], {"failures": 1, "backoff": duration(0.25)})
    unit = seconds(0.25)

    def in_log(backoff: float) -> str:
        return f"{int(backoff * 1000)}ms" if backoff < 1 else f"{int(backoff * 10) / 10:g}s"

    wait_for(lambda: palier.get() and len(outs(palier)) == 2, "the ejection, and a trial that fails")
    ill.live = 200
    wait_for(lambda: palier.get() and steps(palier)[-1] == "ejected -> in use", "the return")
    ill.live = 500  # not well for as long as it was out
    wait_for(lambda: palier.get() and len(outs(palier)) == 3, "the third ejection")
    assert outs(palier) == [in_log(unit), in_log(2 * unit), in_log(4 * unit)]
    ill.live = 200
    wait_for(lambda: palier.get() and steps(palier)[-1] == "ejected -> in use", "the second return")
    began = time.monotonic()
    wait_for(lambda: palier.get() and time.monotonic() - began > 4 * unit * 1.1, "a good time")
    ill.live = 500
    wait_for(lambda: palier.get() and len(outs(palier)) == 4, "the fourth ejection")
    assert outs(palier)[3] == in_log(unit)


def test_ejection_lasts_as_long_as_the_log_says(raw_backend, judged):
    backoff = 0.4
    ill = ProbedFront(raw_backend, "a", live=500)
    palier = judged([ill.backend, raw_backend(name="other")], {"failures": 2, "backoff": duration(backoff)})
    wait_for(lambda: palier.get() and is_ejected(palier), "the ejection")
    ill.live = 200
    wait_for(lambda: palier.get() and not is_ejected(palier), "the return")
    back = changes(palier)[-1]
    assert seconds(backoff) * 0.97 <= back.seconds <= seconds(backoff) + seconds(0.5), back


# What the log says


def test_lines_of_an_ejection(raw_backend, judged):
    ill = ProbedFront(raw_backend, "a", live=Series(200, 500, 500, 500, 500, 503, 502, 200))
    palier = judged([ill.backend, raw_backend(name="other")], {"failures": 5, "backoff": duration(0.2)})
    wait_for(lambda: palier.get() and "ejected -> in use" in steps(palier), "the return")
    first, again, back = changes(palier)
    assert first[:4] == ("warning", "web/a", "in use", "ejected")
    assert first.reason.startswith("5 failures in a row from live traffic, the last: HTTP 503"), first
    assert again[:4] == ("warning", "web/a", "ejected", "ejected")
    assert "trial" in again.reason and "HTTP 502" in again.reason, again
    assert back[:4] == ("info", "web/a", "ejected", "in use") and "trial" in back.reason, back


def test_reason_of_connections_that_fail(raw_backend, judged):
    backend = raw_backend(name="a")
    palier = judged([backend, raw_backend(name="other")], {"failures": 3})
    backend.go_down()
    get_all(palier, 10)
    change = wait_change(palier, "in use -> ejected")
    assert change.reason.startswith("3 failures in a row from live traffic, the last: connect"), change
    assert "refused" in change.reason


def test_a_status_that_is_no_failure_is_none_when_it_is_tried_elsewhere(raw_backend, start_palier):
    palier = start_palier(site([server("a", raw_backend(response("no", "503 Scripted")).address),
                                server("b", raw_backend(name="b").address)], workers=1,
                               pool={"retry_on": ["503"], "outlier": {"failures": 2, "statuses": []}}))
    for _ in range(10):
        assert palier.get().status == 200
    assert not is_ejected(palier)
