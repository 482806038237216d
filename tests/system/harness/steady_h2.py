"""HTTP/2 clients that go on for as long as they are wanted, also where the server tells them to go elsewhere: h2load sends
nothing any more after a GOAWAY."""

import threading

from .environment import seconds
from .h2_client import H2Client
from .h2_frames import H2Error, H2Stream

_STREAMS = 4
_APART = 0.01
_BODY = b"order=1"
# Without it, nginx and php-fpm may answer before nginx has read the last chunk; it closes then and does not say so.
_LENGTH = (("content-length", str(len(_BODY))),)


class SteadyH2:
    """Some connections with a few requests at a time each, until stop(). They are POSTs, which palier may not send to a
    server again once it may have seen them. After a GOAWAY a client finishes what it has
    under way and goes on with a connection of its own; what the server says that it has not looked at is asked again
    there, as RFC 9113 section 6.8 has it, and counted in `moved`."""

    def __init__(self, port: int, path: str, connections: int = 2):
        self.requests = self.moved = self.connections = 0
        self.failures: list[str] = []
        self._port, self._path = port, path
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, name=f"HTTP/2 client {i}") for i in range(connections)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "SteadyH2":
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def stop(self) -> "SteadyH2":
        """Lets what is under way come to its end."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        return self

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                with H2Client(self._port) as client:
                    with self._lock:
                        self.connections += 1
                    self._use(client)
        except Exception as error:  # noqa: BLE001 - it is the test's, in another thread
            self._fail(repr(error))

    def _use(self, client: H2Client) -> None:
        """One connection, to its GOAWAY."""
        while not self._ended.wait(seconds(_APART)):
            client.poll()
            if client.goaways or client.closed:
                break
            streams: list[H2Stream] = []
            try:
                for _ in range(_STREAMS):
                    streams.append(client.start("POST", self._path, _LENGTH, end=False))
                    client.send_body(streams[-1], _BODY, end=True)
                client.wait(lambda: client.closed or all(stream.over for stream in streams), "answers")
            except (ConnectionError, AssertionError):
                while client.poll():
                    pass
            self._judge(client, streams)
        if client.was_reset:
            self._fail(f"reset: {client.story()}")
        elif client.closed and not client.goaways:
            self._fail(f"closed without GOAWAY: {client.story()}")

    def _judge(self, client: H2Client, streams: list[H2Stream]) -> None:
        last = client.goaways[-1][1] if client.goaways else None
        for stream in streams:
            if stream.ended and stream.status == 200:
                with self._lock:
                    self.requests += 1
            elif (last is not None and stream.id > last) or stream.reset == H2Error.REFUSED_STREAM:
                with self._lock:
                    self.moved += 1
            else:
                self._fail(f"stream {stream.id}, status {stream.status}, ended {stream.ended}: {client.story()}")

    def _fail(self, what: str) -> None:
        with self._lock:
            self.failures.append(what)
