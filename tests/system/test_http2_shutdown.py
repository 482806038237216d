"""How HTTP/2 connections begin and end: prefaces, listeners with and without it, idleness, GOAWAY at a stop."""

import signal
import threading
import time

import pytest
from harness import Held, curl, duration, is_listening, response, seconds, server, site, wait_for
from harness.h2_client import H2Client, h2_site
from harness.h2_frames import GOAWAY, PING, PREFACE, SETTINGS, H2Error, data_frame, frame, request_fields
from harness.h2_raw import RawH2Client

STOPS = pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])


@STOPS
def test_streams_in_flight_finish(raw_backend, start_palier, stop):
    held = Held()
    backend = raw_backend(handler=held)
    palier = start_palier(h2_site([server("a", backend.address)], shutdown_grace="30s"))
    with H2Client(palier.port) as client:
        streams = [client.start() for _ in range(5)]
        backend.wait_served(5)
        palier.send_signal(stop)
        client.wait(lambda: client.goaways, "GOAWAY")
        assert {error for error, _ in client.goaways} == {H2Error.NO_ERROR}
        assert client.goaways[-1][1] >= streams[-1].id
        assert not is_listening(palier.port) and palier.child.running()
        held.release.set()
        for stream in streams:
            client.wait(lambda: stream.over, "the end of a stream")
            assert stream.ended and stream.body == b"finished"
        client.wait_closed()
        assert not client.was_reset
    palier.stopped_by_test = True
    assert palier.child.wait() == 0


def test_new_streams_are_refused_once_the_last_one_is_named(raw_backend, start_palier):
    held = Held()
    backend = raw_backend(handler=held)
    palier = start_palier(h2_site([server("a", backend.address)], shutdown_grace="30s"))
    with RawH2Client(palier.port) as client:
        stream = client.open(request_fields())
        backend.wait_served(1)
        palier.send_signal(signal.SIGTERM)
        client.wait(lambda: client.goaways and client.goaways[-1][1] == stream.id, "the GOAWAY that names the last")
        late = client.open(request_fields("GET", "/late"))
        held.release.set()
        client.wait(lambda: stream.over, "the answer")
        assert stream.body == b"finished"
        client.wait_closed()
        assert late.status is None and late.reset in (None, H2Error.REFUSED_STREAM)
    assert "/late" not in {request.target for request in backend.requests}
    palier.stopped_by_test = True
    assert palier.child.wait() == 0


def test_requests_on_their_way_when_the_stop_begins_are_served(raw_backend, start_palier):
    """RFC 9113 section 6.8: until the client has heard of the stop, what it sends counts."""
    held = Held()
    backend = raw_backend(handler=held)
    palier = start_palier(h2_site([server("a", backend.address)], shutdown_grace="30s"))
    with RawH2Client(palier.port, answers=False) as client:
        stream = client.open(request_fields())
        backend.wait_served(1)
        palier.send_signal(signal.SIGTERM)
        client.wait(lambda: client.goaways, "the first GOAWAY")
        assert client.goaways == [(H2Error.NO_ERROR, 2**31 - 1)]
        late = client.open(request_fields("GET", "/on-its-way"))
        backend.wait_served(2)
        held.release.set()
        client.wait(lambda: stream.over and late.over, "both answers")
        assert (stream.body, late.body) == (b"finished", b"finished")
        client.wait_closed()
    palier.stopped_by_test = True
    assert palier.child.wait() == 0


def test_stuck_stream_is_cut_at_the_end_of_the_grace(raw_backend, start_palier):
    backend = raw_backend(handler=lambda connection: (connection.read_request(), connection.stall()))
    palier = start_palier(h2_site([server("a", backend.address)], shutdown_grace=duration(0.5)))
    with H2Client(palier.port) as client:
        client.start()
        backend.wait_served(1)
        began = time.monotonic()
        assert palier.stop() == 0
        assert seconds(0.4) <= time.monotonic() - began < seconds(3)
        client.wait_closed()
    assert palier.access_log()[-1]["reason"] == "shutdown"


def test_idle_clients_do_not_delay_the_end(raw_backend, start_palier):
    palier = start_palier(h2_site([server("a", raw_backend(response("ok")).address)], shutdown_grace="30s", workers=2))
    served, silent = [H2Client(palier.port) for _ in range(10)], [RawH2Client(palier.port) for _ in range(3)]
    for client in served:
        assert client.request().body == b"ok"
    began = time.monotonic()
    assert palier.stop() == 0
    assert time.monotonic() - began < seconds(5)
    for client in served:
        client.wait_closed()
        assert {error for error, _ in client.goaways} == {H2Error.NO_ERROR}
    for client in [*served, *silent]:
        client.close()


