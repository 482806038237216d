"""Streams that end before their time, by either side, and how many there may be."""

import contextlib
import threading

import pytest
from harness import response, server, wait_for
from harness.h2_client import H2Client, bystander, h2_site
from harness.h2_frames import PING, STREAMS, H2Error, data_frame, frame, request_fields, reset_frame, window_update
from harness.h2_raw import RawH2Client


class Gate:
    """A backend's handler that counts its requests, and answers when it is open."""

    def __init__(self):
        self.open = threading.Event()

    def __call__(self, connection):
        while True:
            connection.read_request()
            connection.wait(self.open)
            connection.send(response("ok"))

    @contextlib.contextmanager
    def bystander(self, port: int):
        """The gate is shut while another client waits."""
        self.open.set()
        with bystander(port):
            self.open.clear()
            yield
            self.open.set()


def test_hundred_streams_at_a_time_are_offered(raw_backend, start_palier):
    palier = start_palier(h2_site([server("a", raw_backend(response("ok")).address)]))
    with RawH2Client(palier.port) as client:
        client.wait(lambda: client.settings is not None, "SETTINGS")
        assert client.settings[STREAMS] == 100


@pytest.mark.parametrize("limit", [5, 100])
def test_streams_beyond_the_limit_are_refused_and_slots_come_free_again(raw_backend, start_palier, limit):
    """As long as a client has not acknowledged our SETTINGS, which it may not have seen."""
    gate = Gate()
    backend = raw_backend(handler=gate)
    palier = start_palier(h2_site([server("a", backend.address)], limits={"streams": limit}))
    with gate.bystander(palier.port), RawH2Client(palier.port, answers=False) as client:
        served = backend.served
        streams = [client.open(request_fields("GET", "/")) for _ in range(limit)]
        backend.wait_served(served + limit)
        for _ in range(10):
            assert client.wait_reset(client.open(request_fields("GET", "/refused"))) == H2Error.REFUSED_STREAM
        assert not any(stream.over for stream in streams) and not client.goaways
        gate.open.set()
        for stream in streams:
            assert client.finish(stream).status == 200
        for stream in [client.open(request_fields("GET", "/again")) for _ in range(limit)]:
            assert client.finish(stream).status == 200
    assert "/refused" not in {request.target for request in backend.requests}


def test_client_that_knows_the_limit_and_exceeds_it(raw_backend, start_palier):
    """That is an error of the stream, or of the connection where the peer chooses so (RFC 9113 section 5.4.2)."""
    gate = Gate()
    backend = raw_backend(handler=gate)
    palier = start_palier(h2_site([server("a", backend.address)], limits={"streams": 5}))
    with gate.bystander(palier.port), RawH2Client(palier.port) as client:
        client.wait(lambda: client.settings is not None, "SETTINGS")
        for _ in range(5):
            client.open(request_fields("GET", "/"))
        refused = client.open(request_fields("GET", "/refused"))
        client.wait(lambda: refused.over or client.closed, "the refusal")
        assert refused.reset == H2Error.REFUSED_STREAM or client.goaways[-1][0] == H2Error.PROTOCOL_ERROR
        gate.open.set()
    assert "/refused" not in {request.target for request in backend.requests}


