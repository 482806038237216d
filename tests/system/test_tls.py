"""Handshakes: versions, ciphers, ALPN, resumption, and what is refused. By curl, openssl s_client and sslscan."""

import re
import ssl
import subprocess

import pytest
from harness import (
    TlsClient, alert_of, client_context, curl, duration, free_port, make_certificate, response, s_client, sslscan,
    tls_listener)

UNKNOWN_NAME, NO_APPLICATION_PROTOCOL, PROTOCOL_VERSION, HANDSHAKE_FAILURE = 112, 120, 70, 40
VERSIONS = pytest.mark.parametrize("version", ["1.2", "1.3"])
GET = "GET / HTTP/1.1\r\nHost: test.example\r\n\r\n"


def flag(version: str) -> str:
    """s_client's option for one version of TLS."""
    return f"-tls{version.replace('.', '_')}"


# curl


@VERSIONS
@pytest.mark.parametrize("http", ["1.1", "2"])
def test_curl(secure, raw_backend, ca, version, http):
    palier = secure(raw_backend(response("hello", Content_Type="text/plain")))
    answer = curl(f"https://test.example:{palier.port}/", "--resolve", f"test.example:{palier.port}:127.0.0.1",
                  "--cacert", str(ca.crt), f"--http{http}", f"--tlsv{version}", "--tls-max", version)
    assert (answer.exit_code, answer.status, answer.body) == (0, 200, b"hello"), answer.error
    assert palier.wait_access_log(1)[0]["protocol"] == ("HTTP/2.0" if http == "2" else "HTTP/1.1")


@pytest.mark.parametrize("http", ["1.1", "2"])
def test_curl_posts(secure, raw_backend, ca, http):
    backend = raw_backend()
    palier = secure(backend)
    answer = curl(f"https://test.example:{palier.port}/", "--resolve", f"test.example:{palier.port}:127.0.0.1",
                  "--cacert", str(ca.crt), f"--http{http}", "--data", "x" * 50_000)
    assert answer.status == 200
    assert backend.requests[0].body == b"x" * 50_000


def test_curl_without_the_authority_believes_nothing(secure):
    palier = secure()
    answer = curl(f"https://test.example:{palier.port}/", "--resolve", f"test.example:{palier.port}:127.0.0.1")
    assert answer.exit_code == 60, answer.error  # "SSL peer certificate … was not OK"


# Versions, ciphers, ALPN


@VERSIONS
@pytest.mark.parametrize("offered, chosen", [("h2", "h2"), ("http/1.1", "http/1.1"), ("h2,http/1.1", "h2"),
                                             ("http/1.1,h2", "h2"), ("unknown,http/1.1", "http/1.1"), (None, "")])
def test_alpn(secure, ca, version, offered, chosen):
    palier = secure()
    options = [] if offered is None else ["-alpn", offered]
    said = s_client(palier.port, flag(version), "-CAfile", ca.crt, *options)
    assert said.connected and said.version == f"TLSv{version}", said.text
    assert said.alpn == chosen
    assert "Verify return code: 0 (ok)" in said.text
    if chosen != "h2":
        assert "HTTP/1.1 200" in said.text


@VERSIONS
def test_unknown_alpn_is_refused(secure, version):
    said = s_client(secure().port, flag(version), "-alpn", "spdy/1,unknown")
    assert not said.connected
    assert said.alert == NO_APPLICATION_PROTOCOL, said.text


@pytest.mark.parametrize("served, offered, chosen", [(["http/1.1"], "h2,http/1.1", "http/1.1"), (["h2"], "h2", "h2"),
                                                     (["h2"], "http/1.1", None), (["http/1.1"], "h2", None)])
def test_alpn_of_the_configuration(secure, served, offered, chosen):
    said = s_client(secure(tls={"alpn": served}).port, "-alpn", offered)
    if chosen is None:
        assert said.alert == NO_APPLICATION_PROTOCOL, said.text
    else:
        assert said.alpn == chosen


@pytest.mark.parametrize("version", ["1", "1.1"])
def test_old_versions_are_refused(secure, version):
    said = s_client(secure().port, flag(version), "-cipher", "ALL:@SECLEVEL=0")
    assert not said.connected
    assert said.alert == PROTOCOL_VERSION, said.text


