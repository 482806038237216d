"""The control socket of a running palier: its file, its clients, good and bad, and what each sees of the others."""

import os
import re
import socket
import stat
import subprocess
import time

import pytest
from harness import (BINARY, SANITIZED, Held, Palier, make_certificate, resident_bytes, run_palier, seconds, server, site,
                     to_toml, wait_for)


@pytest.fixture
def palier(raw_backend, start_palier) -> Palier:
    return start_palier(site([server("a", raw_backend(name="a").address), server("b", "127.0.0.1:9")]))


# The file


def test_the_file_is_for_its_owner_and_group_and_goes_at_the_end(palier):
    mode = palier.control_path.stat().st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660
    assert palier.stop() == 0
    assert not palier.control_path.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_owner_and_group_as_configured(raw_backend, start_palier):
    palier = start_palier(site([server("a", raw_backend().address)], control_owner="nobody", control_group="33"))
    status = palier.control_path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (65534, 33, 0o660)


def test_a_second_palier_finds_the_first_one(palier, raw_backend, tmp_path):
    config = site([server("a", raw_backend().address)], control_socket=str(palier.control_path),
                  state_file=str(tmp_path / "other.json"))
    (tmp_path / "second.toml").write_text(to_toml(config))
    done = run_palier("run", "-c", tmp_path / "second.toml")
    assert done.returncode == 1 and f"another palier answers on {palier.control_path}" in done.stderr
    with palier.control() as control:
        assert control.do("status")["pid"] == palier.pid


def test_a_stale_socket_is_replaced_and_a_file_is_not(raw_backend, start_palier, tmp_path):
    config = site([server("a", raw_backend().address)])
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "palier.sock"))
    palier = start_palier(config)
    assert palier.control().do("status")["pid"] == palier.pid

    precious = tmp_path / "precious.sock"
    precious.write_text("precious")
    (tmp_path / "other.toml").write_text(to_toml(site([server("a", raw_backend().address)], state_file="",
                                                      control_socket=str(precious))))
    done = run_palier("run", "-c", tmp_path / "other.toml")
    assert done.returncode == 1 and "is no socket" in done.stderr
    assert precious.read_text() == "precious"


def test_no_socket_where_none_is_wanted(raw_backend, start_palier):
    palier = start_palier(site([server("a", raw_backend(name="a").address)], control_socket=""))
    assert palier.get().body == b"a"
    assert not palier.control_path.exists()


# Its clients


def test_help_tells_every_command(palier):
    with palier.control() as control:
        commands = {command["name"]: command for command in control.do("help")["commands"]}
    for name in ("status", "pools", "drain", "enable", "disable", "weight", "only", "maintenance", "rollout", "reload",
                 "certificates", "events", "stop", "help"):
        assert commands[name]["usage"].split()[0] == name and commands[name]["about"]
    assert commands["drain"]["changes"] and not commands["pools"]["changes"]
    assert run_palier("ctl", "-s", palier.control_path, "help").stdout.startswith(next(iter(commands)))


def test_changes_are_logged_with_their_peer_and_told_to_followers(palier):
    with palier.control() as follower, palier.control() as control:
        follower.send("events")
        assert follower.read_line() == {"event": "following"}
        control.do('drain web/b by=anna reason="new kernel"')
        event = follower.read_line()
        assert event.pop("time").endswith("Z")
        assert event == {"event": "command", "line": 'drain web/b reason="new kernel"', "uid": os.getuid(),
                         "pid": os.getpid(), "by": "anna"}
    palier.wait_event(rf'control: drain web/b reason="new kernel" by uid {os.getuid()} pid {os.getpid()} \(anna\)')


