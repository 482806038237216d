"""Certificates that change while palier serves: within two seconds, without a reload, without a failed request."""

import threading
import time

import pytest
from harness import (
    Certificate, H2loadResult, TlsClient, Wrk, h2load, make_certificate, response, s_client, seconds, wait_for)

# What the documentation promises, and what a busy machine adds.
PICKED_UP_WITHIN = 2.0 + 0.7


def shown(palier, name: str = "test.example") -> bytes | None:
    """The certificate (DER) that a new connection gets; None when it is refused."""
    try:
        with TlsClient(palier.port, name) as client:
            return client.shown
    except OSError:
        return None


def wait_shown(palier, certificate: Certificate, name: str = "test.example") -> None:
    """Every worker shows it, soon."""
    wait_for(lambda: shown(palier, name) == certificate.der, "the new certificate", timeout=PICKED_UP_WITHIN,
             every=0.05)


@pytest.fixture
def new(ca, tmp_path):
    """Makes certificates for test.example where palier does not look."""
    made = []

    def make(names=("test.example",), **options) -> Certificate:
        made.append(make_certificate(tmp_path / f"new{len(made)}", list(names), ca, **options))
        return made[-1]

    return make


def by_rename(certificate: Certificate, target) -> None:
    certificate.install(target)


def in_place(certificate: Certificate, target) -> None:
    """As `cat new.pem > old.pem` does it: the file is empty for a moment, then has a part of its content."""
    content = certificate.pem.read_bytes()
    with open(target, "wb", buffering=0) as file:
        half = len(content) // 2
        file.write(content[:half])
        file.write(content[half:])


WAYS = pytest.mark.parametrize("replace", [by_rename, in_place])


@WAYS
def test_new_connections_get_the_new_one_and_open_ones_go_on(secure, raw_backend, ca, certs, new, replace):
    old = make_certificate(certs, ["test.example"], ca)
    palier = secure(raw_backend(name="a"))
    with TlsClient(palier.port) as client:
        assert client.shown == old.der and client.request().body == b"a"
        renewed = new()
        replace(renewed, old.pem)
        wait_shown(palier, renewed)
        assert {shown(palier) for _ in range(8)} == {renewed.der}  # from each worker
        assert client.request().body == b"a"


class Rounds:
    """h2load again and again, each time with new connections, until the test has seen enough."""

    REQUESTS = 300

    def __init__(self, url: str, http2: bool):
        self._url, self._http2 = url, http2
        self._stop = threading.Event()
        self.results: list[H2loadResult] = []
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        options = ["-m", "10"] if self._http2 else []
        while not self._stop.is_set():
            self.results.append(h2load(self._url, self.REQUESTS, 8, *options, http2=self._http2))

    def __enter__(self) -> "Rounds":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()

    def wait_another(self) -> None:
        count = len(self.results) + 2  # one of them may have begun before
        wait_for(lambda: len(self.results) >= count or not self._thread.is_alive(), "rounds of h2load", timeout=30)
        assert self._thread.is_alive()


@WAYS
def test_no_request_of_open_connections_fails_meanwhile(secure, raw_backend, ca, certs, new, replace):
    old = make_certificate(certs, ["test.example"], ca)
    palier = secure(raw_backend(response("x" * 100)), tls={"default": "test.example"})
    with Wrk(f"https://127.0.0.1:{palier.port}/", connections=8) as running:
        for _ in range(2):
            renewed = new()
            replace(renewed, old.pem)
            wait_shown(palier, renewed)
            palier.wait_logged(10_000)
        result = running.stop()
    assert result.requests > 0 and result.failures == 0, result.text


@WAYS
@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_no_request_of_new_connections_fails_meanwhile(secure, raw_backend, ca, certs, new, replace, http2):
    old = make_certificate(certs, ["test.example"], ca)
    palier = secure(raw_backend(response("x" * 100)), tls={"default": "test.example"})
    with Rounds(f"https://127.0.0.1:{palier.port}/", http2) as running:
        for _ in range(2):
            renewed = new()
            replace(renewed, old.pem)
            wait_shown(palier, renewed)
        running.wait_another()
    bad = [result.text for result in running.results if result.failed or result.statuses.get("2xx") != Rounds.REQUESTS]
    assert running.results and not bad, bad[0]


def test_key_and_certificate_in_two_files(secure, ca, certs, new):
    old = make_certificate(certs, ["test.example"], ca, split=True)
    palier = secure()
    assert shown(palier) == old.der
    renewed = new()
    for source, target in ((renewed.key, old.key), (renewed.crt, old.crt)):  # between the two, they do not match
        beside = target.with_name(f".{target.name}")
        beside.write_bytes(source.read_bytes())
        beside.rename(target)
    wait_shown(palier, renewed)


def test_links_of_certbot(secure, ca, new, tmp_path):
    old, renewed = new(), new()
    live = tmp_path / "live" / "test.example"
    live.mkdir(parents=True)
    for name, target in (("fullchain.pem", old.crt), ("privkey.pem", old.key)):
        (live / name).symlink_to(target)
    palier = secure(tls={"certificates": tmp_path / "live"})
    assert shown(palier) == old.der
    for name, target in (("fullchain.pem", renewed.crt), ("privkey.pem", renewed.key)):
        (live / f"{name}.new").symlink_to(target)
        (live / f"{name}.new").rename(live / name)
    wait_shown(palier, renewed)


