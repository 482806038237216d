"""Which server gets a request: weights, tiers, locality, limits, slow start, names."""

import socket
import threading
import time
from collections import Counter

from harness import duration, response, seconds, server, site, wait_for


def picks(palier, count: int, target: str = "/") -> list[str]:
    """The bodies of `count` GETs on one connection."""
    with palier.connect() as client:
        return [client.request("GET", target).body.decode() for _ in range(count)]


def pick(palier) -> str:
    return picks(palier, 1)[0]


def test_weights_5_1_1_are_smooth(raw_backend, start_palier):
    servers = [server(name, raw_backend(name=name).address, weight=weight) for name, weight in
               (("a", 5), ("b", 1), ("c", 1))]
    palier = start_palier(site(servers, workers=1))
    sequence = "".join(picks(palier, 21))
    smooth = "aabacaa"
    assert sequence in [(smooth[i:] + smooth * 3)[:21] for i in range(7)]


def test_weights_are_shares_over_all_workers(raw_backend, start_palier):
    weights = {"a": 3, "b": 2, "c": 1}
    palier = start_palier(site([server(n, raw_backend(name=n).address, weight=w) for n, w in weights.items()],
                               workers=2))
    counts = Counter(pick(palier) for _ in range(120))
    for name, weight in weights.items():
        assert abs(counts[name] - weight * 20) <= 4, counts


def test_workers_start_at_random_places(raw_backend, start_palier):
    servers = [server(str(i), raw_backend(name=str(i)).address) for i in range(8)]
    firsts = {pick(start_palier(site(servers, workers=1))) for _ in range(8)}
    assert len(firsts) > 1, "eight starts and always the same first server"


def test_weight_zero_gets_nothing(raw_backend, start_palier):
    zero = raw_backend(name="zero")
    palier = start_palier(site([server("a", raw_backend(name="a").address), server("zero", zero.address, weight=0)]))
    assert set(picks(palier, 40)) == {"a"}
    assert zero.accepted == 0


def test_weight_zero_gets_nothing_even_when_the_others_are_down(raw_backend, start_palier):
    zero, other = raw_backend(name="zero"), raw_backend(name="other")
    palier = start_palier(site([server("a", other.address), server("zero", zero.address, weight=0)]))
    assert pick(palier) == "other"
    other.go_down()
    assert {palier.get().status for _ in range(10)} <= {502, 503}
    assert zero.accepted == 0


FAST_EJECTION = {"outlier": {"failures": 1, "backoff": duration(0.2)}}


def test_passive_serves_only_without_active(raw_backend, start_palier):
    active, passive = raw_backend(name="active"), raw_backend(name="passive")
    palier = start_palier(site([server("a", active.address), server("p", passive.address, role="passive")],
                               pool=FAST_EJECTION))
    assert set(picks(palier, 20)) == {"active"} and passive.accepted == 0
    active.go_down()
    assert set(picks(palier, 20)) == {"passive"}


def test_prefer_local(raw_backend, start_palier):
    local, remote = raw_backend(name="local"), raw_backend(name="remote")
    servers = [server("r", remote.address, node="srv2"), server("l", local.address, node="srv1")]
    palier = start_palier(site(servers, node="srv1", pool=FAST_EJECTION))
    assert set(picks(palier, 20)) == {"local"} and remote.accepted == 0
    local.go_down()
    assert set(picks(palier, 20)) == {"remote"}
    local.come_back()
    wait_for(lambda: pick(palier) == "local", "the local server to be used again")
    assert set(picks(palier, 20)) == {"local"}


def test_without_prefer_local_all_share(raw_backend, start_palier):
    servers = [server(n, raw_backend(name=n).address, node=n) for n in ("srv1", "srv2")]
    palier = start_palier(site(servers, node="srv1", workers=1, pool={"prefer_local": False}))
    assert Counter(picks(palier, 20)) == {"srv1": 10, "srv2": 10}


