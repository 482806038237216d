"""The access log: one line an exchange, true, and never in the way of serving."""

import json
import os
import re
import threading
from datetime import datetime, timezone

import pytest
from harness import FullBacklog, Wrk, curl, response, seconds, server, site, wait_for

FIELDS = {"time", "client", "listener", "method", "host", "path", "status", "bytes_in", "bytes_out", "pool", "server",
          "tries", "ttfb_ms", "total_ms", "reason"}


def test_json_fields(raw_backend, start_palier):
    backend = raw_backend(response("x" * 1000))
    palier = start_palier(site([server("front1", backend.address)]))
    with palier.connect() as client:
        client.request("POST", "/shop?item=1", body=b"y" * 500, Host="shop.example")
        local_port = client.socket.getsockname()[1]
    line = palier.wait_access_log(1)[0]
    assert FIELDS <= set(line), FIELDS - set(line)
    assert line["client"] in ("127.0.0.1", f"127.0.0.1:{local_port}")
    assert (line["listener"], line["method"], line["host"]) == ("http", "POST", "shop.example")
    assert line["path"] in ("/shop?item=1", "/shop")
    assert (line["status"], line["pool"], line["server"], line["tries"]) == (200, "web", "front1", 1)
    assert 500 <= line["bytes_in"] < 2000 and 1000 <= line["bytes_out"] < 2000
    assert 0 <= line["ttfb_ms"] <= line["total_ms"] < seconds(5) * 1000
    assert isinstance(line["reason"], str)
    when = datetime.fromisoformat(line["time"].replace("Z", "+00:00"))
    assert abs((datetime.now(timezone.utc) - when).total_seconds()) < seconds(30)


def test_one_line_for_each_exchange_of_a_connection(raw_backend, start_palier):
    palier = start_palier(site([server("a", raw_backend(name="a").address)]))
    with palier.connect() as client:
        for i in range(50):
            client.request("GET", f"/{i}")
    lines = palier.wait_access_log(50)
    assert [line["path"] for line in lines] == [f"/{i}" for i in range(50)]


def test_hostile_values_stay_inside_their_strings(raw_backend, start_palier):
    palier = start_palier(site([server("a", raw_backend(name="a").address)]))
    target = '/a"b,{}<>|^`[]\'%0d%0a\xe9?q="\\"'.replace("\\", "")
    with palier.connect() as client:
        status = client.request("GET", target, User_Agent='say "hi" \\ \t\xff').status
    line = palier.wait_access_log(1)[0]
    assert line["status"] == status
    if status == 200:
        assert '"b,{}' in line["path"]


def test_retry_is_told(raw_backend, start_palier):
    down, up = raw_backend(name="down"), raw_backend(name="up")
    down.stop_listening()
    palier = start_palier(site([server("down", down.address), server("up", up.address)], workers=1,
                               pool={"outlier": {"failures": 0}}))
    with palier.connect() as client:
        for _ in range(4):
            assert client.request().body == b"up"
    lines = palier.wait_access_log(4)
    assert {line["server"] for line in lines} == {"up"}
    tries = {line["tries"] for line in lines}
    assert 2 in tries and tries <= {1, 2}


