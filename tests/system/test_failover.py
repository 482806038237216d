"""Servers that die and come back, under load: what the visitors notice is nothing."""

import threading
import time
from collections import Counter

import pytest
from harness import ConnectionEnded, Wrk, duration, response, seconds, server, site, wait_for

# A hundred kilobytes of access log are several hundred exchanges.
SOME_LOAD = 100_000

QUICK_OUTLIER = {"outlier": {"failures": 2, "backoff": duration(0.3), "max_ejected": 100}}


def served_by(palier) -> str | None:
    return palier.get("/hello.txt").get("X-Front")


def latest_servers(palier, count: int = 50) -> set[str]:
    """Who served last. By time: the log's blocks come from several workers, each when it is full or a second old."""
    lines = sorted(palier.access_log(), key=lambda line: line["time"])
    return {line["server"] for line in lines[-count:]}


def check_no_failure(palier, result) -> None:
    assert result.failures == 0, result.text + palier.events()[-2000:]
    bad = [line for line in palier.access_log() if line["path"].startswith("/hello") and line["status"] != 200
           and line["reason"] != "client_closed"]
    assert not bad, bad[:5]


def test_killed_front_costs_no_get(web_front, start_palier):
    fronts = [web_front(name) for name in ("one", "two", "three")]
    palier = start_palier(site([server(front.name, front.address) for front in fronts]))
    with Wrk(f"{palier.url}/hello.txt") as wrk:
        palier.wait_logged(SOME_LOAD)
        fronts[1].kill()
        palier.wait_logged(5 * SOME_LOAD)
        result = wrk.stop()
    check_no_failure(palier, result)
    assert {line["server"] for line in palier.access_log()[:50]} == {"one", "two", "three"}
    assert result.requests > 500


def test_killed_php_front_costs_no_get(web_front, start_palier):
    fronts = [web_front(name) for name in ("one", "two")]
    palier = start_palier(site([server(front.name, front.address) for front in fronts], pool=QUICK_OUTLIER))
    with Wrk(f"{palier.url}/hello.txt/php", connections=8) as wrk:
        palier.wait_logged(SOME_LOAD)
        fronts[0].kill()
        palier.wait_logged(2 * SOME_LOAD)
        fronts[0].start()
        wait_for(lambda: served_by(palier) == "one", "the front's return")
        palier.wait_logged(SOME_LOAD)
        result = wrk.stop()
    check_no_failure(palier, result)


def test_local_front_killed_and_restarted_without_a_failed_request(web_front, start_palier):
    local, remote = web_front("local"), web_front("remote")
    palier = start_palier(site([server("local", local.address, node="srv1"),
                                server("remote", remote.address, node="srv2")], node="srv1", pool=QUICK_OUTLIER))
    with Wrk(f"{palier.url}/hello.txt") as wrk:
        palier.wait_logged(SOME_LOAD)
        assert {line["server"] for line in palier.access_log()} == {"local"}
        local.kill()
        palier.wait_logged(3 * SOME_LOAD)
        assert latest_servers(palier) == {"remote"}
        local.start()
        wait_for(lambda: served_by(palier) == "local", "the local front's return")
        palier.wait_logged(3 * SOME_LOAD)
        result = wrk.stop()
    check_no_failure(palier, result)
    assert latest_servers(palier) == {"local"}


def test_passive_takes_over_and_gives_back_by_itself(web_front, start_palier):
    active, passive = web_front("active"), web_front("passive")
    palier = start_palier(site([server("active", active.address), server("passive", passive.address, role="passive")],
                               pool={"failback": "auto", **QUICK_OUTLIER}))
    with Wrk(f"{palier.url}/hello.txt") as wrk:
        palier.wait_logged(SOME_LOAD)
        active.kill()
        wait_for(lambda: served_by(palier) == "passive", "the passive front to take over")
        palier.wait_logged(SOME_LOAD)
        active.start()
        wait_for(lambda: served_by(palier) == "active", "the active front to take over again")
        palier.wait_logged(3 * SOME_LOAD)
        result = wrk.stop()
    check_no_failure(palier, result)
    assert latest_servers(palier) == {"active"}


