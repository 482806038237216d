"""The machine: which CPU does what, how many descriptors there are, and the programs that must be there first."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .failure import Failure

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "build" / "bench"

# What is needed, a program or a header, and Debian's package of it.
PACKAGE_OF = {"wrk": "wrk", "nginx": "nginx", "haproxy": "haproxy", "nghttpx": "nghttp2-proxy", "h2o": "h2o",
              "h2load": "nghttp2-client", "cc": "gcc", "c++": "g++", "openssl/ssl.h": "libssl-dev", "strace": "strace"}


@dataclass(frozen=True)
class Cpus:
    """The proxy's CPU, and the one that the load generator and the backend share."""
    proxy: int
    load: int

    @property
    def separate(self) -> bool:
        return self.proxy != self.load


def choose_cpus() -> Cpus:
    usable = sorted(os.sched_getaffinity(0))
    return Cpus(usable[0], usable[min(1, len(usable) - 1)])


def raise_descriptor_limit() -> int:
    """Everything started from here on may open as many descriptors as the machine allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown CPU"


def commit() -> str:
    """Of the checkout, with a plus sign when it has changes beside; empty where git does not know."""
    try:
        said = subprocess.run(["git", "describe", "--always", "--dirty=+", "--exclude=*"], cwd=ROOT,
                              capture_output=True, text=True)
    except OSError:
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""


def find_program(name: str) -> str | None:
    """Its path. Debian keeps nginx and haproxy in sbin, which an ordinary user's PATH lacks."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def require_program(name: str) -> str:
    path = find_program(name)
    if path is None:
        raise Failure(f"{name} is not installed")
    return path


def install_missing(needed: Iterable[str]) -> None:
    """Installs from Debian what is not there. Whoever needs what could not be installed says so."""
    packages = [PACKAGE_OF[name] for name in needed
                if find_program(name) is None and not Path("/usr/include", name).is_file()]
    if packages and subprocess.run(["bash", "-c", '. packaging/dependencies; install_missing "$@"', "bench", *packages],
                                   cwd=ROOT).returncode != 0:
        print(f"not installed: {' '.join(packages)}", file=sys.stderr)


def compile_program(name: str) -> Path:
    """Builds bench/NAME/NAME.c, or NAME.cc with OpenSSL, when a file beside it is newer than the program."""
    source, program = ROOT / "bench" / name / f"{name}.c", BUILT / name
    compiler, libraries = ["cc"], []
    if not source.exists():
        source = source.with_suffix(".cc")
        compiler, libraries = ["c++", "-std=c++2b"], ["-lssl", "-lcrypto"]
    newest = max(file.stat().st_mtime for file in source.parent.iterdir())
    if program.exists() and program.stat().st_mtime > newest:
        return program
    BUILT.mkdir(parents=True, exist_ok=True)
    command = [*compiler, "-O2", "-Wall", "-Wextra", "-Werror", str(source), "-o", str(program), *libraries]
    if subprocess.run(command).returncode != 0:
        raise Failure(f"cannot compile {source}")
    return program


def palier_binary(given: str | None) -> Path:
    """The palier to measure: the given one, else the release build, which is made when it is missing."""
    if given is not None:
        path = Path(given).resolve()
        if not os.access(path, os.X_OK):
            raise Failure(f"{given} is not a program")
        return path
    path = ROOT / "build" / "release" / "palier"
    if not path.exists():
        print("building palier (release)", file=sys.stderr)
        script = '. packaging/dependencies; install_missing "${dependencies_build[@]}"; build_preset release palier'
        if subprocess.run(["bash", "-c", script], cwd=ROOT).returncode != 0 or not path.exists():
            raise Failure("palier does not build; --peers floor,nginx,haproxy measures without it")
    return path