def test_min_version(secure):
    palier = secure(tls={"min_version": "1.3"})
    assert s_client(palier.port, "-tls1_3").version == "TLSv1.3"
    assert s_client(palier.port, "-tls1_2").alert == PROTOCOL_VERSION


@pytest.fixture
def both_kinds(ca, certs):
    """An ECDSA and an RSA certificate for test.example."""
    return (make_certificate(certs, ["test.example"], ca, file="ecdsa"),
            make_certificate(certs, ["test.example"], ca, file="rsa", key="rsa"))


WEAK = ["AES128-SHA", "AES128-GCM-SHA256", "AES256-SHA256", "CAMELLIA128-SHA", "ECDHE-RSA-AES128-SHA",
        "ECDHE-ECDSA-AES128-SHA256", "ECDHE-RSA-AES256-SHA384", "DHE-RSA-AES128-GCM-SHA256", "ADH-AES128-SHA256",
        "AECDH-AES128-SHA", "ECDHE-RSA-NULL-SHA", "NULL-SHA256", "PSK-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-CCM8"]


def test_weak_ciphers_are_refused(secure, both_kinds):
    palier = secure()
    taken = {}
    for cipher in WEAK:
        # Some of them are not even in this OpenSSL: then it is the client that refuses.
        said = s_client(palier.port, "-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0", "-psk", "00")
        if said.connected:
            taken[cipher] = said.cipher
    assert not taken


STRONG = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
          "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"]


def test_strong_ciphers_are_taken(secure, both_kinds):
    palier = secure()
    assert [s_client(palier.port, "-tls1_2", "-cipher", cipher).cipher for cipher in STRONG] == STRONG


def test_the_server_chooses_the_cipher(secure):
    palier = secure()
    for order in (STRONG, STRONG[::-1]):
        # A client that puts ChaCha20 first has no AES in hardware, and gets it.
        wanted = STRONG[4] if "CHACHA20" in order[0] else STRONG[0]
        assert s_client(palier.port, "-tls1_2", "-cipher", ":".join(order)).cipher == wanted
    assert s_client(palier.port, "-tls1_2", "-cipher", f"{STRONG[2]}:{STRONG[0]}").cipher == STRONG[0]


