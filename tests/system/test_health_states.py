"""What probes make of a server: its states, how often it is probed, what is asked and how the answers are judged."""

import re
import socket
import statistics
import subprocess
import threading
import time

import pytest
from harness import (
    FullBacklog, duration, make_ca, make_certificate, response, route, seconds, server,
    server_context, site, wait_for)
from harness.probed_front import QUICK, HeldProbe, ProbedFront, changes, steps, wait_change

# Without an answer for a long while, so that a test may look at what is before the first result.
PATIENT = {"interval": "10s", "timeout": "10s"}


@pytest.fixture
def front(raw_backend):
    """Factory of fronts: front("a", 200, 503, …)."""
    return lambda name, *script, **options: ProbedFront(raw_backend, name, *script, **options)


def probed_site(fronts: list[ProbedFront], health: dict | None = None, pool: dict | None = None, **config) -> dict:
    """A site of fronts with QUICK probes, changed by `health`."""
    return site([server(front.name, front.address) for front in fronts],
                pool={"health": {**QUICK, **(health or {})}, **(pool or {})}, **config)


def many_pools(pools: list[dict], **config) -> dict:
    """A site with all these pools; the first has the route."""
    first = pools[0]
    return site([], route=[route(first["name"])], pool=None, **config) | {"pool": pools}


def served_by(palier, count: int = 10) -> set[bytes]:
    """The bodies of so many GETs on one connection."""
    with palier.connect() as client:
        return {client.request().body for _ in range(count)}


# The first result


def test_server_is_up_after_one_success(front, start_palier):
    a = front("a", 200)
    palier = start_palier(probed_site([a], {"rise": 100}))
    wait_change(palier, "unknown -> up")
    assert served_by(palier) == {b"a"}
    a.wait_probes(3)
    assert steps(palier) == ["unknown -> up"]


def test_server_is_down_after_one_failure(front, start_palier):
    a = front("a", 503)
    palier = start_palier(probed_site([a], {"fall": 100}))
    wait_change(palier, "unknown -> down")
    assert palier.get().status == 503
    a.wait_probes(3)
    assert steps(palier) == ["unknown -> down"] and a.served == 0


def test_server_gets_no_request_before_the_first_result(front, start_palier):
    held = HeldProbe()
    unknown, known = front("unknown", held), front("known", 200)
    palier = start_palier(probed_site([unknown, known], {**PATIENT, "start": "down"}))
    wait_change(palier, "unknown -> up", "web/known")
    wait_for(held.asked.is_set, "the first probe")
    assert served_by(palier) == {b"known"} and steps(palier, "web/unknown") == []
    held.open.set()
    wait_change(palier, "unknown -> up", "web/unknown")
    assert served_by(palier) == {b"known", b"unknown"}


def test_lone_server_of_unknown_health_means_503(front, start_palier):
    held = HeldProbe()
    palier = start_palier(probed_site([front("a", held)], PATIENT))
    wait_for(held.asked.is_set, "the first probe")
    assert palier.get().status == 503
    held.open.set()
    wait_change(palier, "unknown -> up")
    assert palier.get().body == b"a"


def test_server_with_start_up_is_used_at_once(front, start_palier):
    held = HeldProbe(503)
    unknown, known = front("unknown", held), front("known", 200)
    began = time.monotonic()
    palier = start_palier(probed_site([unknown, known], {**PATIENT, "start": "up"}))
    assert served_by(palier) == {b"known", b"unknown"} and steps(palier, "web/unknown") == []
    assert time.monotonic() - began < seconds(1.5), "there is nothing to wait for"
    wait_for(held.asked.is_set, "the first probe")
    held.open.set()
    wait_change(palier, "unknown -> down", "web/unknown")
    assert served_by(palier) == {b"known"}


# Rows of results

