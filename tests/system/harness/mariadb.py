"""A real MariaDB server from Debian, in a directory of its own."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from .environment import seconds
from .namespaces import Machine
from .ports import free_port
from .process import Child
from .waiting import wait_for


class MariaDb:
    """mariadbd on a port of every address of its machine, or of loopback. It is made once and may then be started,
    killed and started again. sql() speaks as root, through a socket file.

    There are two accounts without passwords and without rights: `palier` from anywhere, and `plain`, likewise. A host
    is blocked after 10 connections that do not shake hands. `names`: hosts by address, for the server alone; only a
    host whose name it can find is counted, and never 127.0.0.1."""

    def __init__(self, directory: Path, machine: Machine | None = None, names: dict[str, str] | None = None):
        self.directory = directory / "mariadb"
        self.directory.mkdir()
        self.port = free_port()
        self.host = machine.address if machine else "127.0.0.1"
        self._machine = machine
        self._socket = self.directory / "s"  # a long path would not fit into a socket's address
        self._hosts = self.directory / "hosts"
        self._prefix: list = []
        if names:
            self._hosts.write_text("".join(f"{address} {name}\n" for address, name in names.items()))
            # In a mount namespace of its own, so that nobody else sees these names.
            self._prefix = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', self._hosts]
        self._user = ["--user=root"] if os.geteuid() == 0 else []
        self._child: Child | None = None
        self._install()
        self.start()
        self.sql("CREATE USER palier@'%'; CREATE USER plain@'%'")

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def start(self) -> None:
        """Starts it, or starts it again after kill()."""
        with self._inside():
            self._child = Child(
                [*self._prefix, "mariadbd", "--no-defaults", *self._user, f"--datadir={self.directory}/data",
                 f"--socket={self._socket}", f"--pid-file={self.directory}/pid", f"--port={self.port}",
                 f"--bind-address={'0.0.0.0' if self._machine else '127.0.0.1'}", "--max-connect-errors=10",
                 "--log-warnings=2", "--performance-schema=ON", "--skip-log-bin", "--innodb-buffer-pool-size=16M",
                 "--innodb-log-file-size=4M", "--innodb-flush-log-at-trx-commit=0"], self.directory, "mariadbd")
        wait_for(self._answers, f"MariaDB on {self.address}", timeout=60, every=0.1)

    def kill(self) -> None:
        """SIGKILL, as a crash would have it."""
        self._child.kill()

    def stop(self) -> None:
        if self._child is not None and self._child.running():
            self._child.stop(signal.SIGTERM, timeout=60)

    def sql(self, statements: str) -> list[list[str]]:
        """The rows of all that it answers."""
        done = self._client([f"--socket={self._socket}", "--user=root"], statements)
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    def status(self, name: str) -> int:
        """A status variable that is a number."""
        return int(self.sql(f"SHOW GLOBAL STATUS LIKE '{name}'")[0][1])

    def host_errors(self) -> dict[str, tuple[int, int]]:
        """By address: errors that count against max_connect_errors, and connections refused for them."""
        rows = self.sql("SELECT ip, sum_connect_errors, count_host_blocked_errors FROM performance_schema.host_cache")
        return {ip: (int(errors), int(blocked)) for ip, errors, blocked in rows}

    def forget(self) -> None:
        """Counters at 0, no host blocked."""
        self.sql("FLUSH HOSTS; FLUSH STATUS")

    def try_client(self, user: str = "plain") -> str:
        """What an ordinary client from the calling thread's machine gets: "" when it may log in, else the error."""
        done = self._client([f"--host={self.host}", f"--port={self.port}", "--protocol=tcp", "--skip-ssl",
                             f"--user={user}"], "SELECT 1")
        return done.stderr.strip() if done.returncode != 0 else ""

    def log(self) -> str:
        """Its error log so far."""
        return self._child.stderr()

    def _install(self) -> None:
        done = subprocess.run(
            ["mariadb-install-db", "--no-defaults", *self._user, f"--datadir={self.directory}/data",
             "--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=4M"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds(120))
        assert done.returncode == 0, done.stdout + done.stderr

    def _answers(self) -> bool:
        assert self._child.running(), f"mariadbd ended with {self._child.exit_code}:\n{self.log()}"
        return self._client([f"--socket={self._socket}", "--user=root"], "SELECT 1").returncode == 0

    def _client(self, arguments: list[str], statements: str) -> subprocess.CompletedProcess:
        return subprocess.run(["mariadb", "--no-defaults", "--batch", "--skip-column-names", *arguments],
                              input=statements, capture_output=True, text=True, timeout=seconds(30))

    def _inside(self):
        return self._machine.inside() if self._machine else contextlib.nullcontext()
