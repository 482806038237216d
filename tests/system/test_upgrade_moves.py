"""What a reload leaves until the next restart moves with an upgrade too: the control socket and the state file."""

import os
import signal

from harness import Control, is_listening, server, site, to_toml, wait_for


def test_the_control_socket_and_the_state_file_move(raw_backend, start_palier, tmp_path):
    config = site([server(name, raw_backend(name=name).address) for name in "ab"])
    palier = start_palier(config)
    moved = {"control_socket": str(tmp_path / "moved.sock"), "state_file": str(tmp_path / "moved.json")}
    # Of long ago: what operators decided since then is what counts.
    (tmp_path / "moved.json").write_text('{"version": 1, "pools": {"web": {"maintenance": {"value": true}}}}')
    palier.config_path.write_text(to_toml(config | moved))
    with palier.control() as control:
        control.do("drain web/a reason=moving")
        assert len(control.do("reload")["changes"]["needs_restart"]) == 2
        successor = control.do("upgrade")["pid"]
    palier.stopped_by_test = True
    palier.child.wait()
    assert not palier.control_path.exists()

    def held() -> list[tuple[bool, str]]:
        with Control(moved["control_socket"]) as control:
            assert control.do("status")["state_file"] == moved["state_file"]
            [pool] = control.do("pools")["pools"]
        return [(pool["maintenance"], its["admin"]) for its in pool["servers"]]

    try:
        assert held() == [(False, "drained"), (False, "enabled")]
    finally:
        os.kill(successor, signal.SIGKILL)
    wait_for(lambda: not is_listening(palier.port), "the end of the successor")
    start_palier(palier.config_path.read_text(), ports=palier.ports)
    assert held() == [(False, "drained"), (False, "enabled")]
