"""Clients that show certificates of their own (mTLS): who may enter, and what the backend is told of them."""

import re
import ssl

import pytest
from harness import (
    Authority, Certificate, RawClient, TlsClient, alert_of, client_context, curl, free_port, make_ca, make_certificate,
    run_palier, s_client, server, site, tls_listener, to_toml)

VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
MODES = pytest.mark.parametrize("mode", ["optional", "required"])


@pytest.fixture
def partners(tmp_path) -> Authority:
    """Who vouches for clients."""
    return make_ca(tmp_path, "partners")


@pytest.fixture
def shop(tmp_path, partners) -> Certificate:
    return make_certificate(tmp_path / "clients", ["shop"], partners, client=True,
                            subject={"O": "Example", "CN": "shop"})


@pytest.fixture
def guarded(secure, raw_backend, partners):
    """palier that asks clients for certificates, and its backend: guarded("required")."""
    def start(mode: str, **keys):
        backend = raw_backend()
        authority = {} if mode == "off" else {"client_ca": partners.crt}
        return secure(backend, tls={"client_auth": mode, **authority}, **keys), backend

    return start


def fetch(palier, certificate: Certificate | None = None, version: ssl.TLSVersion | None = None, **fields: str):
    """A GET by a client with this certificate; what ends a refused handshake of TLS 1.3 comes with the first read."""
    context = client_context(certificate=certificate)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    with TlsClient(palier.port, context=context) as client:
        return client.request(**fields)


def refusal(palier, certificate: Certificate | None, version: ssl.TLSVersion) -> str:
    """The alert that refuses such a client."""
    with pytest.raises(ssl.SSLError) as refused:
        fetch(palier, certificate, version)
    return alert_of(refused.value)


@VERSIONS
@MODES
def test_verified_client_enters(guarded, shop, version, mode):
    palier, backend = guarded(mode)
    assert fetch(palier, shop, version).status == 200
    assert backend.requests[0].get("X-Client-Subject") == "CN=shop,O=Example"


@VERSIONS
def test_client_without_certificate(guarded, version):
    optional, backend = guarded("optional")
    assert fetch(optional, None, version).status == 200
    assert "X-Client-Subject" not in backend.requests[0]
    required, backend = guarded("required")
    assert refusal(required, None, version) in ("certificate_required", "handshake_failure")
    assert backend.accepted == 0


def test_nobody_is_asked_by_default(guarded, shop):
    palier, backend = guarded("off")
    assert fetch(palier, shop).status == 200
    assert "X-Client-Subject" not in backend.requests[0]
    assert "Acceptable client certificate CA names" not in s_client(palier.port).text


def test_clients_are_told_whose_certificates_count(guarded, partners):
    palier, _ = guarded("optional")
    assert "CN = palier test partners" in s_client(palier.port).text


def stranger(tmp_path) -> Certificate:
    return make_certificate(tmp_path / "strangers", ["shop"], make_ca(tmp_path, "strangers"), client=True)


def namesake(tmp_path) -> Certificate:
    """Of an authority that calls itself as the right one does."""
    authority = make_ca(tmp_path / "namesakes", "partners")
    return make_certificate(tmp_path / "clients", ["shop"], authority, client=True)


BAD = {
    "unknown authority": (lambda directory, partners: stranger(directory), "unknown_ca"),
    "namesake of the authority": (lambda directory, partners: namesake(directory),
                                  "decrypt_error|unknown_ca|bad_certificate"),
    "self-signed": (lambda directory, partners: make_certificate(directory / "x", ["x"], client=True), "unknown_ca"),
    "expired": (lambda directory, partners: make_certificate(
        directory / "x", ["x"], partners, client=True, days=-1, not_before=-10), "certificate_expired"),
    "not yet valid": (lambda directory, partners: make_certificate(
        directory / "x", ["x"], partners, client=True, not_before=3), "bad_certificate|certificate_expired"),
    "a server's": (lambda directory, partners: make_certificate(directory / "x", ["x"], partners),
                   "unsupported_certificate|bad_certificate|certificate_unknown"),
}


@VERSIONS
@MODES
@pytest.mark.parametrize("kind", BAD)
def test_bad_certificate_is_refused_in_any_mode(guarded, partners, tmp_path, kind, mode, version):
    make, alerts = BAD[kind]
    certificate = make(tmp_path, partners)
    palier, backend = guarded(mode)
    assert re.fullmatch(alerts, refusal(palier, certificate, version))
    assert backend.accepted == 0


def test_intermediate_authority_of_a_client(guarded, partners, tmp_path):
    middle = make_ca(tmp_path, "middle", partners)
    client = make_certificate(tmp_path / "clients", ["branch"], middle, client=True)
    palier, backend = guarded("required")
    assert fetch(palier, client).status == 200
    assert backend.requests[0].get("X-Client-Subject") == "CN=branch"


