"""reload: the configuration file again. What did not change does not notice, what is wrong changes nothing."""

import socket
import ssl
import threading

import pytest
from harness import (BINARY, Child, Control, Held, RawClient, TlsClient, Wrk, client_context, free_port, is_listening,
                     make_certificate, response, route, seconds, server, site, tls_listener, to_toml, wait_for)
from harness.h2_client import H2Client


class Site:
    """A configuration that changes while palier runs under it."""

    def __init__(self, start_palier, servers: list[dict], **keys):
        self.config = site(servers, **keys)
        self.palier = start_palier(self.config)

    @property
    def pool(self) -> dict:
        return self.config["pool"][0]

    def write(self) -> None:
        self.palier.config_path.write_text(to_toml(self.config))

    def ask(self, line: str) -> dict:
        with self.palier.control() as control:
            return control.ask(line)[-1]

    def reload(self) -> dict:
        """Writes the file and has it loaded; the reply, which must be good."""
        self.write()
        reply = self.ask("reload")
        assert reply["ok"], reply
        return reply

    def add_listener(self, name: str, **keys) -> int:
        """Another listener, before all others; its port."""
        port = free_port()
        self.config["listener"].insert(0, {"name": name, "address": f"127.0.0.1:{port}", **keys})
        return port


@pytest.fixture
def changing(start_palier):
    return lambda servers, **keys: Site(start_palier, servers, **keys)


def get(port: int, path: str = "/", **fields: str):
    with RawClient(port) as client:
        return client.request("GET", path, **fields)


def numbered(connection) -> None:
    """A backend's handler: each answer names the connection that it came on."""
    while True:
        connection.read_request()
        connection.send(response(str(connection.number)))


def tunnelling(connection) -> None:
    """A backend's handler: an upgrade becomes an echo."""
    connection.read_head()
    connection.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    while data := connection.read_exactly(4):
        connection.send(data)


def open_tunnel(port: int) -> RawClient:
    client = RawClient(port)
    client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert client.read_head().status == 101
    return client


def test_listeners_pools_servers_and_routes_come_and_go(raw_backend, changing):
    a, b = raw_backend(name="a"), raw_backend(name="b")
    here = changing([server("a", a.address)])
    port = here.add_listener("second")
    here.config["pool"].insert(0, {"name": "other", "server": [server("b", b.address)]})
    here.config["route"].insert(0, route("other", path="/b/"))
    here.pool["server"].append(server("spare", a.address, weight=7))
    assert here.reload()["changes"] == {
        "added": ["listener second", "pool other", "server other/b", "server other/spare", "route /b/ to pool other"],
        "changed": [], "removed": [], "needs_restart": []}
    assert get(port).body == b"a" and get(port, "/b/").body == b"b" and get(here.palier.port, "/b/").body == b"b"

    here.pool["server"][1]["weight"] = 9
    assert here.reload()["changes"]["changed"] == ["server other/spare: weight 7 -> 9"]
    assert [one["weight"] for one in here.ask("pools other")["pools"][0]["servers"]] == [100, 9]

    del here.config["listener"][0], here.config["pool"][0], here.config["route"][0]
    assert sorted(here.reload()["changes"]["removed"]) == [
        "listener second", "pool other", "route /b/ to pool other", "server other/b", "server other/spare"]
    assert get(here.palier.port, "/b/").body == b"a"
    wait_for(lambda: not is_listening(port), "the removed listener to close")


