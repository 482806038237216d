"""What is added, dropped and rewritten on the way to a backend: X-Forwarded-*, hop-by-hop fields, paths, routes."""

import json

import pytest
from harness import response, route, server, site


@pytest.fixture
def proxied(raw_backend, start_palier):
    """Starts a recording backend and palier in front of it: (palier, backend)."""
    def start(answer=None, **config):
        backend = raw_backend(answer)
        return start_palier(site([server("a", backend.address)], **config)), backend

    return start


FORGED = {"X_Forwarded_For": "1.2.3.4", "X_Forwarded_Proto": "https", "X_Forwarded_Host": "evil.example",
          "X_Forwarded_Port": "443", "Forwarded": "for=1.2.3.4;proto=https"}


def test_untrusted_client_cannot_forge(proxied):
    palier, backend = proxied()
    palier.get("/", Host="shop.example", **FORGED)
    seen = backend.requests[0]
    assert seen.get("Host") == "shop.example"
    assert seen.get("X-Forwarded-For") == "127.0.0.1"
    assert seen.get("X-Forwarded-Proto") == "http"
    assert seen.get("X-Forwarded-Host") == "shop.example"
    assert seen.get("X-Forwarded-Port") == str(palier.port)
    assert "Forwarded" not in seen


def test_trusted_proxy_is_believed(proxied):
    palier, backend = proxied(trusted_proxies=["127.0.0.0/8"])
    palier.get("/", Host="shop.example", **FORGED)
    seen = backend.requests[0]
    assert seen.get("X-Forwarded-For") == "1.2.3.4, 127.0.0.1"
    assert seen.get("X-Forwarded-Proto") == "https"
    assert seen.get("X-Forwarded-Host") == "evil.example"
    assert seen.get("X-Forwarded-Port") == "443"
    assert seen.get("Forwarded") == "for=1.2.3.4;proto=https"


def test_trusted_proxy_that_says_nothing_is_completed(proxied):
    palier, backend = proxied(trusted_proxies=["127.0.0.1"])
    palier.get("/", Host="shop.example")
    seen = backend.requests[0]
    assert (seen.get("X-Forwarded-For"), seen.get("X-Forwarded-Proto")) == ("127.0.0.1", "http")
    assert (seen.get("X-Forwarded-Host"), seen.get("X-Forwarded-Port")) == ("shop.example", str(palier.port))


def test_trust_is_by_address(proxied):
    palier, backend = proxied(trusted_proxies=["127.0.0.9/32"])
    for source in ("127.0.0.9", "127.0.0.8"):
        with palier.connect(source=source) as client:
            client.request("GET", "/", X_Forwarded_Proto="https", X_Forwarded_For="1.2.3.4")
    trusted, other = backend.requests
    assert (trusted.get("X-Forwarded-Proto"), trusted.get("X-Forwarded-For")) == ("https", "1.2.3.4, 127.0.0.9")
    assert (other.get("X-Forwarded-Proto"), other.get("X-Forwarded-For")) == ("http", "127.0.0.8")


@pytest.mark.parametrize("spelling", ["X_Forwarded_Proto", "x_forwarded_proto", "X-Forwarded_Proto",
                                      "X.Forwarded.Proto", "X-FORWARDED-PROTO", "X_Forwarded_For", "X_FORWARDED-Host",
                                      "x-forwarded_port"])
def test_other_spellings_are_dropped(proxied, spelling):
    palier, backend = proxied()
    with palier.connect() as client:
        client.send(f"GET / HTTP/1.1\r\nHost: x\r\n{spelling}: forged\r\n\r\n")
        client.read_response()
    seen = backend.requests[0]
    assert "forged" not in [value for _, value in seen.fields]
    assert seen.get("X-Forwarded-Proto") == "http"


def test_php_sees_https_only_from_a_trusted_proxy(web_front, start_palier):
    front = web_front("one")
    for trusted, expected in ((["127.0.0.0/8"], True), ([], False)):
        palier = start_palier(site([server("a", front.address)], trusted_proxies=trusted))
        with palier.connect() as client:
            client.send("GET / HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-Proto: https\r\n"
                        f"{'' if trusted else 'X_Forwarded_Proto: https' + chr(13) + chr(10)}\r\n")
            seen = json.loads(client.read_response().body)
        assert seen["https"] is expected
        assert seen["server"]["HTTP_X_FORWARDED_PROTO"] == ("https" if expected else "http")
        assert seen["server"]["HTTP_HOST"] == "shop.example"