def test_ciphers_suites_and_groups_of_the_configuration(secure):
    palier = secure(tls={"ciphers": "ECDHE-ECDSA-AES256-GCM-SHA384", "ciphersuites": "TLS_CHACHA20_POLY1305_SHA256",
                         "groups": "P-384"})
    assert s_client(palier.port, "-tls1_2").cipher == "ECDHE-ECDSA-AES256-GCM-SHA384"
    assert s_client(palier.port, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256").alert == HANDSHAKE_FAILURE
    assert s_client(palier.port, "-tls1_3").cipher == "TLS_CHACHA20_POLY1305_SHA256"
    assert "Server Temp Key: ECDH, secp384r1" in s_client(palier.port, "-groups", "X25519:P-384").text
    assert not s_client(palier.port, "-groups", "X25519").connected


@pytest.mark.parametrize("version", ["1.3", "1.2"])
@pytest.mark.parametrize("group", ["ffdhe2048", "ffdhe4096", "ffdhe8192"])
def test_clients_cannot_make_the_server_compute_for_long(secure, version, group):
    """D(HE)at (CVE-2002-20001, CVE-2022-40735): a client may send a made-up key share for free, and the server's part
    takes 150 ms with the largest of these groups, during which a worker does nothing else."""
    assert not s_client(secure().port, flag(version), "-groups", group).connected


def test_sslscan_finds_nothing_weak(secure, both_kinds, tmp_path):
    found = sslscan(secure().port, "test.example", tmp_path)
    enabled = {f"{entry.get('type')}{entry.get('version')}" for entry in found.iter("protocol")
               if entry.get("enabled") == "1"}
    assert enabled == {"tls1.2", "tls1.3"}
    ciphers = [(entry.get("sslversion"), entry.get("cipher"), entry.get("strength")) for entry in found.iter("cipher")]
    assert {version for version, _, _ in ciphers} == {"TLSv1.2", "TLSv1.3"}
    assert not [cipher for cipher in ciphers if cipher[2] not in ("strong", "acceptable")]
    assert all(re.match(r"ECDHE-.*(GCM|POLY1305)|TLS_", name) for _, name, _ in ciphers), ciphers
    # Not every sslscan can look for the first: see the test of compression.
    assert all(entry.get("supported") == "0" for entry in found.iter("compression"))
    assert found.find("renegotiation").get("supported") == "0"
    assert all(entry.get("vulnerable") == "0" for entry in found.iter("heartbleed"))


@VERSIONS
def test_nothing_is_compressed(secure, version):
    assert "Compression: NONE" in s_client(secure().port, flag(version), "-comp").text


def test_renegotiation_is_refused(secure, raw_backend):
    palier = secure(raw_backend(name="a"))
    # s_client asks for it when it reads a line "R".
    said = s_client(palier.port, "-tls1_2", commands="R\n")
    assert said.connected and "RENEGOTIATING" in said.text
    assert "no renegotiation" in said.text, said.text
    with TlsClient(palier.port) as client:
        assert client.request().body == b"a"


# Resumption


@VERSIONS
def test_session_is_resumed(secure, tmp_path, version):
    palier = secure(workers=2)
    session = tmp_path / "session"
    first = s_client(palier.port, flag(version), "-sess_out", session)
    assert first.connected and not first.reused
    for _ in range(6):  # with any of the workers
        again = s_client(palier.port, flag(version), "-sess_in", session)
        assert again.connected and again.reused, again.text
        assert "HTTP/1.1 200" in again.text


@VERSIONS
def test_session_is_resumed_without_a_name(secure, ca, certs, tmp_path, version):
    make_certificate(certs, ["test.example"], ca)
    palier = secure(tls={"default": "test.example"})
    session = tmp_path / "session"
    assert s_client(palier.port, flag(version), "-sess_out", session, name=None).connected
    assert s_client(palier.port, flag(version), "-sess_in", session, name=None).reused


@VERSIONS
def test_session_of_another_name_is_not_resumed(secure, ca, certs, tmp_path, version):
    one = make_certificate(certs, ["one.example", "three.example"], ca)
    two = make_certificate(certs, ["two.example"], ca)
    palier = secure()
    session = tmp_path / "session"
    assert s_client(palier.port, flag(version), "-sess_out", session, name="one.example").shows(one)
    for name, certificate in (("two.example", two), ("three.example", one)):
        said = s_client(palier.port, flag(version), "-sess_in", session, name=name)
        assert said.connected and not said.reused, said.text
        assert said.shows(certificate)
    assert s_client(palier.port, flag(version), "-sess_in", session, name="one.example").reused


@VERSIONS
def test_session_of_another_listener_is_not_resumed(secure, ca, certs, tmp_path, version):
    make_certificate(certs, ["test.example"], ca)
    palier = secure(tls={"default": "test.example"}, more=[tls_listener(certs, "test.example", "other")])
    session = tmp_path / "session"
    assert s_client(palier.ports[0], flag(version), "-sess_out", session).connected
    said = s_client(palier.ports[1], flag(version), "-sess_in", session)
    assert said.connected and not said.reused, said.text
    assert s_client(palier.ports[0], flag(version), "-sess_in", session).reused


def test_ticket_keys_are_shared_by_machines(secure, ca, certs, tmp_path):
    make_certificate(certs, ["test.example"], ca)
    keys = tmp_path / "tickets"
    keys.write_bytes(bytes(range(80)) + b"\x5a" * 80)
    paliers = [secure(tls={"ticket_keys": keys}) for _ in range(2)]
    for version in ("1.2", "1.3"):
        session = tmp_path / f"session{version}"
        assert s_client(paliers[0].port, flag(version), "-sess_out", session).connected
        said = s_client(paliers[1].port, flag(version), "-sess_in", session)
        assert said.connected and said.reused, said.text


def test_without_ticket_keys_machines_share_nothing(secure, ca, certs, tmp_path):
    make_certificate(certs, ["test.example"], ca)
    paliers = [secure() for _ in range(2)]
    session = tmp_path / "session"
    assert s_client(paliers[0].port, "-sess_out", session).connected
    said = s_client(paliers[1].port, "-sess_in", session)
    assert said.connected and not said.reused


def test_older_ticket_key_opens_and_the_first_seals(secure, ca, certs, tmp_path):
    make_certificate(certs, ["test.example"], ca)
    old, new = b"\x01" * 80, b"\x02" * 80
    files = []
    for number, content in enumerate((old, new + old, new)):
        files.append(tmp_path / f"tickets{number}")
        files[-1].write_bytes(content)
    before, both, after = (secure(tls={"ticket_keys": file}) for file in files)
    session, renewed = tmp_path / "session", tmp_path / "renewed"
    assert s_client(before.port, "-sess_out", session).connected
    assert s_client(both.port, "-sess_in", session, "-sess_out", renewed).reused
    assert not s_client(after.port, "-sess_in", session).reused
    assert s_client(after.port, "-sess_in", renewed).reused


@pytest.mark.parametrize("at", [3, 20, 60], ids=["key's name", "initial vector", "content"])
def test_damaged_ticket_is_a_full_handshake(secure, tmp_path, at):
    palier = secure()
    session = tmp_path / "session"
    assert s_client(palier.port, "-tls1_2", "-sess_out", session).connected
    body = subprocess.run(["openssl", "sess_id", "-in", session, "-outform", "DER"], capture_output=True,
                          check=True).stdout
    ticket = re.search(rb"\xaa(\x81.|\x82..)\x04(\x81.|\x82..)", body, re.DOTALL)  # [10] of OpenSSL's SSL_SESSION_ASN1
    assert ticket, body
    damaged = bytearray(body)
    damaged[ticket.end() + at] ^= 1
    subprocess.run(["openssl", "sess_id", "-inform", "DER", "-out", session], input=bytes(damaged), check=True,
                   capture_output=True)
    said = s_client(palier.port, "-tls1_2", "-sess_in", session)
    assert said.connected and not said.reused, said.text


# What does not begin as TLS does


def test_plain_http_is_told_so(secure, raw_backend):
    backend = raw_backend()
    palier = secure(backend)
    with palier.connect() as client:
        answer = client.send(GET).read_response()
        assert answer.status == 400
        assert b"https" in answer.body.lower() or b"tls" in answer.body.lower(), answer.body
        assert client.read_until_close() == b""
    assert backend.accepted == 0
    assert palier.wait_access_log(1)[0]["reason"] == "plain_http"


@pytest.mark.parametrize("spoken", [b"GET / HTTP/1.0\r\n\r\n", b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
                                    b"\r\n123456789", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"OPTIONS "])
def test_plain_http_of_other_kinds(secure, raw_backend, spoken):
    backend = raw_backend()
    palier = secure(backend)
    with palier.connect() as client:
        assert client.send(spoken).read_whatever().startswith(b"HTTP/1.1 400 ")
    assert backend.accepted == 0


def test_tls_to_a_plain_listener_is_no_request(secure, raw_backend):
    backend = raw_backend()
    plain = {"name": "plain", "address": f"127.0.0.1:{free_port()}"}
    palier = secure(backend, more=[plain])
    with pytest.raises(ssl.SSLError) as refused:
        TlsClient(palier.ports[1])
    assert "WRONG_VERSION_NUMBER" in str(refused.value) or isinstance(refused.value, ssl.SSLEOFError)
    assert backend.accepted == 0


def test_alert_is_one_for_python_too(secure):
    """That what is refused is refused for the reason that the client is told."""
    with pytest.raises(ssl.SSLError) as refused:
        TlsClient(secure().port, context=client_context(alpn=["unknown"]))
    assert alert_of(refused.value) == "no_application_protocol"


def test_close_notify_ends_the_connection(secure):
    with TlsClient(secure().port) as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert client.read_response().status == 200
        assert client.ended_well()


def test_close_notify_ends_an_idle_connection(secure):
    with TlsClient(secure(timeouts={"client_idle": duration(0.3)}).port) as client:
        assert client.request().status == 200
        assert client.ended_well()


def test_close_notify_of_the_client_is_answered(secure):
    with TlsClient(secure().port) as client:
        assert client.request().status == 200
        client.socket.unwrap()  # waits for palier's; raises without it
