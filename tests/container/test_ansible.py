"""The Ansible role: what linters say of it, and what it does to a container in which systemd runs. The second run of the
same changes nothing; a configuration with a mistake never gets there."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from engine import PODMAN, Container, status_of
from harness import wait_for
from harness.environment import ROOT as CHECKOUT

ROLES = CHECKOUT / "packaging/ansible"
IMAGE = "localhost/palier-test-systemd"

pytestmark = pytest.mark.skipif("PALIER_NO_ANSIBLE" in os.environ, reason=os.environ.get("PALIER_NO_ANSIBLE", ""))


def test_linters_have_nothing_to_say():
    for command in (["ansible-lint", "--offline", "--nocolor", "--profile", "production", "site.yml", "roles/palier"],
                    ["yamllint", "--strict", "."]):
        done = subprocess.run(command, cwd=ROLES, env={**os.environ, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
                              timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def machine():
    """A Debian with systemd and Python, and nothing of palier."""
    if reason := os.environ.get("PALIER_NO_CONTAINERS"):
        pytest.skip(reason)
    archive = os.environ["PALIER_SYSTEMD_ARCHIVE"]
    subprocess.run(["podman", "import", "-q", archive, IMAGE], check=True, capture_output=True)
    container = Container("--systemd=always", "--privileged", image=IMAGE, command=["/sbin/init"])
    try:
        wait_for(lambda: container.exec("systemctl", "is-system-running", check=False).stdout.strip() in
                 ("running", "degraded"), "systemd", 60, every=0.2)
        container.exec("apt-get", "-q", "update")
        container.exec("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "install", "-y", "--no-install-recommends",
                       "python3", "python3-apt")
        yield container
    finally:
        container.remove()


def play(folder: Path, machine: Container, variables: dict) -> tuple[subprocess.CompletedProcess, dict[str, int]]:
    """Runs site.yml; what it says, and its counts: ok, changed, failed, ..."""
    wrapper = folder / "podman"
    wrapper.write_text(f'#!/bin/sh\nexec {" ".join(PODMAN)} "$@"\n')
    wrapper.chmod(0o755)
    (folder / "inventory.yml").write_text(yaml.safe_dump({"edge": {"hosts": {machine.id: {
        "ansible_connection": "containers.podman.podman", "ansible_podman_executable": str(wrapper),
        "ansible_python_interpreter": "/usr/bin/python3", **variables}}}}))
    done = subprocess.run(["/usr/bin/ansible-playbook", "-i", folder / "inventory.yml", ROLES / "site.yml"], cwd=folder,
                          env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCAL_TEMP": str(folder / "local")},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    recap = re.search(rf"^{machine.id} +: (.*)$", done.stdout, re.MULTILINE)
    assert recap, done.stdout + done.stderr
    return done, {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", recap[1])}


def test_installs_reloads_and_refuses(machine, packages, tmp_path):
    certificate = tmp_path / "localhost.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", tmp_path / "key", "-out", tmp_path / "crt"],
                   check=True, capture_output=True)
    certificate.write_text((tmp_path / "crt").read_text() + (tmp_path / "key").read_text())
    variables = {"palier_package_file": str(packages[0]), "palier_certificates": [str(certificate)]}
    done, counts = play(tmp_path, machine, variables)
    assert done.returncode == 0 and counts["changed"] > 3, done.stdout + done.stderr
    [network] = machine.state(".NetworkSettings.Networks").values()
    url = f"http://{network['IPAddress']}:80/"
    assert status_of(url) == 200
    pid = machine.ctl("status")["pid"]

    done, counts = play(tmp_path, machine, variables)
    assert done.returncode == 0 and counts["changed"] == 0, done.stdout + done.stderr

    servers = [{"name": "front1", "address": "127.0.0.1:9", "weight": 7}]
    done, counts = play(tmp_path, machine, variables | {"palier_servers": servers})
    assert done.returncode == 0 and counts["changed"] == 2, done.stdout + done.stderr  # the file, and the reload
    assert machine.ctl("pools")["pools"][0]["servers"][0]["weight"] == 7
    assert machine.ctl("status")["pid"] == pid

    servers[0]["wieght"] = 8
    done, counts = play(tmp_path, machine, variables | {"palier_servers": servers})
    assert done.returncode != 0 and counts["failed"] == 1 and "wieght" in done.stdout, done.stdout
    assert "wieght" not in machine.exec("cat", "/etc/palier/palier.toml").stdout
    assert machine.ctl("pools")["pools"][0]["servers"][0]["weight"] == 7