def test_slot_of_a_reset_stream_is_free_once_its_work_has_stopped(raw_backend, start_palier):
    """However fast a client resets and asks again, no more connections to backends are open than its streams."""
    open_now, most, lock = 0, 0, threading.Lock()

    def handler(connection):
        nonlocal open_now, most
        connection.read_request()
        with lock:
            open_now += 1
            most = max(most, open_now)
        connection.stall()
        with lock:
            open_now -= 1

    backend = raw_backend(handler=handler)
    palier = start_palier(h2_site([server("a", backend.address)], limits={"streams": 4}))
    with RawH2Client(palier.port) as client:
        client.wait(lambda: client.settings is not None, "SETTINGS")
        for _ in range(20):
            streams = [client.open(request_fields("GET", "/")) for _ in range(4)]
            wait_for(lambda: open_now == 4, "the requests at work")
            client.send(b"".join(reset_frame(stream.id) for stream in streams))
            wait_for(lambda: open_now == 0, "their end")
        # Each piece holds more than may run: only the first four of them do.
        piece, streams = b"", []
        for _ in range(40):
            streams.append(client.new_stream())
            piece += client.headers_frame(streams[-1].id, request_fields("GET", "/")) + reset_frame(streams[-1].id)
        client.send(piece)
        client.send(frame(PING, 0, 0, bytes(8)))
        client.wait(lambda: client.pings_answered == 1, "palier to have read them all")
    wait_for(lambda: open_now == 0, "the end of all work")
    assert most <= 4, most


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_client_that_resets_in_the_middle_of_an_answer(raw_backend, start_palier, framing):
    """The backend's connection is closed and not used again; other streams do not notice."""
    gone, go_on = threading.Event(), threading.Event()
    head = "Content-Length: 1000000" if framing == "length" else "Transfer-Encoding: chunked"

    def handler(connection):
        while True:
            request = connection.read_request()
            if request.target == "/reset":
                connection.send(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello\r\n")
                assert connection.read_until_close() == b"", "no other request on this connection"
                gone.set()
                return
            if request.target == "/held":
                connection.wait(go_on)
            connection.send(response("ok"))

    palier = start_palier(h2_site([server("a", raw_backend(handler=handler).address)]))
    with bystander(palier.port), H2Client(palier.port) as client:
        held = client.start(path="/held")
        stream = client.start(path="/reset")
        client.wait(lambda: stream.size >= 5, "the beginning of the answer")
        client.cancel(stream)
        wait_for(gone.is_set, "the end of the backend's connection")
        assert client.request().body == b"ok"
        go_on.set()
        assert client.finish(held).body == b"ok"
    reasons = {line["path"]: line["reason"] for line in palier.wait_access_log(5)}
    assert reasons["/reset"] == "client_closed"


def test_client_that_resets_before_the_answer(raw_backend, start_palier):
    gone = threading.Event()

    def handler(connection):
        if connection.read_request().target == "/reset":
            assert connection.read_until_close() == b""
            gone.set()
        else:
            connection.send(response("ok"))

    backend = raw_backend(handler=handler)
    palier = start_palier(h2_site([server("a", backend.address)]))
    with bystander(palier.port), H2Client(palier.port) as client:
        stream = client.start(path="/reset")
        wait_for(lambda: any(request.target == "/reset" for request in backend.requests), "the request at the backend")
        client.cancel(stream)
        wait_for(gone.is_set, "the end of the backend's connection")
        assert client.request().body == b"ok"


def test_client_that_resets_in_the_middle_of_an_upload(raw_backend, start_palier):
    gone = threading.Event()

    def handler(connection):
        request = connection.read_head()
        if request.target == "/reset":
            connection.read_until_close()
            gone.set()
        else:
            connection.read_body(request)
            # A POST that met the end of the bystander's connection unannounced could not be tried again.
            connection.send(response(request.body, Connection="close"))

    backend = raw_backend(handler=handler)
    palier = start_palier(h2_site([server("a", backend.address)]))
    with bystander(palier.port), H2Client(palier.port) as client:
        other = client.start("POST", "/other", end=False)
        stream = client.start("POST", "/reset", end=False)
        client.send_body(stream, b"half of it")
        wait_for(lambda: b"half of it" in backend.received, "the first half at the backend")
        client.cancel(stream)
        wait_for(gone.is_set, "the end of the backend's connection")
        client.send_body(other, b"all of it", end=True)
        assert client.finish(other).body == b"all of it"
    broken = next(connection for connection in backend.connections if b"/reset" in connection.received)
    assert broken.received.count(b"HTTP/1.1") == 1 and not broken.received.endswith(b"\r\n0\r\n\r\n")


def test_client_that_disappears_frees_all_backends(raw_backend, start_palier):
    backend = raw_backend(handler=lambda connection: (connection.read_request(), connection.stall()))
    palier = start_palier(h2_site([server("a", backend.address)]))
    with H2Client(palier.port) as client:
        for _ in range(20):
            client.start()
        backend.wait_served(20)
    wait_for(lambda: all(connection.socket.fileno() == -1 for connection in backend.connections),
             "the end of the backend's connections")
    assert {line["reason"] for line in palier.wait_access_log(20)} == {"client_closed"}


CUTS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n12345",
    "before the last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
    "malformed chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\nzz\r\n",
}


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("where", CUTS)
def test_backend_that_dies_in_its_answer(raw_backend, start_palier, where, how):
    """What was half given must not look complete."""
    seen = threading.Event()

    def handler(connection):
        if connection.read_request().target == "/other":
            connection.send(response("ok"))
            return
        connection.send(CUTS[where])
        connection.wait(seen)
        if how == "reset":
            connection.reset()

    palier = start_palier(h2_site([server("a", raw_backend(handler=handler).address)],
                                  pool={"outlier": {"failures": 0}}))
    with H2Client(palier.port) as client:
        stream = client.start(path="/cut")
        client.wait(lambda: stream.size == 5 or stream.over, "the first half")
        seen.set()
        assert client.wait_reset(stream) == H2Error.INTERNAL_ERROR
        assert not stream.ended and stream.status in (200, None)
        assert client.request(path="/other").body == b"ok" and not client.goaways
    line = next(line for line in palier.wait_access_log(2) if line["path"] == "/cut")
    assert line["reason"] in ("backend_cut", "backend_bad_response")


def test_answer_until_close_ends_well(raw_backend, start_palier):
    def handler(connection):
        connection.read_request()
        connection.send("HTTP/1.0 200 OK\r\n\r\nall of it")

    palier = start_palier(h2_site([server("a", raw_backend(handler=handler).address)]))
    with H2Client(palier.port) as client:
        answer = client.request()
        assert (answer.body, answer.get("content-length")) == (b"all of it", None)


def test_switch_that_nobody_asked_for_is_502(raw_backend, start_palier):
    """101 never reaches a client of HTTP/2, whatever it asked for."""
    switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nraw bytes"
    palier = start_palier(h2_site([server("a", raw_backend(switch).address)]))
    with H2Client(palier.port) as client:
        for method in ("GET", "POST"):
            answer = client.request(method, "/")
            assert answer.status == 502 and b"raw bytes" not in answer.body and not answer.informational


def test_answer_larger_than_promised_is_cut_to_its_length(raw_backend, start_palier):
    backend = raw_backend(response("12345") + response("evil"))
    palier = start_palier(h2_site([server("a", backend.address)]))
    with H2Client(palier.port) as client:
        for number in (1, 2):
            assert client.request().body == b"12345"
            assert backend.accepted == number, "its connection is not used again"


def test_frames_on_streams_that_are_over_harm_nobody(raw_backend, start_palier):
    """They may have been on their way (RFC 9113 section 5.1)."""
    palier = start_palier(h2_site([server("a", raw_backend(handler=early).address)]))
    with RawH2Client(palier.port) as client:
        stream = client.open(request_fields("POST", "/"), end=False)
        assert client.wait_reset(stream) == H2Error.NO_ERROR
        client.send(data_frame(1, b"late") + reset_frame(1) + window_update(1, 1))
        assert client.get("/next").status == 200 and not client.goaways


def early(connection):
    """Answers a head at once."""
    connection.read_head()
    connection.send(response("early"))
    connection.stall()
