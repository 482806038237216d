"""palier's own health: /live and /ready on the admin address, and what the service manager is told."""

import re
import select
import signal
import socket
import time

import pytest
from harness import (Held, Palier, RawClient, curl, duration, free_port, is_listening, run_palier, seconds, server, site,
                     to_toml, wait_for)

GET_LIVE = "GET /live HTTP/1.1\r\nHost: x\r\n\r\n"


def with_admin(servers: list[dict], host: str = "127.0.0.1", **keys) -> tuple[dict, int]:
    """A site with an admin address on a free port, and that port."""
    port = free_port()
    return site(servers, admin=f"{host}:{port}", **keys), port


def ask(port: int, path: str = "/ready") -> tuple[int, bytes]:
    with RawClient(port) as client:
        answer = client.request("GET", path)
        return answer.status, answer.body


@pytest.fixture
def admin(raw_backend, start_palier) -> int:
    """The admin port of a palier in front of one server that answers."""
    config, port = with_admin([server("a", raw_backend(name="a").address)],
                              timeouts={"client_header": duration(0.5), "client_idle": duration(1)})
    start_palier(config)
    return port


# What is asked


def test_live_and_ready_with_curl(admin):
    live = curl(f"http://127.0.0.1:{admin}/live")
    assert (live.status, live.body) == (200, b"live\n")
    ready = curl(f"http://127.0.0.1:{admin}/ready", "--fail")
    assert (ready.exit_code, ready.status, ready.body) == (0, 200, b"ready\n")
    assert ("Cache-Control", "no-store") in ready.fields


def test_over_ipv6(raw_backend, start_palier):
    config, port = with_admin([server("a", raw_backend(name="a").address)], host="[::1]")
    start_palier(config)
    assert curl(f"http://[::1]:{port}/ready").status == 200


def test_head_with_curl(admin):
    answer = curl(f"http://127.0.0.1:{admin}/ready", "--head")
    assert (answer.exit_code, answer.status) == (0, 200)
    assert ("Content-Length", "6") in answer.fields


def test_post_is_405(admin):
    answer = curl(f"http://127.0.0.1:{admin}/ready", "--data", "x" * 2000)
    assert (answer.exit_code, answer.status) == (0, 405)
    assert ("Allow", "GET, HEAD") in answer.fields


def test_other_paths_are_404_and_say_what_there_is(admin):
    for path in ("/", "/ready/", "/metrics", "/..%2flive"):
        answer = curl(f"http://127.0.0.1:{admin}{path}")
        assert answer.status == 404
        assert re.findall(rb"^/\w+", answer.body, re.MULTILINE) == [b"/live", b"/ready"]


def test_keep_alive(admin):
    with RawClient(admin) as client:
        for path, body in (("/live", b"live\n"), ("/ready", b"ready\n"), ("/live?x=1", b"live\n")):
            assert client.request("GET", path).body == body
        assert client.request("HEAD", "/live").get("Content-Length") == "5"
        client.send(GET_LIVE * 3)
        assert [client.read_response().body for _ in range(3)] == [b"live\n"] * 3
        assert client.read_until_close() == b"", "closed when it has been idle for long"


def test_without_an_address_nobody_listens(raw_backend, start_palier):
    palier = start_palier(site([server("a", raw_backend(name="a").address)]))
    assert palier.get().body == b"a"
    assert " admin on " not in palier.events()


def test_an_address_in_use_is_told_clearly(tmp_path):
    config, port = with_admin([server("a", "127.0.0.1:8081")])
    file = tmp_path / "palier.toml"
    file.write_text(to_toml(config))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        done = run_palier("run", "-c", file)
    assert done.returncode == 1
    assert re.search(rf"^palier: admin: .*127\.0\.0\.1:{port}: Address already in use$", done.stderr, re.MULTILINE)
    assert " serves with " not in done.stderr


# When it is ready


def test_ready_when_a_pool_has_a_usable_server_by_live_traffic(raw_backend, start_palier):
    backends = [raw_backend(name="a"), raw_backend(name="b")]
    outlier = {"failures": 1, "backoff": "60s", "max_ejected": 100}
    config, port = with_admin([server("a", backends[0].address), server("b", backends[1].address)],
                              pool={"outlier": outlier}, ready_when=["pool:web"])
    palier = start_palier(config)
    assert ask(port) == (200, b"ready\n")
    backends[0].go_down()
    wait_for(lambda: palier.get().body == b"b" and "ejected" in palier.events(), "a to be ejected")
    assert ask(port) == (200, b"ready\n"), "one of them is enough"
    backends[1].go_down()
    wait_for(lambda: palier.get().status == 503, "the pool to have no server")
    assert ask(port) == (503, b"pool web has no usable server\n")
    assert ask(port, "/live") == (200, b"live\n")