def test_tiers_are_used_in_order(raw_backend, start_palier):
    """active local → active remote → passive local → passive remote"""
    tiers = [("active-local", "active", "srv1"), ("active-remote", "active", "srv2"),
             ("passive-local", "passive", "srv1"), ("passive-remote", "passive", "srv2")]
    backends = [raw_backend(name=name) for name, _, _ in tiers]
    servers = [server(name, backend.address, role=role, node=node)
               for backend, (name, role, node) in reversed(list(zip(backends, tiers)))]
    palier = start_palier(site(servers, node="srv1", pool={
        "retries": 3, "outlier": {"failures": 1, "backoff": "1m", "max_ejected": 100}}))
    for backend, (name, _, _) in zip(backends, tiers):
        assert set(picks(palier, 10)) == {name}
        backend.go_down()
    assert palier.get().status in (502, 503)


def test_failback_auto(raw_backend, start_palier):
    active, passive = raw_backend(name="active"), raw_backend(name="passive")
    palier = start_palier(site([server("a", active.address), server("p", passive.address, role="passive")],
                               pool={"failback": "auto", **FAST_EJECTION}))
    assert pick(palier) == "active"
    active.go_down()
    assert set(picks(palier, 5)) == {"passive"}
    active.come_back()
    wait_for(lambda: pick(palier) == "active", "the active server to take over again")
    assert set(picks(palier, 20)) == {"active"}


def test_failback_manual(raw_backend, start_palier):
    active, passive = raw_backend(name="active"), raw_backend(name="passive")
    palier = start_palier(site([server("a", active.address), server("p", passive.address, role="passive")],
                               pool={"failback": "manual", **FAST_EJECTION}))
    assert pick(palier) == "active"
    active.go_down()
    assert set(picks(palier, 5)) == {"passive"}
    active.come_back()
    until = time.monotonic() + seconds(1.0)  # five times the back-off: an automatic failback would show
    while time.monotonic() < until:
        assert pick(palier) == "passive"
    passive.go_down()
    wait_for(lambda: palier.get().body == b"active", "the active server, now that the passive one is gone")


class Gate:
    """An answer that is given only when the test opens the gate."""

    def __init__(self, name: str):
        self.name, self.open = name, threading.Event()

    def __call__(self, request):
        assert self.open.wait(seconds(20))
        return response(self.name)


def test_full_server_makes_the_request_wait(raw_backend, start_palier):
    gate = Gate("a")
    backend = raw_backend(gate)
    palier = start_palier(site([server("a", backend.address, max_connections=1)], timeouts={"connect": "10s"}))
    with palier.connect() as first, palier.connect() as second:
        first.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
        backend.wait_served(1)
        second.send("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n")
        gate.open.set()
        assert first.read_response().body == b"a"
        assert second.read_response().body == b"a"
    assert backend.most_at_once == 1


def test_full_server_means_503_after_the_wait(raw_backend, start_palier):
    gate = Gate("a")
    backend = raw_backend(gate)
    palier = start_palier(site([server("a", backend.address, max_connections=1)], timeouts={"connect": "300ms"}))
    with palier.connect() as first, palier.connect() as second:
        first.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
        backend.wait_served(1)
        started = time.monotonic()
        answer = second.request("GET", "/2")
        waited = time.monotonic() - started
        assert answer.status == 503 and 0.25 <= waited < seconds(2), waited
        gate.open.set()
        assert first.read_response().body == b"a"
    assert palier.get("/3").body == b"a"
    assert [request.target for request in backend.requests] == ["/1", "/3"]


def test_full_server_sends_the_rest_elsewhere(raw_backend, start_palier):
    gate = Gate("small")
    small, large = raw_backend(gate), raw_backend(name="large")
    palier = start_palier(site([server("small", small.address, max_connections=1, weight=1000),
                                server("large", large.address, weight=1)]))
    with palier.connect() as first:
        while small.served == 0:
            first.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_for(lambda: small.served or first.has_bytes(), "the small server, or an answer of the large one")
            if small.served == 0:
                assert first.read_response().body == b"large"
        assert set(picks(palier, 20)) == {"large"}
        gate.open.set()
        assert first.read_response().body == b"small"
    wait_for(lambda: pick(palier) == "small", "the small server to be used again")


