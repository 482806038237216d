"""What operators decide outlives palier, ends by itself, waits for its servers, and never keeps palier from starting."""

import json
import re

import pytest
from harness import Palier, server, site, to_toml, wait_for

NOBODY = "127.0.0.1:9"


def decisions(palier: Palier, pool: str = "web") -> dict[str, list[str]]:
    """Server or "" for the pool → what was decided, as `pools` tells it."""
    with palier.control() as control:
        [told] = control.do(f"pools {pool}")["pools"]
    found = {its["name"]: [one["what"] for one in its["decisions"]] for its in told["servers"]}
    found[""] = [one["what"] for one in told["decisions"]]
    return {name: whats for name, whats in found.items() if whats}


def test_the_next_palier_goes_on_with_it(start_palier, raw_backend, tmp_path):
    state_file = tmp_path / "state.json"
    config = site([server(name, raw_backend(name=name).address) for name in "abc"], state_file=str(state_file))
    first = start_palier(dict(config))
    with first.control() as control:
        control.do('drain web/a reason="new kernel" by=anna ttl=1h')
        control.do("weight web/b 0")
    state = json.loads(state_file.read_text())
    entry = state["pools"]["web"]["servers"]["a"]["admin"]
    assert (entry["value"], entry["by"], entry["reason"]) == ("drained", "anna", "new kernel")
    assert first.stop() == 0

    second = start_palier(dict(config))
    assert decisions(second) == {"a": ["drained"], "b": ["weight 0"]}
    second.wait_event(r"info server web/a: drained since \S+Z until \S+Z by anna \(uid \d+, pid \d+\): new kernel")
    assert {second.get().body for _ in range(10)} == {b"c"}


def test_an_entry_ends_by_itself(start_palier, raw_backend):
    a, b = raw_backend(name="a"), raw_backend(name="b")
    palier = start_palier(site([server("a", a.address), server("b", b.address)], workers=1))
    with palier.control() as control, palier.control() as follower:
        follower.send("events")
        control.do("drain web/a ttl=300ms")
        assert {palier.get().body for _ in range(4)} == {b"b"}
        ended = wait_for(lambda: (line := follower.read_line()).get("event") == "ended" and line, "the end")
        assert (ended["server"], ended["what"]) == ("web/a", "drained")
    wait_for(lambda: palier.get().body == b"a", "a request for a")
    assert decisions(palier) == {}
    palier.wait_event("info server web/a: no longer drained: its time was up")
    assert json.loads((palier.config_path.parent / "palier.state.json").read_text())["pools"] == {}


def test_an_entry_waits_for_a_server_that_left(start_palier, raw_backend):
    a, b = raw_backend(name="a"), raw_backend(name="b")
    both = site([server("a", a.address), server("b", b.address)])
    palier = start_palier(both)
    without = json.loads(json.dumps(both))
    without["pool"][0]["server"] = [server("b", b.address)]
    with palier.control() as control:
        control.do("drain web/a")
        palier.config_path.write_text(to_toml(without))
        control.do("reload")
        palier.wait_event("warning server web/a is not configured as it was: what operators decided about it is kept aside")
        told = control.do("pools")
        assert [(one["pool"], one["server"], one["decisions"][0]["what"]) for one in told["aside"]] == [
            ("web", "a", "drained")]
        palier.config_path.write_text(to_toml(both))
        control.do("reload")
        assert "aside" not in control.do("pools")
    assert decisions(palier) == {"a": ["drained"]}
    assert {palier.get().body for _ in range(4)} == {b"b"}
    assert a.served == 0


@pytest.mark.parametrize("text", [b"", b"\0" * 4096, b'{"version": 1, "pools": {"web": {"servers": {"a": {"adm',
                                  b'{"version": 7}', b'{"version": 1, "pools": {"web": {"only": 5}}}', b"[" * 100_000],
                         ids=["empty", "zeroes", "cut", "of the future", "wrong types", "deep"])
def test_a_broken_state_file_is_set_aside(text, start_palier, tmp_path):
    state_file = tmp_path / "state" / "state.json"
    state_file.parent.mkdir()
    state_file.write_bytes(text)
    palier = start_palier(site([server("a", NOBODY)], state_file=str(state_file), workers=1))
    aside = palier.wait_event(rf"warning state_file {re.escape(str(state_file))} cannot be used: .*; it is now (\S+), and "
                              "nothing of it holds")[1]
    assert aside.startswith(f"{state_file}.broken-")
    assert [path.read_bytes() for path in state_file.parent.iterdir()] == [text]
    assert decisions(palier) == {}
    with palier.control() as control:
        assert "warning" not in control.do("weight web/a 5")
    assert decisions(palier) == {"a": ["weight 5"]}
    assert sorted(path.name for path in state_file.parent.iterdir()) == ["state.json", aside.rsplit("/", 1)[1]]


def test_without_its_folder_everything_works_and_says_so(start_palier, tmp_path):
    folder = tmp_path / "later"
    palier = start_palier(site([server("a", NOBODY)], state_file=str(folder / "state.json"), workers=1))
    palier.wait_event("warning state_file: .*/later: No such file or directory; what operators change will not outlive "
                      "palier")
    with palier.control() as control:
        warning = control.do("weight web/a 5")["warning"]
        assert warning.startswith("not saved: ") and "No such file or directory" in warning
        assert decisions(palier) == {"a": ["weight 5"]}
        folder.mkdir()
        assert "warning" not in control.do("weight web/a 6")
    palier.wait_event("state_file .* is kept again")
    assert json.loads((folder / "state.json").read_text())["pools"]["web"]["servers"]["a"]["weight"]["value"] == 6


def test_of_two_clients_the_last_wins_and_both_are_logged(start_palier):
    """Each sends its changes without waiting for the other; what holds at the end is what was in force last."""
    palier = start_palier(site([server("a", NOBODY), server("b", NOBODY)], workers=2))
    count = 25
    with palier.control() as anna, palier.control() as ben:
        for number in range(count):
            anna.send(f"drain web/a by=anna reason={number}")
            ben.send(f"disable web/a by=ben reason={number}")
        replies = [control.read_reply()[-1] for control in (anna, ben) for _ in range(count)]
        assert all(reply["ok"] for reply in replies)
        [front, _] = anna.do("pools web")["pools"][0]["servers"]
        [decision] = front["decisions"]
        assert decision["reason"] == str(count - 1)
        assert (decision["what"], decision["by"]) in {("drained", "anna"), ("disabled", "ben")}
        assert front["admin"] == decision["what"]
    logged = re.findall(rf"control: (drain|disable) web/a reason=\d+ by uid \d+ pid \d+ \((anna|ben)\)", palier.events())
    assert sorted(logged) == sorted([("drain", "anna"), ("disable", "ben")] * count)
    last = {"drain": "drained", "disable": "disabled"}[logged[-1][0]]
    assert last == decision["what"]
