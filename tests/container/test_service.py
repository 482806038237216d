"""The package's service under a real systemd, in a container: what the unit's sandbox forbids must not be what palier
needs for ports below 1024, reloads, upgrades of itself and of the package, roll-outs and log rotation."""

import pytest
from engine import Container, podman, status_of
from harness import Wrk, wait_for
from machine import machine_with_systemd

KILLS = 6  # one more than systemd puts up with by itself, within ten seconds
MOST_EXPOSURE = 19  # tenths: below 2.0
CAP_NET_BIND_SERVICE = 1 << 10

CONFIGURATION = """
[log]
access = "/var/log/palier/access.log"
[[listener]]
name = "http"
address = ["0.0.0.0:8080", "0.0.0.0:80"]
[[route]]
respond = { code = 200 }
[[route]]
path = "/web"
pool = "web"
[[pool]]
name = "web"
health = { type = "off" }
[[pool.server]]
name = "a"
address = "127.0.0.1:80"
[[pool.server]]
name = "b"
address = "127.0.0.1:80"
"""

HOOK = """#!/bin/sh
id -un
echo deployed >"$HOME/$1.done"
if touch /etc/palier/x 2>/dev/null; then echo "the sandbox is open"; exit 1; fi
mkdir "/tmp/$1"
"""


@pytest.fixture(scope="module")
def machine(packages):
    """With both packages in /root and the first one installed."""
    with machine_with_systemd() as machine:
        for package in packages:
            podman("cp", str(package), f"{machine.id}:/root/{package.name}")
        install(machine, packages[0])
        yield machine


def install(machine: Container, package) -> None:
    # What the test wrote into the configuration stays.
    machine.exec("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "install", "-y", "--no-install-recommends",
                 "-o", "Dpkg::Options::=--force-confold", f"/root/{package.name}")


def write(machine: Container, path: str, text: str) -> None:
    machine.exec("sh", "-c", 'printf %s "$2" >"$1"', "write", path, text)


def shown(machine: Container, name: str) -> str:
    return machine.exec("systemctl", "show", "--property", name, "--value", "palier").stdout.strip()


def url(machine: Container, port: int) -> str:
    [network] = machine.state(".NetworkSettings.Networks").values()
    return f"http://{network['IPAddress']}:{port}/"


def test_what_systemd_says_of_the_unit(machine):
    machine.exec("systemd-analyze", "--man=no", "verify", "/lib/systemd/system/palier.service")
    said = machine.exec("systemd-analyze", "--no-pager", f"--threshold={MOST_EXPOSURE}", "security", "palier.service",
                        check=False)
    print("\n" + said.stdout.strip().splitlines()[-1])
    assert said.returncode == 0, said.stdout


def test_its_life_under_systemd(machine, packages):
    assert shown(machine, "ActiveState") == "active", machine.exec("journalctl", "-u", "palier").stdout
    assert shown(machine, "UnitFileState") == "enabled"
    assert status_of(url(machine, 8080)) == 200

    write(machine, "/etc/palier/palier.toml", CONFIGURATION)
    machine.exec("systemctl", "reload", "palier")
    assert status_of(url(machine, 80)) == 200
    write(machine, "/etc/palier/palier.toml", "wokers = 1\n")
    assert machine.exec("systemctl", "reload", "palier", check=False).returncode != 0
    write(machine, "/etc/palier/palier.toml", CONFIGURATION)
    assert status_of(url(machine, 80)) == 200

    sandbox = dict(line.split(":\t") for line in
                   machine.exec("cat", f"/proc/{shown(machine, 'MainPID')}/status").stdout.splitlines() if ":\t" in line)
    assert int(sandbox["CapEff"], 16) == int(sandbox["CapBnd"], 16) == CAP_NET_BIND_SERVICE
    assert (sandbox["NoNewPrivs"], sandbox["Seccomp"]) == ("1", "2")

    pids = [shown(machine, "MainPID")]
    with Wrk(url(machine, 80), paced=True) as load:
        machine.ctl("upgrade")
        pids.append(shown(machine, "MainPID"))
        install(machine, packages[1])
        pids.append(shown(machine, "MainPID"))
        result = load.stop()
    print(f"\nupgrades of palier and of its package under systemd: {result.requests} requests, {result.failures} failed")
    assert result.failures == 0 and result.requests > 100, result.text
    assert len(set(pids)) == 3 and str(machine.ctl("status")["pid"]) == pids[-1]
    assert (shown(machine, "ActiveState"), shown(machine, "NRestarts")) == ("active", "0")

    write(machine, "/var/lib/palier/hook", HOOK)
    machine.exec("chmod", "755", "/var/lib/palier/hook")
    said = machine.exec("palier", "ctl", "rollout", "web", "run=/var/lib/palier/hook {server}", "soak=100ms", check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    assert machine.exec("cat", "/var/lib/palier/a.done", "/var/lib/palier/b.done").stdout == "deployed\n" * 2

    machine.exec("logrotate", "--force", "/etc/logrotate.d/palier")
    wait_for(lambda: status_of(url(machine, 80)) and
             machine.exec("test", "-s", "/var/log/palier/access.log", check=False).returncode == 0,
             "lines in the new access log", 20, every=0.2)

    # As often as it is killed: no limit of starts leaves the machine without it.
    for count in range(1, KILLS + 1):
        machine.exec("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "palier")
        wait_for(lambda: shown(machine, "NRestarts") == str(count) and shown(machine, "ActiveState") == "active",
                 f"restart {count}", 20, every=0.1)
    # Not right after an upgrade: in a container with control groups of version 1, systemd does not wait for a main
    # process that it has not started itself.
    machine.exec("systemctl", "stop", "palier")
    assert shown(machine, "Result") == "success"
    machine.exec("apt-get", "-q", "purge", "-y", "palier")
    assert machine.exec("find", "/", "-xdev", "-name", "*palier*", "-not", "-path", "/proc/*", "-not", "-path", "/sys/*",
                        "-not", "-path", "/root/*").stdout == ""
