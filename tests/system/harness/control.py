"""A client of the control socket: lines out, JSON lines in."""

import json
import socket
from pathlib import Path

from .environment import seconds
from .messages import ConnectionEnded


class Control:
    """One connection. `with Control(palier.control_path) as control: control.ask("status")`."""

    def __init__(self, path: str | Path, timeout: float = 10.0):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.connect(str(path))  # waits where the socket's queue is full; with a timeout it would fail there
        except OSError:
            self.socket.close()
            raise
        self.socket.settimeout(seconds(timeout))
        self._received = b""

    def send(self, line: str) -> None:
        """A request, without waiting for what comes back."""
        self.socket.sendall(line.encode() + b"\n")

    def send_bytes(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read_line(self) -> dict:
        """The next line of a reply; ConnectionEnded when there is none."""
        while b"\n" not in self._received:
            was_reset = False
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data, was_reset = b"", True
            if not data:
                raise ConnectionEnded(self._received, was_reset)
            self._received += data
        line, self._received = self._received.split(b"\n", 1)
        value = json.loads(line)
        assert isinstance(value, dict), line
        return value

    def read_reply(self) -> list[dict]:
        """The lines of one reply; the last has "done"."""
        lines = [self.read_line()]
        while not lines[-1].get("done"):
            lines.append(self.read_line())
        return lines

    def ask(self, line: str) -> list[dict]:
        """Sends one request and reads its reply, the last line of which has "done" and "ok"."""
        self.send(line)
        return self.read_reply()

    def do(self, line: str) -> dict:
        """Asks for something that must succeed; the reply's last line."""
        last = self.ask(line)[-1]
        assert last["ok"] is True, f"{line}: {last}"
        return last

    def refused(self, line: str) -> str:
        """Asks for something that must be refused; the error."""
        last = self.ask(line)[-1]
        assert last["ok"] is False, f"{line}: {last}"
        return last["error"]

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def ended(self) -> bool:
        """Waits for the other side's end; what it still says is kept for read_line()."""
        while True:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                return True
            except TimeoutError:
                return False
            if not data:
                return True
            self._received += data

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> "Control":
        return self

    def __exit__(self, *_) -> None:
        self.close()