def test_mistakes_are_all_told_and_change_nothing(raw_backend, changing):
    here = changing([server("a", raw_backend(name="a").address)])
    before = here.ask("status")["generation"]
    with here.palier.connect() as client:
        assert client.request().body == b"a"
        text = here.palier.config_path.read_text()
        here.palier.config_path.write_text("wokers = 3\n" + text + '[[route]]\npath = "/x"\npool = "wbe"\n')
        reply = here.ask("reload")
        name, last = here.palier.config_path, text.count("\n") + 4
        assert not reply["ok"] and len(reply["errors"]) == 2, reply
        assert reply["errors"][0].startswith(f"{name}:1:1: ") and "workers" in reply["errors"][0]
        assert reply["errors"][1].startswith(f"{name}:{last}:") and '"web"' in reply["errors"][1]
        for error in reply["errors"]:
            assert error in here.palier.events()
        assert here.ask("status")["generation"] == before
        assert client.request().body == b"a"
    here.palier.config_path.unlink()
    assert str(name) in here.ask("reload")["error"]


def test_an_address_that_is_taken_changes_nothing(raw_backend, changing):
    here = changing([server("a", raw_backend(name="a").address)])
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        fine = here.add_listener("fine")
        here.config["listener"].append({"name": "taken", "address": f"127.0.0.1:{other.getsockname()[1]}"})
        here.write()
        for line in ("reload dry_run=true", "reload"):
            assert "Address already in use" in here.ask(line)["error"]
        assert not is_listening(fine)
    assert get(here.palier.port).body == b"a"


def test_a_dry_run_only_tells(raw_backend, changing):
    here = changing([server("a", raw_backend(name="a").address), server("b", raw_backend(name="b").address)],
                    workers=1)
    with here.palier.connect() as first, here.palier.connect() as second:
        assert {first.request().body, second.request().body} == {b"a", b"b"}
        port = here.add_listener("new")
        old = here.config["listener"].pop()
        here.pool["server"].pop()
        here.write()
        reply = here.ask("reload dry_run=true")
        assert reply["ok"] and reply["dry_run"]
        assert reply["changes"]["removed"] == ["listener http", "server web/b"]
        assert reply["closes"] == 3  # two clients, and a connection to b
        assert not is_listening(port)
        assert {first.request().body, second.request().body} == {b"a", b"b"}
        assert old["name"] == "http"


def test_what_did_not_change_keeps_its_connections(raw_backend, changing):
    pooled, tunnelled = raw_backend(handler=numbered), raw_backend(handler=tunnelling)
    here = changing([server("a", pooled.address)], workers=1, pools=[
        {"name": "ws", "server": [server("w", tunnelled.address)]}],
        route=[route("web"), route("ws", host="x")])
    here.config["listener"][0]["http2"] = True
    here.reload()
    with here.palier.connect() as client, H2Client(here.palier.port) as streams, \
            open_tunnel(here.palier.port) as tunnel:
        assert client.request(Host="y").body == b"0"
        assert streams.request().body == b"0"
        # Everything moves to another place, and much comes beside it.
        for i in range(5):
            here.add_listener(f"l{i}")
            here.config["pool"].insert(0, {"name": f"p{i}", "server": [server("s", pooled.address)]})
            here.config["route"].insert(0, route(f"p{i}", path=f"/p{i}/"))
            here.config["timeouts"] = {"server": f"{50 + i}s"}
            here.reload()
            assert client.request(Host="y").body == b"0"
            assert streams.request().body == b"0"
            tunnel.send(b"ping")
            assert tunnel.read_exactly(4) == b"ping"
    assert pooled.accepted == 1


def test_a_removed_listener_finishes_its_exchanges(raw_backend, changing):
    held = Held()
    backend = raw_backend(handler=held)
    here = changing([server("a", backend.address)])
    port = here.add_listener("second")
    here.config["route"].append(route(path="/idle", redirect={"to": "https"}))
    here.reload()
    with RawClient(port) as client, RawClient(port) as idle:
        assert idle.request(target="/idle").status == 301
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        backend.wait_served(1)
        del here.config["listener"][0]
        assert here.reload()["closes"] == 2
        with pytest.raises(ConnectionRefusedError):
            RawClient(port)
        held.release.set()
        answer = client.read_response()
        assert answer.body == b"finished" and answer.get("Connection", "").lower() == "close"
        assert client.read_until_close() == b"" and idle.read_until_close() == b""