def test_request_id_is_unique_and_a_clients_own_is_replaced(proxied):
    palier, backend = proxied()
    with palier.connect() as client:
        for _ in range(20):
            client.request("GET", "/", X_Request_Id="forged")
    ids = [request.get("X-Request-Id") for request in backend.requests]
    assert len(set(ids)) == 20 and "forged" not in ids and all(len(value) >= 16 for value in ids)


def test_request_id_of_a_trusted_proxy_is_kept(proxied):
    palier, backend = proxied(trusted_proxies=["127.0.0.1/32"])
    palier.get("/", X_Request_Id="from-the-edge")
    assert backend.requests[0].get("X-Request-Id") == "from-the-edge"


def test_hop_by_hop_fields_of_a_request_stay_behind(proxied):
    palier, backend = proxied()
    palier.get("/", Connection="keep-alive, X-Hop, x-other-hop", Keep_Alive="timeout=5", Proxy_Connection="keep-alive",
               TE="gzip;q=0.5", Trailer="X-Sum", Upgrade="h2c", X_Hop="1", X_Other_Hop="2", X_Kept="3")
    seen = backend.requests[0]
    for name in ("Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Upgrade", "X-Hop", "X-Other-Hop"):
        assert name not in seen, name
    assert seen.get("X-Kept") == "3"
    assert "x-hop" not in ",".join(seen.all("Connection")).lower()


def test_te_trailers_is_kept(proxied):
    palier, backend = proxied()
    palier.get("/", TE="trailers, deflate")
    assert backend.requests[0].get("TE") == "trailers"


def test_hop_by_hop_fields_of_a_response_stay_behind(proxied):
    palier, _ = proxied(response("ok", Connection="keep-alive, X-Internal", Keep_Alive="timeout=5",
                                 Proxy_Connection="keep-alive", X_Internal="1", X_Kept="2"))
    answer = palier.get()
    for name in ("Connection", "Keep-Alive", "Proxy-Connection", "X-Internal"):
        assert name not in answer, name
    assert answer.get("X-Kept") == "2" and answer.body == b"ok"


def test_connection_cannot_name_away_what_matters(proxied):
    palier, backend = proxied(trusted_proxies=["127.0.0.1/32"])
    with palier.connect() as client:
        client.request("POST", "/", body=b"12345", Host="shop.example", Cookie="session=1", X_Forwarded_For="1.2.3.4",
                       X_Forwarded_Proto="https", Forwarded="for=1.2.3.4",
                       Connection="Host, Content-Length, Transfer-Encoding, X-Forwarded-For, X-Forwarded-Proto,"
                                  " X-Forwarded-Host, X-Forwarded-Port, Forwarded, Cookie")
    seen = backend.requests[0]
    assert (seen.get("Host"), seen.body, seen.get("Cookie")) == ("shop.example", b"12345", "session=1")
    assert (seen.get("X-Forwarded-For"), seen.get("X-Forwarded-Proto")) == ("1.2.3.4, 127.0.0.1", "https")
    assert seen.get("X-Forwarded-Host") == "shop.example" and seen.get("Forwarded") == "for=1.2.3.4"


def test_other_fields_pass_unchanged_in_order(proxied):
    fields = [("aCCept", "text/html"), ("Cookie", "a=1"), ("X-Empty", ""), ("Cookie", "b=2"),
              ("User-Agent", "t/1 (x; y)"), ("Authorization", "Basic eDp5"), ("X-Bytes", "caf\xe9 \t end"),
              ("Server", "not ours to change")]
    palier, backend = proxied(lambda request: b"HTTP/1.1 299 Odd Reason\r\nContent-Length: 0\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in [*fields, ("Set-Cookie", "c=3"), ("Set-Cookie", "d=4")]).encode(
            "latin-1") + b"\r\n")
    with palier.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields) + "\r\n")
        answer = client.read_response()
    names = {name.lower() for name, _ in fields}
    assert [f for f in backend.requests[0].fields if f[0].lower() in names] == fields
    assert [f for f in answer.fields if f[0].lower() in names] == fields
    assert answer.all("Set-Cookie") == ["c=3", "d=4"]
    assert answer.start_line == "HTTP/1.1 299 Odd Reason"


