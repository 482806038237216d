"""Content-Length against the bytes of DATA (RFC 9113 section 8.1.1): a backend never takes one request for another, and
the connection on which a request broke carries nothing else."""

import pytest
from harness import response, server, wait_for
from harness.h2_client import bystander, h2_site
from harness.h2_frames import H2Error, data_frame, request_fields, reset_frame
from harness.h2_raw import RawH2Client

SMUGGLED = b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n"


def post(length: str | None = None) -> list:
    return request_fields("POST", "/front", *([("content-length", length)] if length is not None else []))


@pytest.fixture
def watched(raw_backend, start_palier):
    """(palier, backend): every byte that reaches the backend is on record."""
    backend = raw_backend(response("ok"))
    return start_palier(h2_site([server("a", backend.address)])), backend


BODIES = {
    "less": ("10", [data_frame(1, b"12345", end=True)]),
    "less, then an empty end": ("10", [data_frame(1, b"12345"), data_frame(1, b"", end=True)]),
    "nothing": ("10", [data_frame(1, b"", end=True)]),
    "more": ("5", [data_frame(1, b"12345" + SMUGGLED, end=True)]),
    "more, without end": ("5", [data_frame(1, b"12345" + SMUGGLED)]),
    "one more": ("5", [data_frame(1, b"123456", end=True)]),
    "more, in another frame": ("5", [data_frame(1, b"123"), data_frame(1, b"45" + SMUGGLED, end=True)]),
    "padded, less": ("30", [data_frame(1, b"12345", end=True, padding=24)]),
}

# Behind a body that is whole: the request may have been served when the rest comes, or not.
LATE = {
    "some where none was promised": ("0", [data_frame(1, SMUGGLED, end=True)]),
    "padded, more": ("5", [data_frame(1, b"12345" + SMUGGLED, end=True, padding=20)]),
    "more, in a last frame": ("5", [data_frame(1, b"12345"), data_frame(1, SMUGGLED, end=True)]),
}


def send(client: RawH2Client, delivery: str, head: bytes, frames: list[bytes]) -> None:
    if delivery == "together":
        client.send(head + b"".join(frames))
    else:
        for piece in [head, *frames]:
            client.send_bytewise(piece)


@pytest.mark.parametrize("delivery", ["together", "in pieces"])
def test_length_that_is_not_the_bodys_resets_the_stream(watched, delivery):
    palier, backend = watched
    with bystander(palier.port):
        for name, (length, frames) in BODIES.items():
            with RawH2Client(palier.port) as client:
                stream = client.new_stream()
                send(client, delivery, client.headers_frame(1, post(length), end=False), frames)
                assert client.wait_reset(stream) == H2Error.PROTOCOL_ERROR, name
                assert stream.status is None, name
                assert client.get("/next").status == 200, name
    assert {request.target for request in backend.requests} == {"/bystander", "/next"}
    assert b"evil" not in backend.received
    check_broken_requests_were_the_last(backend)


@pytest.mark.parametrize("delivery", ["together", "in pieces"])
def test_bytes_behind_a_whole_body_reach_nobody(watched, delivery):
    palier, backend = watched
    with bystander(palier.port):
        for name, (length, frames) in LATE.items():
            with RawH2Client(palier.port) as client:
                stream = client.new_stream()
                send(client, delivery, client.headers_frame(1, post(length), end=False), frames)
                client.wait(lambda: stream.over, f"an end of {name}")
                assert client.get("/next").status == 200, name
    assert {request.target for request in backend.requests} <= {"/bystander", "/next", "/front"}
    assert {len(request.body) for request in backend.requests if request.target == "/front"} <= {0, 5}
    assert b"evil" not in backend.received


def check_broken_requests_were_the_last(backend) -> None:
    """Behind a request that broke, its connection carries no other."""
    for connection in backend.connections:
        _, front, rest = connection.received.partition(b"POST /front")
        assert b" HTTP/1.1\r\n" not in rest.partition(b"\r\n")[2], connection.received
        if front:
            wait_for(lambda: connection.socket.fileno() == -1, "the end of a connection that carried a broken request")


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("end", ["reset", "broken", "connection"])
def test_request_that_breaks_while_a_backend_reads_it_ends_its_connection(raw_backend, start_palier, framing, end):
    backend = raw_backend(response("ok"))
    palier = start_palier(h2_site([server("a", backend.address)]))
    with bystander(palier.port):
        with RawH2Client(palier.port) as client:
            client.open(post("10" if framing == "length" else None), end=False, extra=data_frame(1, b"abcde"))
            wait_for(lambda: b"abcde" in backend.received, "the first half at the backend")
            if end == "reset":
                client.send(reset_frame(1))
            elif end == "connection":
                client.close()
            elif framing == "length":
                client.send(data_frame(1, b"f", end=True))
            else:
                client.send(client.headers_frame(1, [("X-Bad", "1")]))
        check_broken_requests_were_the_last(backend)
    assert {request.target for request in backend.requests} == {"/bystander"}
    rests = [connection.received.partition(b"abcde")[2] for connection in backend.connections]
    assert not any(rest.endswith(b"0\r\n\r\n") for rest in rests), "a last chunk would make it whole"


@pytest.mark.parametrize("frames", [
    [data_frame(1, b"12345", end=True)],
    [data_frame(1, b"12345"), data_frame(1, b"", end=True)],
    [data_frame(1, b"", padding=9), data_frame(1, b"12345", end=True, padding=255)],
    [data_frame(1, byte.to_bytes(1, "big"), end=byte == ord("5")) for byte in b"12345"],
], ids=["one frame", "an empty end", "padded", "byte by byte"])
@pytest.mark.parametrize("length", ["5", "00005", None], ids=["length", "zeros", "none"])
def test_body_of_its_length_passes(watched, frames, length):
    palier, backend = watched
    with RawH2Client(palier.port) as client:
        stream = client.new_stream()
        client.send(client.headers_frame(1, post(length), end=False) + b"".join(frames))
        assert client.finish(stream).status == 200
    request = backend.requests[0]
    assert request.body == b"12345"
    assert ("Content-Length" in request) is not request.chunked
    if length is not None:
        assert request.get("Content-Length") == "5"


def test_what_looks_like_a_request_in_a_body_stays_a_body(watched):
    palier, backend = watched
    body = b"0\r\n\r\n" + SMUGGLED
    with RawH2Client(palier.port) as client:
        for length in (str(len(body)), None):
            stream = client.open(post(length), end=False)
            client.send(data_frame(stream.id, body, end=True))
            assert client.finish(stream).status == 200
        assert client.get("/after").status == 200
    assert [(request.target, request.body) for request in backend.requests] == [
        ("/front", body), ("/front", body), ("/after", b"")]
