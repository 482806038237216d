"""Probes of type "mysql" against a real MariaDB: what they find, and that the server does not take them for clients that
break off, whom it blocks."""

import contextlib
import re
import socket
import struct
import warnings

import pytest
from harness import Network, duration, route, server, site, wait_for, why_no_networks
from harness.mariadb import MariaDb

BLOCKED = "is blocked because of many connection errors"

# Patient enough for a busy machine: a probe that times out would break off.
MANY = {"type": "mysql", "interval": duration(0.5), "timeout": duration(0.5)}
QUICK = {"type": "mysql", "interval": duration(0.4), "fast_interval": duration(0.05), "down_interval": duration(0.1),
         "timeout": duration(0.4), "rise": 2, "fall": 2}


@pytest.fixture(scope="module")
def network():
    """Two machines; None where there can be none."""
    if reason := why_no_networks():
        warnings.warn(pytest.PytestWarning(f"BLOCKED HOSTS ARE NOT TESTED: {reason}"), stacklevel=1)
        yield None
        return
    made = Network("front", "database")
    yield made
    made.close()


@pytest.fixture(scope="module")
def mariadb_server(network, tmp_path_factory):
    names = {machine.address: f"{machine.name}.test" for machine in network.machines} if network else None
    started = MariaDb(tmp_path_factory.mktemp("db"), network["database"] if network else None, names)
    yield started
    started.stop()


@pytest.fixture
def mariadb(network, mariadb_server):
    """The server with its counters at 0; the test is on another machine, where there can be one."""
    mariadb_server.forget()
    with network["front"].inside() if network else contextlib.nullcontext():
        yield mariadb_server
    mariadb_server.sql("SET GLOBAL read_only = 0")


@pytest.fixture
def other_machine(network):
    """For what needs a host that is not 127.0.0.1, which is never blocked."""
    if network is None:
        pytest.skip(f"BLOCKED HOSTS ARE NOT TESTED: {why_no_networks()}")
    return network["front"]


def site_of(address: str, health: dict, pools: int = 1) -> dict:
    """`pools` pools db0, db1, … whose only server is a database at one and the same address."""
    return site([], route=[route("db0")]) | {
        "pool": [{"name": f"db{number}", "health": health, "server": [server("a", address)]} for number in range(pools)]}


def states(palier) -> list[str]:
    """Every change of server db0/a so far: "unknown -> up"."""
    return re.findall(r"server db0/a: (\w+ -> \w+) after", palier.events())


def wait_change(palier, change: str, reason: str = "") -> None:
    palier.wait_event(rf"server db0/a: {change} after \S+: .*{re.escape(reason)}")


def break_off(mariadb: MariaDb, times: int) -> None:
    """As probes do that only read the greeting."""
    for _ in range(times):
        with socket.create_connection((mariadb.host, mariadb.port), timeout=10) as client:
            assert client.recv(4096)


def probe_often(mariadb: MariaDb, start_palier, health: dict, counter: str) -> None:
    """More than 1,000 probes, by 50 pools with the same server, all of them successes."""
    palier = start_palier(site_of(mariadb.address, {**MANY, **health}, pools=50))
    before = mariadb.status(counter)
    wait_for(lambda: mariadb.status(counter) >= before + 1000, f"1,000 more {counter}", timeout=60, every=0.2)
    assert len(re.findall(r"server db\d+/a: unknown -> up", palier.events())) == 50
    assert " -> down" not in palier.events()


def test_this_server_blocks_hosts_that_break_off(mariadb, other_machine):
    """Without this, the tests below would prove nothing."""
    assert mariadb.try_client() == ""
    break_off(mariadb, 12)
    wait_for(lambda: BLOCKED in mariadb.try_client(), "the host to be blocked")
    assert mariadb.host_errors()[other_machine.address][0] >= 10


def test_a_thousand_probes_without_a_user_block_nobody(mariadb, other_machine, start_palier):
    log = len(mariadb.log())
    probe_often(mariadb, start_palier, {}, "Access_denied_errors")
    assert mariadb.try_client() == ""
    assert mariadb.host_errors()[other_machine.address] == (0, 0)
    aborted, before_login = mariadb.status("Aborted_connects"), mariadb.status("Aborted_connects_preauth")
    print(f"Aborted_connects {aborted}, of them before the login {before_login}")
    assert before_login == 0
    # What is left: each refusal is one of these, and a line of the log, which says who asked.
    assert aborted >= 1000
    assert "Access denied for user 'palier-probe'@" in mariadb.log()[log:]
    assert "Aborted connection" not in mariadb.log()[log:]


