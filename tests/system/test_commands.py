"""only, maintenance, weight, the hold of failback = "manual", and palier itself: drain self, enable self, stop, status."""

import json

from harness import RawClient, free_port, is_listening, response, route, seconds, server, site, wait_for
from harness.probed_front import QUICK, ProbedFront, wait_all_up, wait_change


def test_only_one_server_and_all_again(raw_backend, start_palier):
    fronts = [raw_backend(name=name) for name in ("a", "b", "c")]
    palier = start_palier(site([server("a", fronts[0].address), server("b", fronts[1].address, weight=0),
                                server("c", fronts[2].address, role="passive")], workers=2))
    with palier.control() as control:
        assert {palier.get().body for _ in range(6)} == {b"a"}
        for name in ("c", "b"):  # whatever its role and weight
            control.do(f"only web/{name}")
            assert {palier.get().body for _ in range(6)} == {name.encode()}
        control.do("drain web/a")
        assert control.refused("only web/a") == "web/a is drained, and would get nothing: enable it first"
        assert {palier.get().body for _ in range(4)} == {b"b"}
        control.do("enable web/a")
        control.do("only web off")
        assert {palier.get().body for _ in range(6)} == {b"a"}


def test_maintenance_is_a_page_for_people_and_for_programs(raw_backend, start_palier, tmp_path):
    (tmp_path / "back.html").write_text("<p>back at nine</p>")
    a = raw_backend(name="a")
    palier = start_palier(site(
        [server("a", a.address)], workers=2, pool={"maintenance": {"retry_after": "90s"}},
        pools=[{"name": "shop", "maintenance": {"file": "back.html"}, "server": [server("a", a.address)]}],
        route=[route("web"), route("shop", path="/shop/"), route("shop", host=["shop.example"])]))
    with palier.control() as control, palier.connect() as kept:
        assert kept.request("GET", "/").body == b"a"
        control.do("maintenance web on")
        for accept, content_type in (("text/html", "text/html; charset=utf-8"), ("application/json", "application/json")):
            answer = kept.request("GET", "/", Accept=accept)
            assert (answer.status, answer.get("Retry-After"), answer.get("Content-Type")) == (503, "90", content_type)
        assert json.loads(answer.body)["status"] == 503
        assert palier.get("/shop/").body == b"a"
        control.do("maintenance shop on")
        for target, host in (("/shop/", "x"), ("/", "shop.example")):
            answer = kept.request("GET", target, Host=host)
            assert (answer.status, answer.get("Retry-After")) == (503, "60")
            assert (answer.body, answer.get("Content-Type")) == (b"<p>back at nine</p>", "text/html; charset=utf-8")
        served = a.served
        control.do("maintenance web off")
        assert kept.request("GET", "/").body == b"a"
        assert a.served == served + 1
    assert [line["reason"] for line in palier.wait_access_log(7)].count("maintenance") == 4


def test_weights_change_the_shares(raw_backend, start_palier):
    fronts = {name: raw_backend(name=name) for name in ("a", "b")}
    palier = start_palier(site([server(name, front.address) for name, front in fronts.items()], workers=1))

    def shares(count: int = 40) -> tuple[int, int]:
        before = {name: front.served for name, front in fronts.items()}
        with palier.connect() as client:
            for _ in range(count):
                client.request("GET", "/")
        return tuple(front.served - before[name] for name, front in fronts.items())

    assert shares() == (20, 20)
    with palier.control() as control:
        assert control.do("weight web/b 300")["weight"] == 300
        assert shares() == (10, 30)
        control.do("weight web/b 0")
        assert shares() == (40, 0)
        assert control.do("weight web/b default")["weight"] == 100
        assert shares() == (20, 20)


def test_enable_gives_the_traffic_back_to_the_active_server(raw_backend, start_palier):
    active, passive = ProbedFront(raw_backend, "active"), ProbedFront(raw_backend, "passive")
    palier = start_palier(site([server("active", active.address), server("passive", passive.address, role="passive")],
                               pool={"failback": "manual", "health": QUICK}, workers=2))
    wait_all_up(palier, "web/active", "web/passive")
    active.health = 503
    wait_change(palier, "falling -> down", "web/active")
    wait_for(lambda: palier.get().body == b"passive", "the passive one to take over")
    active.health = 200
    wait_change(palier, "rising -> up", "web/active")
    with palier.control() as control:
        assert {palier.get().body for _ in range(4)} == {b"passive"}
        assert control.do("pools web")["pools"][0]["held_by_passive"] is True
        control.do("enable web/active")
        assert {palier.get().body for _ in range(4)} == {b"active"}
        assert control.do("pools web")["pools"][0]["held_by_passive"] is False


def test_palier_itself_can_be_drained_and_enabled(raw_backend, start_palier):
    admin = free_port()
    palier = start_palier(site([server("a", raw_backend(name="a").address)], admin=f"127.0.0.1:{admin}", workers=2))

    def ready() -> tuple[int, bytes]:
        with RawClient(admin) as client:
            answer = client.request("GET", "/ready")
            return answer.status, answer.body

    with palier.control() as control, palier.connect() as kept:
        assert kept.request("GET", "/").get("Connection") != "close"
        assert ready()[0] == 200
        assert control.do("drain self wait=1h")["self"] == "drained"
        status, body = ready()
        assert status == 503 and b"draining" in body
        assert control.do("status")["obstacles"] == ["draining"]
        answer = kept.request("GET", "/")
        assert (answer.body, answer.get("Connection")) == (b"a", "close")
        assert palier.get().body == b"a", "who comes all the same is served"
        control.do("enable self")
        assert ready()[0] == 200
        control.do("drain self wait=0s")
        wait_for(lambda: not is_listening(palier.port), "the listener to close")
        control.do("enable self")
        wait_for(lambda: is_listening(palier.port), "the listener to open again")
        assert palier.get().body == b"a"
        assert control.do("status")["ready"] is True


def test_stop_is_graceful(raw_backend, start_palier):
    backend = raw_backend(answer=lambda request: response("a"))
    palier = start_palier(site([server("a", backend.address)]))
    assert palier.get().body == b"a"
    with palier.control() as control:
        palier.stopped_by_test = True
        assert control.do("stop")["stopping"] is True
    wait_for(lambda: not palier.child.running(), "palier to end", timeout=seconds(10))
    assert palier.child.exit_code == 0


def test_status_counts_what_is_there(raw_backend, start_palier):
    palier = start_palier(site([server("a", raw_backend(name="a").address)], workers=2))
    with palier.control() as control, palier.connect() as one, palier.connect() as two:
        one.request("GET", "/")
        two.request("GET", "/")
        status = control.do("status")
        assert (status["workers"], status["connections"], status["exchanges"]) == (2, 2, 0)
        assert (status["pid"], status["config"]) == (palier.pid, str(palier.config_path))
        assert (status["ready"], status["obstacles"]) == (True, [])
        generation = status["generation"]
        control.do("weight web/a 5")
        assert control.do("status")["generation"] == generation + 1
        [front] = control.do("pools web")["pools"][0]["servers"]
        assert (front["exchanges"], front["failures"], front["weight"], front["configured_weight"]) == (2, 0, 5, 100)
