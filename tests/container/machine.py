"""A container in which systemd is the first process: a machine as far as services and Ansible are concerned."""

import contextlib
import os
import subprocess
from collections.abc import Iterator

import pytest
from engine import Container
from harness import wait_for

IMAGE = "localhost/palier-test-systemd"


@contextlib.contextmanager
def machine_with_systemd() -> Iterator[Container]:
    """Skips where there is none to be had."""
    if reason := os.environ.get("PALIER_NO_CONTAINERS"):
        pytest.skip(reason)
    subprocess.run(["podman", "import", "-q", os.environ["PALIER_SYSTEMD_ARCHIVE"], IMAGE], check=True, capture_output=True)
    container = Container("--systemd=always", "--privileged", image=IMAGE, command=["/sbin/init"])
    try:
        try:
            wait_for(lambda: container.exec("systemctl", "is-system-running", check=False).stdout.strip() in
                     ("running", "degraded"), "systemd", 60, every=0.2)
        except AssertionError as error:
            pytest.skip(f"systemd does not come up in a container here: {error}\n{container.log()}")
        container.exec("apt-get", "-q", "update")
        yield container
    finally:
        container.remove()
