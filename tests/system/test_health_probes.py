"""Probe targets that lie, stall, flood and cut: each is down for its own reason, in time, and leaves nothing behind."""

import re
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest
from harness import (
    FullBacklog, duration, free_port, make_certificate, response, route, seconds, server, server_context, site, wait_for)

INTERVAL, TIMEOUT, FALL = 0.5, 0.3, 3  # seconds before scaling
HEALTH = {"interval": duration(INTERVAL), "fast_interval": duration(INTERVAL), "timeout": duration(TIMEOUT),
          "fall": FALL, "rise": 2}
IN_TIME = seconds(INTERVAL * FALL + TIMEOUT)
SLACK = seconds(0.75)  # for a machine that is busy with other tests, and the log's line
LATE = duration(TIMEOUT)  # as a reason names it
HEAD = "HTTP/1.1 200 OK\r\n"


def flood(piece: bytes):
    """Sends `piece` until the peer has had enough."""
    def misdeed(connection):
        while not connection.backend.stopping.is_set():
            connection.send(piece)

    return misdeed


def dribble(first: str, piece: bytes):
    """Never silent for long, never done."""
    def misdeed(connection):
        connection.read_head()
        connection.send(first)
        while not connection.backend.stopping.wait(0.05):
            connection.send(piece)

    return misdeed


def say(answer, then="stall"):
    """Answers the request with `answer`, then stalls, closes or resets."""
    def misdeed(connection):
        connection.read_head()
        connection.send(answer)
        getattr(connection, then)()

    return misdeed


def reset_at_once(connection):
    connection.reset()


def cut_within_the_body(connection):
    connection.read_head()
    connection.send(HEAD + "Content-Length: 100\r\n\r\nhalf")
    connection.close()


# Misdeed, reason, further keys of [pool.health]
MISDEEDS = {
    "silent": (lambda connection: connection.stall(), f"accepted and said nothing for {LATE}", {}),
    "half-a-line": (say("HTTP/1.1 2"), rf"half an answer after {LATE} \(half a status line\)", {}),
    "half-a-head": (say(HEAD + "X-Half: y"), rf"half an answer after {LATE} \(an unfinished head\)", {}),
    "dribbling-head": (dribble(HEAD, b"X: y\r\n"), rf"half an answer after {LATE} \(an unfinished head\)", {}),
    "dribbling-body": (dribble(HEAD + "\r\n", b"y"), rf"half an answer after {LATE} \(an unfinished body\)",
                       {"expect_body": "whole"}),
    "endless-line": (flood(b"HTTP/1.1 200 " + b"O" * 65536), "bad response: .*", {}),
    "endless-head": (dribble(HEAD, b"X: " + b"y" * 20_000 + b"\r\n"), "bad response: .*", {}),
    "endless-body": (dribble(HEAD + "\r\n", b"y" * 65536), 'the body does not hold "whole" in its first 64 KiB',
                     {"expect_body": "whole"}),
    "endless-interim": (flood(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100), r"too many interim responses \(1xx\)", {}),
    "garbage": (flood(b"\x00\xff\x17\x03" * 1000), "bad response: .*", {}),
    "other-protocol": (say("220 mail.example ESMTP\r\n"), "bad response: .*", {}),
    "redirect-loop": (say("HTTP/1.1 302 Found\r\nLocation: /health\r\nContent-Length: 0\r\n\r\n"),
                      "HTTP 302, expected 200-299", {"expect": ["200-299"]}),
    "error": (say(response("no", "503 Overloaded")), "HTTP 503, expected 200-399", {}),
    "closes-at-once": (lambda connection: connection.close(), "(closed|reset) before it answered", {}),
    "closes-when-asked": (say("", "close"), "closed before it answered", {}),
    "closes-in-head": (say(HEAD + "X:", "close"), "closed within its head", {}),
    "cuts-its-body": (cut_within_the_body, "closed within its body", {"expect_body": "whole"}),
    "resets-at-once": (reset_at_once, "reset before it answered", {}),
    "resets-when-asked": (lambda connection: (connection.read_head(), connection.reset()), "reset before it answered",
                          {}),
}


class Target:
    """A server that is well until `ill` is set, in a pool of its own."""

    def __init__(self, raw_backend, misdeed, certificate=None):
        self.ill = threading.Event()
        self._misdeed = misdeed
        self._certificate = certificate
        self.backend = raw_backend(handler=self._handle)
        self.address = self.backend.address

    def _handle(self, connection):
        if self.ill.is_set():
            self._misdeed(connection)
            return
        if self._certificate is not None:
            connection.start_tls(server_context(self._certificate))
        while True:
            connection.read_request()
            connection.send(response("whole"))


def pool(name: str, address: str, health: dict | None = None, **keys) -> dict:
    return {"name": name, "health": {**HEALTH, **(health or {})}, "server": [server("a", address)], **keys}


def config(pools: list[dict]) -> dict:
    return site([], route=[route(pools[0]["name"])]) | {"pool": pools}


def descriptors(palier) -> int:
    return len(list(Path(f"/proc/{palier.pid}/fd").iterdir()))


def went_down(palier, name: str) -> tuple[float, str] | None:
    """When the pool's server went down, in seconds since 1970, and why."""
    line = re.search(rf"^(\S+) warning server {name}/a: \w+ -> down after \S+: (.*)$", palier.events(), re.MULTILINE)
    return line and (datetime.fromisoformat(line[1].replace("Z", "+00:00")).timestamp(), line[2])


def wait_up(palier, names) -> None:
    for name in names:
        palier.wait_event(f"server {name}/a: unknown -> up ")


