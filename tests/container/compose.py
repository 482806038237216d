"""packaging/compose, started with podman-compose: the site as a hosting team would begin with it.

podman-compose before 1.0.6, which Debian 12 has, knows no network_mode: palier's own containers are started by podman
itself, with what the file says of them."""

import os
import re
import resource
import secrets
import shlex
import shutil
import subprocess
from pathlib import Path

import yaml
from engine import IMAGE, PODMAN, RUN_OPTIONS, Container, podman
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
        nofile = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        self._environment = {
            "PALIER_IMAGE": IMAGE, "FRONT_IMAGE": os.environ.get("PALIER_FRONT_IMAGE", "localhost/palier-test-front"),
            "DATABASE_IMAGE": os.environ.get("PALIER_DATABASE_IMAGE", "localhost/palier-test-database"),
            "HTTP_PORT": self.http, "HTTPS_PORT": self.https, "NODE_NAME": "srv7", "NOFILE": str(nofile)}
        self._podman = folder / "podman"
        self._podman.write_text(f'#!/bin/sh\nexec {shlex.join(PODMAN)} "$@"\n')
        self._podman.chmod(0o755)
        self._paliers: list[Container] = []

    def start(self) -> Container:
        """The first palier."""
        self.up(*OTHERS)
        certificate = Container.named(f"{self.name}_certificate_1")
        assert certificate.wait() == 0, certificate.log()
        return self.start_palier()

    def up(self, *services: str) -> None:
        done = subprocess.run(
            ["podman-compose", "--podman-path", self._podman, "--podman-run-args", shlex.join(RUN_OPTIONS), "-p",
             self.name, "up", "-d", "--no-build", *services], cwd=self.folder, env={**os.environ, **self._environment},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        for service in services:
            assert podman("container", "exists", self._container_name(service), check=False).returncode == 0, (
                done.stdout + done.stderr)

    def start_palier(self) -> Container:
        """Another one, which takes over from the one that is there."""
        service = self._read()["services"]["palier"]
        volumes = [volume if volume.startswith((".", "/")) else f"{self.name}_{volume}" for volume in service["volumes"]]
        assert service["network_mode"] == "service:edge" and service["read_only"]
        options = ["--network", f"container:{self._container_name('edge')}", "--read-only", "--read-only-tmpfs=false",
                   *(f"--cap-drop={name}" for name in service["cap_drop"]),
                   *(f"--security-opt={option}" for option in service["security_opt"]),
                   *(f"--env={name}={value}" for name, value in service["environment"].items()),
                   *(f"--volume={volume.replace('./', f'{self.folder}/', 1)}" for volume in volumes),
                   *(f"--ulimit={name}={limit['soft']}:{limit['hard']}" for name, limit in service["ulimits"].items())]
        self._paliers.append(Container(*options, image=service["image"], command=service["command"]))
        return self._paliers[-1]

    def service(self, name: str) -> Container:
        return Container.named(self._container_name(name))

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
        run = podman("volume", "inspect", "--format", "{{.Mountpoint}}", f"{self.name}_run").stdout.strip()
        with Control(Path(run) / "control.sock", timeout=60) as control:
            return control.do(command)

    def wait_until_up(self, server: str, address: str | None = None) -> None:
        """Until probes find a server of the pool "web" up, at this address."""
        def is_up() -> bool:
            return any(one["name"] == server and one["health"] == "up" and address in (None, one["address"].split(":")[0])
                       for pool in self.ctl("pools")["pools"] for one in pool["servers"])

        wait_for(is_up, f"{server} up", 60, every=0.2)

    def remove(self) -> None:
        names = [palier.id for palier in self._paliers] + [self._container_name(service) for service in OTHERS]
        podman("rm", "--force", "--ignore", "--volumes", "--time", "0", *names, check=False)
        podman("network", "rm", "--force", f"{self.name}_inside", check=False)
        podman("volume", "rm", "--force", *(f"{self.name}_{volume}" for volume in self._read()["volumes"]), check=False)

    def _container_name(self, service: str) -> str:
        return f"{self.name}_{service}_1"

    def _read(self) -> dict:
        text = re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", lambda match: self._environment.get(match[1], match[2] or ""),
                      (self.folder / "compose.yaml").read_text())
        return yaml.safe_load(text)