def test_reason_of_each_end(raw_backend, start_palier):
    def handler(connection):
        while True:
            request = connection.read_request()
            if request.target == "/cut":
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
                return
            if request.target == "/nothing":
                return
            if request.target == "/slow":
                connection.stall()
                return
            connection.send(response("ok"))

    palier = start_palier(site([server("a", raw_backend(handler=handler).address)], pool={
        "retries": 0, "outlier": {"failures": 0}}, timeouts={"server": "300ms"}))
    seen = {}
    for index, target in enumerate(("/ok", "/cut", "/nothing", "/slow", "/a%00b")):
        with palier.connect() as client:
            client.send(f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            if target == "/cut":
                client.read_whatever()
            else:
                client.read_response()
            line = palier.wait_access_log(index + 1)[-1]
        seen[target] = (line["status"], line["reason"])
    assert seen == {"/ok": (200, "ok"), "/cut": (200, "backend_cut"), "/nothing": (502, "backend_reset"),
                    "/slow": (504, "backend_timeout"), "/a%00b": (400, "bad_request")}


def test_client_that_leaves_is_told_apart(raw_backend, start_palier):
    backend = raw_backend(handler=lambda connection: (connection.read_request(), connection.stall()))
    palier = start_palier(site([server("a", backend.address)]))
    client = palier.connect()
    client.send("GET /left HTTP/1.1\r\nHost: x\r\n\r\n")
    backend.wait_served(1)
    client.reset()
    line = palier.wait_access_log(1)[0]
    assert (line["path"], line["reason"]) == ("/left", "client_closed")


COMBINED = re.compile(r'^(?P<client>\S+) - - \[(?P<time>\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] '
                      r'"(?P<request>[^"]*)" (?P<status>\d{3}) (?P<bytes>\d+|-) '
                      r'"(?P<referer>[^"]*)" "(?P<agent>[^"]*)"')


def test_combined_format(raw_backend, start_palier):
    palier = start_palier(site([server("a", raw_backend(response("x" * 100)).address)], log={"format": "combined"}))
    palier.get("/page?x=1", Referer="http://from.example/", User_Agent="tester/1.0")
    wait_for(lambda: palier.access_text().endswith("\n"), "a line")
    seen = COMBINED.match(palier.access_text())
    assert seen, palier.access_text()
    assert seen["client"] == "127.0.0.1" and seen["request"] == "GET /page?x=1 HTTP/1.1" and seen["status"] == "200"
    assert seen["referer"] == "http://from.example/" and seen["agent"] == "tester/1.0"
    assert int(seen["bytes"]) >= 100
    datetime.strptime(seen["time"], "%d/%b/%Y:%H:%M:%S %z")


def test_combined_format_quotes_what_could_break_out(raw_backend, start_palier):
    palier = start_palier(site([server("a", raw_backend(name="a").address)], log={"format": "combined"}))
    palier.get("/", User_Agent='x" 200 1 "forged')
    wait_for(lambda: palier.access_text().endswith("\n"), "a line")
    assert '"x" 200' not in palier.access_text()


@pytest.mark.parametrize("where", ["off", "stderr", "file"])
def test_where_the_log_goes(raw_backend, start_palier, tmp_path, where):
    log = tmp_path / "access.log"
    palier = start_palier(site([server("a", raw_backend(name="a").address)],
                               log={"access": str(log) if where == "file" else where}))
    assert palier.get("/marker").status == 200
    assert palier.stop() == 0
    assert palier.access_text() == ""
    assert ("/marker" in palier.events()) is (where == "stderr")
    assert log.exists() is (where == "file") and (where != "file" or "/marker" in log.read_text())


def test_stalled_reader_does_not_block_serving(raw_backend, start_palier):
    reading, writing = os.pipe()
    palier = start_palier(site([server("a", raw_backend(name="a").address)]), stdout=writing)
    os.close(writing)
    text = bytearray()

    def read_all() -> None:
        while piece := os.read(reading, 65536):
            text.extend(piece)

    padding = "x" * 2000
    with Wrk(f"{palier.url}/{padding}") as wrk:
        palier.wait_event(r"drop")
        assert palier.get("/meanwhile").status == 200
        result = wrk.stop()
    assert result.failures == 0, result.text

    reader = threading.Thread(target=read_all)
    reader.start()
    try:
        wait_for(lambda: curl(f"{palier.url}/again").status == 200 and b'"/again"' in text, "logging to go on")
        assert palier.stop() == 0
    finally:
        if palier.child.running():
            palier.child.kill()
        reader.join()
        os.close(reading)
    for line in bytes(text).splitlines():
        assert FIELDS <= set(json.loads(line)), "lines are dropped whole"


def test_reader_that_went_away_does_not_end_palier(raw_backend, start_palier):
    """A closed pipe must not kill with SIGPIPE."""
    reading, writing = os.pipe()
    palier = start_palier(site([server("a", raw_backend(name="a").address)]), stdout=writing)
    os.close(writing)
    os.close(reading)
    for _ in range(3):
        with Wrk(palier.url) as wrk:
            wait_for(lambda: palier.get().status == 200, "an answer")
            assert wrk.stop().failures == 0


def test_connecting_in_vain_is_logged_with_its_server(start_palier):
    hole = FullBacklog()
    try:
        palier = start_palier(site([server("hole", hole.address)], timeouts={"connect": "200ms"}, pool={"retries": 0}))
        assert palier.get().status in (502, 503, 504)
        line = palier.wait_access_log(1)[0]
        assert (line["server"], line["pool"]) == ("hole", "web") and line["total_ms"] >= 150
    finally:
        hole.stop()
