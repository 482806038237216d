"""HTTP/2 with the tools that people use: curl, nghttp, h2load, in plain and over TLS; and fronts that die meanwhile."""

import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import SANITIZED, curl, duration, h2load, response, seconds, server, site, wait_for
from harness.certificates import make_certificate
from harness.config import tls_listener
from harness.h2_client import H2Client, h2_site
from harness.h2_frames import H2Error, request_fields
from harness.h2_raw import RawH2Client
from harness.tls import client_context

REQUESTS = 2_000 if SANITIZED else 20_000
DOWNLOAD = (8 if SANITIZED else 64) << 20


def nghttp(*arguments: str) -> str:
    """What nghttp says with --verbose."""
    done = subprocess.run(["nghttp", "--verbose", "--null-out", "--no-verify-peer", *arguments], capture_output=True,
                          text=True, timeout=seconds(30), check=True)
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)


@pytest.fixture
def both(start_palier, tmp_path):
    """both(servers, **keys) → palier with HTTP/2 on ports[0] in plain and on ports[1] over TLS"""
    def start(servers: list[dict], **keys):
        make_certificate(tmp_path / "certs", ["test.example", "127.0.0.1"])
        listeners = [*h2_site([])["listener"], tls_listener(tmp_path / "certs", default="test.example")]
        return start_palier(site(servers, listener=listeners, **keys))

    return start


def urls(palier, path: str = "/") -> list[str]:
    return [f"http://127.0.0.1:{palier.ports[0]}{path}", f"https://127.0.0.1:{palier.ports[1]}{path}"]


def test_curl(both, raw_backend):
    backend = raw_backend()
    palier = both([server("a", backend.address)])
    for url, option in zip(urls(palier, "/a?b"), ("--http2-prior-knowledge", "--http2"), strict=True):
        requests = ([], "GET", ""), (["--data", "x=1"], "POST", "x=1"), (["-X", "DELETE"], "DELETE", "")
        for extra, method, body in requests:
            answer = curl(url, option, "--insecure", *extra)
            seen = json.loads(answer.body)
            assert (answer.exit_code, answer.status) == (0, 200), answer.error
            assert seen["line"] == f"{method} /a?b HTTP/1.1" and seen["body"] == body
            assert dict(seen["fields"])["X-Forwarded-Proto"] == url.partition(":")[0]
        assert curl(url, option, "--insecure", "--head").status == 200
    protocols = {line["protocol"] for line in palier.wait_access_log(8)}
    assert protocols == {"HTTP/2.0"}


def test_curl_that_offers_an_upgrade_is_served_as_http1(both, raw_backend):
    backend = raw_backend()
    palier = both([server("a", backend.address)])
    answer = curl(urls(palier)[0], "--http2")
    assert answer.status == 200 and "Upgrade" not in dict(json.loads(answer.body)["fields"])
    assert curl(urls(palier)[1], "--http1.1", "--insecure").status == 200


def test_curl_uploads_and_downloads(both, web_front, tmp_path):
    palier = both([server("one", web_front("one").address)])
    upload = tmp_path / "upload"
    upload.write_bytes(os.urandom(10 << 20))
    for url, option in zip(urls(palier), ("--http2-prior-knowledge", "--http2"), strict=True):
        answer = curl(f"{url}upload", option, "--insecure", "--data-binary", f"@{upload}")
        assert json.loads(answer.body)["input_size"] == 10 << 20
        assert json.loads(answer.body)["https"] is url.startswith("https")
        down = curl(f"{url}download?bytes={DOWNLOAD}", option, "--insecure", discard=True)
        assert (down.exit_code, down.size_download) == (0, DOWNLOAD), down.error


def test_nghttp(both, raw_backend):
    backend = raw_backend(response("x" * 100_000))
    palier = both([server("a", backend.address)])
    for url in urls(palier):
        said = nghttp("--trailer", "x-trailer: 1", "--data", "/etc/hostname", "--no-content-length", url)
        assert re.search(r":status: 200", said) and "END_STREAM" in said, said
        assert "RST_STREAM" not in said and "NO_ERROR" in said, said
        said = nghttp("--multiply=50", "--window-bits=14", url)
        assert len(re.findall(r":status: 200", said)) == 50, said[-2000:]
    assert backend.requests[0].trailers == [("x-trailer", "1")] and backend.served == 102


def test_nghttp_with_paddings_and_continuations(both, raw_backend):
    palier = both([server("a", raw_backend(response("ok")).address)])
    for url in urls(palier):
        for option in (["--padding=100"], ["--continuation"], ["--header-table-size=0"],
                       ["--peer-max-concurrent-streams=1"], ["--expect-continue", "--data", "/etc/hostname"]):
            said = nghttp(*option, url)
            assert ":status: 200" in said, (option, said)


