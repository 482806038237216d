"""What is too much: heads, targets, bodies, connections, descriptors, memory."""

import re
import resource
import socket
from pathlib import Path

import pytest
from harness import SANITIZED, ConnectionEnded, response, server, site, wait_for


@pytest.fixture
def limited(raw_backend, start_palier):
    """limited(limits) starts palier with one worker before an echoing backend: (palier, backend)."""
    def start(limits=None, **config):
        backend = raw_backend()
        palier_options = {key: config.pop(key) for key in ("prefix",) if key in config}
        return start_palier(site([server("a", backend.address)], workers=config.pop("workers", 1), limits=limits or {},
                                 **config), **palier_options), backend

    return start


def check_refused(palier, text: str | bytes, status: int, reason: str, bytewise: bool = False) -> None:
    known = len(palier.access_log())
    with palier.connect() as client:
        try:
            (client.send_bytewise if bytewise else client.send)(text)
        except ConnectionError:
            pass
        answer = client.read_response()
        assert answer.status == status and answer.get("Connection", "").lower() == "close"
        assert client.read_until_close() == b""
    line = palier.wait_access_log(known + 1)[-1]
    assert (line["status"], line["reason"]) == (status, reason)


def head_of(size: int) -> str:
    """A request head of exactly `size` bytes."""
    start, end = "GET /sized HTTP/1.1\r\nHost: x\r\nX-Fill: ", "\r\n\r\n"
    return start + "f" * (size - len(start) - len(end)) + end


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
def test_head_size_to_the_byte(limited, bytewise):
    palier, backend = limited({"header_size": "1KiB"})
    with palier.connect() as client:
        (client.send_bytewise if bytewise else client.send)(head_of(1024))
        assert client.read_response().status == 200
    check_refused(palier, head_of(1025), 431, "head_too_large", bytewise)
    # It is refused when its limit is reached, not when it ends, which may be never.
    check_refused(palier, head_of(2000)[:1024], 431, "head_too_large", bytewise)
    assert backend.served == 1


def test_default_head_size(limited):
    palier, backend = limited()
    with palier.connect() as client:
        client.send(head_of(32 * 1024))
        assert client.read_response().status == 200
    check_refused(palier, head_of(32 * 1024 + 1), 431, "head_too_large")
    check_refused(palier, head_of(4 * 1024 * 1024), 431, "head_too_large")
    assert backend.served == 1


def test_target_too_long(limited):
    palier, backend = limited({"header_size": "1KiB"})
    check_refused(palier, f"GET /{'p' * 2000} HTTP/1.1\r\nHost: x\r\n\r\n", 414, "target_too_long")
    check_refused(palier, f"GET /{'p' * 2000}", 414, "target_too_long")
    check_refused(palier, f"GET /?{'q' * 2000} HTTP/1.1\r\nHost: x\r\n\r\n", 414, "target_too_long", bytewise=True)
    assert palier.get("/" + "p" * 900).status == 200
    assert backend.served == 1


def fields(count: int) -> str:
    """A request of `count` fields, Host among them."""
    return "GET / HTTP/1.1\r\nHost: x\r\n" + "".join(f"X-{i}: {i}\r\n" for i in range(count - 1)) + "\r\n"


@pytest.mark.parametrize("most", [128, 10])
def test_number_of_fields(limited, most):
    palier, backend = limited({} if most == 128 else {"headers": most})
    with palier.connect() as client:
        client.send(fields(most))
        assert client.read_response().status == 200
    assert backend.requests[0].get(f"X-{most - 2}") == str(most - 2)
    check_refused(palier, fields(most + 1), 431, "head_too_large")
    check_refused(palier, fields(most + 1), 431, "head_too_large", bytewise=True)
    assert backend.served == 1


def test_response_head_at_its_limit(raw_backend, start_palier):
    start, end = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Fill: ", "\r\n\r\n"

    def answer(request):
        return (start + "f" * (int(request.target[1:]) - len(start) - len(end)) + end).encode()

    palier = start_palier(site([server("a", raw_backend(answer).address)], limits={"header_size": "1KiB"},
                               pool={"outlier": {"failures": 0}}))
    assert palier.get("/1024").status == 200
    assert palier.get("/1025").status == 502
    assert palier.get("/1024").status == 200


CHUNKED = "POST /big HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_body_by_content_length(limited):
    palier, backend = limited({"body": "1KiB"})
    with palier.connect() as client:
        assert client.request("POST", "/fits", body=b"x" * 1024).status == 200
    # The head alone is enough to refuse, and nobody need send what will not be taken.
    check_refused(palier, "POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: 1025\r\n\r\n", 413, "body_too_large")
    check_refused(palier, b"POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: 1025\r\n\r\n" + b"x" * 1025, 413,
                  "body_too_large")
    check_refused(palier, "POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: 1025\r\nExpect: 100-continue\r\n\r\n", 413,
                  "body_too_large")
    assert b"/big" not in backend.received and backend.served == 1


def test_body_by_chunks(limited):
    palier, backend = limited({"body": "1KiB"})
    with palier.connect() as client:
        client.send(CHUNKED.replace("/big", "/fits") + "200\r\n" + "x" * 512 + "\r\n200\r\n" + "y" * 512 + "\r\n0\r\n\r\n")
        assert client.read_response().status == 200
    check_refused(palier, CHUNKED + "200\r\n" + "x" * 512 + "\r\n201\r\n" + "y" * 513 + "\r\n0\r\n\r\n", 413,
                  "body_too_large")
    assert b"/big" not in backend.received and backend.served == 1


