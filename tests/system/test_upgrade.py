"""How a palier is replaced by another: `palier ctl upgrade`, `palier run --take-over`."""

import contextlib
import itertools
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest
from harness import (
    BINARY, SANITIZED, Child, Held, Palier, Passersby, RawClient, TlsClient, client_context, duration, free_port,
    is_listening, make_certificate, seconds, server, site, tls_listener, to_toml, wait_for, websocket_echo,
    websocket_server)
from harness.h2_client import H2Client
from harness.steady_h2 import SteadyH2
from harness.succession import Succession, descriptors, is_running
from harness.tunnels import Tunnels


def script(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


class KeepAlive:
    """A client that asks again and again on one connection, and on the next one once it was told to go."""

    def __init__(self, port: int):
        self.requests = self.connections = 0
        self.failures: list[str] = []
        self._port = port
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keep-alive client")
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                with RawClient(self._port) as client:
                    self.connections += 1
                    told_to_go = False
                    while not told_to_go and not self._ended.is_set():
                        answer = client.request("POST", "/", body=b"x")
                        assert answer.status == 200, answer
                        self.requests += 1
                        told_to_go = answer.get("Connection", "").lower() == "close"
        except Exception as error:  # noqa: BLE001 - it is the test's, in another thread
            self.failures.append(repr(error))


def test_an_upgrade_under_load_loses_nobody(raw_backend, succession):
    """Clients of every kind stay, twice; WebSockets stay with the palier on which they began."""
    backend = raw_backend(name="{}")
    with websocket_server(websocket_echo) as chat:
        listener = {"name": "http", "address": f"127.0.0.1:{free_port()}", "http2": True}
        line = succession(site([server("a", backend.address)], listener=[listener], log={"access": "off"},
                               pools=[{"name": "chat", "server": [server("c", chat)]}],
                               route=[{"pool": "web"}, {"pool": "chat", "path": "/chat"}]))
        port = line.palier.port
        clients = [KeepAlive(port) for _ in range(3)]
        with Tunnels(f"ws://127.0.0.1:{port}/chat", 2) as tunnels, SteadyH2(port, "/") as h2, \
                Passersby(port, "/") as passersby:
            for generation in range(2):
                for client in clients:
                    now = client.requests
                    wait_for(lambda: client.requests > now + 5 or client.failures, "requests", every=0.01)
                line.upgrade()
                now, began = h2.requests, tunnels.exchanges
                wait_for(lambda: h2.requests > now or h2.failures, "HTTP/2 requests")
                wait_for(lambda: tunnels.exchanges > began + 4 or tunnels.failures, "messages through the tunnels")
            # Both tunnels are with the first one, which is there for nothing else; the second one had none.
            assert is_running(line.pids[0])
            assert line.wait_end(line.pids[1]) is None
        for client in clients:
            client.stop()
        assert [client.failures for client in clients] == [[], [], []]
        assert all(client.connections >= 3 for client in clients)
        assert h2.failures == [] and tunnels.failures == []
        assert passersby.failures == 0 and passersby.requests > 0, passersby.statuses
        assert line.wait_end(line.pids[0]) == 0


@pytest.mark.parametrize("before, after", [(1, 3), (3, 1)], ids=["1 to 3", "3 to 1"])
def test_other_numbers_of_workers_refuse_nobody(raw_backend, succession, before, after):
    """Connections wait in each of the sockets; none is left to itself, or is there before it is served."""
    line = succession(site([server("a", raw_backend(name="a").address)], workers=before, log={"access": "off"}))
    config = line.palier.config_path
    failures: list[str] = []
    count = itertools.count()
    ended = threading.Event()

    def hammer() -> None:
        while not ended.is_set():
            try:
                with RawClient(line.palier.port) as client:
                    assert client.request(Connection="close").status == 200
                next(count)
            except Exception as error:  # noqa: BLE001 - it is the test's, in another thread
                failures.append(repr(error))

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for workers in (after, before):
            config.write_text(config.read_text().replace(f"workers = {before}", f"workers = {workers}")
                              .replace(f"workers = {after}", f"workers = {workers}"))
            line.upgrade()
            with line.control() as control:
                assert control.do("status")["workers"] == workers
            before_now = next(count)
            wait_for(lambda: next(count) > before_now + 60 or failures, "connections", every=0.02)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert failures == []


def test_what_operators_and_probes_know_is_handed_on(raw_backend, succession):
    """Without a state_file, and with servers that answer no probe while the new palier starts."""
    backend = raw_backend(name="a")
    stopped = threading.Event()

    def probed(connection):
        connection.read_request()
        if stopped.is_set():
            connection.stall()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    probes = raw_backend(handler=probed)
    health = {"type": "http", "interval": "60s", "timeout": "50s", "port": int(probes.address.rsplit(":", 1)[1])}
    line = succession(site([server("a", backend.address), server("b", backend.address, weight=7)],
                           pool={"health": health}))
    with line.control() as control:
        control.do("drain web/b reason=\"new kernel\" by=eve ttl=1h")
        generation = control.do("status")["generation"]
    stopped.set()
    began = time.monotonic()
    line.upgrade()
    assert SANITIZED or time.monotonic() - began < seconds(1.5), "the first probes were waited for"
    with line.control() as control:
        assert control.do("status")["generation"] > generation
        (pool,) = control.do("pools web")["pools"]
        a, b = pool["servers"]
        assert (a["health"], b["health"], b["admin"]) == ("up", "up", "drained")
        assert "new kernel" in json.dumps(b) and "eve" in json.dumps(b)
    assert line.palier.get().body == b"a"


def test_sessions_go_on_with_random_ticket_keys(raw_backend, succession, ca, certs):
    make_certificate(certs, ["test.example"], ca)
    line = succession(site([server("a", raw_backend(name="a").address)], listener=[tls_listener(certs)]))
    context = client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with TlsClient(line.palier.port, context=context) as client:
        assert client.request().status == 200
        session = client.socket.session
    line.upgrade()
    with TlsClient(line.palier.port, context=context, session=session) as client:
        assert client.socket.session_reused
        assert client.request().status == 200


def refusals(line: Succession, *commands: str) -> list[str]:
    with line.control() as control:
        return [control.refused(command) for command in commands]


def test_another_palier_that_cannot_changes_nothing(raw_backend, succession, tmp_path):
    line = succession(site([server("a", raw_backend(name="a").address)], admin=f"127.0.0.1:{free_port()}"))
    pid = line.palier.pid
    fails_late = script(tmp_path, "fails-late", f'[ "$1" = check ] && exit 0\necho no luck >&2\nexit 7\n')
    sleeps = script(tmp_path, "sleeps", '[ "$1" = check ] && exit 0\nexec sleep 100\n')
    hangs = script(tmp_path, "hangs", "exec sleep 100\n")
    not_executable = tmp_path / "text"
    not_executable.write_text("no program")
    port = free_port()
    occupied = socket.create_server(("127.0.0.1", port))
    with line.control() as client:
        config = line.palier.config_path.read_text()
        assert "exit status 1" in client.refused("upgrade binary=/bin/false")
        assert "No such file" in client.refused("upgrade binary=/nowhere/palier")
        assert "whole path" in client.refused("upgrade binary=palier")
        assert "wait must be" in client.refused("upgrade wait=soon")
        assert "ermission denied" in client.refused(f"upgrade binary={not_executable}")
        started, last = client.ask(f"upgrade binary={fails_late}")
        assert last["error"] == (f"process {started['pid']} did not take over: it ended before it was ready: "
                                 "exit status 7")
        for late in (sleeps, hangs):
            assert "not ready within" in client.refused(f"upgrade binary={late} wait={duration(0.3)}")
        line.palier.config_path.write_text(config.replace("workers", "wrokers"))
        last = client.ask("upgrade")[-1]
        assert last["ok"] is False and any("wrokers" in text for text in last["output"]), last
        # Fine on paper; what it needs is another's.
        line.palier.config_path.write_text(
            config + f'\n[[listener]]\nname = "second"\naddress = "127.0.0.1:{port}"\n')
        started, last = client.ask("upgrade")
        assert last["error"] == (f"process {started['pid']} did not take over: listen on 127.0.0.1:{port}: "
                                 "Address already in use")
        occupied.close()
        line.palier.config_path.write_text(config)
        assert client.do("status")["pid"] == pid
        client.do("drain web/a")  # changes are taken again
        client.do("enable web/a")
    assert line.palier.get().body == b"a"
    wait_for(lambda: subprocess.run(["pgrep", "-P", str(pid)], stdout=subprocess.DEVNULL).returncode == 1,
             "the end of those that were started")
    line.upgrade()


def test_two_at_once(raw_backend, succession, tmp_path):
    """The second one is refused, and so is whatever would change something, until it is decided."""
    line = succession(site([server("a", raw_backend(name="a").address)]))
    pipe = tmp_path / "go"
    os.mkfifo(pipe)
    slow = script(tmp_path, "slow", f'[ "$1" = check ] && exit 0\nread go < {pipe}\nexec {BINARY} "$@"\n')
    with line.control() as first, line.control() as second:
        first.send(f"upgrade binary={slow}")
        pid = first.read_line()["pid"]
        assert second.refused("upgrade") == "an upgrade is under way already"
        second.do("drain web/a")  # it goes along
        pipe.write_text("go\n")
        assert first.read_line() == {"event": "upgrade", "step": "ready", "pid": pid}
        assert first.read_line()["ok"] is True
        line.pids.append(pid)
    wait_for(lambda: line.serving == pid, "the new palier")
    with line.control() as control:
        (pool,) = control.do("pools web")["pools"]
        assert pool["servers"][0]["admin"] == "drained"


def held_take_over(path: Path) -> socket.socket:
    """Somebody who takes over, and is never ready."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(seconds(10))
    client.connect(str(path))
    client.sendall(b"take-over protocol=1 version=9\n")
    received = b""
    while b'"done"' not in received:
        data, taken, _, _ = socket.recv_fds(client, 65536, 253)
        assert data
        received += data
        held_take_over.descriptors.extend(taken)
    return client


held_take_over.descriptors = []


def test_nothing_changes_while_it_is_undecided(raw_backend, succession):
    line = succession(site([server("a", raw_backend(name="a").address)]))
    with held_take_over(line.palier.control_path):
        try:
            with line.control() as control:
                for command in ("drain web/a", "upgrade", "reload", "take-over protocol=1 version=9"):
                    assert "upgrade is under way" in control.refused(command)
                assert control.do("status")["pid"] == line.palier.pid
            line.palier.send_signal(signal.SIGHUP)
            line.palier.wait_event("SIGHUP has no effect")
            assert line.palier.get().body == b"a"
        finally:
            for descriptor in held_take_over.descriptors:
                os.close(descriptor)
            held_take_over.descriptors.clear()
    line.palier.wait_event("ended before it was ready")
    with line.control() as control:
        control.do("drain web/a")


def test_one_that_was_started_by_itself_takes_over(raw_backend, succession, tmp_path):
    backend = raw_backend(name="a")
    line = succession(site([server("a", backend.address)], workers=1))
    next_one = Child([BINARY, "run", "-c", line.palier.config_path, "--take-over", "--workers", "2"], tmp_path, "next")
    try:
        assert line.wait_end(line.palier.pid) == 0
        wait_for(lambda: line.serving == next_one.pid, "the new palier")
        assert line.palier.get().body == b"a"
    finally:
        assert next_one.stop() == 0
    assert not is_listening(line.palier.port)
    assert not line.palier.control_path.exists()
    assert "taking the place of" in next_one.stderr()


def reachable(control_path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(control_path)) == 0


@pytest.mark.parametrize("dies", ["old", "new"])
def test_a_kill_in_between_leaves_the_other_one(raw_backend, start_palier, tmp_path, dies):
    """While the new one waits for a probe: it has the sockets by then, and serves nobody yet."""
    backend = raw_backend(name="a")
    silent = raw_backend(handler=lambda connection: (connection.read_request(), connection.stall()))
    config = site([server("a", backend.address)])
    old = start_palier(config)
    config["pool"].append({"name": "new", "server": [server("b", silent.address)],
                           "health": {"type": "http", "interval": "60s", "timeout": "50s"}})
    next_config = tmp_path / "next.toml"
    next_config.write_text(to_toml(config))
    new = Child([BINARY, "run", "-c", next_config, "--take-over", "--workers", "6"], tmp_path, "next")
    try:
        wait_for(lambda: silent.served, "the probe")
        if dies == "new":
            # Its own sockets would have most of these, and take them along.
            for client in [old.connect() for _ in range(20)]:
                with client:
                    assert client.request().body == b"a"
        (old.child if dies == "old" else new).send_signal(signal.SIGKILL)
        with old.connect() as client:  # before anybody has noticed
            assert client.request().body == b"a"
        if dies == "old":
            wait_for(lambda: "has died" in new.stderr(), "its discovery")
            wait_for(lambda: reachable(old.control_path), "its own control socket")
            old.stopped_by_test = True
        else:
            assert new.wait() == -signal.SIGKILL
            old.wait_event("ended before it was ready")
        with old.control() as control:
            assert control.do("status")["pid"] == (new if dies == "old" else old).pid
            control.do("drain web/a")
    finally:
        if dies == "old":
            old.child.wait()
            assert new.stop() == 0
            old.check_end = lambda: None  # a killed one ends with no 0
        else:
            new.kill()


def test_with_nobody_to_replace_it_starts(raw_backend, start_palier):
    palier = start_palier(site([server("a", raw_backend(name="a").address)]), arguments=["--take-over"])
    assert "there is no palier whose place to take" in palier.events()
    assert palier.get().body == b"a"


def test_tunnel_grace_ends_what_stays(raw_backend, succession):
    with websocket_server(websocket_echo) as chat:
        line = succession(site([server("c", chat)], tunnel_grace=duration(0.3)))
        tunnels = Tunnels(f"ws://127.0.0.1:{line.palier.port}/", 1)
        wait_for(lambda: tunnels.exchanges > 0, "a message")
        line.upgrade()
        assert line.wait_end(line.pids[0]) == 0
        wait_for(lambda: tunnels.failures, "the end of the tunnel")
        tunnels.stop()


def test_exchange_in_flight_finishes_with_the_one_on_which_it_began(raw_backend, succession):
    held = Held()
    backend = raw_backend(handler=held)
    line = succession(site([server("a", backend.address)]))
    with line.palier.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        backend.wait_served(1)
        line.upgrade()
        assert is_running(line.pids[0])
        held.release.set()
        answer = client.read_response()
        assert answer.body == b"finished" and answer.get("Connection", "").lower() == "close"
    assert line.wait_end(line.pids[0]) == 0


def test_nothing_leaks_into_the_next_one(raw_backend, succession):
    """Neither clients' connections nor those to servers; after many upgrades as many descriptors as after one."""
    line = succession(site([server("a", raw_backend(name="a").address)], admin=f"127.0.0.1:{free_port()}"))
    clients = [line.palier.connect() for _ in range(5)]
    for client in clients:
        assert client.request().body == b"a"
    line.upgrade()

    def connected(pid: int) -> set[str]:
        """Sockets of `pid` that have a peer."""
        text = Path("/proc/net/tcp").read_text().splitlines()[1:]
        inodes = {fields[9] for fields in map(str.split, text) if fields[3] == "01"}
        return {name for name in descriptors(pid) if name.removeprefix("socket:[").rstrip("]") in inodes}

    assert connected(line.pids[-1]) == set()
    for client in clients:
        client.close()
    first = len(descriptors(line.pids[-1]))
    for _ in range(3):
        line.upgrade()
    wait_for(lambda: len(descriptors(line.pids[-1])) <= first, "as many descriptors as before")


class ServiceManager:
    """A datagram socket as systemd has one."""

    def __init__(self, path: Path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(seconds(10))
        self.socket.bind(str(path))

    def next(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())


def test_the_service_manager_is_told_which_process_is_the_main_one(raw_backend, succession, tmp_path):
    told = ServiceManager(tmp_path / "notify.sock")
    with contextlib.closing(told.socket):
        line = succession(site([server("a", raw_backend(name="a").address)]),
                          env={"NOTIFY_SOCKET": str(tmp_path / "notify.sock")})
        assert told.next()["READY"] == "1"
        pid = line.upgrade()
        assert told.next() == {"MAINPID": str(pid)}
        assert told.next()["READY"] == "1"
        assert line.wait_end(line.palier.pid) == 0
        os.kill(pid, signal.SIGTERM)
        assert told.next()["STOPPING"] == "1"


# As the first process of a container

def as_first_process() -> list[str]:
    """The prefix that makes palier pid 1 of a pid namespace of its own, with its own /proc."""
    return ["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]


CAN_UNSHARE = subprocess.run([*as_first_process(), "true"], capture_output=True).returncode == 0
IN_CONTAINER = pytest.mark.skipif(not CAN_UNSHARE, reason="unshare --pid needs root")


class Container:
    """A palier that is pid 1 of its namespace; `unshare` stands for the container, and ends with its exit status."""

    def __init__(self, config: dict, directory: Path, init: tuple[str, ...] = ()):
        config.setdefault("state_file", "")
        self.palier = Palier(config, directory, prefix=[*as_first_process(), *init])
        self.palier.wait_ready()
        self.palier.stopped_by_test = True
        (self.first,) = self.children(self.palier.pid)

    @staticmethod
    def children(pid: int) -> list[int]:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def upgrade(self) -> int:
        """The pid of the one that serves now, as the namespace knows it."""
        with self.palier.control() as control:
            pid = control.do("upgrade")["pid"]
        wait_for(lambda: self.serving == pid, "the new palier")
        return pid

    @property
    def serving(self) -> int:
        with self.palier.control() as control:
            return control.do("status")["pid"]

    def outside(self, pid: int) -> int:
        """The pid in our namespace of one that the container knows as `pid`."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    text = (entry / "status").read_text()
                    numbers = text.split("NSpid:")[1].splitlines()[0].split()
                    if len(numbers) == 2 and int(numbers[1]) == pid and \
                            os.readlink(entry / "ns/pid") == os.readlink(f"/proc/{self.first}/ns/pid"):
                        return int(entry.name)
        raise AssertionError(f"the container has no process {pid}")

    def __enter__(self) -> "Container":
        return self

    def __exit__(self, *_) -> None:
        if self.palier.child.running():
            self.palier.child.kill()


@IN_CONTAINER
def test_pid_1_passes_signals_on_and_ends_as_the_one_that_serves(raw_backend, tmp_path):
    backend = raw_backend(name="a")
    with Container(site([server("a", backend.address)]), tmp_path) as container:
        for _ in range(3):  # each by the one before
            pid = container.upgrade()
        wait_for(lambda: len(container.children(container.first)) == 1, "those in between to be gone")
        assert pid != 1 and container.palier.get().body == b"a"
        # Of sockets it has the line on which it hears who serves, and nothing else.
        wait_for(lambda: sum("socket" in name for name in descriptors(container.first)) == 1, "closed sockets")
        os.kill(container.first, signal.SIGHUP)
        container.palier.wait_event("reload")
        os.kill(container.first, signal.SIGTERM)
        assert container.palier.child.wait() == 0
        assert not is_listening(container.palier.port)


@IN_CONTAINER
@pytest.mark.parametrize("upgrades", [1, 2], ids=["its child", "a child's child"])
def test_pid_1_ends_with_the_signal_that_killed_the_one_that_serves(raw_backend, tmp_path, upgrades):
    with Container(site([server("a", raw_backend(name="a").address)]), tmp_path) as container:
        for _ in range(upgrades):
            pid = container.upgrade()
        os.kill(container.outside(pid), signal.SIGKILL)
        assert container.palier.child.wait() == 128 + signal.SIGKILL


@IN_CONTAINER
def test_pid_1_hears_of_a_death_whose_parent_has_tunnels_still(tmp_path):
    """The one in between lives on, and so nobody but it could tell how its child ended."""
    with websocket_server(websocket_echo) as chat:
        with Container(site([server("c", chat)]), tmp_path) as container:
            container.upgrade()
            tunnels = Tunnels(f"ws://127.0.0.1:{container.palier.port}/", 1)
            wait_for(lambda: tunnels.exchanges > 0, "a message")
            pid = container.upgrade()
            assert len(container.children(container.first)) == 1  # the one with the tunnel
            os.kill(container.outside(pid), signal.SIGKILL)
            assert container.palier.child.wait() == 128 + signal.SIGKILL
            tunnels.stop()


@IN_CONTAINER
def test_pid_1_has_tunnels_of_its_own_and_forwards_all_the_same(tmp_path):
    with websocket_server(websocket_echo) as chat:
        with Container(site([server("c", chat)], shutdown_grace=duration(0.2)), tmp_path) as container:
            tunnels = Tunnels(f"ws://127.0.0.1:{container.palier.port}/", 1)
            container.upgrade()
            now = tunnels.exchanges
            wait_for(lambda: tunnels.exchanges > now + 3, "messages through the one that stays")
            assert tunnels.failures == []
            os.kill(container.first, signal.SIGTERM)
            assert container.palier.child.wait() == 0
            tunnels.stop()


@IN_CONTAINER
def test_an_init_that_waits_for_palier_keeps_its_child(raw_backend, tmp_path):
    """As with `docker run --init`: the container would end with the first palier."""
    init = ("sh", "-c", 'trap "" TERM; "$@" & wait $!', "init")
    with Container(site([server("a", raw_backend(name="a").address)]), tmp_path, init) as container:
        (palier,) = container.children(container.first)
        container.upgrade()
        pid = container.upgrade()
        assert container.children(container.first) == [palier]
        assert container.palier.get().body == b"a"
        os.kill(container.outside(pid), signal.SIGKILL)
        assert container.palier.child.wait() == 128 + signal.SIGKILL


@IN_CONTAINER
def test_pid_1_reaps_what_others_left(raw_backend, tmp_path):
    with Container(site([server("a", raw_backend(name="a").address)]), tmp_path) as container:
        first = container.first
        subprocess.run(["nsenter", f"--target={first}", "--pid", "sh", "-c", "sleep 0.1 & echo $!"], check=True,
                       stdout=subprocess.DEVNULL)
        assert container.children(first) != []
        wait_for(lambda: container.children(first) == [], "the end of the one that was left")
