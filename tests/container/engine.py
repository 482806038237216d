"""podman, as tests/container/run found it to work: containers that a test starts, and what it asks of them."""

import json
import os
import resource
import secrets
import shlex
import subprocess
import urllib.error
import urllib.request

PODMAN = shlex.split(os.environ.get("PALIER_PODMAN", "podman"))
RUN_OPTIONS = shlex.split(os.environ.get("PALIER_PODMAN_RUN", ""))
IMAGE = os.environ.get("PALIER_CONTAINER_IMAGE", "localhost/palier-test")
BASE_IMAGE = os.environ.get("PALIER_BASE_IMAGE", "docker.io/library/debian:bookworm-slim")

# Whatever of a container a hosting team would take away.
HARDENED = ["--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL", "--security-opt=no-new-privileges"]

NOFILE = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])  # open files that a container may have here

PATIENCE = 120  # seconds for podman itself


def podman(*arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    done = subprocess.run([*PODMAN, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE)
    assert not check or done.returncode == 0, f"podman {shlex.join(arguments)}: {done.returncode}\n{done.stderr}"
    return done


class Container:
    """One that runs in the background: Container("--network", "host", command=["run", ...])."""

    def __init__(self, *options: str, image: str = IMAGE, command: list[str] | None = None):
        self.id = f"palier-test-{secrets.token_hex(6)}"
        # --init=false: palier is the first process, as it is where nobody thinks of it.
        done = podman("run", "--detach", "--name", self.id, "--init=false", *RUN_OPTIONS, *options, image,
                      *(command or []), check=False)
        if done.returncode != 0:  # it may be there all the same, though it does not run
            self.remove()
            raise AssertionError(f"the container does not start: {done.stderr}")

    @classmethod
    def named(cls, name: str) -> "Container":
        """One that somebody else has started."""
        container = cls.__new__(cls)
        container.id = name
        return container

    def exec(self, *command: str, user: str | None = None, check: bool = True) -> subprocess.CompletedProcess:
        return podman("exec", *(["--user", user] if user else []), self.id, *command, check=check)

    def ctl(self, *words: str) -> dict:
        """The last line of the reply."""
        done = self.exec("palier", "ctl", "--json", *words, check=False)
        assert done.returncode == 0, done.stdout + done.stderr + self.log()
        return json.loads(done.stdout.strip().splitlines()[-1])

    def state(self, what: str):
        return json.loads(podman("inspect", "--format", f"{{{{json {what}}}}}", self.id).stdout)

    def running(self) -> bool:
        return self.state(".State.Running")

    def log(self) -> str:
        done = podman("logs", self.id, check=False)
        return done.stdout + done.stderr

    def published(self, port: int = 8080) -> str:
        """http://HOST:PORT of a published port."""
        ports = podman("port", self.id, f"{port}/tcp").stdout.splitlines()
        assert ports, "no port is published; the container says:\n" + self.log()
        return "http://" + ports[0]

    def signal(self, name: str) -> None:
        podman("kill", "--signal", name, self.id)

    def wait(self) -> int:
        """The exit code, once it has ended."""
        return int(podman("wait", self.id).stdout)

    def remove(self) -> None:
        podman("rm", "--force", "--volumes", "--time", "0", self.id, check=False)


def status_of(url: str) -> int | None:
    """None where nobody answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def size_of(image: str) -> int:
    """Bytes on disk, all layers."""
    return int(podman("image", "inspect", "--format", "{{.Size}}", image).stdout)
