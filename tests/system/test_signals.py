"""Signals: HUP loads the configuration again, QUIT ends at once. TERM and INT are in test_shutdown.py, USR1 in
test_access_log.py."""

import signal
import time

from harness import Held, RawClient, free_port, is_listening, seconds, server, site, to_toml, wait_for


def test_hup_loads_the_file_again_and_tells_in_the_log(raw_backend, start_palier):
    config = site([server("a", raw_backend(name="a").address)])
    palier = start_palier(config)
    port = free_port()
    config["listener"].append({"name": "second", "address": f"127.0.0.1:{port}"})
    palier.config_path.write_text(to_toml(config))
    palier.send_signal(signal.SIGHUP)
    palier.wait_event(r"reload: added: listener second")
    palier.wait_event(r"reloaded: 1 added, 0 changed, 0 removed; generation \d+")
    with RawClient(port) as client:
        assert client.request().body == b"a"

    palier.config_path.write_text("wokers = 1\nnode = 5\n" + to_toml(config))
    palier.send_signal(signal.SIGHUP)
    palier.wait_event(r"error reload: .*palier\.toml:1:1: .*workers")
    palier.wait_event(r"error reload: .*palier\.toml:2:")
    palier.wait_event(r"error reload: nothing has changed")
    with RawClient(port) as client:
        assert client.request().body == b"a"


def test_quit_cuts_everything_at_once(raw_backend, start_palier):
    held = Held()
    backend = raw_backend(handler=held)
    palier = start_palier(site([server("a", backend.address)], shutdown_grace="60s"))
    with palier.connect() as busy, palier.connect() as idle:
        busy.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        backend.wait_served(1)
        began = time.monotonic()
        assert palier.stop(signal.SIGQUIT) == 0
        assert time.monotonic() - began < seconds(5)
        assert busy.read_whatever() == b"" and idle.read_whatever() == b""


def test_a_second_term_does_not_wait_any_longer(raw_backend, start_palier):
    held = Held()
    backend = raw_backend(handler=held)
    palier = start_palier(site([server("a", backend.address)], shutdown_grace="60s"))
    with palier.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        backend.wait_served(1)
        palier.send_signal(signal.SIGTERM)
        wait_for(lambda: not is_listening(palier.port), "the listener to close")
        assert palier.child.running()
        assert palier.stop(signal.SIGTERM) == 0
        assert client.read_whatever() == b""


def test_hup_while_palier_stops_changes_nothing(raw_backend, start_palier):
    held = Held()
    backend = raw_backend(handler=held)
    config = site([server("a", backend.address)], shutdown_grace="60s")
    palier = start_palier(config)
    with palier.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        backend.wait_served(1)
        palier.send_signal(signal.SIGTERM)
        wait_for(lambda: not is_listening(palier.port), "the listener to close")
        palier.send_signal(signal.SIGHUP)
        palier.wait_event("reload: palier is stopping")
        held.release.set()
        assert client.read_response().body == b"finished"
    palier.stopped_by_test = True
    assert palier.child.wait() == 0