def test_ready_when_a_pool_has_a_usable_server_by_probes(raw_backend, start_palier):
    backend, other = raw_backend(name="a"), raw_backend(name="other")
    health = {"type": "tcp", "interval": duration(0.2), "timeout": duration(0.2), "rise": 1, "fall": 1}
    config, port = with_admin([server("a", backend.address)], pool={"health": health},
                              pools=[{"name": "other", "server": [server("o", other.address)]}], ready_when=["pool:web"])
    start_palier(config)
    wait_for(lambda: ask(port) == (200, b"ready\n"), "/ready to be 200")
    other.go_down()
    backend.go_down()
    wait_for(lambda: ask(port) == (503, b"pool web has no usable server\n"), "/ready to name the pool")
    backend.come_back()
    wait_for(lambda: ask(port) == (200, b"ready\n"), "/ready to be 200 again")


def test_pools_that_nobody_asked_for_do_not_matter(raw_backend, start_palier):
    backend = raw_backend(name="a")
    health = {"type": "tcp", "interval": duration(0.2), "timeout": duration(0.2), "rise": 1, "fall": 1}
    config, port = with_admin([server("a", backend.address)], pool={"health": health})
    palier = start_palier(config)
    backend.go_down()
    wait_for(lambda: palier.get().status == 503, "the pool to have no server")
    assert ask(port) == (200, b"ready\n")


def test_a_stop_fails_readiness_while_a_response_goes_on(raw_backend, start_palier):
    held = Held()
    backend = raw_backend(handler=held)
    config, port = with_admin([server("a", backend.address)], shutdown_grace="60s")
    palier = start_palier(config)
    with palier.connect() as client, RawClient(port) as kept:
        assert kept.request("GET", "/ready").status == 200
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        backend.wait_served(1)
        palier.send_signal(signal.SIGTERM)
        wait_for(lambda: not is_listening(palier.port), "the listener to close")
        assert ask(port) == (503, b"stopping\n")
        answer = kept.request("GET", "/ready")
        assert (answer.status, answer.body) == (503, b"stopping\n")
        assert ask(port, "/live") == (200, b"live\n")
        held.release.set()
        assert client.read_response().body == b"finished"
        palier.stopped_by_test = True
        assert palier.child.wait() == 0
        assert kept.read_whatever() == b""
    assert not is_listening(port)


# Clients that mean no good


@pytest.mark.parametrize("bytes_sent, status", [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    (b"\x00" * 100 + b"\r\n\r\n", 400),
    (b"GET /live HTTP/1.1\r\n\r\n", 400),
    (b"GET /live HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"GET /live HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20_000 + b"\r\n\r\n", 431),
    (b"GET /live HTTP/1.1\r\nHost: x\r\n" + b"A: a\r\n" * 100 + b"\r\n", 431),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
], ids=["tls", "nul", "no host", "two framings", "large head", "many fields", "http2"])
def test_what_is_no_request_is_refused(admin, bytes_sent, status):
    with RawClient(admin) as client:
        answer = client.send(bytes_sent).half_close().read_response()
        assert answer.status == status and answer.get("Connection") == "close"
        assert client.read_until_close() == b""
    assert ask(admin, "/live")[0] == 200


def test_a_megabyte_without_a_line_is_refused_early(admin):
    with RawClient(admin) as client:
        answer = client.send(b"x" * (1 << 20)).read_response()
        assert 400 <= answer.status < 500
        client.half_close()
        assert client.read_until_close() == b""


def test_a_slow_head_is_cut_by_its_deadline_however_steady(admin):
    with RawClient(admin) as client:
        began = time.monotonic()
        client.send("GET /live HTTP/1.1\r\nHost: x\r\nA: ")

        def spoken_to() -> bool:
            if not client.has_bytes():
                client.send("a")
            return client.has_bytes()

        wait_for(spoken_to, "the deadline")
        assert client.read_response().status == 408
        assert seconds(0.4) < time.monotonic() - began < seconds(3)


