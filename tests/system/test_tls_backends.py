"""TLS toward backends: who is believed, what happens to the others, and how often hands are shaken."""

import json
import re
import ssl

import pytest
from harness import (
    curl, duration, make_ca, make_certificate, response, run_palier, server, server_context, site, to_toml)


@pytest.fixture
def backend_certificate(tmp_path, ca):
    return make_certificate(tmp_path / "backends", ["front1.internal"], ca)


@pytest.fixture
def encrypted(raw_backend, backend_certificate):
    """Factory of backends that speak TLS, with the certificate of front1.internal unless told otherwise."""
    def start(*arguments, certificate=None, context=None, **options):
        return raw_backend(*arguments, tls=context or server_context(certificate or backend_certificate), **options)

    return start


@pytest.fixture
def proxied(start_palier, ca):
    """palier in front of backends in TLS: proxied([backend, …], **keys of the pool). All are to be front1.internal."""
    def start(backends, config=None, **pool):
        keys = {"tls": True, "ca": str(ca.crt), "server_name": "front1.internal", **pool}
        servers = [server(f"s{number}", backend.address) for number, backend in enumerate(backends)]
        return start_palier(site(servers, pool=keys, **(config or {})))

    return start


def test_verified_backend(encrypted, proxied):
    backend = encrypted()
    palier = proxied([backend])
    answer = palier.get("/path", Host="shop.example")
    assert answer.status == 200
    seen = json.loads(answer.body)
    assert seen["line"] == "GET /path HTTP/1.1"
    assert ["Host", "shop.example"] in seen["fields"]
    assert ["X-Forwarded-Proto", "http"] in seen["fields"]  # as the client came, whatever is behind


def test_server_name_is_asked_for(raw_backend, backend_certificate, proxied):
    asked = []
    context = server_context(backend_certificate, sni_callback=lambda _, name, __: asked.append(name))
    palier = proxied([raw_backend(name="a", tls=context)])
    assert palier.get().body == b"a"
    assert asked == ["front1.internal"]


def test_http_1_1_is_offered(raw_backend, backend_certificate, proxied):
    context = server_context(backend_certificate)
    context.set_alpn_protocols(["h2", "http/1.1"])
    backend = raw_backend(name="a", tls=context)
    assert proxied([backend]).get().body == b"a"
    assert backend.connections[0].socket.selected_alpn_protocol() == "http/1.1"


def test_without_server_name_the_host_of_the_address_counts(raw_backend, ca, tmp_path, start_palier):
    by_address = make_certificate(tmp_path / "backends", ["127.0.0.1"], ca, subject={"CN": "x"})
    by_name = make_certificate(tmp_path / "backends", ["localhost"], ca)
    one = raw_backend(name="one", tls=server_context(by_address))
    two = raw_backend(name="two", tls=server_context(by_name))
    palier = start_palier(site([server("one", one.address), server("two", f"localhost:{two.port}")],
                               pool={"tls": True, "ca": str(ca.crt), "retries": 0}))
    assert {palier.get().body for _ in range(8)} == {b"one", b"two"}


def test_keys_of_a_server_win(raw_backend, encrypted, ca, start_palier):
    secret, plain = encrypted(name="secret"), raw_backend(name="plain")
    palier = start_palier(site(
        [server("s", secret.address, server_name="front1.internal"), server("p", plain.address, tls=False)],
        pool={"tls": True, "ca": str(ca.crt), "retries": 0}))
    assert {palier.get().body for _ in range(8)} == {b"secret", b"plain"}


def test_tls_on_both_sides(secure, web_front, backend_certificate, ca):
    """Encrypted all the way to a real nginx with PHP behind it."""
    front = web_front("one", certificate=backend_certificate)
    palier = secure(servers=[server("one", front.address)],
                    pool={"tls": True, "ca": str(ca.crt), "server_name": "front1.internal"})
    reach = ["--resolve", f"test.example:{palier.port}:127.0.0.1", "--cacert", str(ca.crt)]
    for http in ("1.1", "2"):
        answer = curl(f"https://test.example:{palier.port}/", *reach, f"--http{http}", "--data", "x" * 100_000)
        seen = json.loads(answer.body)
        assert (seen["front"], seen["https"], seen["input_size"]) == ("one", True, 100_000)
    size = 20 << 20
    answer = curl(f"https://test.example:{palier.port}/download?bytes={size}", *reach, discard=True)
    assert answer.size_download == size


# Who is not believed


