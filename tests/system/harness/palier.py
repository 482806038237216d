"""palier itself: started from a configuration, waited for, read, and ended cleanly."""

import json
import os
import re
import signal
import subprocess
from datetime import datetime
from pathlib import Path

from .config import ports_of, to_toml
from .control import Control
from .environment import BINARY, ROOT, seconds
from .ports import is_listening
from .process import Child, resident_bytes
from .raw_client import RawClient
from .waiting import wait_for

_SANITIZER_REPORT = re.compile(
    r"ERROR: (Address|Leak|Memory)Sanitizer|WARNING: ThreadSanitizer|runtime error:|AddressSanitizer:DEADLYSIGNAL")

# A report must not pass for an ordinary failure: its exit code is none of palier's.
SANITIZER_ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=1:exitcode=99:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=98",
    "TSAN_OPTIONS": f"exitcode=97:second_deadlock_stack=1:suppressions={ROOT / 'tests/tsan.supp'}",
}


class Palier:
    """One running palier. `config` is a dictionary (see config.site) or the TOML text itself with its `ports`."""

    def __init__(self, config: dict | str, directory: Path, ports: list[int] | None = None, env: dict | None = None,
                 arguments: list[str] | None = None, stdout=None, name: str = "palier",
                 prefix: list[str] | None = None):
        assert BINARY.exists(), f"{BINARY} is not there: build it first, or set PALIER_BINARY"
        self.config_path = directory / f"{name}.toml"
        self.control_path = directory / f"{name}.sock"
        if isinstance(config, dict):
            config.setdefault("control_socket", str(self.control_path))
            config.setdefault("state_file", str(directory / f"{name}.state.json"))
            self.ports = ports_of(config)
            self.config_path.write_text(to_toml(config))
        else:
            self.ports = ports or []
            self.config_path.write_text(config)
        self.child = Child([*(prefix or []), BINARY, "run", "-c", self.config_path, *(arguments or [])], directory,
                           name, env={**SANITIZER_ENVIRONMENT, **(env or {})}, stdout=stdout)
        self.stopped_by_test = False

    @property
    def port(self) -> int:
        """The first listener's port."""
        return self.ports[0]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self.child.pid

    def wait_ready(self) -> "Palier":
        """Every listener listens, and palier says that it serves: before that, it tries whether its addresses are free
        by listening there for a moment, and minds no signals."""
        def ready() -> bool:
            assert self.child.running(), f"palier ended with {self.child.exit_code}:\n{self.events()}"
            return " serves with " in self.events() and all(is_listening(port) for port in self.ports)

        wait_for(ready, f"palier on ports {self.ports}")
        return self

    def connect(self, **options) -> RawClient:
        """A raw client of the first listener."""
        return RawClient(self.port, **options)

    def get(self, target: str = "/", **fields: str):
        """One GET on a connection of its own."""
        with self.connect() as client:
            return client.request("GET", target, **fields)

    def control(self, **options) -> Control:
        """A connection to the control socket."""
        return Control(self.control_path, **options)

    def resident(self) -> int:
        """Resident memory in bytes."""
        return resident_bytes(self.pid)

    def peak_resident(self) -> int:
        """The most memory that was ever resident, in bytes (the kernel's own high-water mark)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024

    def access_text(self) -> str:
        """What was logged to stdout so far."""
        return self.child.stdout()

    def access_log(self) -> list[dict]:
        """The JSON access log on stdout so far; an unfinished last line is left for later."""
        text = self.access_text()
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]

    @staticmethod
    def logged_at(line: dict) -> float:
        """When an exchange ended, from its line in the access log; a wall clock's seconds."""
        return datetime.fromisoformat(line["time"]).timestamp()

    def wait_access_log(self, count: int) -> list[dict]:
        """The access log, once it has `count` lines."""
        def enough():
            lines = self.access_log()
            return lines if len(lines) >= count else None

        return wait_for(enough, f"{count} lines in the access log")

    def wait_logged(self, more_bytes: int) -> None:
        """As much again in the access log, a cheap way of knowing that load goes through."""
        size = self.child.stdout_path.stat().st_size
        wait_for(lambda: self.child.stdout_path.stat().st_size >= size + more_bytes,
                 f"{more_bytes} bytes of access log")

    def events(self) -> str:
        """The event log on stderr so far."""
        return self.child.stderr()

    def wait_event(self, pattern: str) -> re.Match:
        """The first place in the event log that `pattern` matches, whatever the case."""
        return wait_for(lambda: re.search(pattern, self.events(), re.IGNORECASE), f"event {pattern!r}")

    def send_signal(self, number: int) -> None:
        self.child.send_signal(number)

    def stop(self, number: int = signal.SIGTERM, timeout: float = 10.0) -> int:
        """Asks palier to end and returns its exit code."""
        self.stopped_by_test = True
        return self.child.stop(number, timeout)

    def check_end(self) -> None:
        """What the fixture asks of every palier: it is still there, it ends with 0 on SIGTERM, nothing is reported."""
        died_early = not self.child.running() and not self.stopped_by_test
        code = self.child.stop()
        report = _SANITIZER_REPORT.search(self.events())
        assert report is None, f"a sanitizer reports:\n{self.events()[report.start():][:8000]}"
        assert not died_early, f"palier ended by itself with {code}:\n{self.events()[-4000:]}"
        assert code == 0, f"palier ended with {code}:\n{self.events()[-4000:]}"


def run_palier(*arguments, timeout: float = 10.0, env: dict | None = None) -> subprocess.CompletedProcess:
    """Runs palier to its end; the result has returncode, stdout and stderr as text."""
    assert BINARY.exists(), f"{BINARY} is not there: build it first, or set PALIER_BINARY"
    done = subprocess.run([str(BINARY), *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=seconds(timeout), env={**os.environ, **SANITIZER_ENVIRONMENT, **(env or {})})
    assert not _SANITIZER_REPORT.search(done.stderr), done.stderr
    return done