ROWS = [
    # rise, fall, results, and what they make of the server. Each row that is long enough is followed by its contrary.
    (2, 3, "+ xx+ xxx ++", ["unknown -> up", "up -> falling", "falling -> up", "up -> falling", "falling -> down",
                            "down -> rising", "rising -> up"]),
    (2, 3, "x + x ++ x +", ["unknown -> down", "down -> rising", "rising -> down", "down -> rising", "rising -> up",
                            "up -> falling", "falling -> up"]),
    (1, 1, "+ x + x", ["unknown -> up", "up -> down", "down -> up", "up -> down"]),
    (3, 1, "x ++ x +++ x", ["unknown -> down", "down -> rising", "rising -> down", "down -> rising", "rising -> up",
                            "up -> down"]),
    (1, 2, "x + x + xx +", ["unknown -> down", "down -> up", "up -> falling", "falling -> up", "up -> falling",
                            "falling -> down", "down -> up"]),
]


@pytest.mark.parametrize("rise,fall,results,expected", ROWS)
def test_rise_and_fall_count_results_in_a_row(front, start_palier, rise, fall, results, expected):
    """The last result goes on for ever. Whoever counts one too few or too many takes other steps."""
    script = [200 if result == "+" else 503 for result in results.replace(" ", "")]
    a = front("a", *script)
    palier = start_palier(probed_site([a], {"rise": rise, "fall": fall}))
    wait_for(lambda: len(steps(palier)) >= len(expected), "all steps")
    a.wait_probes(2)
    assert steps(palier) == expected


def test_falling_server_goes_on_serving_and_a_rising_one_not_yet(front, start_palier):
    falling, rising = front("falling", 200, 503), front("rising", 503, 200)
    palier = start_palier(probed_site([falling, rising], {"rise": 100, "fall": 100}))
    wait_change(palier, "up -> falling", "web/falling")
    wait_change(palier, "down -> rising", "web/rising")
    for _ in range(5):
        falling.wait_probes(2)
        assert served_by(palier) == {b"falling"}
    assert rising.served == 0


# How often


def check_pauses(pauses: list[float], configured: float, first: bool = False) -> None:
    """From the start of a probe to the start of the next: at most a tenth less than configured, and never more. The
    `first` of a steady rhythm may be shorter: the server takes its place in it. The slack is for the threads that take
    the times: each pause may have some, and most of them have none."""
    assert all(pause >= 0.9 * configured - seconds(0.02) for pause in pauses[first:]), (configured, pauses)
    assert all(pause <= configured + seconds(0.15) for pause in pauses), (configured, pauses)
    assert statistics.median(pauses) <= configured + seconds(0.03), (configured, pauses)


@pytest.mark.parametrize("keys,normal,fast,slow", [
    ({"interval": 0.3, "fast_interval": 0.1, "down_interval": 0.6, "timeout": 0.3}, 0.3, 0.1, 0.6),
    ({"interval": 0.3, "timeout": 0.3}, 0.3, 0.15, 0.3),
])
def test_intervals_follow_the_state(front, start_palier, keys, normal, fast, slow):
    a = front("a", *[200] * 4, *[503] * 6, *[200] * 8)
    palier = start_palier(site([server("a", a.address)], pool={"health": {
        "rise": 4, "fall": 4, **{key: duration(value) for key, value in keys.items()}}}))
    wait_for(lambda: len(a.probes) >= 18, "all probes")
    times = [probe.at for probe in a.probes[:18]]
    pauses = [after - before for before, after in zip(times, times[1:])]
    assert steps(palier) == ["unknown -> up", "up -> falling", "falling -> down", "down -> rising", "rising -> up"]
    check_pauses(pauses[0:4], seconds(normal), first=True)
    check_pauses(pauses[4:7], seconds(fast))
    check_pauses(pauses[7:10], seconds(slow), first=True)
    check_pauses(pauses[10:13], seconds(fast))
    check_pauses(pauses[13:17], seconds(normal), first=True)


def test_intervals_are_spread(front, start_palier):
    """Probes of several balancers do not fall into step."""
    a = front("a", 200)
    start_palier(probed_site([a], {"interval": duration(0.2), "timeout": duration(0.2)}))
    times = [probe.at for probe in a.wait_probes(14)]
    pauses = [after - before for before, after in zip(times, times[1:])]
    assert min(pauses) < seconds(0.2) * 0.97 and max(pauses) - min(pauses) > seconds(0.2) * 0.02, pauses


