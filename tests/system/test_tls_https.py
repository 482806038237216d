"""What sites see of TLS: X-Forwarded-Proto, redirects to https, Strict-Transport-Security."""

import pytest
from harness import RawClient, TlsClient, curl, free_port, response, route, server, wait_for


def plain_listener(**keys) -> dict:
    return {"name": "http", "address": f"127.0.0.1:{free_port()}", **keys}


@pytest.fixture
def both_ways(secure):
    """palier with a TLS listener and then a plain one: both_ways(backend, **keys of secure())."""
    return lambda *arguments, **keys: secure(*arguments, more=[plain_listener()], **keys)


def over_tls(palier, *arguments, **fields):
    with TlsClient(palier.ports[0]) as client:
        return client.request(*arguments, **fields)


def in_plain(palier, *arguments, **fields):
    with RawClient(palier.ports[1]) as client:
        return client.request(*arguments, **fields)


# X-Forwarded-*


def test_backend_is_told_of_https(both_ways, raw_backend):
    backend = raw_backend()
    palier = both_ways(backend)
    over_tls(palier, Host="shop.example")
    in_plain(palier, Host="shop.example")
    encrypted, plain = backend.requests
    assert encrypted.get("X-Forwarded-Proto") == "https"
    assert encrypted.get("X-Forwarded-Port") == str(palier.ports[0])
    assert encrypted.get("X-Forwarded-Host") == "shop.example"
    assert plain.get("X-Forwarded-Proto") == "http"
    assert plain.get("X-Forwarded-Port") == str(palier.ports[1])


def test_clients_cannot_say_otherwise(both_ways, raw_backend):
    backend = raw_backend()
    palier = both_ways(backend)
    over_tls(palier, X_Forwarded_Proto="http", X_Forwarded_Port="80", Forwarded="proto=http")
    in_plain(palier, X_Forwarded_Proto="https", X_Forwarded_Port="443", Forwarded="proto=https")
    encrypted, plain = backend.requests
    assert encrypted.get("X-Forwarded-Proto") == "https" and "Forwarded" not in encrypted
    assert plain.get("X-Forwarded-Proto") == "http" and "Forwarded" not in plain


@pytest.mark.parametrize("http", ["1.1", "2"])
def test_php_that_wants_https_does_not_loop(both_ways, web_front, ca, http):
    front = web_front("one")
    palier = both_ways(servers=[server("one", front.address)])
    reach = ["--resolve", f"test.example:{palier.ports[0]}:127.0.0.1", "--cacert", str(ca.crt), f"--http{http}"]
    answer = curl(f"https://test.example:{palier.ports[0]}/https-only?x=1", *reach, "--location", "--max-redirs", "3")
    assert (answer.exit_code, answer.status) == (0, 200), answer.error
    assert answer.body.decode() == f"came by https, port {palier.ports[0]}\n"
    redirected = in_plain(palier, "GET", "/https-only?x=1", Host="test.example")
    assert redirected.status == 301 and redirected.get("Location") == "https://test.example/https-only?x=1"


def test_php_that_wants_https_from_the_first_click(both_ways, web_front, ca):
    """From http to https and to the page, as a browser goes."""
    front = web_front("one")
    palier = both_ways(servers=[server("one", front.address)],
                       route=[route("web", listener=["https"]), route(listener=["http"], redirect={"to": "https"})])
    # The redirect leads to port 443, where curl is to find palier's.
    answer = curl(f"http://test.example:{palier.ports[1]}/https-only", "--location", "--max-redirs", "3", "--cacert",
                  str(ca.crt), "--connect-to", f"test.example:443:127.0.0.1:{palier.ports[0]}",
                  "--connect-to", f"test.example:{palier.ports[1]}:127.0.0.1:{palier.ports[1]}")
    assert (answer.exit_code, answer.status) == (0, 200), answer.error
    assert answer.body.startswith(b"came by https")


