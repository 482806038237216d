"""README.md's commands for a palier on the host's network: the first start, and another container that takes over."""

import os
import secrets

import pytest
import readme
from engine import Container, podman, status_of
from harness import Wrk, free_port, to_toml, wait_for


@pytest.fixture
def recipe(tmp_path):
    """(name, url, run): run("first") and run("upgrade") are README.md's commands, with a name and folders of their own."""
    if reason := os.environ.get("PALIER_NO_CONTAINERS"):
        pytest.skip(reason)
    name, port = f"palier-test-{secrets.token_hex(4)}", free_port()
    tmp_path.chmod(0o755)
    config = {"admin": "", "listener": [{"name": "http", "address": f"127.0.0.1:{port}"}],
              "route": [{"respond": {"code": 200}}]}
    (tmp_path / "palier.toml").write_text(to_toml(config))
    first = readme.commands('options="--network host')
    options, _, _ = first.partition("\npodman run")
    scripts = {"first": first, "upgrade": f"set -e\n{options}\n" + readme.commands("podman rename palier-next palier")}
    program = readme.podman_in(tmp_path)

    def run(which: str, **others: str):
        return readme.run(readme.adapted(scripts[which], name, **{"/etc/palier:/etc": f"{tmp_path}:/etc"}, **others),
                          tmp_path, program)

    yield name, f"http://127.0.0.1:{port}/", run
    podman("rm", "--force", "--ignore", "--volumes", "--time", "0", name, f"{name}-next", check=False)
    podman("volume", "rm", "--force", f"{name}-run", f"{name}-state", check=False)


def test_first_start_and_upgrades(recipe, tmp_path):
    name, url, run = recipe
    done = run("first")
    assert done.returncode == 0, done.stderr
    palier = Container.named(name)
    wait_for(lambda: status_of(url) == 200 or not palier.running(), "an answer", 30)
    assert podman("inspect", "--format", "{{.HostConfig.RestartPolicy.Name}}", name).stdout.strip() == "on-failure"
    before = palier.state(".ID")
    with Wrk(url, paced=True) as load:
        done = run("upgrade")
        assert done.returncode == 0, done.stdout + done.stderr
        result = load.stop()
    print(f"\nREADME.md's upgrade on the host's network: {result.requests} requests, {result.failures} failed")
    assert result.failures == 0 and result.requests > 100, result.text
    assert palier.state(".ID") != before and palier.running()

    # What does not come up changes nothing, and is told.
    before = palier.state(".ID")
    (tmp_path / "palier.toml").write_text("wokers = 1\n")
    done = run("upgrade", **{"timeout 360": "timeout 5"})
    assert done.returncode == 1 and "workers" in done.stdout + done.stderr, done.stdout + done.stderr
    assert (palier.state(".ID"), status_of(url)) == (before, 200)
    assert podman("container", "exists", f"{name}-next", check=False).returncode == 1
    palier.signal("TERM")
    assert palier.wait() == 0, palier.log()