def test_probes_of_one_server_never_overlap(raw_backend, start_palier):
    """The next begins when the last has ended, however slow that was."""
    slow = ProbedFront(raw_backend, "slow", lambda request: threading.Event().wait(seconds(0.15)) or response("ok"))
    start_palier(probed_site([slow], {"interval": duration(0.25), "fast_interval": duration(0.05),
                                      "timeout": duration(0.1), "fall": 100}))
    slow.wait_probes(6)
    times = [probe.at for probe in slow.probes]
    assert min(after - before for before, after in zip(times, times[1:])) >= seconds(0.08), times


def test_pools_with_one_address_do_not_share_results(front, start_palier):
    a = front("a", 200, live=503)
    palier = start_palier(many_pools([
        {"name": "web", "health": QUICK, "server": [server("a", a.address)]},
        {"name": "other", "health": {**QUICK, "path": "/other"}, "server": [server("a", a.address)]}]))
    wait_change(palier, "unknown -> up", "web/a")
    wait_change(palier, "unknown -> down", "other/a")
    a.wait_probes(3)
    assert steps(palier, "web/a") == ["unknown -> up"] and steps(palier, "other/a") == ["unknown -> down"]


def test_pools_with_one_address_take_turns(raw_backend, start_palier):
    """Four of them in one interval, which is shared out evenly but for what is left to chance."""
    interval, times = 0.8, []
    backend = raw_backend(lambda request: times.append((time.monotonic(), request.target)) or response("ok"))
    start_palier(many_pools([
        {"name": name, "health": {"path": f"/{name}", "interval": duration(interval), "timeout": duration(interval)},
         "server": [server("a", backend.address)]} for name in ("one", "two", "three", "four")]))
    backend.wait_served(20)
    steady = sorted(times)[8:]  # the first ones start at once
    gaps = [after[0] - before[0] for before, after in zip(steady, steady[1:])]
    assert min(gaps) > seconds(interval) * 0.14, [(round(at - times[0][0], 3), path) for at, path in times]


# What the log says


def test_each_change_is_one_line(front, start_palier):
    a = front("a", 200, 503, 200, 503, 503, 200, 503, 200, 200)
    palier = start_palier(probed_site([a], {"expect": ["200-399"]}))
    wait_change(palier, "rising -> up")
    a.wait_probes(3)
    bad = "HTTP 503, expected 200-399"
    assert [(change.level, f"{change.before} -> {change.after}") for change in changes(palier)] == [
        ("info", "unknown -> up"), ("info", "up -> falling"), ("info", "falling -> up"),
        ("info", "up -> falling"), ("warning", "falling -> down"), ("info", "down -> rising"),
        ("warning", "rising -> down"), ("info", "down -> rising"), ("info", "rising -> up")]
    for change in changes(palier):
        is_bad = change.after in ("falling", "down")
        assert change.reason == bad if is_bad else change.reason and bad not in change.reason, change
        assert re.fullmatch(r"(\d+ms|\d+(\.\d)?s)", change.lasted), change


def test_line_says_how_long_the_former_state_was(front, start_palier):
    a = front("a", 200)
    palier = start_palier(probed_site([a], {"fall": 1, "rise": 1}))
    wait_change(palier, "unknown -> up")
    began = time.monotonic()
    a.wait_probes(3)
    a.health = 503
    up = wait_change(palier, "up -> down")
    elapsed = time.monotonic() - began
    assert abs(up.seconds - elapsed) < seconds(0.3), (up, elapsed)
    a.wait_probes(4)
    assert len(steps(palier)) == 2, "one that stays down is no news"


REASONS = {
    "status": (response("x", "503 Service Unavailable"), r"HTTP 503, expected 200-399"),
    "silence": (lambda request: threading.Event().wait(seconds(0.6)) or b"", r"accepted and said nothing for"),
    "close": (b"", r"closed"),
    "garbage": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", r"\w"),
}