def test_upload_and_download_in_flight_finish(raw_backend, start_palier):
    body, go_on = bytes(8 << 20), threading.Event()

    def handler(connection):
        request = connection.read_head()
        connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:4 << 20])
        connection.wait(go_on)
        connection.read_body(request)
        assert request.body == b"first half, second half"
        connection.send(body[4 << 20:])

    palier = start_palier(h2_site([server("a", raw_backend(handler=handler).address)], shutdown_grace="30s"))
    with H2Client(palier.port) as client:
        stream = client.start("POST", "/", end=False)
        client.send_body(stream, b"first half, ")
        client.wait(lambda: stream.size >= 3 << 20, "half of the download")
        palier.send_signal(signal.SIGTERM)
        client.wait(lambda: client.goaways, "GOAWAY")
        client.send_body(stream, b"second half", end=True)
        go_on.set()
        client.wait(lambda: stream.over, "the answer", timeout=30)
        assert stream.ended and stream.size == len(body)
    palier.stopped_by_test = True
    assert palier.child.wait() == 0


def test_idle_connection_is_closed_in_good_order(raw_backend, start_palier):
    palier = start_palier(h2_site([server("a", raw_backend(response("ok")).address)],
                                  timeouts={"client_idle": duration(0.4)}))
    for kind in (H2Client, RawH2Client):
        with kind(palier.port) as client:
            stream = client.request() if kind is H2Client else client.get()
            assert stream.body == b"ok"
            began = time.monotonic()
            client.wait_closed()
            assert seconds(0.3) < time.monotonic() - began < seconds(4)
            assert {error for error, _ in client.goaways} == {H2Error.NO_ERROR}
            assert client.goaways[-1][1] == stream.id


def test_idle_client_that_answers_nothing_is_closed_too(raw_backend, start_palier):
    palier = start_palier(h2_site([server("a", raw_backend(response("ok")).address)],
                                  timeouts={"client_idle": duration(0.4)}))
    with RawH2Client(palier.port, answers=False) as client:
        assert client.get().body == b"ok"
        assert client.wait_goaway() == H2Error.NO_ERROR


def test_half_a_head_does_not_keep_a_connection(raw_backend, start_palier):
    palier = start_palier(h2_site([server("a", raw_backend(response("ok")).address)],
                                  timeouts={"client_idle": duration(0.5), "client_header": duration(0.5)}))
    with RawH2Client(palier.port, answers=False) as client:
        assert client.get().body == b"ok"
        client.send(client.headers_frame(client.next_id, request_fields(), flags=0))
        client.wait_closed()


def test_pings_do_not_hold_up_a_stop(raw_backend, start_palier):
    """A client that answers no GOAWAY, but lives on: shutdown_grace is for exchanges, not for it."""
    palier = start_palier(h2_site([server("a", raw_backend(response("ok")).address)], shutdown_grace="5m"))
    with RawH2Client(palier.port, answers=False) as client:
        assert client.get().body == b"ok"
        palier.send_signal(signal.SIGTERM)
        palier.stopped_by_test = True
        palier.wait_event("stopping")
        client.send(frame(PING, 0, 0, bytes(8)))
        client.wait(lambda: client.closed, "the end of the connection")
        assert palier.child.wait() == 0


def test_pings_do_not_keep_an_idle_connection(raw_backend, start_palier):
    """What counts is a request."""
    palier = start_palier(h2_site([server("a", raw_backend(response("ok")).address)],
                                  timeouts={"client_idle": duration(0.5)}))
    with RawH2Client(palier.port) as client:
        assert client.get().body == b"ok"
        until, sent = time.monotonic() + seconds(4), 0
        while not client.goaways and time.monotonic() < until:
            client.send(frame(PING, 0, 0, bytes(8)))
            sent += 1
            client.wait(lambda: client.pings_answered == sent or client.closed, "an answer")
            pause = time.monotonic() + seconds(0.1)
            while time.monotonic() < pause:  # a peer that paces its pings
                client.poll()
                time.sleep(0.005)
        assert client.goaways, f"still there after {sent} pings"
        client.wait_closed()


def test_stream_at_work_is_not_idle(raw_backend, start_palier):
    held = Held()
    palier = start_palier(h2_site([server("a", raw_backend(handler=held).address)],
                                  timeouts={"client_idle": duration(0.2), "client_header": duration(0.2)}))
    with H2Client(palier.port) as client:
        stream = client.start()
        until = time.monotonic() + seconds(0.8)
        while time.monotonic() < until:
            assert not client.closed and not client.goaways
            client.poll()
            time.sleep(0.005)
        held.release.set()
        assert client.finish(stream).body == b"finished"


@pytest.mark.parametrize("said", [b"", PREFACE[:10], PREFACE, PREFACE + frame(SETTINGS), PREFACE + b"\0\0"],
                         ids=["nothing", "half a preface", "the preface", "SETTINGS", "half a frame"])