def test_silence_is_cut_by_the_same_deadline(admin):
    with RawClient(admin) as client:
        began = time.monotonic()
        assert client.read_until_close() == b""
        assert seconds(0.4) < time.monotonic() - began < seconds(3)


def test_many_connections_keep_nobody_from_an_answer(raw_backend, start_palier):
    config, port = with_admin([server("a", raw_backend(name="a").address)], timeouts={"client_header": "60s"})
    palier = start_palier(config)
    silent = [RawClient(port) for _ in range(300)]
    for client in silent:
        client.send("GET /live HTTP/1.1\r\n")
    wait_for(lambda: sum(client.is_closed() for client in silent) >= 300 - 64, "the oldest of them to be displaced")
    assert curl(f"http://127.0.0.1:{port}/ready").status == 200
    assert palier.get().body == b"a"
    still_open = [client for client in silent if not client.is_closed()]
    assert 0 < len(still_open) <= 64
    assert still_open[-1].send("Host: x\r\n\r\n").read_response().status == 200
    for client in silent:
        client.close()


# What the service manager is told


class ServiceManager:
    """A datagram socket as systemd has one."""

    def __init__(self, address: str):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(seconds(10))
        self.socket.bind(address)

    def next(self) -> dict[str, str]:
        """The next message's variables."""
        lines = self.socket.recv(4096).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def has_heard(self) -> bool:
        return bool(select.select([self.socket], [], [], 0)[0])

    def close(self) -> None:
        self.socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """A ServiceManager, and the value of NOTIFY_SOCKET that names it."""
    name = str(tmp_path / "notify.sock") if request.param == "path" else f"palier-test-{free_port()}"
    manager = ServiceManager(name if request.param == "path" else "\0" + name)
    yield manager, name if request.param == "path" else "@" + name
    manager.close()


def test_ready_once_a_request_can_be_served_and_stopping_on_sigterm(raw_backend, tmp_path, manager):
    told, name = manager
    held = Held()
    backend = raw_backend(handler=held)
    palier = Palier(site([server("a", backend.address)], shutdown_grace="60s"), tmp_path, env={"NOTIFY_SOCKET": name})
    try:
        message = told.next()
        assert message.pop("READY") == "1" and re.fullmatch(r"serving with 2 workers, .*", message.pop("STATUS"))
        assert message == {}
        with palier.connect() as client:
            client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            backend.wait_served(1)
            palier.send_signal(signal.SIGTERM)
            message = told.next()
            assert message["STOPPING"] == "1" and message["STATUS"] == "exchanges in flight may finish"
            assert palier.child.running()
            held.release.set()
            assert client.read_response().body == b"finished"
        palier.stopped_by_test = True
        assert palier.child.wait() == 0
        assert not told.has_heard()
    finally:
        palier.check_end()


def test_starting_until_the_first_probes_are_back(raw_backend, tmp_path):
    told = ServiceManager(str(tmp_path / "notify.sock"))
    backend = raw_backend(handler=lambda connection: connection.stall())
    health = {"type": "http", "interval": "2s", "timeout": "2s"}
    config, port = with_admin([server("a", backend.address)], pool={"health": health})
    palier = Palier(config, tmp_path, env={"NOTIFY_SOCKET": str(tmp_path / "notify.sock")})
    try:
        wait_for(lambda: is_listening(port), "the admin address")
        assert ask(port) == (503, b"starting\n")
        assert ask(port, "/live") == (200, b"live\n")
        assert not told.has_heard()
        assert told.next()["READY"] == "1"
        assert ask(port) == (200, b"ready\n")
    finally:
        palier.check_end()
        told.close()


@pytest.mark.parametrize("name", ["run/notify", "@", "/", "/" + "x" * 200, "/nowhere/notify.sock"],
                         ids=["relative", "empty name", "root", "too long", "nobody"])
def test_a_broken_notify_socket_is_a_warning(raw_backend, start_palier, name):
    palier = start_palier(site([server("a", raw_backend(name="a").address)]), env={"NOTIFY_SOCKET": name})
    assert palier.get().body == b"a"
    palier.wait_event(r"warning .*" + re.escape(name))
    assert palier.stop() == 0


def test_nobody_to_tell_is_no_warning(raw_backend, start_palier):
    palier = start_palier(site([server("a", raw_backend(name="a").address)]), env={"NOTIFY_SOCKET": ""})
    assert palier.stop() == 0
    assert "warning" not in palier.events()
