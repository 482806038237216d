"""The container in change, under load: reload by signal and by command, upgrade, and PID 1 that stays. No request fails.

On the host's network, as an edge proxy has it that must see its clients' addresses."""

import os

from engine import HARDENED, status_of
from harness import Wrk, free_port, to_toml, wait_for

UPGRADES = 5


def configuration(port: int, code: int = 200) -> dict:
    return {"admin": "", "log": {"access": "off"}, "listener": [{"name": "http", "address": f"127.0.0.1:{port}"}],
            "route": [{"respond": {"code": code}}]}


def start(containers, folder, config: dict):
    """Its configuration is a folder's, so that a changed file is seen in the container too."""
    folder.chmod(0o755)
    (folder / "palier.toml").write_text(to_toml(config))
    (folder / "palier.toml").chmod(0o644)
    container = containers("--network", "host", *HARDENED, "--volume", f"{folder}:/etc/palier:ro")
    port = config["listener"][0]["address"].rpartition(":")[2]
    url = f"http://127.0.0.1:{port}/"
    wait_for(lambda: status_of(url) or not container.running(), "an answer from the container", 30)
    assert status_of(url) == 200, container.log()
    return container, url


def test_reload_by_signal_and_by_command(containers, tmp_path):
    port = free_port()
    container, url = start(containers, tmp_path, configuration(port))
    (tmp_path / "palier.toml").write_text(to_toml(configuration(port, 204)))
    container.signal("HUP")
    wait_for(lambda: status_of(url) == 204, "the new configuration")
    (tmp_path / "palier.toml").write_text(to_toml(configuration(port, 202)))
    container.ctl("reload")
    assert status_of(url) == 202
    (tmp_path / "palier.toml").write_text("wokers = 1\n")
    refused = container.exec("palier", "ctl", "reload", check=False)
    assert refused.returncode == 1 and "workers" in refused.stdout + refused.stderr
    assert status_of(url) == 202


def test_upgrades_under_load_fail_no_request(containers, tmp_path):
    container, url = start(containers, tmp_path, configuration(free_port()))
    pids = [container.ctl("status")["pid"]]
    assert pids == [1]
    with Wrk(url, paced=True) as load:
        for _ in range(UPGRADES):
            container.ctl("upgrade")
            pids.append(container.ctl("status")["pid"])
        result = load.stop()
    print(f"\n{UPGRADES} upgrades in the container: {result.requests} requests, {result.failures} failed")
    assert len(set(pids)) == UPGRADES + 1, pids
    assert result.failures == 0 and result.requests > 1000, result.text
    # The first process passes signals on and ends with the exit code of the one that serves.
    assert container.running()
    container.signal("TERM")
    assert container.wait() == 0, container.log()
    assert status_of(url) is None


def test_take_over_by_the_next_container(containers, tmp_path):
    """A new image takes the place of the running container, over the shared control socket and the host's network."""
    volumes = ["--volume", f"{tmp_path / 'run'}:/run/palier", "--volume", f"{tmp_path / 'state'}:/var/lib/palier",
               "--volume", f"{tmp_path / 'etc'}:/etc/palier:ro"]
    for name in ("run", "state", "etc"):
        (tmp_path / name).mkdir()
        os.chown(tmp_path / name, 10001, 10001)
    port = free_port()
    (tmp_path / "etc" / "palier.toml").write_text(to_toml(configuration(port)))
    options = ["--network", "host", *HARDENED, *volumes]
    command = ["run", "--take-over", "-c", "/etc/palier/palier.toml"]
    url = f"http://127.0.0.1:{port}/"
    first = containers(*options, command=command)
    wait_for(lambda: status_of(url) == 200 or not first.running(), "an answer from the first container", 30)
    with Wrk(url, paced=True) as load:
        second = containers(*options, command=command)
        assert first.wait() == 0, first.log() + second.log()
        result = load.stop()
    print(f"\ntaken over by another container: {result.requests} requests, {result.failures} failed")
    assert result.failures == 0 and result.requests > 100, result.text
    assert status_of(url) == 200 and second.running()
    second.signal("TERM")
    assert second.wait() == 0, second.log()