def test_followers_see_a_server_change(raw_backend, start_palier):
    backend = raw_backend(name="a")
    palier = start_palier(site([server("a", backend.address)], pool={
        "health": {"type": "tcp", "interval": "50ms", "timeout": "50ms", "rise": 1, "fall": 1}}))
    with palier.control() as follower:
        follower.send("events")
        follower.read_line()
        backend.stop()
        event = follower.read_line()
        assert (event["event"], event["server"], event["to"]) == ("server", "web/a", "down")
        assert event["reason"] and event["after_ms"] >= 0


def test_bad_lines_are_answered_and_disturb_nothing(palier):
    with palier.control() as control:
        for line, error in ((b'drain "web/a', "column 7: the quote is never closed"),
                            (b"drain web/a\x07", "column 12: a control character"),
                            (b"\xff\xfe", "column 1: byte 0xff is no UTF-8"),
                            (b"drian web/a", 'there is no command "drian"; did you mean "drain"?'),
                            (b"drain web/a wiat=1s", 'drain has no option "wiat"; did you mean "wait"?'),
                            (b"status a b", "usage: status"), (b"drain wbe/a", "web"), (b"drain web/aa", "web")):
            control.send_bytes(line + b"\n")
            assert error in control.read_reply()[-1]["error"], line
        assert control.do("status")["ok"]


def test_a_megabyte_without_an_end(palier):
    before = resident_bytes(palier.pid)
    for _ in range(10):
        with palier.control() as control:
            try:
                control.send_bytes(b"x" * (1 << 20))
            except OSError:
                pass
            assert control.read_line()["error"] == "the line is longer than 64 KiB"
            assert control.ended()
    assert palier.control().do("status")["ok"]
    if not SANITIZED:
        assert resident_bytes(palier.pid) < before + (4 << 20)


def test_garbage(palier):
    for seed in range(5):
        noise = b"".join(((seed * 31 + i) * 2654435761 % (1 << 32)).to_bytes(4, "big") for i in range(4000)) + b"\n"
        with palier.control() as control:
            control.send_bytes(noise)
            control.half_close()
            assert control.ended()
            for _ in range(sum(1 for line in noise.split(b"\n") if line.strip(b" "))):
                assert control.read_line()["ok"] is False
    assert palier.control().do("status")["ok"]


def test_pipelined_and_half_closed(palier):
    with palier.control() as control:
        control.send_bytes(b"status\npools web\n\nhelp\nstatus\nstop")
        control.half_close()
        replies = [control.read_reply()[-1] for _ in range(5)]
        assert control.ended()
    assert [reply["ok"] for reply in replies] == [True] * 4 + [False]
    assert "pools" in replies[1] and "commands" in replies[2]
    assert palier.child.running(), "a cut line is not obeyed"


def test_six_hundred_clients(palier):
    clients = []
    try:
        refused = 0
        for _ in range(600):
            clients.append(palier.control())
        for client in clients:
            try:
                client.send("status")
            except BrokenPipeError:
                pass
            answer = client.read_line()
            refused += answer["ok"] is False
            assert answer["ok"] or answer["error"] == "there are 512 clients already"
        assert refused == 88
    finally:
        for client in clients:
            client.close()

    def served() -> bool:
        with palier.control() as control:
            return control.ask("status")[-1]["ok"]

    wait_for(served, "a place for another client")


def test_clients_that_do_not_read_hold_up_nobody(palier):
    """They are let go when what they asked for exceeds what is kept for them, or in time; here, none of them is even
    noticed."""
    lazy = [palier.control() for _ in range(20)]
    for control in lazy:
        control.socket.setblocking(False)
        try:
            for _ in range(2000):
                control.send("help")
        except BlockingIOError:
            pass
    with palier.control() as control:
        began = time.monotonic()
        for _ in range(20):
            control.do("pools")
        assert time.monotonic() - began < seconds(2)
    assert palier.get().body == b"a"
    for control in lazy:
        control.close()


