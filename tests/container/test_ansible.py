"""The Ansible role: what linters say of it, what it does to a container in which systemd runs, and how it puts palier's own
containers in one another's place. The second run of the same changes nothing; a configuration with a mistake never gets
there."""

import json
import os
import re
import secrets
import subprocess
from pathlib import Path

import pytest
import readme
import yaml
from engine import IMAGE, NOFILE, Container, podman, status_of
from harness import Wrk, free_port
from harness.environment import ROOT as CHECKOUT
from machine import machine_with_systemd

ROLES = CHECKOUT / "packaging/ansible"

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
    with machine_with_systemd() as machine:
        machine.exec("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "install", "-y", "--no-install-recommends",
                     "python3", "python3-apt")
        yield machine


def play(folder: Path, host: str, variables: dict) -> tuple[subprocess.CompletedProcess, dict[str, int]]:
    """Runs site.yml; what it says, and its counts: ok, changed, failed, ..."""
    (folder / "inventory.yml").write_text(yaml.safe_dump({"edge": {"hosts": {host: {
        "ansible_python_interpreter": "/usr/bin/python3", **variables}}}}))
    done = subprocess.run(["/usr/bin/ansible-playbook", "-i", folder / "inventory.yml", ROLES / "site.yml"], cwd=folder,
                          env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCAL_TEMP": str(folder / "local")},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    recap = re.search(rf"^{host} +: (.*)$", done.stdout, re.MULTILINE)
    assert recap, done.stdout + done.stderr
    return done, {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", recap[1])}


def test_installs_reloads_and_refuses(machine, packages, tmp_path):
    certificate = tmp_path / "localhost.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", tmp_path / "key", "-out", tmp_path / "crt"],
                   check=True, capture_output=True)
    certificate.write_text((tmp_path / "crt").read_text() + (tmp_path / "key").read_text())
    variables = {"ansible_connection": "containers.podman.podman",
                 "ansible_podman_executable": str(readme.podman_in(tmp_path)),
                 "palier_package_file": str(packages[0]), "palier_certificates": [str(certificate)]}
    done, counts = play(tmp_path, machine.id, variables)
    assert done.returncode == 0 and counts["changed"] > 3, done.stdout + done.stderr
    [network] = machine.state(".NetworkSettings.Networks").values()
    url = f"http://{network['IPAddress']}:80/"
    assert status_of(url) == 200
    pid = machine.ctl("status")["pid"]

    done, counts = play(tmp_path, machine.id, variables)
    assert done.returncode == 0 and counts["changed"] == 0, done.stdout + done.stderr

    servers = [{"name": "front1", "address": "127.0.0.1:9", "weight": 7}]
    done, counts = play(tmp_path, machine.id, variables | {"palier_servers": servers})
    assert done.returncode == 0 and counts["changed"] == 2, done.stdout + done.stderr  # the file, and the reload
    assert machine.ctl("pools")["pools"][0]["servers"][0]["weight"] == 7
    assert machine.ctl("status")["pid"] == pid

    # What a reload cannot change, an upgrade does; and other work, for which the machine's traffic is taken away.
    template = (ROLES / "roles/palier/templates/palier.toml.j2").read_text()
    (tmp_path / "palier.toml.j2").write_text("workers = 1\n" + template)
    (tmp_path / "work.yml").write_text(yaml.safe_dump([{
        "name": "See what palier says meanwhile",
        "ansible.builtin.shell": {"cmd": "palier ctl --json status >/root/meanwhile"}, "changed_when": False}]))
    work = {"palier_maintenance_tasks": str(tmp_path / "work.yml"), "palier_drain_wait": "1s"}
    variables |= {"palier_servers": servers, "palier_config_template": str(tmp_path / "palier.toml.j2")}
    done, counts = play(tmp_path, machine.id, variables | work)
    assert done.returncode == 0 and counts["changed"] == 5, done.stdout + done.stderr  # and an upgrade, a drain, its end
    status = machine.ctl("status")
    assert (status["workers"], status["drained"], status["ready"]) == (1, False, True) and status["pid"] != pid
    meanwhile = json.loads(machine.exec("cat", "/root/meanwhile").stdout)
    assert (meanwhile["drained"], meanwhile["ready"], meanwhile["pid"]) == (True, False, status["pid"])
    assert status_of(url) is not None

    servers[0]["wieght"] = 8
    done, counts = play(tmp_path, machine.id, variables)
    assert done.returncode != 0 and counts["failed"] == 1 and "wieght" in done.stdout, done.stdout
    assert "wieght" not in machine.exec("cat", "/etc/palier/palier.toml").stdout
    assert machine.ctl("pools")["pools"][0]["servers"][0]["weight"] == 7


@pytest.fixture
def name(tmp_path):
    """Of a container on this machine, and of its volumes."""
    if reason := os.environ.get("PALIER_NO_CONTAINERS"):
        pytest.skip(reason)
    tmp_path.chmod(0o755)
    name = f"palier-test-{secrets.token_hex(4)}"
    yield name
    podman("rm", "--force", "--ignore", "--volumes", "--time", "0", name, f"{name}-next", check=False)
    podman("volume", "rm", "--force", f"{name}-run", f"{name}-state", check=False)


def test_containers_take_over_from_one_another(name, tmp_path):
    """On this machine itself, whose /etc and units it leaves alone."""
    port = free_port()
    variables = {"ansible_connection": "local", "palier_install": "container", "palier_image": IMAGE,
                 "palier_engine": str(readme.podman_in(tmp_path)), "palier_container": name, "palier_boot": False,
                 "palier_folder": str(tmp_path / "etc"), "palier_nofile": NOFILE,
                 "palier_http_address": f"127.0.0.1:{port}",
                 "palier_config_template": str(tmp_path / "palier.toml.j2")}
    (tmp_path / "etc").mkdir()
    template = (ROLES / "roles/palier/templates/palier.toml.j2").read_text()
    (tmp_path / "palier.toml.j2").write_text('admin = ""\n' + template)
    done, counts = play(tmp_path, "localhost", variables)
    assert done.returncode == 0, done.stdout + done.stderr
    palier = Container.named(name)
    url, first = f"http://127.0.0.1:{port}/", palier.state(".ID")
    assert status_of(url) == 200

    done, counts = play(tmp_path, "localhost", variables)
    assert done.returncode == 0 and counts["changed"] == 0, done.stdout + done.stderr

    with Wrk(url, longest=120, paced=True) as load:
        done, _ = play(tmp_path, "localhost", variables | {"palier_engine_options": ["--env=SOMETHING=else"]})
        assert done.returncode == 0, done.stdout + done.stderr
        result = load.stop()
    print(f"\nAnsible puts another container in place: {result.requests} requests, {result.failures} failed")
    assert result.failures == 0 and result.requests > 100, result.text
    assert palier.state(".ID") != first and palier.running()

    before = (tmp_path / "etc/palier.toml").read_text()
    done, counts = play(tmp_path, "localhost", variables | {"palier_servers": [{"name": "a", "wieght": 1}]})
    assert done.returncode != 0 and "wieght" in done.stdout, done.stdout
    assert (tmp_path / "etc/palier.toml").read_text() == before and status_of(url) == 200
