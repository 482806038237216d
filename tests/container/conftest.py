"""Fixtures of the container's and the package's tests; what a test starts ends with it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system")]

from engine import IMAGE, RUN_OPTIONS, Container, podman, status_of  # noqa: E402
from harness import wait_for  # noqa: E402
from harness.environment import ROOT as CHECKOUT  # noqa: E402


@pytest.fixture
def containers():
    """Factory of containers: containers("--network", "host", command=[...])."""
    if reason := os.environ.get("PALIER_NO_CONTAINERS"):
        pytest.skip(reason)
    started: list[Container] = []

    def start(*options: str, **more) -> Container:
        started.append(Container(*options, **more))
        return started[-1]

    yield start
    for container in started:
        container.remove()


@pytest.fixture
def serving(containers):
    """Factory of containers that answer on a published port: serving(*options) → container, URL."""
    def start(*options: str, **more) -> tuple[Container, str]:
        container = containers("--publish", "127.0.0.1::8080", *options, **more)
        url = container.published() + "/"
        wait_for(lambda: status_of(url) is not None or not container.running(), "an answer from the container", 30)
        assert status_of(url) is not None, container.log()
        return container, url

    return start


@pytest.fixture
def image(containers):
    """For tests that run a command of the image to its end: image(*options, command=[...])."""
    def run(*options: str, command: list[str], check: bool = True):
        return podman("run", "--rm", *RUN_OPTIONS, *options, IMAGE, *command, check=check)

    return run


@pytest.fixture(scope="session")
def packages(tmp_path_factory) -> list[Path]:
    """The package, and the next one after it."""
    made = []
    for release in ("1", "2"):
        folder = tmp_path_factory.mktemp("package")
        subprocess.run(["cpack", "-G", "DEB", "--config", CHECKOUT / "build/release/CPackConfig.cmake", "-B", folder,
                        "-D", f"CPACK_DEBIAN_PACKAGE_RELEASE={release}"], check=True, capture_output=True)
        [package] = folder.glob("*.deb")
        shutil.rmtree(folder / "_CPack_Packages")
        made.append(package)
    return made