def test_reasons_in_words(raw_backend, start_palier):
    pools = []
    for name, (answer, _) in REASONS.items():
        def handler(connection, answer=answer):
            request = connection.read_request()
            connection.send(answer(request) if callable(answer) else answer)

        backend = raw_backend(handler=handler)
        pools.append({"name": name, "health": QUICK, "server": [server("a", backend.address)]})
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        pools.append({"name": "refused", "health": QUICK,
                      "server": [server("a", f"127.0.0.1:{closed.getsockname()[1]}")]})
        backlog = FullBacklog()
        try:
            pools.append({"name": "full", "health": QUICK, "server": [server("a", backlog.address)]})
            palier = start_palier(many_pools(pools))
            for name, pattern in {**{name: pattern for name, (_, pattern) in REASONS.items()},
                                  "refused": "refused", "full": "timed out after"}.items():
                change = wait_change(palier, "unknown -> down", f"{name}/a")
                assert re.search(pattern, change.reason), change
        finally:
            backlog.stop()


# What is asked


def test_plain_probe(front, start_palier):
    a = front("a")
    start_palier(probed_site([a]))
    request = a.wait_probes(1)[0].request
    assert request.start_line == "GET /health HTTP/1.1" and request.body == b""
    assert request.get("Host") == a.address and request.get("Connection", "").lower() == "close"
    assert not any(name.lower().startswith(("x-forwarded", "forwarded")) for name, _ in request.fields)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_configured_probe(front, start_palier, method):
    a = front("a", path="/ping?deep=1")
    palier = start_palier(probed_site([a], {"method": method, "path": "/ping?deep=1", "host": "shop.example",
                                            "headers": {"X-Probe": "yes", "Authorization": "Basic cGFsaWVyOng="}}))
    wait_change(palier, "unknown -> up")
    request = a.probes[0].request
    assert request.start_line == f"{method} /ping?deep=1 HTTP/1.1"
    assert (request.get("Host"), request.get("X-Probe"), request.get("Authorization")) == (
        "shop.example", "yes", "Basic cGFsaWVyOng=")


# How answers are judged


def judged(palier, name: str) -> str:
    """What the first result made of the server of pool `name`."""
    def first():
        found = changes(palier, f"{name}/a")
        return found[0].after if found else None

    return wait_for(first, f"the first result of {name}")


def judge_all(raw_backend, start_palier, cases: dict[str, tuple[dict, bytes | list[bytes], str]]) -> dict[str, str]:
    """Each case (keys of health, the answer's bytes in pieces, …) as a pool of its own; what became of them."""
    pools = []
    for name, (keys, answer, *_) in cases.items():
        def handler(connection, pieces=[answer] if isinstance(answer, bytes) else answer):
            connection.read_request()
            for number, piece in enumerate(pieces):
                if number:
                    time.sleep(0.01)
                connection.send(piece)

        pools.append({"name": name, "health": {**QUICK, "interval": duration(1), "timeout": duration(1), **keys},
                      "server": [server("a", raw_backend(handler=handler).address)]})
    palier = start_palier(many_pools(pools))
    return {name: judged(palier, name) for name in cases}


def status(code: int, **fields) -> bytes:
    return response("", f"{code} Scripted", **fields)