def test_curl_shows_its_certificate(guarded, shop, ca):
    palier, backend = guarded("required")
    for http in ("1.1", "2"):
        answer = curl(f"https://test.example:{palier.port}/", "--resolve", f"test.example:{palier.port}:127.0.0.1",
                      "--cacert", str(ca.crt), "--cert", str(shop.crt), "--key", str(shop.key), f"--http{http}")
        assert (answer.exit_code, answer.status) == (0, 200), answer.error
    assert [request.get("X-Client-Subject") for request in backend.requests] == ["CN=shop,O=Example"] * 2


SPELLINGS = ["X-Client-Subject", "x-client-subject", "X_Client_Subject", "X-Client_Subject", "X.Client.Subject",
             "X_CLIENT_SUBJECT"]


def spoofed(client, spelling: str):
    client.send(f"GET / HTTP/1.1\r\nHost: x\r\n{spelling}: CN=admin\r\n\r\n")
    return client.read_response()


def forged_fields(request) -> list[str]:
    """What an application would take for the subject."""
    return [value for name, value in request.fields
            if name.lower().replace("_", "-").replace(".", "-") == "x-client-subject"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_subject_cannot_be_forged(guarded, shop, spelling):
    palier, backend = guarded("optional", more=[{"name": "http", "address": f"127.0.0.1:{free_port()}"}])
    with TlsClient(palier.port, context=client_context(certificate=shop)) as client:
        assert spoofed(client, spelling).status == 200
    with TlsClient(palier.port) as client:
        assert spoofed(client, spelling).status == 200
    with RawClient(palier.ports[1]) as client:
        assert spoofed(client, spelling).status == 200
    assert [forged_fields(request) for request in backend.requests] == [["CN=shop,O=Example"], [], []]


def test_subject_cannot_be_forged_by_those_whose_forwarding_is_believed(guarded):
    """They are believed about addresses, not about who shows which certificate to palier."""
    palier, backend = guarded("optional", trusted_proxies=["127.0.0.0/8"])
    with TlsClient(palier.port) as client:
        spoofed(client, "X-Client-Subject")
    assert forged_fields(backend.requests[0]) == []


def test_subject_cannot_be_named_away(guarded, shop):
    palier, backend = guarded("required")
    assert fetch(palier, shop, Connection="X-Client-Subject, keep-alive").status == 200
    assert backend.requests[0].get("X-Client-Subject") == "CN=shop,O=Example"


@pytest.mark.parametrize("name", ["a\\r\\nX-Evil: 1", "\u00fcml\u00e4ut", 'quo"te', "plus+comma,equals=", "x" * 64])
def test_strange_subjects_are_one_harmless_value(guarded, partners, tmp_path, name):
    client = make_certificate(tmp_path / "clients", ["x"], partners, client=True, file="strange",
                              subject={"CN": name.replace("\\", "\\\\").replace('"', '\\"').replace(",", "\\,")})
    palier, backend = guarded("required")
    assert fetch(palier, client).status == 200
    subject = backend.requests[0].get("X-Client-Subject")
    assert subject.startswith("CN=") and subject.isascii() and subject.isprintable()
    assert "X-Evil" not in backend.requests[0]


@VERSIONS
def test_subject_is_remembered_by_a_resumed_session(guarded, shop, tmp_path, version):
    palier, backend = guarded("required")
    flag = "-tls1_2" if version == ssl.TLSVersion.TLSv1_2 else "-tls1_3"
    mine = ["-cert", shop.crt, "-key", shop.key]
    session = tmp_path / "session"
    assert s_client(palier.port, flag, *mine, "-sess_out", session).connected
    assert s_client(palier.port, flag, "-sess_in", session).reused
    assert [request.get("X-Client-Subject") for request in backend.requests] == ["CN=shop,O=Example"] * 2


@VERSIONS
def test_session_without_certificate_does_not_open_a_guarded_listener(secure, raw_backend, partners, certs, ca,
                                                                      tmp_path, version):
    """A ticket of the listener where anybody may enter, at the one where a certificate is required."""
    make_certificate(certs, ["test.example"], ca)
    guarded = tls_listener(certs, "test.example", "partners", client_auth="required", client_ca=partners.crt)
    backend = raw_backend()
    palier = secure(backend, tls={"default": "test.example"}, more=[guarded])
    flag = "-tls1_2" if version == ssl.TLSVersion.TLSv1_2 else "-tls1_3"
    session = tmp_path / "session"
    assert s_client(palier.ports[0], flag, "-sess_out", session).connected
    backend.wait_served(1)
    said = s_client(palier.ports[1], flag, "-sess_in", session)
    assert not said.reused and "HTTP/1.1 200" not in said.text
    assert backend.served == 1


@pytest.mark.parametrize("content", [b"", b"not a certificate", None])
def test_start_is_refused_without_a_usable_authority(certs, ca, tmp_path, content):
    make_certificate(certs, ["test.example"], ca)
    authority = tmp_path / "clients-ca.pem"
    if content is not None:
        authority.write_bytes(content)
    config = tmp_path / "palier.toml"
    config.write_text(to_toml(site([server("a", "127.0.0.1:1")], listener=[
        tls_listener(certs, client_auth="required", client_ca=authority)])))
    for command in ("check", "run"):
        done = run_palier(command, "-c", config)
        assert done.returncode == 1 and "clients-ca.pem" in done.stdout + done.stderr