@pytest.mark.parametrize("streams", [1, 32])
def test_h2load(both, web_front, streams):
    palier = both([server(front.name, front.address) for front in (web_front("one"), web_front("two"))])
    for url in urls(palier, "/hello.txt"):
        result = h2load(url, REQUESTS // 4, 8, "-m", str(streams), http2=True)
        assert (result.succeeded, result.failed) == (REQUESTS // 4, 0), result.text
        assert result.statuses["2xx"] == REQUESTS // 4


def test_h2load_of_large_answers(both, web_front):
    palier = both([server("one", web_front("one").address)])
    for url in urls(palier, "/download?bytes=300000"):
        result = h2load(url, 200, 4, "-m", "8", "-w", "16", "-W", "18", http2=True)
        assert (result.succeeded, result.failed) == (200, 0), result.text


def test_h2load_uploads(both, web_front, tmp_path):
    palier = both([server("one", web_front("one").address)])
    upload = tmp_path / "upload"
    upload.write_bytes(os.urandom(200_000))
    for url in urls(palier, "/echo"):
        result = h2load(url, 200, 4, "-m", "8", "-d", str(upload), http2=True)
        assert (result.succeeded, result.failed, result.statuses["2xx"]) == (200, 0, 200), result.text


@pytest.mark.parametrize("secure", [0, 1], ids=["plain", "TLS"])
def test_killed_front_costs_no_request(both, web_front, secure):
    fronts = [web_front(name) for name in ("one", "two", "three")]
    palier = both([server(front.name, front.address) for front in fronts],
                  pool={"outlier": {"failures": 2, "backoff": duration(0.3), "max_ejected": 100}})
    # At a pace that leaves time for a front to die in the middle of it.
    total, rate = (2_000, 60) if SANITIZED else (8_000, 500)
    with ThreadPoolExecutor() as threads:
        url = urls(palier, "/hello.txt")[secure]
        load = threads.submit(h2load, url, total, 4, "-m", "16", f"--rps={rate}", http2=True)
        palier.wait_logged(100_000)
        fronts[1].kill()
        palier.wait_logged(200_000)
        fronts[1].start()
        palier.wait_logged(50_000)
        assert not load.done(), "it lasts longer than all that"
        result = load.result()
    assert (result.succeeded, result.failed, result.statuses["2xx"]) == (total, 0, total), result.text
    assert {line["server"] for line in palier.access_log()} == {"one", "two", "three"}


def test_streams_over_tls(both, raw_backend):
    """ALPN, the scheme, and frames that do not end where records do."""
    backend = raw_backend(lambda request: response(request.body or b"ok"))
    palier = both([server("a", backend.address)], workers=1)
    context = client_context(alpn=["h2", "http/1.1"])
    with H2Client(palier.ports[1], context) as client:
        streams = [client.start(path=f"/{number}") for number in range(20)]
        body = os.urandom(1 << 20)
        assert client.request("POST", "/", body=body, timeout=30).body == body
        assert {bytes(client.finish(stream).body) for stream in streams} == {b"ok"}
    with RawH2Client(palier.ports[1], context) as client:
        stream = client.new_stream()
        client.send_bytewise(client.headers_frame(1, request_fields(scheme="https")))
        assert client.finish(stream).body == b"ok"
    assert {request.get("X-Forwarded-Proto") for request in backend.requests} == {"https"}


def test_refusals_and_floods_over_tls(both, raw_backend):
    backend = raw_backend(response("ok"))
    palier = both([server("a", backend.address)], workers=1)
    context = client_context(alpn=["h2"])
    with H2Client(palier.ports[1], context) as other:
        assert other.request().status == 200
        with RawH2Client(palier.ports[1], context) as client:
            bad = client.open([*request_fields("GET", "/refused", scheme="https"), ("x", "a\r\nb")])
            assert client.wait_reset(bad) == H2Error.PROTOCOL_ERROR
            client.flood(lambda n: b"\0\0\x08\6\0\0\0\0\0" + bytes(8), 20_000)
            assert client.wait_goaway() == H2Error.ENHANCE_YOUR_CALM
        assert other.request().status == 200
    wait_for(lambda: "too many HTTP/2 PING" in palier.events(), "the log's line")
    assert b"refused" not in backend.received


def test_http1_over_tls_beside_it(both, raw_backend):
    palier = both([server("a", raw_backend(response("ok")).address)])
    for protocols in (["http/1.1"], ["http/1.1", "h2"], None):
        version = "--http1.1" if protocols != ["http/1.1", "h2"] else "--http2"
        answer = curl(urls(palier)[1], version, "--insecure", *(["--no-alpn"] if protocols is None else []))
        assert answer.body == b"ok"