# Redirects


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_redirect_to_https(both_ways, raw_backend, code):
    backend = raw_backend()
    palier = both_ways(backend, route=[route("web", listener=["https"]),
                                       route(listener=["http"], redirect={"to": "https", "code": code})])
    for host, location in (("shop.example", "https://shop.example"), ("shop.example:8080", "https://shop.example"),
                           ("shop.example:80", "https://shop.example"), ("[::1]:8080", "https://[::1]")):
        answer = in_plain(palier, "GET", "/a%20b?c=d&e=%2F", Host=host)
        assert (answer.status, answer.get("Location")) == (code, f"{location}/a%20b?c=d&e=%2F")
    assert backend.accepted == 0
    assert over_tls(palier).status == 200


def test_redirect_of_a_post(both_ways, raw_backend):
    palier = both_ways(raw_backend(), route=[route("web", listener=["https"]),
                                             route(listener=["http"], redirect={"to": "https", "code": 308})])
    answer = in_plain(palier, "POST", "/order", body=b"x" * 1000, Host="shop.example")
    assert (answer.status, answer.get("Location")) == (308, "https://shop.example/order")


# Strict-Transport-Security


HSTS = {"max_age": "365d", "include_subdomains": True, "preload": True}


@pytest.mark.parametrize("hsts, value", [
    ({"max_age": "5m"}, "max-age=300"), ({"max_age": "365d", "include_subdomains": True},
                                         "max-age=31536000; includeSubDomains"),
    (HSTS, "max-age=31536000; includeSubDomains; preload")])
def test_hsts_is_sent_over_tls_only(both_ways, raw_backend, hsts, value):
    palier = both_ways(raw_backend(name="a"), listener={"hsts": hsts})
    for _ in range(2):
        assert over_tls(palier).all("Strict-Transport-Security") == [value]
        assert "Strict-Transport-Security" not in in_plain(palier)


def test_hsts_is_sent_with_what_palier_says_itself(both_ways, raw_backend):
    backend = raw_backend()
    backend.go_down()
    palier = both_ways(backend, listener={"hsts": HSTS}, route=[
        route("web"), route(path="/moved", redirect={"to": "https://elsewhere.example"})])
    for target, status in (("/", 502), ("/moved", 301)):
        answer = over_tls(palier, "GET", target)
        assert answer.status in (status, 503) and len(answer.all("Strict-Transport-Security")) == 1
        assert "Strict-Transport-Security" not in in_plain(palier, "GET", target)


def test_hsts_of_palier_replaces_that_of_the_backend(both_ways, raw_backend):
    """Browsers take the first of several (RFC 6797 section 8.1): there is to be one, the operator's."""
    backend = raw_backend(response("a", Strict_Transport_Security="max-age=1"))
    palier = both_ways(backend, listener={"hsts": {"max_age": "5m"}})
    assert over_tls(palier).all("Strict-Transport-Security") == ["max-age=300"]


def test_hsts_of_the_backend_passes_without_one_of_palier(both_ways, raw_backend):
    palier = both_ways(raw_backend(response("a", Strict_Transport_Security="max-age=1")))
    assert over_tls(palier).all("Strict-Transport-Security") == ["max-age=1"]


def test_hsts_over_http2(both_ways, raw_backend, ca):
    palier = both_ways(raw_backend(name="a"), listener={"hsts": {"max_age": "5m"}})
    answer = curl(f"https://test.example:{palier.ports[0]}/", "--resolve",
                  f"test.example:{palier.ports[0]}:127.0.0.1", "--cacert", str(ca.crt), "--http2")
    assert answer.get("strict-transport-security") == "max-age=300"


def test_alternative_services_are_not_offered(both_ways, raw_backend):
    assert "Alt-Svc" not in over_tls(both_ways(raw_backend(name="a")))


def test_access_log_tells_encrypted_from_plain(both_ways, raw_backend):
    palier = both_ways(raw_backend(name="a"))
    over_tls(palier)
    wait_for(lambda: len(palier.access_log()) == 1, "the line of the first request")
    in_plain(palier)
    assert [line["listener"] for line in palier.wait_access_log(2)] == ["https", "http"]
