"""Changes of palier itself that meet: a reload, drain self, an upgrade and a stop, each while another is under way.
None is lost: each gets its answer, and clients notice nothing."""

import os
import signal
import threading
import time

import pytest
from harness import (
    Held, Palier, duration, free_port, is_listening, response, route, seconds, server, site, to_toml, wait_for)

IN_NO_HURRY = {"health": {"path": "/health", "interval": "60s", "timeout": "60s"}}
STARTING = "palier is starting: try again in a moment"
STOPPING = "palier is stopping"


class SlowFront:
    """Its probes are answered when it is told to; each request is answered with its name."""

    def __init__(self, raw_backend, name: str):
        self.name = name
        self.probed, self.healthy = threading.Event(), threading.Event()
        self.address = raw_backend(handler=self._serve).address

    def _serve(self, connection) -> None:
        while True:
            if connection.read_request().target == "/health":
                self.probed.set()
                connection.wait(self.healthy)
            connection.send(response(self.name))

    def wait_probed(self) -> None:
        wait_for(self.probed.is_set, f"a probe of {self.name}")


def write(palier: Palier, config: dict) -> None:
    palier.config_path.write_text(to_toml(config))


def test_while_palier_starts(raw_backend, tmp_path):
    slow = SlowFront(raw_backend, "a")
    palier = Palier(site([server("a", slow.address)], pool=IN_NO_HURRY), tmp_path)
    try:
        slow.wait_probed()
        with palier.control() as control:
            for line in ("drain self wait=0s", "enable self", "reload", "upgrade"):
                assert control.refused(line) == STARTING
        slow.healthy.set()
        palier.wait_ready()
        assert palier.get().body == b"a"
    finally:
        assert palier.stop() == 0


def test_listeners_that_come_listen_once_they_are_in_force(raw_backend, start_palier):
    slow = SlowFront(raw_backend, "b")
    config = site([server("a", raw_backend(name="a").address)], pool=IN_NO_HURRY)
    palier = start_palier(config)
    port = free_port()
    config["listener"].append({"name": "new", "address": f"127.0.0.1:{port}"})
    config["pool"][0]["server"] = [server("b", slow.address)]
    write(palier, config)
    with palier.control() as control:
        control.send("reload")
        slow.wait_probed()
        assert not is_listening(port)
        slow.healthy.set()
        assert control.read_reply()[-1]["ok"] is True
    assert is_listening(port)
    assert palier.get().body == b"b"


def test_while_palier_is_drained_clients_keep_their_routes(raw_backend, start_palier):
    """Also those of a listener that moves to another place in the file, whatever its sockets do."""
    backend = raw_backend(name="a")
    config = site([server("a", backend.address)], route=[
        route("web", listener=["http"]), route(path="/x", listener=["other"], respond={"code": 404})])
    config["listener"].append({"name": "other", "address": f"127.0.0.1:{free_port()}"})
    palier = start_palier(config)
    with palier.control() as control, palier.connect() as one, palier.connect() as two, palier.connect() as three:
        for client in (one, two, three):
            assert client.request().body == b"a"
        control.do("drain self wait=0s")
        wait_for(lambda: not is_listening(palier.port), "the listener to close")
        assert one.request().body == b"a"
        config["listener"].reverse()
        write(palier, config)
        control.do("reload")
        assert two.request().body == b"a"
        control.do("enable self")
        assert three.request().body == b"a"
    assert palier.get().body == b"a"


def test_while_palier_stops(raw_backend, start_palier):
    """A reload that is under way is given up; what was decided meanwhile is told as decided."""
    held, slow = Held(), SlowFront(raw_backend, "b")
    backend = raw_backend(handler=held)
    config = site([server("a", backend.address)], shutdown_grace=duration(60))
    palier = start_palier(config)
    port = free_port()
    with palier.connect() as client, palier.control() as first, palier.control() as second, \
            palier.control() as third, palier.control() as fourth:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        backend.wait_served(1)
        config["listener"].append({"name": "new", "address": f"127.0.0.1:{port}"})
        config["pool"].append({"name": "new", **IN_NO_HURRY, "server": [server("b", slow.address)]})
        write(palier, config)
        first.send("reload")
        slow.wait_probed()
        second.send("drain web/a")
        palier.wait_event("control: drain web/a")
        third.send("reload")
        fourth.do("stop")
        assert first.read_reply()[-1]["error"] == STOPPING
        assert third.read_reply()[-1]["error"] == STOPPING
        assert second.read_reply()[-1]["ok"] is True
        for line in ("enable self", "drain self", "reload"):
            assert fourth.refused(line) == STOPPING
        assert not is_listening(port) and not is_listening(palier.port)
        assert fourth.do("drain web/a by=anna")["admin"] == "drained"
        held.release.set()
        assert client.read_response().body == b"finished"
    palier.stopped_by_test = True
    assert palier.child.wait() == 0


def test_enabling_that_waits_for_a_reload_is_refused_by_a_stop(raw_backend, start_palier):
    slow = SlowFront(raw_backend, "b")
    config = site([server("a", raw_backend(name="a").address)], pool=IN_NO_HURRY)
    palier = start_palier(config)
    config["pool"][0]["server"].append(server("b", slow.address))
    write(palier, config)
    with palier.control() as first, palier.control() as second:
        first.do("drain self wait=1h")
        first.send("reload")
        slow.wait_probed()
        second.send("enable self")
        palier.wait_event("control: enable self")
        palier.stopped_by_test = True
        palier.send_signal(signal.SIGTERM)
        assert second.read_reply()[-1]["error"] == STOPPING
        assert first.read_reply()[-1]["error"] == STOPPING
    assert palier.child.wait() == 0


def test_no_upgrade_begins_while_a_reload_reads_its_file(raw_backend, start_palier):
    palier = start_palier(site([server("a", raw_backend(name="a").address)]))
    text = palier.config_path.read_text()
    palier.config_path.unlink()
    os.mkfifo(palier.config_path)
    with palier.control() as first, palier.control() as second:
        first.send("reload dry_run=true")
        with open(palier.config_path, "w") as file:  # it is being read
            assert second.refused("upgrade") == "a reload is under way: try again in a moment"
            file.write(text)
        assert first.read_reply()[-1]["ok"] is True


def test_a_log_whose_reader_stalls_holds_no_reload_up(raw_backend, start_palier, tmp_path):
    """Each of them has lines left that nobody takes, and gives up after a second; nobody waits for that."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    names = [tmp_path / f"log{i}" for i in range(6)]
    for name in names:
        name.symlink_to(fifo)
    config = site([server("a", raw_backend(name="a").address)], workers=1, log={"access": str(names[0])})
    palier = start_palier(config)
    try:
        with palier.connect() as client, palier.control() as control:
            began = time.monotonic()
            for name in names[1:]:
                assert client.request().body == b"a"
                config["log"]["access"] = str(name)
                write(palier, config)
                control.do("reload")
            assert time.monotonic() - began < seconds(3)
    finally:
        os.close(reader)
        os.close(writer)


def test_a_reload_that_fails_leaves_no_file(raw_backend, start_palier, tmp_path):
    config = site([server("a", raw_backend(name="a").address)])
    palier = start_palier(config)
    config["log"] = {"access": str(tmp_path / "new.log")}
    config["listener"].append({"name": "everywhere", "address": f"0.0.0.0:{palier.port}"})
    write(palier, config)
    with palier.control() as control:
        for line in ("reload dry_run=true", "reload"):
            assert "Address already in use" in control.refused(line)
    assert not (tmp_path / "new.log").exists()