@pytest.fixture
def waiting(raw_backend, start_palier):
    """A palier with an exchange in flight on web/a, which ends when `release` is set, and its client."""
    held = Held()
    backend = raw_backend(handler=held)
    palier = start_palier(site([server("a", backend.address), server("b", "127.0.0.1:9")]))
    with palier.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        backend.wait_served(1)
        yield palier, client, held.release
        held.release.set()


def test_a_client_that_dies_in_the_middle_of_a_command(waiting):
    palier, client, release = waiting
    with palier.control() as dying, palier.control() as other:
        dying.send("drain web/a wait=60s")
        assert dying.read_line()["in_flight"] == 1
        assert other.do("status")["ok"], "a command that waits holds up no other connection"
        dying.close()
        assert other.do("pools")["pools"][0]["servers"][0]["admin"] == "drained"
        release.set()
        assert client.read_response().body == b"finished"


def test_ctl_shows_how_a_drain_goes(waiting):
    palier, client, release = waiting
    control = subprocess.Popen([str(BINARY), "ctl", "-s", str(palier.control_path), "drain", "web/a", "wait=60s"],
                               stdout=subprocess.PIPE, text=True)
    first = control.stdout.readline()
    assert first == "draining: in flight 1, tunnels 0\n"
    release.set()
    rest, _ = control.communicate(timeout=seconds(10))
    assert control.returncode == 0
    assert re.search(r"^in flight +0$", rest, re.MULTILINE) and re.search(r"^admin +drained$", rest, re.MULTILINE)
    assert client.read_response().body == b"finished"


def test_descriptors_that_are_sent_to_it_are_closed(palier):
    before = len(os.listdir(f"/proc/{palier.pid}/fd"))
    ours, theirs = socket.socketpair()
    with palier.control() as control, ours:
        for _ in range(20):
            socket.send_fds(control.socket, [b"status\n"], [theirs.fileno()] * 100)
        theirs.close()
        for _ in range(20):
            assert control.read_reply()[-1]["ok"]
        assert len(os.listdir(f"/proc/{palier.pid}/fd")) <= before + 1
        assert ours.recv(1) == b"", "nobody holds the other end"


# palier ctl against the real one


def test_tables_of_the_real_thing(palier):
    def ctl(*words) -> subprocess.CompletedProcess:
        return run_palier("ctl", "-s", palier.control_path, *words)

    assert ctl("drain", "web/b", "reason=new kernel", "ttl=1h", "--by", "anna").returncode == 0
    lines = ctl("pools").stdout.splitlines()
    assert lines[0] == "web"
    assert re.search(r"^  b  .* drained .* drained by anna since \S+Z until \S+Z: new kernel$", lines[3])
    assert len({line.index("127.0.0.1:") for line in lines[2:4]}) == 1
    status = dict(line.split(maxsplit=1) for line in ctl("status").stdout.splitlines() if len(line.split()) > 1)
    assert status["pid"] == str(palier.pid) and status["ready"] in ("yes", "no")
    assert run_palier("ctl", "__names", "servers", env={"PALIER_SOCKET": str(palier.control_path)}).stdout == "web/a\nweb/b\n"
    refused = ctl("drain", "web/c")
    assert refused.returncode == 1 and refused.stderr.startswith("palier ctl: ")


def test_certificates_tell_the_days_that_they_have_left_and_what_is_wrong(secure, certs, ca):
    make_certificate(certs, ["test.example"], ca, days=41)
    broken = certs / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\n")
    palier = secure(tls={"default": "test.example"})
    with palier.control() as control:
        told = control.do("certificates")
        assert told["certificates"][0]["days_left"] in (40, 41)
        assert [problem["file"] for problem in told["problems"]] == [str(broken)]
        table = run_palier("ctl", "-s", palier.control_path, "certificates").stdout
        assert re.search(r"^ +4[01]  .* test\.example$", table, re.MULTILINE)
        assert f"\n! {broken}: " in table
        broken.unlink()
        assert control.do("certificates reload")["problems"] == []
