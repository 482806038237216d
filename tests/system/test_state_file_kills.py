"""kill -9 while operators change things: the state file is whole at any moment, and the next palier begins with what the
last one had acknowledged to each of them, or with the one change more that it was at.

Each operator has a pool and sends many changes at once, so that one follows the other as fast as palier can; each entry has
the number of its change as its `reason`, by which the next palier's `pools` tells which of them it knows."""

import contextlib
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import SANITIZED, Control, Palier, seconds, server, site, wait_for
from harness.messages import ConnectionEnded

KILLS = 20 if SANITIZED else 200
POOLS = [f"pool{i}" for i in range(6)]
CHANGES = 200  # sent at once by each operator, more than palier ever comes to
LONGEST = seconds(0.02)

# What holds in a pool, by its kind: the words in `pools`, and the number of the change.
Overlay = dict[str, tuple[str, int]]


@pytest.fixture
def memory(tmp_path) -> Iterator[Path]:
    """A folder in memory, where there is one: a disk that others keep busy would make a change last for 30 ms, and what
    the kernel was given outlives a killed process in either."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(dir=shared, prefix="palier-test-"))
    yield folder
    shutil.rmtree(folder)


def change(pool: str, number: int, overlay: Overlay) -> tuple[str, Overlay]:
    """Any change, and the overlay after it."""
    after, reason = dict(overlay), f" reason={number}"
    match random.choice(["drain", "disable", "enable", "weight", "default weight", "only", "all", "on", "off"]):
        case "drain" | "disable" as command:
            after["admin"] = {"drain": "drained", "disable": "disabled"}[command], number
            return f"{command} {pool}/a{reason}", after
        case "enable":
            after.pop("admin", None)
            return f"enable {pool}/a", after
        case "weight":
            after["weight"] = f"weight {number % 1000}", number
            return f"weight {pool}/a {number % 1000}{reason}", after
        case "default weight":
            after.pop("weight", None)
            return f"weight {pool}/a default{reason}", after
        case "only":  # which would be refused of a server that is drained
            after["only"] = "only b", number
            return f"only {pool}/b{reason}", after
        case "all":
            after.pop("only", None)
            return f"only {pool} off{reason}", after
        case "on":
            after["maintenance"] = "maintenance", number
            return f"maintenance {pool} on{reason}", after
        case "off":
            after.pop("maintenance", None)
            return f"maintenance {pool} off{reason}", after
    raise AssertionError


def entries_of(overlay: Overlay) -> list[tuple[str, int]]:
    return sorted(overlay.values())


def held_by(palier: Palier) -> dict[str, list[tuple[str, int]]]:
    """What the running palier says of its overlay, by pool."""
    def control() -> Control | None:
        try:
            return palier.control()
        except (FileNotFoundError, ConnectionRefusedError):
            assert palier.child.running(), palier.events()
            return None

    with wait_for(control, "the control socket", every=0.001) as connection:
        pools = connection.do("pools")["pools"]
    return {pool["name"]: sorted((one["what"], int(one["reason"])) for holder in (pool, *pool["servers"])
                                 for one in holder["decisions"]) for pool in pools}


def acknowledged(control: Control) -> int:
    """How many changes were, before palier was killed."""
    count = 0
    with contextlib.suppress(ConnectionEnded):
        while count < CHANGES:
            reply = control.read_reply()[-1]
            assert reply["ok"], reply
            count += 1
    return count


def kill_amid_changes(palier: Palier, overlays: dict[str, Overlay], first: int) -> dict[str, list[Overlay]]:
    """Sends changes numbered from `first`, kills palier meanwhile; the overlays of each pool that the next one may have."""
    with contextlib.ExitStack() as controls:
        operators = {}
        for pool in POOLS:
            steps, lines = [overlays[pool]], []
            for number in range(first, first + CHANGES):
                line, after = change(pool, number, steps[-1])
                lines.append(line + "\n")
                steps.append(after)
            operators[pool] = controls.enter_context(palier.control()), "".join(lines), steps
        for control, text, _ in operators.values():
            control.send_bytes(text.encode())
        time.sleep(random.uniform(0, LONGEST))  # the moment of the fault
        palier.child.kill()
        possible = {}
        for pool, (control, _, steps) in operators.items():
            count = acknowledged(control)
            possible[pool] = steps[count:count + 2]
        assert any(len(steps) == 2 for steps in possible.values()), "nothing was under way when palier was killed"
        return possible


def test_the_overlay_after_each_kill_is_what_was_acknowledged(tmp_path, memory, start_palier):
    state_file = memory / "state.json"
    servers = [server("a", "127.0.0.1:9"), server("b", "127.0.0.1:9")]
    config = site([], workers=1, state_file=str(state_file), log={"level": "warning", "access": "off"},
                  route=[{"path": "/", "pool": POOLS[0]}])
    config["pool"] = [{"name": pool, "server": servers} for pool in POOLS]
    possible: dict[str, list[Overlay]] = {pool: [{}] for pool in POOLS}
    further = 0
    for kills in range(KILLS):
        palier = Palier(config, tmp_path)
        try:
            held, overlays = held_by(palier), {}
            for pool, steps in possible.items():
                known = [overlay for overlay in steps if entries_of(overlay) == held[pool]]
                assert known, (kills, pool, held[pool], steps, palier.events())
                overlays[pool] = known[0]
                further += known[0] is not steps[0]
            possible = kill_amid_changes(palier, overlays, first=kills * CHANGES)
        finally:
            palier.child.kill()
        assert not state_file.exists() or json.loads(state_file.read_text())["version"] == 1

    palier = start_palier(config | {"log": {"access": "off"}})
    held = held_by(palier)
    assert all(held[pool] in [entries_of(overlay) for overlay in steps] for pool, steps in possible.items())
    assert "cannot be used" not in palier.events()
    # A killed palier leaves at most the file that it was at, and the next one removes it.
    left = [path.name for path in memory.iterdir() if path != state_file]
    assert len(left) <= 1, left
    print(f"{KILLS} kills amid changes by {len(POOLS)} operators: {further} times one of them had a change in the file that "
          "was not acknowledged yet")
