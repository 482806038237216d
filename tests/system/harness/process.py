"""Child processes: started in their own session, output kept in files, ended by pid."""

import os
import signal
import subprocess
from pathlib import Path

from .environment import seconds
from .waiting import wait_for


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def descendants(pid: int) -> list[int]:
    """The pids of a process's children, their children and so on."""
    found: list[int] = []
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except FileNotFoundError:
        return found
    for task in tasks:
        try:
            children = [int(word) for word in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


class Child:
    """A program in the foreground of its own session, stdout and stderr in files of `directory`."""

    def __init__(self, command: list, directory: Path, name: str, env: dict | None = None, stdout=None, cwd=None):
        self.stdout_path = directory / f"{name}.stdout"
        self.stderr_path = directory / f"{name}.stderr"
        with open(self.stdout_path, "ab") as out, open(self.stderr_path, "ab") as err:
            self._process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=stdout if stdout is not None else out,
                stderr=err, env={**os.environ, **(env or {})}, cwd=cwd, start_new_session=True)
        self.pid = self._process.pid

    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def stdout(self) -> str:
        return self.stdout_path.read_text(errors="replace")

    def stderr(self) -> str:
        return self.stderr_path.read_text(errors="replace")

    def send_signal(self, number: int) -> None:
        if self.running():
            os.kill(self.pid, number)

    def wait(self, timeout: float = 10.0) -> int:
        """The exit code; fails when the program is still there after `timeout` seconds (scaled)."""
        try:
            return self._process.wait(seconds(timeout))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"pid {self.pid} did not end within {seconds(timeout):.1f} s") from None

    def kill(self) -> None:
        """SIGKILL for the program and all that it started."""
        family = [self.pid, *descendants(self.pid)] if self.running() else []
        for pid in family:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._process.wait()
        wait_for(lambda: not any(_alive(pid) for pid in family), f"the end of {family}")

    def stop(self, number: int = signal.SIGTERM, timeout: float = 10.0) -> int:
        """Asks the program to end, and kills it when it does not listen. Returns its exit code."""
        self.send_signal(number)
        try:
            return self.wait(timeout)
        except AssertionError:
            self.kill()
            raise


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