def test_body_that_grows_too_large_on_its_way(limited):
    """The backend has its beginning by then: it never sees the end of it, nor anything else on that connection."""
    palier, backend = limited({"body": "1KiB"})
    with palier.connect() as client:
        client.send(CHUNKED)
        wait_for(lambda: b"/big" in backend.received, "the head at the backend")
        client.send("200\r\n" + "x" * 512 + "\r\n")
        wait_for(lambda: b"x" * 512 in backend.received, "the first chunk at the backend")
        client.send("201\r\n" + "y" * 513 + "\r\n0\r\n\r\n")
        answer = client.read_response()
        assert answer.status == 413 and client.read_until_close() == b""
    assert palier.get("/next").status == 200
    assert [request.target for request in backend.requests] == ["/next"]
    assert b"y" not in backend.connections[0].received.partition(b"\r\n\r\n")[2]
    assert palier.wait_access_log(2)[0]["reason"] == "body_too_large"


def test_upload_without_a_limit(limited):
    palier, backend = limited()
    body = b"x" * (8 << 20)
    with palier.connect() as client:
        assert client.request("POST", "/big", body=body).status == 200
    assert backend.requests[0].body == body


class Crowd:
    """Clients that connect one after the other, each with one request sent."""

    def __init__(self, palier, count: int):
        self.clients = []
        for number in range(count):
            client = palier.connect()
            client.send(f"GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n")
            self.clients.append(client)

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_) -> None:
        for client in self.clients:
            client.close()


def pauses(palier) -> int:
    return len(re.findall("accepting is paused", palier.events()))


def test_connections(limited):
    palier, backend = limited({"connections": 5})
    with Crowd(palier, 8) as crowd:
        for client in crowd.clients[:5]:
            assert client.read_response().status == 200
        palier.wait_event("accepting is paused at 5 client connections")
        for client in crowd.clients[:5]:
            assert client.request("GET", "/again").status == 200
        assert not any(client.has_bytes() for client in crowd.clients[5:])
        for waiting, leaving in zip(crowd.clients[5:], crowd.clients):
            leaving.close()
            assert waiting.read_response().status == 200
            assert waiting.request("GET", "/again").status == 200
    assert pauses(palier) == 1
    assert palier.get().status == 200


def test_more_clients_than_descriptors(limited):
    """Half of the descriptors are kept for backends, so that whoever is let in is also served."""
    palier, backend = limited(prefix=["prlimit", "--nofile=300:300"])
    with Crowd(palier, 200) as crowd:
        served = 0
        for client in crowd.clients[:100]:
            assert client.read_response().status == 200
            served += 1
        palier.wait_event("accepting is paused")
        for client in crowd.clients[:served]:
            assert client.request("GET", "/again").status == 200
        assert not crowd.clients[-1].has_bytes()
        assert pauses(palier) == 1, palier.events()
        for client in crowd.clients[:served]:
            client.close()
        for client in crowd.clients[served:]:
            assert client.read_response().status == 200
            assert client.request("GET", "/again").status == 200
    assert palier.get().status == 200
    assert pauses(palier) == 1, palier.events()


@pytest.mark.skipif(SANITIZED, reason="UBSan needs descriptors of its own to look at objects")
def test_descriptors_run_out_all_the_same(limited):
    """Where the configuration allows more clients than there are descriptors, accepting stops when the kernel says so:
    the clients that are there stay, no server is blamed, and it goes on when some leave."""
    palier, backend = limited({"connections": 10_000}, prefix=["prlimit", "--nofile=100:100"],
                              pool={"outlier": {"failures": 1}})
    with palier.connect() as first:
        assert first.request("GET", "/first").status == 200
        crowd = [palier.connect() for _ in range(150)]
        palier.wait_event("accepting is paused.*too many open files")
        for _ in range(5):
            assert first.request("GET", "/first").status == 200
        # Two at once need a second backend connection, for which there is no descriptor.
        posts = [client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n") for client in crowd[:3]]
        statuses = set()
        for client in posts:
            try:
                client.send("x")
                statuses.add(client.read_response().status)
            except (ConnectionEnded, ConnectionError):
                statuses.add(0)
        assert statuses <= {200, 503}, statuses
        assert first.request("GET", "/first").status == 200
        assert pauses(palier) == 1
        for client in crowd[:100]:
            client.close()
        for client in crowd[100:]:
            assert client.request("GET", "/late").status == 200
            client.close()
    assert palier.get().status == 200
    assert "ejected" not in palier.events()


def private_memory(pid: int) -> int:
    """Bytes that the process has written and shares with nobody."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(value) for value in re.findall(r"^Private_(?:Dirty|Clean):\s+(\d+) kB", rollup, re.MULTILINE)) * 1024


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's memory is not palier's")
def test_memory_of_idle_keep_alive_connections(raw_backend, start_palier, record_property):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(5_000, (hard - 64) // 2 - 100, hard - 200)
    palier = start_palier(site([server("a", raw_backend(response("ok")).address)], workers=1, log={"access": "off"}))
    connections = []

    def open_idle(number: int) -> None:
        for _ in range(number):
            connection = socket.create_connection(("127.0.0.1", palier.port))
            connections.append(connection)
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")

    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        open_idle(100)
        before = private_memory(palier.pid)
        open_idle(count)
        each = (private_memory(palier.pid) - before) / count
        record_property("bytes_per_idle_connection", each)
        print(f"{each:.0f} bytes for each of {count} idle connections")
        assert each <= 600
        # They are alive, all of them.
        for connection in connections[::500]:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
    finally:
        for connection in connections:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
