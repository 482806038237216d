"""A child process: pinned to a CPU, in a session of its own, with its CPU time and memory, ended by pid."""

import ctypes
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """For a new child: the kernel ends it even when the benchmark is killed and cannot."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def keep_niceness() -> None:
    """Makes `nice` mean what it says: the scheduler's automatic groups, one a session, ignore it otherwise."""
    try:
        Path("/proc/self/autogroup").write_text(str(os.nice(0)))
    except OSError:
        pass  # no such groups, or not ours to change


@dataclass(frozen=True)
class CpuTime:
    """Seconds on the CPU, and the ticks by which user and system time share them."""
    total: float
    user_ticks: int
    system_ticks: int

    def since(self, before: "CpuTime") -> "CpuTime":
        return CpuTime(self.total - before.total, self.user_ticks - before.user_ticks,
                       self.system_ticks - before.system_ticks)

    @property
    def user_share(self) -> float:
        ticks = self.user_ticks + self.system_ticks
        return self.user_ticks / ticks if ticks else 0.0


class Process:
    """Started by the constructor; `stop` ends it and whatever it started. Its output goes to a file."""

    def __init__(self, command: list, cpu: int, log: Path, stop_signal: int = signal.SIGTERM):
        self._log = log
        self._stop_signal = stop_signal

        def prepare() -> None:
            os.sched_setaffinity(0, {cpu})
            keep_niceness()
            end_with_parent()

        with open(log, "wb") as output:
            self._process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output,
                                             stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=prepare)
        self.pid = self._process.pid

    def running(self) -> bool:
        return self._process.poll() is None

    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def members(self) -> list[int]:
        """The pids of its session: itself and its workers."""
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._is_member(pid)]

    def _is_member(self, pid: int) -> bool:
        try:
            return os.getsid(pid) == self.pid
        except ProcessLookupError:
            return False

    def cpu_time(self) -> CpuTime:
        """Of all its processes and threads. The total is the scheduler's, in nanoseconds; ticks only divide it."""
        nanoseconds = user = system = 0
        for pid in self.members():
            for task in Path(f"/proc/{pid}/task").iterdir():
                nanoseconds += int((task / "schedstat").read_text().split()[0])
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            user += int(fields[11])
            system += int(fields[12])
        return CpuTime(nanoseconds / 1e9, user, system)

    def first_thread_time(self) -> CpuTime:
        """The same of the thread alone that the program began with."""
        thread = Path(f"/proc/{self.pid}/task/{self.pid}")
        fields = (thread / "stat").read_text().rpartition(")")[2].split()
        return CpuTime(int((thread / "schedstat").read_text().split()[0]) / 1e9, int(fields[11]), int(fields[12]))

    def private_bytes(self) -> int:
        """Memory that would be free without it."""
        return self._sum("Private_Clean:", "Private_Dirty:")

    def resident_bytes(self) -> int:
        """Memory that it is in. What its processes share is counted once, what others share too by their share."""
        return self._sum("Pss:")

    def _sum(self, *fields: str) -> int:
        kilobytes = 0
        for pid in self.members():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(fields):
                    kilobytes += int(line.split()[1])
        return kilobytes * 1024

    def stop(self) -> None:
        """Asks, waits, insists; afterwards nothing of its session is left."""
        if self.running():
            self._process.send_signal(self._stop_signal)
            try:
                self._process.wait(timeout=3)
            except subprocess.TimeoutExpired:
                pass
        for pid in self.members():
            os.kill(pid, signal.SIGKILL)
        self._process.wait()
