"""kill -9 while operators change things: the state file is whole at any moment, and the next palier begins with what the
last one had acknowledged, or with the one change more that it was at.

Changes are sent many at once, so that one follows the other as fast as palier can; each entry has the number of its
change as its `reason`, by which the next palier's `pools` tells which of them it knows."""

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
CHANGES = 400  # sent at once, more than palier ever comes to
LONGEST = seconds(0.02)

# What holds: (whose, what kind) → (its words in `pools`, the number of the change).
Overlay = dict[tuple[str, str], tuple[str, int]]


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


def change(number: int, overlay: Overlay) -> tuple[str, Overlay]:
    """Any change, and the overlay after it."""
    after = dict(overlay)
    front = f"web/{random.choice('abcd')}"
    match random.choice(["drain", "disable", "enable", "weight", "default weight", "only", "maintenance"]):
        case "drain" | "disable" as command:
            after[front, "admin"] = {"drain": "drained", "disable": "disabled"}[command], number
            line = f"{command} {front}"
        case "enable":
            after.pop((front, "admin"), None)
            line = f"enable {front}"
        case "weight":
            weight = random.randrange(1000)
            after[front, "weight"] = f"weight {weight}", number
            line = f"weight {front} {weight}"
        case "default weight":
            after.pop((front, "weight"), None)
            line = f"weight {front} default"
        case "only":
            name = random.choice(["one", "two", ""])
            after.pop(("shop", "only"), None)
            if name:
                after["shop", "only"] = f"only {name}", number
            line = f"only shop/{name}" if name else "only shop off"
        case "maintenance":
            after.pop(("shop", "maintenance"), None)
            if on := random.random() < 0.5:
                after["shop", "maintenance"] = "maintenance", number
            line = f"maintenance shop {'on' if on else 'off'}"
    return line if line.startswith("enable") else f"{line} reason={number}", after


def held_by(palier: Palier) -> list[tuple[str, str, int]]:
    """What the running palier says of its overlay, in order."""
    def control() -> Control | None:
        try:
            return palier.control()
        except (FileNotFoundError, ConnectionRefusedError):
            assert palier.child.running(), palier.events()
            return None

    held = []
    with wait_for(control, "the control socket", every=0.001) as connection:
        for pool in connection.do("pools")["pools"]:
            held += [(pool["name"], one["what"], int(one["reason"])) for one in pool["decisions"]]
            held += [(f"{pool['name']}/{its['name']}", one["what"], int(one["reason"]))
                     for its in pool["servers"] for one in its["decisions"]]
    return sorted(held)


def words_of(overlay: Overlay) -> list[tuple[str, str, int]]:
    return sorted((whose, what, number) for (whose, _), (what, number) in overlay.items())


def kill_amid_changes(palier: Palier, overlay: Overlay, first: int) -> list[Overlay]:
    """Sends changes numbered from `first`, kills palier meanwhile; the overlays that the next one may have."""
    overlays, lines = [overlay], []
    for number in range(first, first + CHANGES):
        line, after = change(number, overlays[-1])
        lines.append(line + "\n")
        overlays.append(after)
    acknowledged = 0
    with palier.control() as control:
        control.send_bytes("".join(lines).encode())
        time.sleep(random.uniform(0, LONGEST))  # the moment of the fault
        palier.child.kill()
        try:
            while acknowledged < CHANGES:
                reply = control.read_reply()[-1]
                assert reply["ok"], (lines[acknowledged], reply)
                acknowledged += 1
        except ConnectionEnded:
            pass
    assert acknowledged < CHANGES, "nothing was under way when palier was killed"
    return overlays[acknowledged:acknowledged + 2]


def test_the_overlay_after_each_kill_is_what_was_acknowledged(tmp_path, memory, start_palier):
    state_file = memory / "state.json"
    nobody = "127.0.0.1:9"
    config = site([server(name, nobody) for name in "abcd"], workers=1, state_file=str(state_file),
                  log={"level": "warning", "access": "off"},
                  pools=[{"name": "shop", "server": [server(name, nobody) for name in ("one", "two")]}])
    possible: list[Overlay] = [{}]
    acknowledged_last, one_further, changes = 0, 0, 0
    for kills in range(KILLS):
        palier = Palier(config, tmp_path)
        try:
            held = held_by(palier)
            [overlay, *_] = [one for one in possible if words_of(one) == held] or [None]
            assert overlay is not None, (kills, held, [words_of(one) for one in possible], palier.events())
            acknowledged_last += overlay is possible[0]
            one_further += overlay is not possible[0]
            possible = kill_amid_changes(palier, overlay, first=kills * CHANGES)
            changes += max((number for _, number in possible[0].values()), default=0) % CHANGES
        finally:
            palier.child.kill()
        assert not state_file.exists() or json.loads(state_file.read_text())["version"] == 1

    palier = start_palier(config | {"log": {"access": "off"}})
    assert held_by(palier) in [words_of(one) for one in possible]
    assert "cannot be used" not in palier.events()
    # A killed palier leaves at most the file that it was at, and the next one removes it.
    left = [path.name for path in memory.iterdir() if path != state_file]
    assert len(left) <= 1, left
    print(f"{KILLS} kills amid some {changes} changes: the overlay was what was acknowledged last {acknowledged_last} "
          f"times, and one change further {one_further} times")