def test_client_that_asks_for_nothing_is_closed(raw_backend, start_palier, said):
    palier = start_palier(h2_site([server("a", raw_backend(response("ok")).address)],
                                  timeouts={"client_header": duration(0.4)}))
    with RawH2Client(palier.port, greet=False, answers=False) as client:
        if said:
            client.send(said)
        if said[:24] != PREFACE:  # HTTP/1 as far as anybody knows
            client._take = lambda data: None
        client.wait_closed()


@pytest.mark.parametrize("first", [
    b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + frame(SETTINGS), b"PRI * HTTP/2.0\r\nHost: x\r\n\r\n",
    b"PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n", b"PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", PREFACE[:-1] + b"x" + frame(SETTINGS)],
    ids=["other letters", "with a field", "HTTP/1.1", "a path", "GET", "TLS", "last byte"])
def test_what_is_almost_a_preface_is_refused(raw_backend, start_palier, first):
    backend = raw_backend(response("ok"))
    palier = start_palier(h2_site([server("a", backend.address)], timeouts={"client_header": duration(1)}))
    with palier.connect() as client:
        said = client.send(first).read_whatever()
        as_http1 = said.startswith((b"HTTP/1.1 400", b"HTTP/1.1 505", b"HTTP/1.1 408"))
        assert said == b"" or as_http1 or said[3] in (SETTINGS, GOAWAY), said
    assert backend.accepted == 0
    with H2Client(palier.port) as client:
        assert client.request().status == 200


def test_frame_before_settings_is_an_error(raw_backend, start_palier):
    """RFC 9113 section 3.4."""
    backend = raw_backend(response("ok"))
    palier = start_palier(h2_site([server("a", backend.address)]))
    with RawH2Client(palier.port, greet=False, answers=False) as client:
        client.send(PREFACE + client.headers_frame(1, request_fields()))
        assert client.wait_goaway() == H2Error.PROTOCOL_ERROR
    assert backend.accepted == 0


def test_settings_are_the_first_that_palier_says(raw_backend, start_palier):
    palier = start_palier(h2_site([server("a", raw_backend(response("ok")).address)]))
    with palier.connect() as client:
        head = client.send(PREFACE).read_exactly(9)
        assert head[3] == SETTINGS and head[4] == 0


def test_listener_without_http2_speaks_http1_only(raw_backend, start_palier):
    backend = raw_backend(response("ok"))
    palier = start_palier(site([server("a", backend.address)], workers=1))
    with palier.connect() as client:
        answer = client.send(PREFACE + frame(SETTINGS)).read_response()
        assert answer.version == "HTTP/1.1" and answer.status in (400, 505)
        client.read_whatever()
    assert curl(palier.url, "--http2-prior-knowledge").exit_code != 0
    assert backend.accepted == 0
    assert palier.get().body == b"ok"


def test_http1_still_works_where_http2_does(raw_backend, start_palier):
    backend = raw_backend(lambda request: response(request.body or b"ok"))
    palier = start_palier(h2_site([server("a", backend.address)]))
    with palier.connect() as old, H2Client(palier.port) as new, palier.connect() as slow:
        for _ in range(3):
            assert old.request().body == b"ok"
            assert old.request("POST", "/", body=b"body").body == b"body"
            assert new.request().body == b"ok"
        slow.send_bytewise(b"PRIVATE / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert slow.read_response().body == b"ok", "a method that begins as the preface does"
    assert curl(palier.url, "--http1.1").body == b"ok"


@pytest.mark.parametrize("upgrade", ["h2c", "H2C", "h2c, websocket", "h2"])
def test_upgrade_to_http2_is_not_offered_and_not_passed_on(raw_backend, start_palier, upgrade):
    """A backend that took it would be reached past every rule."""
    backend = raw_backend(response("ok"))
    palier = start_palier(h2_site([server("a", backend.address)]))
    with palier.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                    f"Upgrade: {upgrade}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
        assert client.read_response().body == b"ok"
    request = backend.requests[0]
    assert "Upgrade" not in request and "HTTP2-Settings" not in request


def test_stop_while_a_client_floods(raw_backend, start_palier):
    """Nobody can hold a stop up."""
    palier = start_palier(h2_site([server("a", raw_backend(response("ok")).address)], shutdown_grace=duration(1)))
    with RawH2Client(palier.port, answers=False) as client:
        stream = client.open(request_fields("POST", "/"), end=False)
        palier.send_signal(signal.SIGTERM)
        client.wait(lambda: client.goaways, "GOAWAY")
        try:
            for _ in range(50):
                client.send(data_frame(stream.id, b"x" * 1000))
        except ConnectionError:
            pass
        wait_for(lambda: not palier.child.running(), "the end", timeout=10)
    palier.stopped_by_test = True
    assert palier.child.wait() == 0