def test_passive_keeps_the_traffic_when_failback_is_manual(web_front, start_palier):
    active, passive = web_front("active"), web_front("passive")
    palier = start_palier(site([server("active", active.address), server("passive", passive.address, role="passive")],
                               pool={"failback": "manual", **QUICK_OUTLIER}))
    with Wrk(f"{palier.url}/hello.txt") as wrk:
        palier.wait_logged(SOME_LOAD)
        active.kill()
        wait_for(lambda: served_by(palier) == "passive", "the passive front to take over")
        active.start()
        until = time.monotonic() + seconds(1.5)  # five times the back-off
        while time.monotonic() < until:
            assert served_by(palier) == "passive"
        result = wrk.stop()
    check_no_failure(palier, result)


class Patient:
    """A server that answers 500 while it is ill, and can hold one answer back."""

    def __init__(self):
        self.ill = True
        self.hold = threading.Event()
        self.hold.set()

    def __call__(self, request):
        assert self.hold.wait(seconds(20))
        return response("ill", "500 Internal Server Error") if self.ill else response("patient")


def pick(palier) -> bytes:
    return palier.get().body


def test_ejection_after_consecutive_failures_and_one_trial(raw_backend, start_palier):
    patient = Patient()
    weak, strong = raw_backend(patient), raw_backend(name="strong")
    palier = start_palier(site([server("weak", weak.address), server("strong", strong.address)],
                               pool={"outlier": {"failures": 3, "backoff": duration(0.5)}}))
    seen = Counter(pick(palier) for _ in range(30))
    assert seen == {b"ill": 3, b"strong": 27}

    patient.hold.clear()
    with palier.connect() as trial:
        def trial_is_out() -> bool:
            if weak.served == 4:
                return True
            trial.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_for(lambda: trial.has_bytes() or weak.served == 4, "an answer, or the trial")
            if weak.served < 4:
                assert trial.read_response().body == b"strong"
            return weak.served == 4

        wait_for(trial_is_out, "the trial after the back-off")
        assert {pick(palier) for _ in range(30)} == {b"strong"}, "one request is enough to try"
        assert weak.served == 4
        patient.ill = False
        patient.hold.set()
        assert trial.read_response().body == b"patient"
    assert {pick(palier) for _ in range(6)} == {b"patient", b"strong"}


def test_failed_trial_doubles_the_back_off(raw_backend, start_palier):
    weak, strong = raw_backend(response("ill", "500 Internal Server Error")), raw_backend(name="strong")
    palier = start_palier(site([server("weak", weak.address), server("strong", strong.address)],
                               pool={"outlier": {"failures": 1, "backoff": duration(0.2)}}))
    failed_at = []
    while len(failed_at) < 4:
        if pick(palier) == b"ill":
            failed_at.append(time.monotonic())
    pauses = [later - earlier for earlier, later in zip(failed_at, failed_at[1:])]
    for pause, least in zip(pauses, (0.2, 0.4, 0.8)):
        assert pause >= seconds(least) * 0.85, pauses
    assert pauses[2] < seconds(2.5), pauses


def test_success_between_failures_resets_the_count(raw_backend, start_palier):
    def every_third_succeeds(request, count=[0]):
        count[0] += 1
        return response("fine") if count[0] % 3 == 0 else response("ill", "500 Internal Server Error")

    backends = raw_backend(every_third_succeeds), raw_backend(name="other")
    palier = start_palier(site([server(f"s{i}", b.address) for i, b in enumerate(backends)], workers=1,
                               pool={"outlier": {"failures": 3, "backoff": "1m"}}))
    seen = Counter(pick(palier) for _ in range(60))
    assert seen[b"other"] == 30, seen


def test_at_most_half_of_a_pool_is_ejected(raw_backend, start_palier):
    ill = [raw_backend(response("ill", "500 Internal Server Error")) for _ in range(4)]
    palier = start_palier(site([server(f"s{i}", b.address) for i, b in enumerate(ill)],
                               pool={"outlier": {"failures": 1, "backoff": "1m", "max_ejected": 50}}))
    for _ in range(40):
        assert palier.get().status == 500
    counts = sorted(backend.served for backend in ill)
    assert counts[:2] == [1, 1] and counts[2] >= 15, counts


def test_resets_count_and_are_retried_elsewhere(raw_backend, start_palier):
    def reset_at_once(connection):
        connection.read_request()
        connection.reset()

    weak, strong = raw_backend(handler=reset_at_once), raw_backend(name="strong")
    palier = start_palier(site([server("weak", weak.address), server("strong", strong.address)],
                               pool={"outlier": {"failures": 2, "backoff": "1m"}}))
    assert {pick(palier) for _ in range(20)} == {b"strong"}
    assert weak.accepted == 2


