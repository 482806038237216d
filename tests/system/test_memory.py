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
    memory = Memory(start_palier, raw_backend(name="a").address, 24 * MIB)
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

        def grow_to(part: float, pressure: str) -> None:
            while own_memory(palier.pid) < part * memory.told()["limit"]:
                growing.append(client())
                growing[-1].send("GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + "x" * 100_000)
            wait_for(lambda: memory.told()["pressure"] == pressure, f"{pressure} pressure")

        grow_to(0.91, "soft")
        wait_for(lambda: memory.told()["closed_idle"] >= 20, "the idle connections closed")
        for one in idle:
            assert one.read_until_close() == b""
        busy.send("x")
        answer = busy.read_response()
        assert (answer.status, answer.get("Connection")) == (200, "close")

        asking = client()
        asking.send("GET / HTTP/1.1\r\nHost: x\r\n")
        grow_to(0.955, "hard")
        asking.send("\r\n")
        answer = asking.read_response()
        assert (answer.status, answer.get("Connection")) == (503, "close") and answer.get("Retry-After")
        assert memory.told()["refused"] == 1
        assert own_memory(palier.pid) < memory.told()["limit"]
        waiting = client()
        waiting.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

        for one in growing:
            one.close()
        assert waiting.read_response().status == 200  # it was let in only now
        wait_for(lambda: memory.told()["pressure"] == "none", "the end of the shortage")
    told = memory.told()
    assert (told["shortages"], told["refused"]) == (1, 1)
    events = palier.events()
    assert "idle connections are closed" in events and "nobody is let in" in events and "as usual again" in events