def impostor(kind: str, directory, ca):
    """A certificate that palier has no reason to believe."""
    if kind == "wrong name":
        return make_certificate(directory / "bad", ["front2.internal"], ca)
    if kind == "unknown authority":
        return make_certificate(directory / "bad", ["front1.internal"], make_ca(directory, "strangers"))
    if kind == "self-signed":
        return make_certificate(directory / "bad", ["front1.internal"])
    if kind == "a client's":
        return make_certificate(directory / "bad", ["front1.internal"], ca, client=True)
    return make_certificate(directory / "bad", ["front1.internal"], ca, days=-1, not_before=-10)


IMPOSTORS = {"wrong name": "name|host", "unknown authority": "issuer|unable to verify|authority", "self-signed": "self",
             "expired": "expired", "a client's": "purpose|unsuitable"}


@pytest.mark.parametrize("kind", IMPOSTORS)
def test_impostor_gets_no_request(encrypted, proxied, ca, tmp_path, kind):
    backend = encrypted(certificate=impostor(kind, tmp_path, ca))
    palier = proxied([backend], retries=0)
    with palier.connect() as client:
        assert client.request("POST", "/", body=b"secret").status == 502
    assert backend.served == 0 and b"secret" not in backend.received
    line = palier.wait_access_log(1)[0]
    assert (line["status"], line["reason"]) == (502, "connect_failed")


def wait_reason(palier, kind: str) -> None:
    palier.wait_event(rf"(warn|error)[^\n]*s0[^\n]*TLS[^\n]*({IMPOSTORS[kind]})")


@pytest.mark.parametrize("kind", IMPOSTORS)
def test_log_says_why_an_impostor_is_ejected(encrypted, proxied, ca, tmp_path, kind):
    palier = proxied([encrypted(certificate=impostor(kind, tmp_path, ca)), encrypted(name="good")])
    for _ in range(20):
        assert palier.get().body == b"good"
    wait_reason(palier, kind)


def test_log_says_why_the_only_server_is_refused(encrypted, proxied, ca, tmp_path):
    """The commonest mistake of a first configuration; nobody can be ejected, and still there is to be a reason."""
    palier = proxied([encrypted(certificate=impostor("wrong name", tmp_path, ca))])
    for _ in range(20):
        assert palier.get().status in (502, 503)
    wait_reason(palier, "wrong name")


@pytest.mark.parametrize("kind", IMPOSTORS)
def test_without_verification_anybody_will_do(encrypted, proxied, ca, tmp_path, kind):
    backend = encrypted(name="a", certificate=impostor(kind, tmp_path, ca))
    assert proxied([backend], verify=False).get().body == b"a"


def test_the_systems_authorities_are_the_default(encrypted, proxied):
    assert proxied([encrypted()], ca="", retries=0).get().status == 502


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_are_refused(raw_backend, backend_certificate, proxied):
    context = server_context(backend_certificate, minimum_version=ssl.TLSVersion.TLSv1,
                             maximum_version=ssl.TLSVersion.TLSv1_1)
    context.set_ciphers("ALL:@SECLEVEL=0")
    palier = proxied([raw_backend(tls=context)], retries=0)
    assert palier.get().status == 502


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions(raw_backend, backend_certificate, proxied, version):
    backend = raw_backend(name="a", tls=server_context(backend_certificate, minimum_version=version,
                                                       maximum_version=version))
    palier = proxied([backend])
    for _ in range(3):
        assert palier.get().body == b"a"
    assert backend.connections[0].socket.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]


# Backends that do not shake hands



NO_TLS = {
    "plain HTTP": lambda connection: connection.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    "closes": lambda connection: connection.read_exactly(5),
    "resets": lambda connection: (connection.read_exactly(5), connection.reset()),
    "garbage": lambda connection: (connection.read_exactly(5),
                                   connection.send(b"\x16\x03\x03\xff\xff" + b"\xff" * 999)),
}


@pytest.mark.parametrize("kind", NO_TLS)
def test_backend_that_cannot_shake_hands_is_502(raw_backend, proxied, kind):
    palier = proxied([raw_backend(handler=NO_TLS[kind])], retries=0)
    assert palier.get().status == 502
    assert palier.wait_access_log(1)[0]["reason"] in ("connect_failed", "backend_reset")


def test_backend_that_says_nothing_is_ended_by_the_connect_deadline(raw_backend, proxied):
    palier = proxied([raw_backend(handler=lambda connection: connection.stall())], retries=0,
                     config={"timeouts": {"connect": duration(0.5), "handshake": duration(0.5)}})
    assert palier.get().status in (502, 504)


