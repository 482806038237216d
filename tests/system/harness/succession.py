"""Paliers that replace each other. Each is known by its pid; whoever lost its parent is this process's child."""

import ctypes
import os
import signal
from pathlib import Path

from .control import Control
from .palier import Palier
from .process import descendants
from .waiting import wait_for

_PR_SET_CHILD_SUBREAPER = 36


class Succession:
    """A palier and whoever has taken its place since; ended one by one, each with the exit status 0."""

    def __init__(self, palier: Palier):
        self.palier = palier
        self.pids = [palier.pid]
        self._adopt(True)

    def control(self, **options) -> Control:
        return self.palier.control(**options)

    @property
    def serving(self) -> int:
        """Who answers on the control socket."""
        with self.control() as control:
            return control.do("status")["pid"]

    def upgrade(self, *options: str) -> int:
        """The pid of whoever serves now."""
        with self.control() as control:
            pid = control.do(" ".join(["upgrade", *options]))["pid"]
        self.pids.append(pid)
        wait_for(lambda: self.serving == pid, "the new palier at the control socket")
        return pid

    def wait_end(self, pid: int, timeout: float = 10.0) -> int | None:
        """The exit code of one that is about to end; minus a signal. None where a palier that still runs is its parent,
        and so the only one who can know."""
        if pid == self.palier.pid:
            self.palier.stopped_by_test = True
            return self.palier.child.wait(timeout)
        status: list[int] = []

        def reaped() -> bool:
            try:
                found, how = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                return not is_running(pid)
            if found:
                status.append(os.waitstatus_to_exitcode(how))
            return bool(found)

        wait_for(reaped, f"the end of process {pid}", timeout)
        self.pids.remove(pid)
        return status[0] if status else None

    def end(self) -> None:
        """TERM to all, the last one first; those in between have nothing left by then but what a test left open."""
        family = {*self.pids, *descendants(self.palier.pid)}
        try:
            for pid in sorted(family, key=lambda one: self.pids.index(one) if one in self.pids else -1, reverse=True):
                _signal(pid, signal.SIGTERM)
            for pid in [one for one in self.pids if one != self.palier.pid]:
                code = self.wait_end(pid)
                assert code in (0, None), f"process {pid} ended with {code}:\n{self.palier.events()[-4000:]}"
            self.palier.stopped_by_test = True
            self.palier.check_end()
        finally:
            for pid in family:
                _signal(pid, signal.SIGKILL)
            self._adopt(False)

    @staticmethod
    def _adopt(on: bool) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def descriptors(pid: int) -> list[str]:
    """What a process has open beyond its stdin, stdout and stderr."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        if int(entry.name) > 2:
            try:
                found.append(os.readlink(entry))
            except FileNotFoundError:
                pass  # it was the look itself, or is closed by now
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