def test_a_thousand_probes_with_a_user_leave_no_trace(mariadb, start_palier):
    log = len(mariadb.log())
    probe_often(mariadb, start_palier, {"user": "palier", "read_only": "off"}, "Connections")
    assert mariadb.try_client() == ""
    assert {errors for errors in mariadb.host_errors().values()} <= {(0, 0)}
    assert mariadb.status("Aborted_connects") == 0 and mariadb.status("Aborted_clients") == 0
    assert "[Warning]" not in mariadb.log()[log:]


def test_a_blocked_host_is_told_so(mariadb, other_machine, start_palier):
    palier = start_palier(site_of(mariadb.address, QUICK))
    wait_change(palier, "unknown -> up")
    break_off(mariadb, 12)
    wait_change(palier, "falling -> down", f"error 1129: Host '{other_machine.address}' {BLOCKED}")
    mariadb.forget()
    wait_change(palier, "rising -> up")


def test_read_only_decides(mariadb, start_palier):
    palier = start_palier(site_of(mariadb.address, {**QUICK, "user": "palier", "read_only": "off"}))
    wait_change(palier, "unknown -> up")
    mariadb.sql("SET GLOBAL read_only = 1")
    wait_change(palier, "falling -> down", "read_only is on, expected off")
    mariadb.sql("SET GLOBAL read_only = 0")
    wait_change(palier, "rising -> up")
    assert states(palier) == ["unknown -> up", "up -> falling", "falling -> down", "down -> rising", "rising -> up"]


def test_a_replica_must_be_read_only(mariadb, start_palier):
    palier = start_palier(site_of(mariadb.address, {**QUICK, "user": "palier", "read_only": "on"}))
    wait_change(palier, "unknown -> down", "read_only is off, expected on")
    mariadb.sql("SET GLOBAL read_only = 1")
    wait_change(palier, "rising -> up")


def test_a_user_that_may_not_log_in_is_a_failure(mariadb, start_palier):
    palier = start_palier(site_of(mariadb.address, {**QUICK, "user": "nobody"}))
    wait_change(palier, "unknown -> down", "error 1045: Access denied for user 'nobody'")


@pytest.mark.parametrize("health", [{}, {"user": "palier"}], ids=["greeting", "user"])
def test_a_killed_server_is_down_until_it_is_back(mariadb, start_palier, health):
    palier = start_palier(site_of(mariadb.address, {**QUICK, **health}))
    wait_change(palier, "unknown -> up")
    mariadb.kill()
    wait_change(palier, "falling -> down")
    mariadb.start()
    wait_change(palier, "rising -> up")


# Galera, as scripted from what real servers say

GREETING = bytes.fromhex(
    "0a352e352e352d31302e31312e31392d4d6172696144422d302b646562313275310029010000306b4b7631303a7300fef7080200ff8115"
    "0000000000001d000000583c625976692a3568305330006d7973716c5f6e61746976655f70617373776f726400")
OK = bytes.fromhex("00000002000000")
END = bytes.fromhex("fe00000200")


def packets(first: int, *payloads: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(payload))[:3] + bytes([first + number]) + payload
                    for number, payload in enumerate(payloads))


class GaleraNode:
    """Lets anybody in and tells its state; every connection must end with COM_QUIT."""

    def __init__(self, raw_backend, state: str):
        self.state = state
        self.left_without_a_word = 0
        self.backend = raw_backend(handler=self._run)
        self.address = self.backend.address

    def _run(self, connection) -> None:
        connection.send(packets(0, GREETING))
        assert self._payload(connection)[32:].startswith(b"palier\0")
        connection.send(packets(2, OK))
        assert self._payload(connection) == b"\x03SHOW GLOBAL STATUS LIKE 'wsrep_local_state'"
        value = self.state.encode()
        row = b"\x11wsrep_local_state" + bytes([len(value)]) + value
        connection.send_bytewise(packets(1, b"\x02", b"\x03def.", b"\x03def.", END, row, END))
        self.left_without_a_word += connection.read_until_close() != packets(0, b"\x01")

    @staticmethod
    def _payload(connection) -> bytes:
        return connection.read_exactly(int.from_bytes(connection.read_exactly(4)[:3], "little"))


def test_a_galera_node_must_be_synced(raw_backend, start_palier):
    node = GaleraNode(raw_backend, "4")
    palier = start_palier(site_of(node.address, {**QUICK, "user": "palier"}))
    wait_change(palier, "unknown -> up")
    node.state = "2"
    wait_change(palier, "falling -> down", "wsrep_local_state is 2 (Donor), expected 4 (Synced)")
    node.state = "4"
    wait_change(palier, "rising -> up")
    assert node.left_without_a_word == 0