@pytest.mark.parametrize("kind", [*NO_TLS, "wrong name"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_failed_handshake_fails_over(raw_backend, encrypted, proxied, ca, tmp_path, kind, method):
    """Nothing of a request was sent yet, so that any may be tried elsewhere."""
    if kind in NO_TLS:
        bad = raw_backend(handler=NO_TLS[kind])
    else:
        bad = encrypted(certificate=impostor(kind, tmp_path, ca))
    good = encrypted(name="good")
    palier = proxied([bad, good])
    for _ in range(6):
        answer = palier.connect().request(method, "/", body=b"x" * 1000 if method == "POST" else None)
        assert (answer.status, answer.body) == (200, b"good")
    assert good.served == 6 and bad.accepted > 0


# How often


def test_one_handshake_for_many_requests(encrypted, proxied):
    backend = encrypted(name="a")
    palier = proxied([backend], config={"workers": 1})
    with palier.connect() as client:
        for _ in range(30):
            assert client.request().body == b"a"
    for _ in range(5):
        assert palier.get().body == b"a"
    assert backend.handshakes == [False]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_next_connection_resumes_the_session(raw_backend, backend_certificate, proxied, version):
    context = server_context(backend_certificate, minimum_version=version, maximum_version=version)

    def once(connection):
        connection.read_request()
        connection.send(response("a", Connection="close"))
        connection.close_with_notify()

    backend = raw_backend(handler=once, tls=context)
    palier = proxied([backend], config={"workers": 1})
    for _ in range(4):
        assert palier.get().body == b"a"
    assert backend.handshakes == [False, True, True, True]


def test_closed_idle_connection_costs_no_request(encrypted, proxied):
    backend = encrypted(name="a")
    palier = proxied([backend], config={"workers": 1})
    for count in range(1, 4):
        assert palier.get().body == b"a"
        backend.close_connections()
        assert backend.accepted == count


def test_close_notify_of_an_idle_connection_ends_it(encrypted, proxied):
    """A backend that only says that it is done, and waits for palier to hang up."""
    def handler(connection):
        connection.read_request()
        connection.send(response("a"))
        connection.close_with_notify()

    backend = encrypted(handler=handler)
    palier = proxied([backend], config={"workers": 1})
    for _ in range(4):
        assert palier.get().body == b"a"
    assert backend.accepted == 4


# Truncation


def until_close(end: str):
    def handler(connection):
        connection.read_request()
        connection.send("HTTP/1.1 200 OK\r\n\r\nhalf of it")
        if end == "notify":
            connection.close_with_notify()
    return handler


def test_body_until_close_is_whole_with_close_notify(encrypted, proxied):
    palier = proxied([encrypted(handler=until_close("notify"))])
    answer = palier.get()
    assert (answer.status, answer.body) == (200, b"half of it")


def test_body_until_close_is_cut_without_close_notify(encrypted, proxied):
    """Anybody on the way can send a FIN: without close_notify nobody knows whether that was all."""
    palier = proxied([encrypted(handler=until_close("cut"))], retries=0)
    with palier.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        said = client.read_whatever()
    assert not said.endswith(b"0\r\n\r\n"), said  # the last chunk would call it whole
    assert palier.wait_access_log(1)[0]["reason"] == "backend_cut"


@pytest.mark.parametrize("head", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_body_with_a_length_is_cut(encrypted, proxied, head):
    def handler(connection):
        connection.read_request()
        connection.send(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello\r\n")

    palier = proxied([encrypted(handler=handler)], retries=0)
    with palier.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not client.read_whatever().endswith(b"0\r\n\r\n")
    assert palier.wait_access_log(1)[0]["reason"] == "backend_cut"


def test_large_bodies(encrypted, proxied):
    body = bytes(range(256)) * (16 << 10)  # 4 MiB
    backend = encrypted(lambda request: response(request.body))
    palier = proxied([backend])
    with palier.connect(timeout=30) as client:
        for _ in range(2):
            assert client.request("POST", "/", body=body).body == body


# The configuration


@pytest.mark.parametrize("content", [None, b"", b"not a certificate"])
def test_start_is_refused_without_a_usable_authority(tmp_path, content):
    authority = tmp_path / "backends-ca.pem"
    if content is not None:
        authority.write_bytes(content)
    config = tmp_path / "palier.toml"
    config.write_text(to_toml(site([server("a", "127.0.0.1:1")], pool={"tls": True, "ca": str(authority)})))
    for command in ("check", "run"):
        done = run_palier(command, "-c", config)
        said = done.stdout + done.stderr
        assert done.returncode == 1 and re.search(r"backends-ca\.pem", said), said