@pytest.mark.parametrize("sent, forwarded", [
    ("/plain/path?x=1", "/plain/path?x=1"),
    ("/a/./b", "/a/b"),
    ("/a/../b", "/b"),
    ("/a/%2e%2e/b", "/b"),
    ("/a/%2E./b/%2e", "/b/"),
    ("/a/b/..", "/a/"),
    ("/a/../b?back=/../..", "/b?back=/../.."),
    ("/%61bc", "/%61bc"),
    ("/a%2Fb/..%2Fc", "/a%2Fb/..%2Fc"),
    ("/a//b///c", "/a//b///c"),
    ("/caf%C3%A9%20au%20lait", "/caf%C3%A9%20au%20lait"),
    ("/...and/.hidden", "/...and/.hidden"),
    ("/?", "/?"),
])
def test_path_is_made_canonical_once(proxied, sent, forwarded):
    palier, backend = proxied()
    assert palier.get(sent).status == 200
    assert backend.requests[0].target == forwarded


@pytest.mark.parametrize("target", ["/..", "/a/../../b", "/%2e%2e/etc", "/a%00b", "/a\\b", "/a/%5c../b", "/a%",
                                    "/a%zz"])
def test_paths_that_mean_two_things_are_refused(proxied, target):
    palier, backend = proxied()
    with palier.connect() as client:
        answer = client.request("GET", target)
        assert answer.status == 400
        assert client.read_until_close() == b""
    assert backend.accepted == 0


def test_routing_goes_by_the_canonical_path(raw_backend, start_palier):
    web, office = raw_backend(name="web"), raw_backend(name="office")
    palier = start_palier(site(
        [server("a", web.address)], pools=[{"name": "office", "server": [server("b", office.address)]}],
        route=[route("web"), route("office", path="/admin/"), route("office", path="=/exact")]))
    expected = {"/admin/": "office", "/admin/x?y": "office", "/admin": "web", "/administrator": "web", "/": "web",
                "/%61dmin/": "office", "/x/../admin/": "office", "/admin/../x": "web", "/admin%2Fx": "web",
                "/exact": "office", "/exact/": "web", "/exact?q": "office", "/%65xact": "office", "/Admin/": "web"}
    with palier.connect() as client:
        assert {target: client.request("GET", target).body.decode() for target in expected} == expected


def test_routing_goes_by_host(raw_backend, start_palier):
    backends = {name: raw_backend(name=name) for name in ("any", "wild", "deep", "exact")}
    palier = start_palier(site(
        [server("s", backends["any"].address)],
        pools=[{"name": name, "server": [server("s", backend.address)]} for name, backend in backends.items()],
        route=[route("any"), route("wild", host=["*.example.com"]), route("deep", host=["*.eu.example.com"]),
               route("exact", host=["shop.example.com"])]))
    expected = {"shop.example.com": "exact", "SHOP.Example.COM": "exact", "shop.example.com:8080": "exact",
                "www.example.com": "wild", "a.b.example.com": "wild", "x.eu.example.com": "deep", "example.com": "any",
                "other.test": "any"}
    with palier.connect() as client:
        assert {host: client.request("GET", "/", Host=host).body.decode() for host in expected} == expected


def test_request_without_a_route_is_404(raw_backend, start_palier):
    backend = raw_backend(name="a")
    palier = start_palier(site([server("a", backend.address)], route=[route("web", host=["shop.example"])]))
    assert palier.get("/", Host="other.example").status == 404
    assert palier.get("/", Host="shop.example").body == b"a"


def test_redirect_and_fixed_response(raw_backend, start_palier, tmp_path):
    (tmp_path / "maintenance.html").write_text("<p>back soon</p>")
    backend = raw_backend(name="a")
    palier = start_palier(site([server("a", backend.address)], route=[
        route("web"), route(host=["old.example"], redirect={"to": "https", "code": 301}),
        route(path="/down/", respond={"code": 503, "file": str(tmp_path / "maintenance.html")})]))
    with palier.connect() as client:
        moved = client.request("GET", "/a?b=c", Host="old.example")
        assert (moved.status, moved.get("Location")) == (301, "https://old.example/a?b=c")
        down = client.request("GET", "/down/x")
        assert (down.status, down.body) == (503, b"<p>back soon</p>")
        assert down.get("Content-Type", "").startswith("text/html")
        assert client.request("GET", "/").body == b"a"