def test_statuses(raw_backend, start_palier):
    cases = {
        "default-200": ({}, status(200), "up"),
        "default-399": ({}, status(399), "up"),
        "default-400": ({}, status(400), "down"),
        "default-redirect": ({}, status(302, Location="/login"), "up"),
        "redirect-unwanted": ({"expect": ["200"]}, status(302, Location="/health"), "down"),
        "one": ({"expect": ["204"]}, b"HTTP/1.1 204 No Content\r\n\r\n", "up"),
        "not-the-one": ({"expect": ["204"]}, status(200), "down"),
        "list-last": ({"expect": ["200", "401-403", "503"]}, status(503), "up"),
        "list-range-end": ({"expect": ["200", "401-403", "503"]}, status(403), "up"),
        "list-none": ({"expect": ["200", "401-403", "503"]}, status(404), "down"),
        "after-100": ({}, [b"HTTP/1.1 100 Continue\r\n\r\n", status(200)], "up"),
        "after-103": ({}, [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", status(500)], "down"),
        "http-1.0": ({}, b"HTTP/1.0 200 OK\r\n\r\nfine", "up"),
        "dribbled": ({}, [bytes([byte]) for byte in status(200)], "up"),
    }
    assert judge_all(raw_backend, start_palier, cases) == {name: case[2] for name, case in cases.items()}


def chunked(*chunks: bytes) -> list[bytes]:
    """A response and its chunks, each a piece of its own."""
    return [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            *(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks), b"0\r\n\r\n"]


EDGE = 64 * 1024


def test_bodies(raw_backend, start_palier):
    ready = {"expect_body": "ready"}
    whole = response("I am ready.")
    cases = {
        "whole": (ready, whole, "up"),
        "other": (ready, response("I am busy."), "down"),
        "case-counts": (ready, response("I am READY."), "down"),
        "only-in-the-head": (ready, response("no", X_State="ready"), "down"),
        "nothing": (ready, response(""), "down"),
        "split": (ready, [whole[:-4], whole[-4:]], "up"),
        "dribbled": (ready, [whole[:-11]] + [bytes([byte]) for byte in whole[-11:]], "up"),
        "almost-twice": (ready, response("rearearready"), "up"),
        "chunks": (ready, chunked(b"I am r", b"ead", b"y."), "up"),
        "only-in-the-framing": (ready, [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                                        b"2;x=ready\r\nno\r\n0\r\nX-State: ready\r\n\r\n"], "down"),
        "until-the-close": (ready, b"HTTP/1.1 200 OK\r\n\r\nI am ready.", "up"),
        "ends-at-the-edge": (ready, response(b"x" * (EDGE - 5) + b"ready and more"), "up"),
        "ends-behind-the-edge": (ready, response(b"x" * (EDGE - 4) + b"ready and more"), "down"),
        "far-behind-the-edge": (ready, response(b"x" * EDGE * 4 + b"ready"), "down"),
        "chunks-at-the-edge": (ready, chunked(b"x" * 40_000, b"x" * (EDGE - 40_005) + b"rea", b"dy", b"z" * 9), "up"),
        "chunks-behind-the-edge": (ready, chunked(b"x" * 40_000, b"x" * (EDGE - 40_004) + b"rea", b"dy"), "down"),
        "right-text-wrong-status": (ready, response("ready", "500 Scripted"), "down"),
        "wrong-text-right-status": ({**ready, "expect": ["500"]}, response("no", "500 Scripted"), "down"),
        "both": ({**ready, "expect": ["500"]}, response("ready", "500 Scripted"), "up"),
    }
    assert judge_all(raw_backend, start_palier, cases) == {name: case[2] for name, case in cases.items()}


def test_body_that_is_not_looked_at_does_not_matter(raw_backend, start_palier):
    """A page of many megabytes behind its head is no reason to wait, or to read it all."""
    sent = []

    def handler(connection):
        connection.read_request()
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                connection.send(b"x" * 65536)
                sent.append(65536)
        finally:
            sent.append(0)

    backend = raw_backend(handler=handler)
    palier = start_palier(site([server("a", backend.address)], pool={"health": QUICK}))
    wait_change(palier, "unknown -> up")
    wait_for(lambda: sent.count(0) >= 2, "two probes that ended")
    assert sum(sent) < 100 << 20 and steps(palier) == ["unknown -> up"]


# Where it is asked


def test_port_and_address_of_probes(raw_backend, start_palier):
    """The server's own go before the pool's, and those before where its traffic goes."""
    live = [ProbedFront(raw_backend, "live", 503) for _ in range(4)]
    of_pool = ProbedFront(raw_backend, "pool")
    of_server = ProbedFront(raw_backend, "server", 200)
    beside = ProbedFront(raw_backend, "beside", 200, host="127.0.0.2", port=live[2].backend.port)
    both = ProbedFront(raw_backend, "both", 200, host="127.0.0.3")
    pools = [
        {"name": "port", "health": {**QUICK, "port": of_pool.backend.port}, "server": [
            server("a", live[0].address),
            server("b", live[1].address, health={"port": of_server.backend.port})]},
        {"name": "address", "health": {**QUICK, "address": "127.0.0.2"}, "server": [
            server("a", live[2].address),
            server("b", live[3].address, health={"address": "127.0.0.3", "port": both.backend.port})]},
    ]
    palier = start_palier(many_pools(pools))
    for name in ("port/a", "port/b", "address/a", "address/b"):
        wait_change(palier, "unknown -> up", name)
    assert served_by(palier) == {b"live"}
    assert all(target.probes for target in (of_pool, of_server, beside, both))
    assert not any(front.probes for front in live)
    assert of_pool.served + of_server.served + beside.served + both.served == 0
    of_server.health = 503
    wait_change(palier, "falling -> down", "port/b")
    assert steps(palier, "port/a") == ["unknown -> up"]


def with_hosts(tmp_path, *lines: str) -> list[str]:
    """What to start palier with so that it finds these lines in /etc/hosts, by a mount of its own."""
    hosts = tmp_path / "hosts"
    hosts.write_text("".join(f"{line}\n" for line in lines))
    prefix = ["unshare", "--mount", "sh", "-c", f'mount --bind "{hosts}" /etc/hosts && exec "$@"', "sh"]
    if subprocess.run([*prefix, "true"], capture_output=True).returncode != 0:
        pytest.skip("this user may not mount")
    return prefix


def test_every_address_of_a_host_name_is_probed(raw_backend, start_palier, tmp_path):
    one = ProbedFront(raw_backend, "one", host="127.0.0.2")
    port = one.backend.port
    two = ProbedFront(raw_backend, "two", host="127.0.0.3", port=port)
    palier = start_palier(site([server("a", f"fronts.internal:{port}")], pool={"health": QUICK}), prefix=with_hosts(
        tmp_path, "127.0.0.2 fronts.internal", "127.0.0.3 fronts.internal"))
    names = {one: f"web/a@127.0.0.2:{port}", two: f"web/a@127.0.0.3:{port}"}
    for name in names.values():
        wait_change(palier, "unknown -> up", name)
    assert served_by(palier) == {b"one", b"two"}
    assert {front.probes[0].request.get("Host") for front in names} == {f"fronts.internal:{port}"}
    one.health = 503
    wait_change(palier, "falling -> down", names[one])
    assert served_by(palier) == {b"two"} and steps(palier, names[two]) == ["unknown -> up"]


# Over which connections


def test_every_probe_has_its_own_connection(front, start_palier):
    a = front("a")
    palier = start_palier(probed_site([a], {"interval": duration(0.2), "timeout": duration(0.2)}))
    a.wait_probes(6)
    assert 0 <= a.backend.accepted - len(a.probes) <= 1 and steps(palier) == ["unknown -> up"]


def test_keep_alive_uses_one_connection(front, start_palier):
    a = front("a")
    palier = start_palier(probed_site([a], {"keep_alive": True, "interval": duration(0.2), "timeout": duration(0.2)}))
    probes = a.wait_probes(8)
    assert a.backend.accepted == 1 and steps(palier) == ["unknown -> up"]
    assert probes[0].request.get("Connection", "keep-alive").lower() == "keep-alive"


@pytest.mark.parametrize("announced", [True, False])
def test_kept_connection_that_the_server_closes_is_no_failure(raw_backend, start_palier, announced):
    """As web servers do after some requests or seconds, with and without telling."""
    def handler(connection):
        connection.read_request()
        connection.send(response("ok"))
        connection.read_request()
        connection.send(response("ok", Connection="close") if announced else response("ok"))

    backend = raw_backend(handler=handler)
    palier = start_palier(site([server("a", backend.address)], pool={
        "health": {**QUICK, "keep_alive": True, "interval": duration(0.2), "timeout": duration(0.2)}}))
    backend.wait_served(9)
    assert steps(palier) == ["unknown -> up"] and backend.accepted in (5, 6)


# TLS and TCP


def test_probes_speak_tls_where_the_pool_does(raw_backend, start_palier, ca, tmp_path):
    good = make_certificate(tmp_path / "good", ["front1.internal"], ca)
    stranger = make_certificate(tmp_path / "bad", ["front1.internal"], make_ca(tmp_path, "strangers"))
    a = ProbedFront(raw_backend, "a", tls=server_context(good))
    b = ProbedFront(raw_backend, "b", tls=server_context(stranger))
    plain = ProbedFront(raw_backend, "plain")
    keys = {"tls": True, "ca": str(ca.crt), "server_name": "front1.internal", "health": QUICK}
    palier = start_palier(site([server("a", a.address), server("b", b.address), server("plain", plain.address)],
                               pool=keys))
    wait_change(palier, "unknown -> up", "web/a")
    refused = wait_change(palier, "unknown -> down", "web/b")
    assert re.search("issuer|unable to verify|authority|certificate", refused.reason), refused
    wait_change(palier, "unknown -> down", "web/plain")
    assert served_by(palier) == {b"a"}
    assert not b.backend.served and not plain.backend.served


@pytest.mark.parametrize("kind", ["tcp", "tls"])
def test_type(raw_backend, start_palier, ca, tmp_path, kind):
    certificate = make_certificate(tmp_path / "backend", ["127.0.0.1"], ca, subject={"CN": "x"})
    options = {"tls": server_context(certificate)} if kind == "tls" else {}
    backend = raw_backend(name="a", **options)
    plain = raw_backend(handler=lambda connection: connection.send(b"220 mail.example ESMTP\r\n"))
    keys = {"health": {**QUICK, "type": kind}, **({"tls": True, "ca": str(ca.crt)} if kind == "tls" else {})}
    palier = start_palier(site([server("a", backend.address), server("plain", plain.address)], pool=keys))
    wait_change(palier, "unknown -> up")
    wait_change(palier, "unknown -> up" if kind == "tcp" else "unknown -> down", "web/plain")
    wait_for(lambda: backend.accepted >= 4, "some probes")
    assert backend.received == b"" and backend.served == 0
    if kind == "tls":
        wait_for(lambda: len(backend.handshakes) >= 3, "whole handshakes")
        assert backend.refused_handshakes == []
    backend.go_down()
    assert "refused" in wait_change(palier, "falling -> down").reason
    backend.come_back()
    wait_change(palier, "rising -> up")
    if kind == "tls":
        assert served_by(palier) == {b"a"}


# What else goes with it


def test_idle_connections_of_a_server_that_goes_down_are_closed(front, start_palier):
    a, b = front("a"), front("b")
    palier = start_palier(probed_site([a, b], workers=1, timeouts={"server_idle": "1h"}))
    for name in ("web/a", "web/b"):
        wait_change(palier, "unknown -> up", name)
    assert served_by(palier) == {b"a", b"b"}
    idle = {front: [connection for connection in front.backend.connections
                    if b"GET / " in connection.received] for front in (a, b)}
    assert all(len(connections) == 1 for connections in idle.values())
    a.health = 503
    wait_change(palier, "falling -> down")
    wait_for(lambda: idle[a][0].socket.fileno() < 0, "the end of the idle connection")
    assert idle[b][0].socket.fileno() >= 0
    assert served_by(palier) == {b"b"}


def ejecting(probe_clears: bool | None) -> dict:
    return {"health": {**QUICK, "interval": duration(0.2), "timeout": duration(0.2),
                       **({} if probe_clears is None else {"probe_clears": probe_clears})},
            "outlier": {"failures": 1, "backoff": "10m", "max_ejected": 50}}


@pytest.mark.parametrize("probe_clears", [None, False])
def test_ejection_outlasts_successful_probes(front, start_palier, probe_clears):
    ill, well = front("ill", live=500), front("well")
    palier = start_palier(probed_site([ill, well], pool=ejecting(probe_clears)))
    for name in ("web/ill", "web/well"):
        wait_change(palier, "unknown -> up", name)
    wait_for(lambda: palier.get() and "in use -> ejected" in steps(palier, "web/ill"), "the ejection")
    ill.live = 200
    ill.wait_probes(6)
    assert served_by(palier) == {b"well"}
    assert steps(palier, "web/ill") == ["unknown -> up", "in use -> ejected"]


def test_probe_clears_an_ejection(front, start_palier):
    ill, well = front("ill", live=500), front("well")
    palier = start_palier(probed_site([ill, well], pool=ejecting(True)))
    for name in ("web/ill", "web/well"):
        wait_change(palier, "unknown -> up", name)
    wait_for(lambda: palier.get() and "in use -> ejected" in steps(palier, "web/ill"), "the ejection")
    ill.live = response("well again")
    wait_change(palier, "ejected -> in use", "web/ill")
    assert served_by(palier) == {b"well", b"well again"}