def fall_ill(palier, targets: dict) -> float:
    """From now on nothing is well; when that was."""
    wait_up(palier, targets)
    since = time.time()
    for target in targets.values():
        target.ill.set()
    return since


def check_down(palier, reasons: dict, since: float) -> None:
    """Each pool's server went down for its reason, in time, and probes of it go on without leaving a descriptor."""
    wait_for(lambda: all(went_down(palier, name) for name in reasons), "all to be down",
             timeout=INTERVAL * FALL + TIMEOUT + 5)
    for name, reason in reasons.items():
        at, why = went_down(palier, name)
        assert re.fullmatch(reason, why), f"{name}: {why}"
        assert at - since <= IN_TIME + SLACK, f"{name} took {at - since:.2f} s"


def test_each_misdeed_has_its_reason_and_leaves_no_descriptor(raw_backend, start_palier):
    targets = {name: Target(raw_backend, misdeed) for name, (misdeed, _, _) in MISDEEDS.items()}
    palier = start_palier(config([pool(name, targets[name].address, health)
                                  for name, (_, _, health) in MISDEEDS.items()]))
    wait_up(palier, targets)
    # Between two probes of all there is a moment without any.
    idle = min(descriptors(palier) for _ in range(200) if not time.sleep(0.005))
    since = fall_ill(palier, targets)
    check_down(palier, {name: reason for name, (_, reason, _) in MISDEEDS.items()}, since)
    accepted = {name: target.backend.accepted for name, target in targets.items()}
    wait_for(lambda: all(target.backend.accepted >= accepted[name] + 5 for name, target in targets.items()),
             "more probes", timeout=20)
    # At most one for each target that is being probed.
    assert descriptors(palier) <= idle + len(targets)
    for target in targets.values():
        target.backend.stop_listening()
    wait_for(lambda: descriptors(palier) <= idle, "the descriptors of the last probes")


def test_redirects_are_not_followed(raw_backend, start_palier):
    asked = []

    def answer(request):
        asked.append(request.target)
        return b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"

    backend = raw_backend(answer)
    palier = start_palier(config([pool("loop", backend.address)]))
    wait_up(palier, ["loop"])  # 302 is one of 200-399
    backend.wait_served(4)
    assert set(asked) == {"/health"}


def test_refused_and_full(raw_backend, start_palier):
    """An accept queue that is full drops what comes, and nobody says so."""
    target = Target(raw_backend, None)
    full = FullBacklog()
    try:
        since = time.time()
        palier = start_palier(config([pool("refusing", target.address), pool("full", full.address),
                                      pool("nobody", f"127.0.0.1:{free_port()}"),
                                      pool("tcp-full", full.address, {"type": "tcp"})]))
        late = f"connect timed out after {LATE}"
        check_down(palier, {"full": late, "tcp-full": late, "nobody": "connect refused"}, since)
        wait_up(palier, ["refusing"])
        since = time.time()
        target.backend.stop_listening()
        check_down(palier, {"refusing": "connect refused"}, since)
    finally:
        full.stop()


def test_tls_that_goes_wrong(raw_backend, start_palier, tmp_path, ca):
    good = make_certificate(tmp_path / "good", ["front.internal"], ca)
    expired = make_certificate(tmp_path / "expired", ["front.internal"], ca, days=-1, not_before=-10)
    foreign = make_certificate(tmp_path / "foreign", ["elsewhere.internal"], ca)

    def present(certificate):
        def misdeed(connection):
            try:
                connection.start_tls(server_context(certificate))
            except OSError:
                pass  # that it is refused is the point

        return misdeed

    misdeeds = {
        "expired": (present(expired), "TLS handshake: .*certificate has expired"),
        "foreign": (present(foreign), "TLS handshake: .*(hostname|host name) mismatch"),
        "plain": (lambda connection: (connection.send("HTTP/1.1 400 Bad\r\n\r\n"), connection.stall()),
                  "TLS handshake: .*wrong version number"),
        "garbage": (flood(b"\x16\x03\x03\x00\x05\xff\xff\xff\xff\xff" * 100), "TLS handshake: .*"),
        "silent": (lambda connection: connection.stall(), f"TLS handshake timed out after {LATE}"),
        "closing": (lambda connection: connection.close(), "TLS handshake: closed during the handshake"),
        "resetting": (reset_at_once, "(TLS handshake: closed during the handshake|reset before it answered)"),
    }
    targets = {f"{kind}-{name}": Target(raw_backend, misdeed, good)
               for kind in ("http", "tls") for name, (misdeed, _) in misdeeds.items()}
    keys = {"tls": True, "ca": str(ca.crt), "server_name": "front.internal"}
    palier = start_palier(config([pool(name, target.address, {"type": name.partition("-")[0]}, **keys)
                                  for name, target in targets.items()]))
    since = fall_ill(palier, targets)
    check_down(palier, {name: misdeeds[name.partition("-")[2]][1] for name in targets}, since)


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_kept_connections_that_end_are_nobodys_failure(ending, raw_backend, start_palier):
    """A server closes what it kept open, now and then as it is asked: palier connects anew within the same probe."""
    def handler(connection):
        for _ in range(2):
            connection.read_request()
            connection.send(response("ok"))
        connection.read_head()
        getattr(connection, ending)()

    backend = raw_backend(handler=handler)
    often = {"interval": duration(0.25), "fast_interval": duration(0.25), "timeout": duration(0.25)}
    palier = start_palier(config([pool("kept", backend.address, {**often, "keep_alive": True, "fall": 1})]))
    wait_up(palier, ["kept"])
    backend.wait_served(8)
    assert backend.accepted >= 4
    assert went_down(palier, "kept") is None, palier.events()