def test_a_removed_server_gets_no_more_requests(raw_backend, changing):
    a, b = raw_backend(name="a"), raw_backend(name="b")
    here = changing([server("a", a.address), server("b", b.address)], workers=1)
    with here.palier.connect() as client:
        assert {client.request().body for _ in range(2)} == {b"a", b"b"}
        here.pool["server"].pop()
        assert here.reload()["closes"] == 1
        assert {client.request().body for _ in range(6)} == {b"a"}
        here.pool["server"][0] = server("a", b.address)
        assert here.reload()["changes"]["changed"] == [
            f'server web/a: address "{a.address}" -> "{b.address}"']
        assert client.request().body == b"b"


def test_new_servers_are_found_healthy_before_they_are_used(raw_backend, changing):
    a, b = raw_backend(name="a"), raw_backend(name="b")
    here = changing([server("a", a.address)], pool={"health": {"interval": "60s", "timeout": "5s"}})
    ends, stop = [], threading.Event()

    def visit():
        with here.palier.connect() as client:
            while not stop.is_set():
                answer = client.request()
                ends.append((answer.status, answer.body))

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        wait_for(lambda: ends, "the first answer")
        here.pool["server"][0] = server("b", b.address)
        here.reload()
        wait_for(lambda: ends[-1] == (200, b"b"), "an answer of the new server")
    finally:
        stop.set()
        visitor.join()
    assert {status for status, _ in ends} == {200}


def test_certificates_change_without_an_open_connection_noticing(changing, raw_backend, certs, ca, tmp_path):
    old = make_certificate(certs, ["old.example"], ca)
    more = tmp_path / "more"
    more.mkdir()
    new = make_certificate(more, ["new.example"], ca)
    listener = tls_listener(certs, default="old.example")
    here = changing([server("a", raw_backend(name="a").address)], listener=[listener])
    context = client_context()
    with TlsClient(here.palier.port, "old.example", context) as client:
        assert client.shown == old.der and client.request().body == b"a"
        session = client.socket.session
        here.config["timeouts"] = {"server": "50s"}
        here.reload()
        with TlsClient(here.palier.port, "old.example", context, session=session) as resumed:
            assert resumed.socket.session_reused  # TLS goes on with its keys
        listener["tls"]["certificates"].append(str(more))
        assert here.reload()["changes"]["changed"][0].startswith("listener https: tls.certificates")
        assert client.request().body == b"a"
        with TlsClient(here.palier.port, "new.example") as later:
            assert later.shown == new.der
    listener["tls"]["certificates"] = [str(tmp_path / "nothing")]
    here.write()
    assert "nothing" in here.ask("reload")["error"]
    with TlsClient(here.palier.port, "new.example") as later:
        assert later.shown == new.der and later.version in ("TLSv1.3", "TLSv1.2")
    assert ssl.HAS_TLSv1_3


def test_admin_address_logs_and_limits_change(changing, raw_backend, tmp_path):
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    old_admin, new_admin = free_port(), free_port()
    here = changing([server("a", raw_backend(name="a").address)], admin=f"127.0.0.1:{old_admin}",
                    log={"access": str(first)})
    assert get(old_admin, "/ready").status == 200
    assert get(here.palier.port, "/one").status == 200
    here.config.update(admin=f"127.0.0.1:{new_admin}", log={"access": str(second), "format": "combined"}, workers=3,
                       limits={"header_size": "1KiB"})
    changes = here.reload()["changes"]
    assert changes["needs_restart"] == ["workers 2 -> 3"]
    assert f'admin "127.0.0.1:{old_admin}" -> "127.0.0.1:{new_admin}"' in changes["changed"]
    assert get(new_admin, "/ready").status == 200
    wait_for(lambda: not is_listening(old_admin), "the old admin address to close")
    assert get(here.palier.port, "/two").status == 200
    assert get(here.palier.port, "/three", X=2000 * "x").status == 431
    wait_for(lambda: "/three" in second.read_text() or "431" in second.read_text(), "the new log's lines")
    assert '"GET /two HTTP/1.1" 200' in second.read_text()
    assert "/one" in first.read_text() and "/two" not in first.read_text()
    here.config["log"] = {"access": "off"}
    here.reload()
    assert get(here.palier.port, "/four").status == 200
    # What needs a restart is told again until there is one.
    assert here.reload()["changes"] == {"added": [], "changed": [], "removed": [], "needs_restart": ["workers 2 -> 3"]}
    here.config["log"] = {"access": str(second)}
    here.reload()
    assert get(here.palier.port, "/five").status == 200
    wait_for(lambda: "/five" in second.read_text(), "the log's line")
    assert "/four" not in second.read_text()