def test_a_post_that_was_sent_is_not_sent_twice(raw_backend, start_palier):
    def reset_at_once(connection):
        connection.read_request()
        connection.reset()

    backends = [raw_backend(handler=reset_at_once) for _ in range(2)]
    palier = start_palier(site([server(f"s{i}", b.address) for i, b in enumerate(backends)]))
    with palier.connect() as client:
        assert client.request("POST", "/", body=b"order").status == 502
    assert sum(backend.served for backend in backends) == 1


def test_status_is_retried_only_where_asked(raw_backend, start_palier):
    busy, fine = raw_backend(response("busy", "503 Service Unavailable")), raw_backend(name="fine")
    servers = [server("busy", busy.address), server("fine", fine.address)]
    plain = start_palier(site(servers, workers=1, pool={"outlier": {"failures": 0}}))
    assert Counter(pick(plain) for _ in range(10)) == {b"busy": 5, b"fine": 5}
    retrying = start_palier(site(servers, workers=1, pool={"retry_on": ["connect", "503"], "outlier": {"failures": 0}}))
    assert Counter(pick(retrying) for _ in range(10)) == {b"fine": 10}


def test_response_cut_in_the_middle_is_cut_for_the_client(raw_backend, start_palier):
    """What was half given cannot be retried; it must not look complete either."""
    def cut(connection):
        connection.read_request()
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")

    backend = raw_backend(handler=cut)
    palier = start_palier(site([server("a", backend.address)]))
    with palier.connect() as client:
        with pytest.raises(ConnectionEnded):
            client.request()


def test_status_of_the_last_server_passes(raw_backend, start_palier):
    """When every server says 503, the last one's own words are better than ours."""
    closed = response("maintenance", "503 Service Unavailable", Retry_After="60")
    backends = [raw_backend(closed) for _ in range(2)]
    palier = start_palier(site([server(f"s{i}", b.address) for i, b in enumerate(backends)], workers=1,
                               pool={"retry_on": ["connect", "503"], "outlier": {"failures": 0}}))
    with palier.connect() as client:
        for count in (1, 2, 3):
            answer = client.request()
            assert (answer.status, answer.get("Retry-After"), answer.body) == (503, "60", b"maintenance")
            assert [backend.served for backend in backends] == [count, count]
    assert [(line["status"], line["reason"], line["tries"]) for line in palier.wait_access_log(3)] == [(503, "ok", 2)] * 3


def test_slow_upload_does_not_hold_the_trial(raw_backend, start_palier):
    """It says nothing of the server until it ends, which may be never: a GET is the trial instead."""
    well = threading.Event()
    sick_uploads, uploads = [], []

    def handler_of(name: str):
        def handler(connection):
            while True:
                request = connection.read_head()
                if request.method == "POST":
                    uploads.append(name)
                    if name == "sick":
                        sick_uploads.append(connection)
                    connection.read_body(request)
                ill = name == "sick" and not well.is_set()
                connection.send(response(name, "500 Internal Server Error" if ill else "200 OK"))

        return handler

    backends = {name: raw_backend(handler=handler_of(name)) for name in ("sick", "other")}
    palier = start_palier(site([server(name, backend.address) for name, backend in backends.items()], workers=1,
                               pool={"outlier": {"failures": 1, "backoff": duration(0.3)}}))
    while "ejected" not in palier.events():
        pick(palier)
    well.set()
    while True:
        upload, count = palier.connect(), len(uploads)
        upload.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx")
        wait_for(lambda: len(uploads) > count, "the upload at a backend")
        if sick_uploads:
            break
        upload.close()

    sent = 1

    def served_by_sick() -> bool:
        nonlocal sent
        upload.send("x")
        sent += 1
        return pick(palier) == b"sick"

    with upload:
        wait_for(served_by_sick, "a GET at the server that is well again", timeout=2)
        seen = Counter(pick(palier) for _ in range(10))
        assert seen == {b"sick": 5, b"other": 5}, seen
        assert not upload.has_bytes()
        upload.send(b"x" * (1_000_000 - sent))
        assert upload.read_response().body == b"sick"
