"""The peers and tools themselves, without palier: when this fails, the machine is to blame."""

import json
import time
import zlib

import pytest
from harness import (
    ConnectionEnded, FullBacklog, Network, RawClient, Visits, WebFront, Wrk, curl, h2load, is_listening, response,
    wait_for, why_no_networks)


def test_front_serves_php_and_counts_the_body(web_front):
    front = web_front("one")
    body = bytes(range(256)) * 1000
    with RawClient(front.port) as client:
        answer = client.request("POST", "/app?x=1", body=body, X_Forwarded_Proto="https")
    seen = json.loads(answer.body)
    assert (seen["front"], seen["https"], seen["input_size"]) == ("one", True, len(body))
    assert int(seen["input_crc32"], 16) == zlib.crc32(body)
    assert seen["server"]["REQUEST_URI"] == "/app?x=1"


def test_front_downloads_and_comes_back_after_a_kill(web_front):
    front = web_front("one")
    assert curl(front.url + "/download?bytes=1000000", discard=True).size_download == 1_000_000
    front.kill()
    assert curl(front.url + "/hello.txt").exit_code == 7
    front.start()
    assert curl(front.url + "/hello.txt").body == b"hello from one\n"


def status_of(front: WebFront, path: str = "/health") -> int | str:
    """The status, or how there was none."""
    answer = curl(front.url + path, "--max-time", "0.5")
    return answer.status or {7: "refused", 28: "timeout"}[answer.exit_code]


def test_front_can_be_ill_without_php_frozen_and_full(web_front):
    front = web_front("one", backlog=4)
    for harm, mend, health, page in ((front.ill, front.well, 500, 200), (front.kill_php, front.start, 502, 502),
                                     (front.kill, front.start, "refused", "refused"),
                                     (front.freeze, front.thaw, "timeout", "timeout"),
                                     (front.fill_queues, front.thaw, "timeout", "timeout")):
        assert (status_of(front), status_of(front, "/page")) == (200, 200)
        harm()
        assert (status_of(front), status_of(front, "/page")) == (health, page), harm
        mend()
    assert status_of(front) == 200
    front.fill_queues()
    with pytest.raises(TimeoutError):
        RawClient(front.port, timeout=0.3)


def test_machines_are_apart_and_can_be_cut_off(tmp_path):
    if reason := why_no_networks():
        pytest.skip(reason)
    network = Network("one", "two")
    front = WebFront("one", tmp_path, machine=network["one"])
    try:
        assert not is_listening(front.port), "it is not on the host"
        with network["two"].inside(), Visits(network["one"], front.port) as visits:
            before = time.time()
            assert status_of(front) == 200
            visits.wait(before, 2)  # the connection and the request
            network["one"].cut_off()
            cut = time.time()
            assert status_of(front) == "timeout"
            network["one"].reconnect()
            assert status_of(front) == 200
            visits.wait(cut, 3)
        assert len(visits.times) == 5 and before < visits.times[0] < visits.times[1] < cut < visits.times[2]
    finally:
        front.stop()
        network.close()


def test_raw_backend_records_and_resets(raw_backend):
    def cut_second(connection):
        connection.read_request()
        connection.send(response("one"))
        connection.read_request()
        connection.reset()

    backend = raw_backend(handler=cut_second)
    with RawClient(backend.port) as client:
        assert client.request("GET", "/a").body == b"one"
        client.send_bytewise("GET /b HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionEnded) as ended:
            client.read_response()
        assert ended.value.was_reset
    assert [request.target for request in backend.requests] == ["/a", "/b"]
    assert backend.received.endswith(b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n")
    backend.go_down()
    with pytest.raises(ConnectionRefusedError):
        RawClient(backend.port)


def test_full_backlog_neither_accepts_nor_refuses():
    hole = FullBacklog()
    try:
        with pytest.raises(TimeoutError):
            RawClient(hole.port, timeout=0.3)
    finally:
        hole.stop()


def test_load_tools_count(web_front):
    front = web_front("one")
    assert h2load(front.url + "/hello.txt", 500).statuses["2xx"] == 500
    with Wrk(front.url + "/hello.txt") as wrk:
        wait_for(lambda: curl(front.url + "/hello.txt").status == 200, "an answer under load")
        result = wrk.stop()
    assert result.failures == 0
