"""packaging/compose, started with podman-compose: the site as a hosting team would begin with it.

podman-compose before 1.0.6, which Debian 12 has, knows no network_mode: palier's own containers are started by podman
itself, by README.md's commands."""

import json
import os
import re
import secrets
import shlex
import shutil
import subprocess
from pathlib import Path

import readme
import yaml
from engine import BASE_IMAGE, IMAGE, NOFILE, RUN_OPTIONS, Container, podman
from harness import Control, free_port, wait_for
from harness.environment import ROOT as CHECKOUT

OTHERS = ("edge", "certificate", "front1", "front2", "front3", "database")


class Site:
    """The containers of packaging/compose in a copy of it, whose palier.toml a test may change."""

    def __init__(self, folder: Path):
        self.name = f"palier-test-{secrets.token_hex(4)}"
        self.folder = folder / self.name
        shutil.copytree(CHECKOUT / "packaging/compose", self.folder)
        for path in (self.folder, *self.folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        self.http, self.https = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self._environment = {
            "PALIER_IMAGE": IMAGE, "EDGE_IMAGE": BASE_IMAGE,
            "FRONT_IMAGE": os.environ.get("PALIER_FRONT_IMAGE", "localhost/palier-test-front"),
            "DATABASE_IMAGE": os.environ.get("PALIER_DATABASE_IMAGE", "localhost/palier-test-database"),
            "HTTP_PORT": self.http, "HTTPS_PORT": self.https, "NODE_NAME": "srv7", "NOFILE": str(NOFILE)}
        self._podman = readme.podman_in(folder)
        self._palier = f"{self.name}-palier"
        command = readme.commands("--network container:compose_edge_1").partition("\n")[2]  # without podman-compose itself
        self._options, _, self._start = self._adapted(command, compose_=f"{self.name}_", srv1="srv7").partition("\npodman run")

    def start(self) -> Container:
        """palier and all others."""
        self.up(*OTHERS)
        self._run(f"{self._options}\npodman run{self._start}")
        return Container.named(self._palier)

    def upgrade(self) -> Container:
        """Another palier, which takes over from the one that is there."""
        self._run("set -e\n" + self._options + "\n" + self._adapted(readme.commands("podman rename palier-next palier")))
        return Container.named(self._palier)

    def options(self) -> list[str]:
        """README.md's for palier's containers."""
        return shlex.split(self._options.partition('"')[2].partition('"')[0])

    def options_of_compose(self) -> list[str]:
        """The same, as compose.yaml has them."""
        service = self._read()["services"]["palier"]
        volumes = [volume if volume.startswith((".", "/")) else f"{self.name}_{volume}" for volume in service["volumes"]]
        assert service["network_mode"] == "service:edge" and service["read_only"]
        return ["--network", f"container:{self._container_name('edge')}", "--restart", service["restart"],
                "--stop-timeout", service["stop_grace_period"].removesuffix("s"),
                *(word for name, limit in service["ulimits"].items()
                  for word in ("--ulimit", f"{name}={limit['soft']}:{limit['hard']}")),
                "--read-only", *(f"--cap-drop={name}" for name in service["cap_drop"]),
                *(f"--security-opt={option.removesuffix(':true')}" for option in service["security_opt"]),
                *(word for name, value in service["environment"].items() for word in ("-e", f"{name}={value}")),
                *(word for volume in volumes for word in ("-v", volume))]

    def health_checks(self) -> tuple[str, str]:
        """compose.yaml's and the image's."""
        image = json.loads(podman("image", "inspect", "--format", "{{json .HealthCheck}}", IMAGE).stdout)
        return self._read()["services"]["palier"]["healthcheck"]["test"], image["Test"][-1]

    def volume(self, name: str) -> Path:
        """Its folder on this machine."""
        return Path(podman("volume", "inspect", "--format", "{{.Mountpoint}}", f"{self.name}_{name}").stdout.strip())

    def up(self, *services: str) -> None:
        done = subprocess.run(
            ["podman-compose", "--podman-path", self._podman, "--podman-run-args", shlex.join(RUN_OPTIONS), "-p",
             self.name, "up", "-d", "--no-build", *services], cwd=self.folder, env={**os.environ, **self._environment},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        for service in services:
            assert podman("container", "exists", self._container_name(service), check=False).returncode == 0, (
                done.stdout + done.stderr)

    def service(self, name: str) -> Container:
        return Container.named(self._container_name(name))

    def start_again(self, name: str) -> None:
        """A service that comes to its end."""
        podman("start", self._container_name(name))
        assert self.service(name).wait() == 0, self.service(name).log()

    def replace(self, name: str) -> str:
        """Removes the container of a service and starts another; its address, which is another one too."""
        old = self.address(name)
        self.service(name).remove()
        self.up(name)
        new = self.address(name)
        assert new != old
        return new

    def address(self, name: str) -> str:
        [network] = self.service(name).state(".NetworkSettings.Networks").values()
        return network["IPAddress"]

    def ctl(self, command: str) -> dict:
        """The last line of the reply of the palier that has the control socket, whose volume is a folder of this machine."""
        with Control(self.volume("run") / "control.sock", timeout=60) as control:
            return control.do(command)

    def wait_until_up(self, server: str, address: str | None = None) -> None:
        """Until probes find a server of the pool "web" up, at this address."""
        def is_up() -> bool:
            return any(one["name"] == server and one["health"] == "up" and address in (None, one["address"].split(":")[0])
                       for pool in self.ctl("pools")["pools"] for one in pool["servers"])

        wait_for(is_up, f"{server} up", 60, every=0.2)

    def remove(self) -> None:
        names = [self._palier, f"{self._palier}-next", *map(self._container_name, OTHERS)]
        podman("rm", "--force", "--ignore", "--volumes", "--time", "0", *names, check=False)
        podman("network", "rm", "--force", f"{self.name}_inside", check=False)
        podman("volume", "rm", "--force", *(f"{self.name}_{volume}" for volume in self._read()["volumes"]), check=False)

    def _adapted(self, script: str, **others: str) -> str:
        return readme.adapted(script, self._palier, **others)

    def _run(self, script: str) -> None:
        done = readme.run(script, self.folder, self._podman)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"

    def _container_name(self, service: str) -> str:
        return f"{self.name}_{service}_1"

    def _read(self) -> dict:
        text = re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", lambda match: self._environment.get(match[1], match[2] or ""),
                      (self.folder / "compose.yaml").read_text())
        return yaml.safe_load(text)
