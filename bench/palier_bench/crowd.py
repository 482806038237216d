"""Idle connections, held open by a process of its own: one has descriptors enough for those to one proxy only."""

import multiprocessing
from contextlib import ExitStack
from multiprocessing.connection import Connection

from .exchange import Client
from .failure import Failure
from .process import end_with_parent
from .scenario import Scenario

_SOURCES = 50  # addresses that the connections come from, as one has not ports enough
_SECONDS = 300  # to open them all on a busy machine
_ASKED_AGAIN = 100


def most_connections(descriptors: int) -> int:
    """As many as all can hold: HAProxy keeps two descriptors for each connection that it may have."""
    return max(0, descriptors // 2 - 1500)


def open_connections(open_ones: ExitStack, scenario: Scenario, port: int, count: int) -> list[Client]:
    """Each has made its one request."""
    request, body = scenario.load.requests[0], scenario.expected_body
    clients = []
    for i in range(count):
        client = open_ones.enter_context(Client(scenario.load.protocol, port, f"127.0.0.{1 + i % _SOURCES}"))
        client.check_answer(request, body)
        clients.append(client)
    return clients


class Crowd:
    """Opened by the constructor, ended by `stop`. Raises Failure."""

    def __init__(self, scenario: Scenario, port: int):
        here, there = multiprocessing.Pipe()
        fork = multiprocessing.get_context("fork")
        self._pipe = here
        self._process = fork.Process(target=_hold, args=(scenario, port, here, there), daemon=True)
        self._process.start()
        there.close()
        try:
            self._hear("cannot be opened")
        except Failure:
            self.stop()
            raise

    def check(self) -> None:
        """Raises Failure unless they are still open, and still served."""
        try:
            self._pipe.send("check")
        except OSError as error:
            raise Failure("the process that holds idle connections is gone") from error
        self._hear("are no longer served")

    def stop(self) -> None:
        try:
            self._pipe.send("stop")  # the end of the pipe would not do: later crowds' processes have it too
        except OSError:
            pass  # it has ended
        self._pipe.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _hear(self, what: str) -> None:
        try:
            problem = self._pipe.recv() if self._pipe.poll(_SECONDS) else "no news of them"
        except EOFError:
            problem = "the process that holds them is gone"
        if problem is not None:
            raise Failure(f"idle connections {what}: {problem}")


def _hold(scenario: Scenario, port: int, theirs: Connection, pipe: Connection) -> None:
    """In the other process: says None when all is well, or what is not."""
    end_with_parent()
    theirs.close()
    with ExitStack() as open_ones:
        try:
            clients = open_connections(open_ones, scenario, port, scenario.idle)
            pipe.send(None)
            while pipe.recv() == "check":
                for client in clients[:: max(1, len(clients) // _ASKED_AGAIN)]:
                    client.check_answer(scenario.load.requests[0], scenario.expected_body)
                pipe.send(None)
        except (EOFError, BrokenPipeError):
            pass  # the benchmark is done with them
        except (Failure, OSError) as error:
            pipe.send(repr(error) if isinstance(error, OSError) else str(error))
