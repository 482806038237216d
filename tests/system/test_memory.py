"""limits.memory: what is spared and refused before memory runs out."""

import contextlib
from pathlib import Path

import pytest
from harness import SANITIZED, RawClient, server, site, to_toml, wait_for

MIB = 1 << 20


def own_memory(pid: int) -> int:
    """As palier counts it, in bytes."""
    _, resident, shared, *_ = map(int, Path(f"/proc/{pid}/statm").read_text().split())
    return (resident - shared) * 4096


class Memory:
    """A palier with so much memory more than it has begun with."""

    def __init__(self, start_palier, address: str, more: int):
        config = site([server("a", address)], workers=1, log={"level": "info"},
                      limits={"header_size": "256KiB", "memory": "off"}, timeouts={"client_header": "60s"})
        self.palier = start_palier(config)
        assert self.palier.connect().request().status == 200
        config["limits"]["memory"] = f"{(own_memory(self.palier.pid) + more) // 1024}KiB"
        self.palier.config_path.write_text(to_toml(config))
        with self.palier.control() as control:
            control.do("reload")

    def told(self) -> dict:
        with self.palier.control() as control:
            return control.do("status")["memory"]


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's allocator keeps what is freed")
def test_what_idles_goes_first_then_nobody_is_let_in(raw_backend, start_palier):
    memory = Memory(start_palier, raw_backend(name="a").address, 64 * MIB)
    palier = memory.palier
    with contextlib.ExitStack() as stack:
        def client() -> RawClient:
            return stack.enter_context(palier.connect())

        idle = [client() for _ in range(20)]
        busy = client()
        for one in (*idle, busy):
            assert one.request().status == 200
        busy.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n")

        # Heads that do not end, of 100 KiB each, until there is no more room.
        growing = []

        def grow_to(left: int, pressure: str) -> None:
            while own_memory(palier.pid) < memory.told()["limit"] - left and not memory.told()["refused"]:
                growing.append(client())
                growing[-1].send("GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + "x" * 100_000)
            wait_for(lambda: memory.told()["pressure"] == pressure or memory.told()["refused"], f"{pressure} pressure")

        grow_to(11 * MIB, "soft")
        wait_for(lambda: memory.told()["closed_idle"] >= 20, "the idle connections closed")
        for one in idle:
            assert one.read_until_close() == b""
        busy.send("x")
        answer = busy.read_response()
        assert (answer.status, answer.get("Connection")) == (200, "close")
        assert memory.told()["refused"] == 0

        # Then nobody is let in, and what has not come in whole is given up: that makes room again.
        asking = client()
        asking.send("GET / HTTP/1.1\r\nHost: x\r\n")
        grow_to(7 * MIB, "hard")
        for one in (asking, *growing[:-10]):  # the last ones may still have waited outside
            answer = one.read_response()
            assert (answer.status, answer.get("Connection")) == (503, "close") and answer.get("Retry-After")
        assert own_memory(palier.pid) < memory.told()["limit"]
        assert len(growing) - 9 <= memory.told()["refused"] <= len(growing) + 1
        wait_for(lambda: memory.told()["pressure"] == "none", "the end of the shortage")
        assert palier.connect().request().status == 200
    told = memory.told()
    assert told["shortages"] == 1 and told["used"] < told["limit"] - 16 * MIB
    events = palier.events()
    assert "idle connections are closed" in events and "nobody is let in" in events and "as usual again" in events
