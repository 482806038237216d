"""Where requests go while probes hold servers down: tiers, min_usable, pools without a server, what becomes of exchanges
under way, and the way back."""

import contextlib
import threading
import time
from collections import Counter

import pytest
from harness import ConnectionEnded, FullBacklog, duration, response, seconds, server, site, wait_for
from harness.h2_client import H2Client, h2_site
from harness.h2_frames import H2Error
from harness.probed_front import QUICK, ProbedFront, steps, wait_all_up, wait_change

UPGRADE = ("GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
SWITCH = ("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")


@pytest.fixture
def fronts(raw_backend):
    """Factory of fronts by name: fronts("a", "b")."""
    return lambda *names, **options: [ProbedFront(raw_backend, name, **options) for name in names]


@pytest.fixture
def balanced(start_palier):
    """Starts palier in front of (front, keys of its server) and waits until all are up. Other keys are the pool's."""
    def start(*servers, config=None, make=site, up=True, **pool):
        entries = [server(front.name, front.address, **keys) for front, keys in servers]
        palier = start_palier(make(entries, pool={"health": QUICK, **pool}, **{"workers": 1, **(config or {})}))
        if up:
            wait_all_up(palier, *(f"web/{front.name}" for front, _ in servers))
        return palier

    return start


def bring_down(palier, *ill: ProbedFront) -> None:
    set_health(palier, 503, "falling -> down", ill)


def bring_up(palier, *well: ProbedFront) -> None:
    set_health(palier, 200, "rising -> up", well)


def set_health(palier, health: int, step: str, of: tuple[ProbedFront, ...]) -> None:
    """Waits for `step` to happen once more to each."""
    before = {front: steps(palier, f"web/{front.name}").count(step) for front in of}
    for front in of:
        front.health = health
    for front in of:
        wait_change(palier, step, f"web/{front.name}", before[front] + 1)


def shares(palier, count: int = 20) -> Counter:
    """Who answers `count` GETs on one connection."""
    with palier.connect() as client:
        return Counter(client.request().body.decode() for _ in range(count))


def wait_shares(palier, expected: dict) -> None:
    """Workers hear of a change a moment after the log does; then the shares are as expected, and stay so."""
    wait_for(lambda: shares(palier, sum(expected.values())) == expected, f"shares of {expected}")
    for _ in range(3):
        assert shares(palier, sum(expected.values())) == expected


# Tiers


def test_next_tier_joins_in_below_min_usable(fronts, balanced):
    a, b, p = fronts("a", "b", "p")
    palier = balanced((a, {}), (b, {}), (p, {"role": "passive", "weight": 50}), min_usable=2)
    wait_shares(palier, {"a": 10, "b": 10})
    bring_down(palier, a)
    wait_shares(palier, {"b": 20, "p": 10})
    bring_up(palier, a)
    wait_shares(palier, {"a": 10, "b": 10})
    bring_down(palier, a, b)
    wait_shares(palier, {"p": 10})


def test_one_usable_server_is_enough_by_default(fronts, balanced):
    a, b, p = fronts("a", "b", "p")
    palier = balanced((a, {}), (b, {}), (p, {"role": "passive"}))
    bring_down(palier, a)
    wait_shares(palier, {"b": 10})
    bring_down(palier, b)
    wait_shares(palier, {"p": 10})
    bring_up(palier, a)
    wait_shares(palier, {"a": 10})


def test_min_usable_over_all_four_tiers(fronts, balanced):
    """Tiers join in one after the other, until together they are enough."""
    al, ar1, ar2, pl, pr = fronts("al", "ar1", "ar2", "pl", "pr")
    local, remote = {"node": "srv1"}, {"node": "srv2"}
    palier = balanced((al, local), (ar1, remote), (ar2, remote), (pl, {**local, "role": "passive"}),
                      (pr, {**remote, "role": "passive"}), min_usable=2, config={"node": "srv1"})
    wait_shares(palier, {"al": 5, "ar1": 5, "ar2": 5})
    bring_down(palier, ar1)
    wait_shares(palier, {"al": 5, "ar2": 5})
    bring_down(palier, ar2)
    wait_shares(palier, {"al": 5, "pl": 5})
    bring_down(palier, pl)
    wait_shares(palier, {"al": 5, "pr": 5})
    bring_down(palier, al)
    wait_shares(palier, {"pr": 5})
    bring_up(palier, ar1, ar2)
    wait_shares(palier, {"ar1": 5, "ar2": 5})


def test_local_front_goes_and_comes_back(fronts, balanced):
    local, remote, passive = fronts("local", "remote", "passive")
    palier = balanced((local, {"node": "srv1"}), (remote, {"node": "srv2"}), (passive, {"role": "passive"}),
                      config={"node": "srv1"})
    wait_shares(palier, {"local": 10})
    bring_down(palier, local)
    wait_shares(palier, {"remote": 10})
    bring_down(palier, remote)
    wait_shares(palier, {"passive": 10})
    bring_up(palier, local)
    wait_shares(palier, {"local": 10})


@pytest.mark.parametrize("failback", ["auto", "manual"])
def test_failback(fronts, balanced, failback):
    active, passive = fronts("active", "passive")
    palier = balanced((active, {}), (passive, {"role": "passive"}), failback=failback)
    assert shares(palier) == {"active": 20}
    bring_down(palier, active)
    wait_shares(palier, {"passive": 10})
    bring_up(palier, active)
    wait_shares(palier, {"active": 10} if failback == "auto" else {"passive": 10})
    bring_down(palier, passive)
    wait_shares(palier, {"active": 10})


def test_passive_does_not_take_over_for_good_at_the_start(fronts, balanced):
    """Before the first results no server is usable; whoever is first up must not keep the traffic for that."""
    active, passive = fronts("active", "passive")
    palier = balanced((active, {}), (passive, {"role": "passive"}), failback="manual")
    wait_shares(palier, {"active": 10})


# No usable server


def test_no_usable_server_is_503_with_retry_after(fronts, balanced):
    a, b = fronts("a", "b")
    palier = balanced((a, {}), (b, {}), when_none="refuse")
    bring_down(palier, a, b)
    wait_for(lambda: palier.get().status == 503, "the refusal")
    before = a.served + b.served
    answer = palier.get()
    assert answer.status == 503 and answer.get("Server") == "palier"
    assert 1 <= int(answer.get("Retry-After")) <= 60
    assert a.served + b.served == before
    assert palier.wait_access_log(1)[-1]["reason"] == "no_server"
    bring_up(palier, a)
    wait_shares(palier, {"a": 10})
    bring_up(palier, b)
    wait_shares(palier, {"a": 10, "b": 10})


def test_try_all_uses_every_server_by_its_weight(fronts, balanced):
    """Of all tiers; only a weight of 0 still means never."""
    a, b, p, zero = fronts("a", "b", "p", "zero")
    palier = balanced((a, {"weight": 3}), (b, {"weight": 1}), (p, {"role": "passive", "weight": 2}),
                      (zero, {"weight": 0}), when_none="try_all")
    wait_shares(palier, {"a": 30, "b": 10})
    bring_down(palier, a, b)
    wait_shares(palier, {"p": 10})
    bring_down(palier, p)
    wait_shares(palier, {"a": 30, "b": 10, "p": 20})
    bring_up(palier, b)
    wait_shares(palier, {"b": 10})
    assert zero.served == 0


def test_try_all_is_for_ejected_servers_too(fronts, balanced):
    a, b = fronts("a", "b")
    a.live = b.live = response("ill", "500 Scripted")
    palier = balanced((a, {}), (b, {}), when_none="try_all",
                      outlier={"failures": 1, "backoff": "10m", "max_ejected": 100})
    wait_for(lambda: palier.get() and all("in use -> ejected" in steps(palier, f"web/{name}") for name in "ab"),
             "both ejections")
    a.live, b.live = response("a"), response("b")
    wait_shares(palier, {"a": 10, "b": 10})


# Exchanges under way


class Slow:
    """An answer to /slow that is half given until the test opens it; to /later, one that is given only then."""

    def __init__(self, raw_backend, name: str, **options):
        self.open = threading.Event()
        self.asked: list[str] = []
        self.front = ProbedFront(raw_backend, name, handler=self.handle, **options)

    def handle(self, connection):
        while True:
            request = connection.read_request()
            if request.target == "/slow":
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
                self.asked.append(request.target)
                connection.wait(self.open)
                connection.send("after")
            elif request.target == "/later":
                self.asked.append(request.target)
                connection.wait(self.open)
                connection.send(response(self.front.name))
            elif request.target == "/chat":
                connection.send(SWITCH)
                self.asked.append(request.target)
                while True:
                    connection.send(connection.read_exactly(1))
            else:
                connection.send(self.front.answer(request))


@pytest.fixture
def slow(raw_backend):
    return lambda name, **options: Slow(raw_backend, name, **options)


# `slow` is of the first tier, so that requests go there.
FIRST, SECOND = {}, {"role": "passive"}


def ask(client, target: str, method: str = "GET", body: bytes = b"") -> None:
    client.send(f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


def test_exchanges_of_a_server_that_goes_down_finish(fronts, slow, balanced):
    ill, (other,) = slow("ill"), fronts("other")
    palier = balanced((ill.front, FIRST), (other, SECOND), on_down="finish")
    with palier.connect() as half, palier.connect() as unanswered, palier.connect() as tunnel:
        ask(half, "/slow")
        assert half.read_head().status == 200 and half.read_exactly(5) == b"first"
        ask(unanswered, "/later")
        assert tunnel.send(UPGRADE).read_response().status == 101
        wait_for(lambda: len(ill.asked) == 3, "all three at the server")
        bring_down(palier, ill.front)
        wait_shares(palier, {"other": 5})
        assert tunnel.send(b"x").read_exactly(1) == b"x"
        ill.open.set()
        assert half.read_exactly(5) == b"after"
        assert unanswered.read_response().body == b"ill"
        assert tunnel.send(b"y").read_exactly(1) == b"y"


def test_on_down_close_cuts_a_response_under_way(fronts, slow, balanced):
    ill, (other,) = slow("ill"), fronts("other")
    palier = balanced((ill.front, FIRST), (other, SECOND), on_down="close", config={"workers": 2})
    with palier.connect() as client:
        ask(client, "/slow")
        assert client.read_head().status == 200 and client.read_exactly(5) == b"first"
        bring_down(palier, ill.front)
        with pytest.raises(ConnectionEnded):
            client.read_exactly(5)
    assert not ill.open.is_set()


def test_on_down_close_asks_another_server_where_that_is_safe(fronts, slow, balanced):
    ill, (other,) = slow("ill"), fronts("other")
    palier = balanced((ill.front, FIRST), (other, SECOND), on_down="close", config={"workers": 2})
    clients = [palier.connect() for _ in range(8)]
    try:
        for client in clients[:6]:
            ask(client, "/later")
        for client in clients[6:]:
            ask(client, "/later", "POST", b"order")
        wait_for(lambda: len(ill.asked) == 8, "all requests at the server")
        bring_down(palier, ill.front)
        assert [client.read_response().body for client in clients[:6]] == [b"other"] * 6
        assert [client.read_response().status for client in clients[6:]] == [502] * 2
    finally:
        for client in clients:
            client.close()
    assert {request.method for request in other.backend.requests if request.target == "/later"} == {"GET"}


def test_cuts_of_our_own_are_not_the_servers_failures(fronts, slow, balanced):
    ill, (other,) = slow("ill"), fronts("other")
    palier = balanced((ill.front, FIRST), (other, SECOND), on_down="close",
                      outlier={"failures": 1, "backoff": "10m", "max_ejected": 100})
    with palier.connect() as half, palier.connect() as unanswered, palier.connect() as post:
        ask(half, "/slow")
        ask(unanswered, "/later")
        ask(post, "/later", "POST", b"order")
        assert half.read_head().status == 200
        wait_for(lambda: len(ill.asked) == 3, "all requests at the server")
        bring_down(palier, ill.front)
        assert unanswered.read_response().body == b"other"
        assert post.read_response().status == 502
        half.read_whatever()
    bring_up(palier, ill.front)
    wait_shares(palier, {"ill": 5})
    assert "ejected" not in palier.events()


def test_on_down_close_gives_up_connecting(fronts, balanced):
    """Its live port takes no more connections, and its probes, which go elsewhere, say so first."""
    backlog, (probed, other) = FullBacklog(), fronts("ill", "other")
    try:
        servers = [server("ill", backlog.address, health={"port": probed.backend.port}),
                   server("other", other.address, role="passive")]
        palier = balanced(make=lambda _, **keys: site(servers, timeouts={"connect": "1h"}, **keys), up=False,
                          on_down="close", outlier={"failures": 1, "backoff": "10m", "max_ejected": 100})
        wait_all_up(palier, "web/ill", "web/other")
        with palier.connect() as get, palier.connect() as post:
            ask(get, "/")
            ask(post, "/", "POST", b"order")
            bring_down(palier, probed)
            assert get.read_response().body == b"other"
            assert post.read_response().body == b"other", "nothing of it was sent"
        assert "ejected" not in palier.events()
    finally:
        backlog.stop()


def read_to_the_end(client) -> None:
    """Keeps nothing of it."""
    room = bytearray(1 << 20)
    with contextlib.suppress(ConnectionError):
        while client.socket.recv_into(room):
            pass


@pytest.mark.parametrize("reading", [True, False])
def test_on_down_close_cuts_a_large_response(raw_backend, fronts, balanced, reading):
    """Of which palier gives on what it does not look at, to a client that takes it or does not."""
    def handler(connection):
        while True:
            request = connection.read_request()
            if request.target != "/large":
                connection.send(ill.answer(request))
                continue
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
            while True:
                connection.send(b"x" * 65536)

    ill, (other,) = ProbedFront(raw_backend, "ill", handler=handler), fronts("other")
    palier = balanced((ill, FIRST), (other, SECOND), on_down="close")
    with palier.connect() as client:
        ask(client, "/large")
        assert client.read_head().status == 200
        client.read_exactly(1 << 20)
        if reading:
            ill.health = 503
            read_to_the_end(client)
        else:
            bring_down(palier, ill)
            read_to_the_end(client)
    wait_change(palier, "falling -> down", "web/ill")
    line = palier.wait_access_log(1)[0]
    assert (line["server"], line["reason"]) == ("ill", "backend_cut")


def test_on_down_close_closes_tunnels(fronts, slow, balanced):
    ill, (other,) = slow("ill"), fronts("other")
    palier = balanced((ill.front, FIRST), (other, SECOND), on_down="close")
    with palier.connect() as tunnel:
        assert tunnel.send(UPGRADE).read_response().status == 101
        assert tunnel.send(b"x").read_exactly(1) == b"x"
        bring_down(palier, ill.front)
        assert tunnel.read_whatever() == b""


def test_on_down_close_leaves_other_servers_alone(fronts, slow, balanced):
    ill, well = slow("ill"), slow("well")
    palier = balanced((ill.front, FIRST), (well.front, FIRST), on_down="close")
    with palier.connect() as one, palier.connect() as two:
        for client in (one, two):
            ask(client, "/slow")
            assert client.read_head().status == 200 and client.read_exactly(5) == b"first"
        wait_for(lambda: len(ill.asked) == len(well.asked) == 1, "one at each server")
        bring_down(palier, ill.front)
        cut = wait_for(lambda: [client for client in (one, two) if client.has_bytes()], "the cut")
        well.open.set()
        kept = two if cut == [one] else one
        assert kept.read_exactly(5) == b"after"


def test_on_down_close_with_http2_streams(fronts, slow, balanced):
    """Each stream has its own fate, and the connection none."""
    ill, (other,) = slow("ill"), fronts("other")
    palier = balanced((ill.front, FIRST), (other, SECOND), on_down="close", make=h2_site)
    with H2Client(palier.port) as client:
        half, unanswered = client.start(path="/slow"), client.start(path="/later")
        client.wait(lambda: bytes(half.body) == b"first" and len(ill.asked) == 2, "both at the server")
        bring_down(palier, ill.front)
        assert client.wait_reset(half) in (H2Error.INTERNAL_ERROR, H2Error.CANCEL)
        assert bytes(client.finish(unanswered).body) == b"other"
        assert bytes(client.request().body) == b"other"
        assert not client.goaways


def test_server_that_dies_is_left_by_probes_without_traffic(fronts, balanced):
    """Not one request has to fail for it to be known."""
    a, b = fronts("a", "b")
    palier = balanced((a, {}), (b, {}), retries=0, outlier={"failures": 0})
    a.backend.go_down()
    assert "refused" in wait_change(palier, "falling -> down").reason
    wait_shares(palier, {"b": 20})
    a.backend.come_back()
    wait_change(palier, "rising -> up")
    wait_shares(palier, {"a": 10, "b": 10})


# Slow start


def share_over_time(palier, name: str, period: float) -> list[tuple[float, bool]]:
    """GETs on one connection for so long: when each was, as a part of `period`, and whether `name` answered it."""
    began, seen = time.monotonic(), []
    with palier.connect() as client:
        while (now := time.monotonic() - began) < period:
            seen.append((now / period, client.request().body.decode() == name))
            time.sleep(0.002)
    return seen


def share_between(seen: list[tuple[float, bool]], begin: float, end: float) -> float:
    hits = [hit for when, hit in seen if begin <= when < end]
    return sum(hits) / len(hits)


@pytest.mark.parametrize("weight", [100, 1])
def test_slow_start_after_probes_bring_a_server_back(fronts, balanced, weight):
    """At a part f of the time the weight is f of the whole, so its share against an equal server is f / (1 + f). The
    weights 1 and 1 leave no room for less than a whole, and still must not differ."""
    back, steady = fronts("back", "steady")
    period = 2.0
    palier = balanced((back, {"weight": weight, "slow_start": duration(period)}), (steady, {"weight": weight}))
    wait_shares(palier, {"back": 10, "steady": 10})  # not at palier's start
    bring_down(palier, back)
    wait_shares(palier, {"steady": 5})
    bring_up(palier, back)
    seen = share_over_time(palier, "back", seconds(period))
    parts = [share_between(seen, begin / 4, (begin + 1) / 4) for begin in range(4)]
    expected = [0.11, 0.27, 0.38, 0.47]
    assert all(abs(part - want) < 0.09 for part, want in zip(parts, expected)), (parts, expected)
    wait_for(lambda: all(shares(palier)["back"] == 10 for _ in range(5)), "the full share")


@pytest.mark.parametrize("weight", [100, 1])
def test_slow_start_has_some_requests_from_its_beginning(fronts, balanced, weight):
    """Else it would not warm up; not many, or it were none."""
    back, steady = fronts("back", "steady")
    palier = balanced((back, {"weight": weight, "slow_start": "1h"}), (steady, {"weight": weight}))
    bring_down(palier, back)
    wait_shares(palier, {"steady": 5})
    bring_up(palier, back)
    assert 2 <= shares(palier, 400)["back"] <= 8


def test_slow_start_is_for_each_server_alone(fronts, balanced):
    """While one grows the others keep their shares of the rest."""
    back, a, b = fronts("back", "a", "b")
    palier = balanced((back, {"weight": 1, "slow_start": "1h"}), (a, {"weight": 2}), (b, {"weight": 1}))
    bring_down(palier, back)
    wait_shares(palier, {"a": 20, "b": 10})
    bring_up(palier, back)
    seen = shares(palier, 300)
    assert abs(seen["a"] - 2 * seen["b"]) <= 6 and 1 <= seen["back"] <= 4, seen


def test_lone_server_in_slow_start_gets_everything(fronts, balanced):
    (lone,) = fronts("lone")
    palier = balanced((lone, {"slow_start": "1h"}))
    bring_down(palier, lone)
    wait_for(lambda: palier.get().status == 503, "the refusal")
    bring_up(palier, lone)
    wait_shares(palier, {"lone": 20})


@pytest.mark.parametrize("at_start", [None, False, True])
def test_slow_start_at_the_start_only_where_asked(fronts, balanced, at_start):
    new, steady = fronts("new", "steady")
    keys = {"slow_start": "1h", **({} if at_start is None else {"slow_start_at_start": at_start})}
    palier = balanced((new, keys), (steady, {}))
    seen = shares(palier, 200)
    assert seen["new"] <= 6 if at_start else seen["new"] == 100, seen
    assert seen["new"] >= 1
