"""The image: its size, what is in it, and how it runs with its own configuration and as little as a container can have."""

import json
import os
import subprocess

import pytest
from engine import BASE_IMAGE, HARDENED, IMAGE, RUN_OPTIONS, podman, size_of, status_of
from harness import wait_for

MOST_ABOVE_BASE = 60_000_000  # bytes


def test_size_above_the_base(containers):
    above = size_of(IMAGE) - size_of(BASE_IMAGE)
    print(f"\nthe image is {above / 1e6:.1f} MB above its base of {size_of(BASE_IMAGE) / 1e6:.1f} MB")
    assert 0 < above < MOST_ABOVE_BASE


def set_uid(image: str) -> set[str]:
    find = ["-xdev", "-type", "f", "(", "-perm", "-4000", "-o", "-perm", "-2000", ")"]
    return set(podman("run", "--rm", *RUN_OPTIONS, "--user", "0", "--entrypoint", "find", image, "/", *find).stdout.split())


def test_what_is_in_it(image):
    said = image("--entrypoint", "sh", command=["-c", """
        id -u; id -g; command -v gcc cmake curl
        head -c 4 /usr/bin/palier | tail -c 3; echo; grep -c . /etc/ssl/certs/ca-certificates.crt
        ls /var/lib/apt/lists; stat -c %U /run/palier /var/lib/palier"""], check=False).stdout.split()
    assert said[:3] == ["10001", "10001", "ELF"]
    assert int(said[3]) > 1000
    assert said[4:] == ["palier", "palier"]
    assert set_uid(IMAGE) == set_uid(BASE_IMAGE)


def test_its_program_is_stripped(serving, tmp_path):
    container, _ = serving()
    podman("cp", f"{container.id}:/usr/bin/palier", str(tmp_path / "palier"))
    said = subprocess.run(["file", "--brief", tmp_path / "palier"], check=True, capture_output=True, text=True).stdout
    assert said.strip().endswith(", stripped"), said


def test_labels_and_stop_signal(image):
    config = json.loads(podman("image", "inspect", "--format", "{{json .Config}}", IMAGE).stdout)
    assert config["StopSignal"] in ("SIGTERM", "15")
    assert set(config["Volumes"]) == {"/run/palier", "/var/lib/palier"}
    assert config["Labels"]["org.opencontainers.image.title"] == "palier"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert image(command=["version"]).stdout.split() == ["palier", config["Labels"]["org.opencontainers.image.version"]]


def test_commands_of_the_image(image):
    assert image(command=["check", "-c", "/etc/palier/palier.toml"]).returncode == 0
    assert image(command=["check", "-c", "/nonexistent"], check=False).returncode == 1


def test_answers_as_it_is_and_ends_with_0(serving):
    container, url = serving()
    assert status_of(url) == 200
    assert container.exec("cat", "/proc/1/comm").stdout.strip() == "palier"
    container.signal("TERM")
    assert container.wait() == 0, container.log()
    assert "palier has stopped" in container.log()
    assert '"status":200' in container.log()


@pytest.mark.parametrize("volumes", ["anonymous", "tmpfs"])
def test_runs_with_nothing_that_it_could_do_harm_with(serving, volumes):
    """The two volumes as the engine makes them for an image that names them, or in memory."""
    in_memory = ["--tmpfs", "/run/palier:U", "--tmpfs", "/var/lib/palier:U"]
    container, url = serving(*HARDENED, *(in_memory if volumes == "tmpfs" else []))
    assert status_of(url) == 200
    assert container.exec("sh", "-c", "echo x >/etc/palier/x", check=False).returncode != 0
    status = dict(line.split(":\t") for line in container.exec("cat", "/proc/1/status").stdout.splitlines()
                  if ":\t" in line)
    assert (int(status["CapEff"], 16), int(status["CapBnd"], 16), status["NoNewPrivs"]) == (0, 0, "1")
    assert container.ctl("reload")["ok"] is True
    pid = container.ctl("status")["pid"]
    assert container.ctl("upgrade")["pid"] != pid
    assert status_of(url) == 200
    container.signal("TERM")
    assert container.wait() == 0, container.log()


def test_a_port_below_1024_without_any_right(containers):
    """With --sysctl, and with --cap-add, also under no-new-privileges."""
    for right in (["--sysctl", "net.ipv4.ip_unprivileged_port_start=80"], ["--cap-add=NET_BIND_SERVICE"]):
        container = containers("--publish", "127.0.0.1::80", "--env", "PALIER_PORT=80", *HARDENED, *right)
        url = container.published(80) + "/"
        wait_for(lambda: status_of(url) or not container.running(), "an answer from the container", 30)
        assert status_of(url) == 200, f"{right}\n{container.log()}"
    without = containers("--env", "PALIER_PORT=80", "--sysctl", "net.ipv4.ip_unprivileged_port_start=1024", *HARDENED)
    assert without.wait() == 1
    assert "Permission denied" in without.log() or "permission denied" in without.log(), without.log()


def test_nothing_else_listens(serving):
    container, _ = serving()
    sockets = [line.split() for line in container.exec("cat", "/proc/net/tcp", "/proc/net/tcp6").stdout.splitlines()]
    listening = {(words[1].split(":")[0], int(words[1].split(":")[1], 16)) for words in sockets if words[3] == "0A"}
    assert listening == {("00000000", 8080), ("0100007F", 9901)}


def test_as_many_workers_as_its_share_of_the_cpus(serving):
    everywhere, _ = serving()
    assert everywhere.ctl("status")["workers"] == len(os.sched_getaffinity(0))
    try:
        container, _ = serving("--cpus", "0.9")
    except AssertionError as error:
        if "cgroup" not in str(error).lower():
            raise
        pytest.skip(f"no limits of CPU time for containers here: {error}")
    assert container.ctl("status")["workers"] == 1


def is_healthy(container) -> bool:
    return podman("healthcheck", "run", container.id, check=False).returncode == 0


def test_health_check(serving):
    container, _ = serving()
    assert is_healthy(container)
    container.ctl("upgrade")
    assert is_healthy(container)
    container.exec("rm", "/run/palier/control.sock")
    assert not is_healthy(container)


def test_health_check_of_a_container_that_has_not_taken_over_yet(serving, containers, tmp_path):
    """On the control socket that it shares, the one before answers."""
    os.chown(tmp_path, 10001, 10001)
    tmp_path.chmod(0o755)
    volume = ["--volume", f"{tmp_path}:/run/palier"]
    before, _ = serving(*volume)
    wait_for(lambda: before.ctl("status")["uptime_ms"] > 3000, "three seconds of it", 20, every=0.5)
    next_one = containers(*volume, "--entrypoint", "sleep", command=["60"])
    assert next_one.exec("palier", "ctl", "status").returncode == 0
    assert is_healthy(before) and not is_healthy(next_one)
