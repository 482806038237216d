"""A Debian of its own in a folder, made from PALIER_ROOT_ARCHIVE; what runs there ends with the command."""

import os
import shutil
import subprocess
from pathlib import Path

PATIENCE = 300  # seconds for one command; apt may have to fetch packages

_ENTER = """
set -e
mount -t proc proc "$0/proc"
mount --rbind /dev "$0/dev"
mount -t tmpfs tmpfs "$0/run"
if [ "$1" = alone ]; then ip link set lo up; fi
shift
exec "$@"
"""


class Root:
    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir()
        subprocess.run(["tar", "-C", folder, "-xf", os.environ["PALIER_ROOT_ARCHIVE"]], check=True)
        shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")

    def command(self, *words: str, alone: bool = False, outside: bool = False) -> subprocess.CompletedProcess:
        """`alone`: with a network of its own, where every port is free. `outside`: sees its mounts, processes and
        network, but has this machine's programs."""
        inside = [] if outside else ["chroot", str(self.folder), "env", "-i", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8",
                                     "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
        return subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", *(["--net"] if alone else []),
             "sh", "-c", _ENTER, str(self.folder), "alone" if alone else "shared", *inside, *words],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)

    def do(self, *words: str, **options) -> str:
        """What it prints; it must succeed."""
        done = self.command(*words, **options)
        assert done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def remove(self) -> None:
        shutil.rmtree(self.folder)
