"""The hook of a roll-out in a test: a program that has the test's own fronts restarted, and waits for that."""

import contextlib
import socket
import threading
from pathlib import Path

from .environment import seconds
from .web_front import WebFront

_HOOK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as test:
    test.settimeout({timeout})
    test.connect({path!r})
    test.sendall(sys.argv[1].encode() + b"\\n")
    answer = test.makefile().read()
print(answer)
sys.exit(answer != "restarted")
"""


class Restarter:
    """`command` with a front's name behind it stops its nginx and php-fpm, starts them again, and ends with 0."""

    def __init__(self, fronts: list[WebFront], directory: Path):
        self.restarted: list[str] = []
        self._fronts = {front.name: front for front in fronts}
        path, hook = directory / "restarter.sock", directory / "restart.py"
        hook.write_text(_HOOK.format(path=str(path), timeout=seconds(20)))
        self.command = f"/usr/bin/python3 {hook}"
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, name="restarter")
        self._thread.start()

    def __enter__(self) -> "Restarter":
        return self

    def __exit__(self, *_) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # that __exit__ has made
            while True:
                hook, _ = self._socket.accept()
                with hook:
                    hook.settimeout(seconds(10))
                    hook.sendall(self._restart(hook.makefile().readline().strip()).encode())

    def _restart(self, name: str) -> str:
        try:
            self._fronts[name].stop()
            self._fronts[name].start()
        except Exception as error:  # noqa: BLE001 - the roll-out's to tell
            return repr(error)
        self.restarted.append(name)
        return "restarted"