def test_two_reloads_at_once_come_one_after_the_other(changing, raw_backend):
    here = changing([server("a", raw_backend(name="a").address)])
    with here.palier.control() as first, here.palier.control() as second:
        first.send("reload")
        second.send("reload")
        generations = [control.read_reply()[-1]["generation"] for control in (first, second)]
    assert generations[0] != generations[1]


def test_twenty_reloads_under_load(changing, raw_backend, web_front):
    here = changing([server(name, web_front(name).address) for name in ("a", "b")])
    with Wrk(here.palier.url + "/") as load:
        here.palier.wait_logged(10_000)
        for i in range(20):
            if i % 2 == 0:
                here.add_listener(f"l{i}")
                here.config["route"].append(route("web", path=f"/r{i}/"))
                here.pool["server"][0]["weight"] = 50
            else:
                del here.config["listener"][0], here.config["route"][-1]
                here.pool["server"][0]["weight"] = 100
            here.reload()
        here.palier.wait_logged(10_000)
        result = load.stop()
    assert result.failures == 0, result.text


def test_a_relative_path_is_the_same_file(raw_backend, certs, ca, tmp_path):
    made = make_certificate(certs, ["shop.example"], ca)
    (tmp_path / "page.html").write_text("page")
    (tmp_path / "ca.pem").write_bytes(made.pem.read_bytes())
    listener = tls_listener([certs.name], client_ca="ca.pem", client_auth="optional")
    config = site([server("a", raw_backend(name="a").address, tls=True, ca="ca.pem")], listener=[listener],
                  control_socket="control.sock", state_file="state.json", log={"access": "./access.log"},
                  route=[route("web"), route(path="/page", respond={"code": 200, "file": "page.html"})])
    (tmp_path / "palier.toml").write_text(to_toml(config))
    child = Child([BINARY, "run", "-c", "palier.toml"], tmp_path, "relative", cwd=tmp_path)
    try:
        wait_for(lambda: " serves with " in child.stderr(), "palier", timeout=seconds(10))
        with Control(tmp_path / "control.sock") as control:
            nothing = {"added": [], "changed": [], "removed": [], "needs_restart": []}
            assert control.do("reload dry_run=true")["changes"] == nothing
            assert control.do("reload")["changes"] == nothing
    finally:
        assert child.stop() == 0


def test_the_demo_has_no_file_to_load(tmp_path):
    port = free_port()
    child = Child([BINARY, "demo", "--port", port, "--tls-port", 0], tmp_path, "demo",
                  env={"XDG_RUNTIME_DIR": str(tmp_path)})
    path = tmp_path / f"palier-demo-{port}.sock"
    try:
        wait_for(lambda: " serves with " in child.stderr(), "the demo", timeout=seconds(10))
        with Control(path) as control:
            assert control.refused("reload") == "there is no file to load: the configuration was built in"
            assert control.do("pools web")["pools"][0]["name"] == "web"
    finally:
        assert child.stop() == 0
    assert not path.exists()