@pytest.mark.parametrize("broken", ["empty", "cut", "mismatch", "expired", "garbage"])
def test_broken_renewal_keeps_the_old(secure, ca, certs, new, broken):
    old = make_certificate(certs, ["test.example"], ca)
    palier = secure()
    assert shown(palier) == old.der
    whole = new().pem.read_bytes()
    content = {"empty": b"", "cut": whole[:len(whole) // 3], "mismatch": new().crt.read_bytes() + old.key.read_bytes(),
               "expired": new(days=-1, not_before=-10).pem.read_bytes(), "garbage": b"\xff" * 3000}[broken]
    beside = old.pem.with_name(".beside")
    beside.write_bytes(content)
    beside.rename(old.pem)
    palier.wait_event(rf"warn[^\n]*{old.pem}[^\n]*")
    assert {shown(palier) for _ in range(8)} == {old.der}
    repaired = new()
    repaired.install(old.pem)
    wait_shown(palier, repaired)


def test_removed_certificate_is_served_no_more(secure, ca, certs):
    gone = make_certificate(certs, ["gone.example"], ca)
    stays = make_certificate(certs, ["stays.example"], ca)
    palier = secure()
    assert shown(palier, "gone.example") == gone.der
    gone.pem.unlink()
    wait_for(lambda: shown(palier, "gone.example") is None, "the end of the removed one", timeout=PICKED_UP_WITHIN)
    assert shown(palier, "stays.example") == stays.der


def test_certificate_for_a_new_name(secure, ca, certs, new):
    make_certificate(certs, ["test.example"], ca)
    palier = secure()
    assert shown(palier, "new.example") is None
    added = new(["new.example"])
    added.install(certs / "new.pem")
    wait_shown(palier, added, "new.example")


def test_certificate_in_a_new_folder(secure, ca, certs, new):
    make_certificate(certs, ["test.example"], ca)
    palier = secure()
    added = new(["new.example"])
    folder = certs / "new.example"
    folder.mkdir()
    (folder / "privkey.pem").write_bytes(added.key.read_bytes())
    (folder / "fullchain.pem").write_bytes(added.crt.read_bytes())
    wait_shown(palier, added, "new.example")


def test_many_changes_at_once(secure, ca, certs, new):
    """What a renewal of everything looks like: the last word of each file counts."""
    files = [make_certificate(certs, [f"site{number}.example"], ca) for number in range(12)]
    palier = secure()
    for _ in range(2):
        renewed = [new([f"site{number}.example"]) for number in range(12)]
        for certificate, file in zip(renewed, files):
            certificate.install(file.pem)
    for number, certificate in enumerate(renewed):
        wait_shown(palier, certificate, f"site{number}.example")


def test_folder_that_goes_away_keeps_what_it_had(secure, ca, certs, tmp_path, new):
    old = make_certificate(certs, ["test.example"], ca).der
    palier = secure()
    certs.rename(tmp_path / "away")
    palier.wait_event(rf"warn[^\n]*{certs}")
    assert shown(palier) == old
    certs.mkdir()
    renewed = new()
    renewed.install(certs / "test.example.pem")
    wait_shown(palier, renewed)


def test_session_survives_a_renewal(secure, ca, certs, new, tmp_path):
    """Tickets are bound to the name: clients of the old certificate do not all shake hands anew at once."""
    old = make_certificate(certs, ["test.example"], ca)
    palier = secure()
    session = tmp_path / "session"
    assert s_client(palier.port, "-sess_out", session).shows(old)
    renewed = new()
    renewed.install(old.pem)
    wait_shown(palier, renewed)
    assert s_client(palier.port, "-sess_in", session).reused


def test_new_ticket_keys_are_picked_up(secure, ca, certs, tmp_path):
    make_certificate(certs, ["test.example"], ca)
    old, new, keys = b"\x01" * 80, b"\x02" * 80, tmp_path / "tickets"
    keys.write_bytes(old)
    palier = secure(tls={"ticket_keys": keys})
    session, renewed = tmp_path / "session", tmp_path / "renewed"
    assert s_client(palier.port, "-sess_out", session).connected
    keys.write_bytes(b"x" * 79)
    palier.wait_event(rf"warn[^\n]*{keys}[^\n]*80 bytes")
    assert s_client(palier.port, "-sess_in", session).reused
    beside = tmp_path / "tickets.new"
    beside.write_bytes(new + old)
    beside.rename(keys)
    palier.wait_event(rf"{keys}[^\n]*new ticket keys")
    assert s_client(palier.port, "-sess_in", session, "-sess_out", renewed).reused
    keys.write_bytes(new)
    wait_for(lambda: not s_client(palier.port, "-sess_in", session).reused, "the end of the old key",
             timeout=PICKED_UP_WITHIN)
    assert s_client(palier.port, "-sess_in", renewed).reused


def test_nothing_is_done_while_nothing_changes(secure, ca, certs):
    """Watching is not looking again and again."""
    make_certificate(certs, ["test.example"], ca)
    palier = secure()
    assert shown(palier) is not None
    before = cpu_seconds(palier.pid)
    began = time.monotonic()
    wait_for(lambda: time.monotonic() - began > seconds(1), "a second of silence", every=0.1)
    assert cpu_seconds(palier.pid) - before < seconds(0.1)


def cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