def test_slow_start_grows_the_share(raw_backend, start_palier):
    steady, returning = raw_backend(name="steady"), raw_backend(name="returning")
    period = seconds(2.0)
    palier = start_palier(site(
        [server("s", steady.address), server("r", returning.address, slow_start=duration(2.0))],
        workers=1, pool={"outlier": {"failures": 1, "backoff": duration(0.1)}}))
    wait_for(lambda: pick(palier) == "returning", "both servers at work")
    returning.go_down()
    wait_for(lambda: set(picks(palier, 4)) == {"steady"}, "the ejection")
    returning.come_back()
    wait_for(lambda: pick(palier) == "returning", "the return")

    began, seen = time.monotonic(), []
    with palier.connect() as client:
        while (now := time.monotonic() - began) < period:
            seen.append((now, client.request().body == b"returning"))
    early = [hit for when, hit in seen if when < period * 0.2]
    late = [hit for when, hit in seen if when > period * 0.8]
    early_share, late_share = sum(early) / len(early), sum(late) / len(late)
    assert early_share < 0.3 and late_share > 0.38 and early_share < late_share, (early_share, late_share)
    wait_for(lambda: abs(Counter(picks(palier, 100))["returning"] - 50) <= 2, "the full share")


def test_host_name_as_address(raw_backend, start_palier):
    backend = raw_backend(name="by name")
    palier = start_palier(site([server("a", f"localhost:{backend.port}")]))
    wait_for(lambda: palier.get().status == 200, "the name to be resolved")
    assert set(picks(palier, 10)) == {"by name"}


def test_name_that_does_not_resolve_costs_only_its_server(raw_backend, start_palier):
    backend = raw_backend(name="good")
    palier = start_palier(site([server("bad", "front.does-not-exist.invalid:80"), server("good", backend.address)]))
    assert set(picks(palier, 20)) == {"good"}
    palier.wait_event(r"front\.does-not-exist\.invalid")


def test_pool_of_unresolvable_names_answers_503(start_palier):
    palier = start_palier(site([server("bad", "front.does-not-exist.invalid:80")], timeouts={"connect": "200ms"}))
    assert palier.get().status == 503


def test_refused_connection_goes_to_the_next_server(raw_backend, start_palier):
    """Nothing was sent, so even a POST may go elsewhere."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        palier = start_palier(site([server("down", address), server("up", raw_backend(name="up").address)]))
        with palier.connect() as client:
            for method in ("GET", "POST"):
                assert [client.request(method, "/", body=b"x").body for _ in range(10)] == [b"up"] * 10


def test_places_at_a_full_server_go_round_among_the_workers(raw_backend, start_palier):
    """A worker learns of a place that it freed itself before all others do: the others' clients must not starve."""
    backend = raw_backend(lambda request: threading.Event().wait(0.02) or response("ok"))
    palier = start_palier(site([server("a", backend.address, max_connections=1)], workers=2,
                               timeouts={"connect": duration(1)}))
    statuses = [Counter() for _ in range(10)]
    enough = threading.Event()

    def ask(seen: Counter) -> None:
        with palier.connect() as client:
            while not enough.is_set():
                seen[client.request().status] += 1

    clients = [threading.Thread(target=ask, args=(seen,)) for seen in statuses]
    for client in clients:
        client.start()
    try:
        wait_for(lambda: all(seen[200] >= 5 for seen in statuses) or any(seen[503] for seen in statuses),
                 "five answers for each")
    finally:
        enough.set()
        for client in clients:
            client.join()
    assert all(set(seen) == {200} and seen[200] >= 5 for seen in statuses), statuses
    assert backend.most_at_once == 1
