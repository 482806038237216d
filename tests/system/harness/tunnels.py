"""WebSockets that stay open and are used all the time, each by a message that must come back."""

import asyncio
import threading

import websockets

from .environment import seconds

_APART = 0.02


class Tunnels:
    """python3-websockets clients of one server, until stop(). Whatever ends one of them before is a failure."""

    def __init__(self, url: str, count: int):
        self.exchanges = 0
        self.failures: list[str] = []
        self._opened = 0
        self._url = url
        self._loop = asyncio.new_event_loop()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tunnels")
        self._thread.start()
        self._clients: list = []
        self.open(count)

    def __enter__(self) -> "Tunnels":
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    @property
    def count(self) -> int:
        return self._opened

    def open(self, count: int) -> None:
        """So many more; returns once they are open."""
        opened = [asyncio.run_coroutine_threadsafe(self._connect(), self._loop) for _ in range(count)]
        for one in opened:
            connection = one.result(seconds(10))
            self._opened += 1
            self._clients.append(asyncio.run_coroutine_threadsafe(self._talk(connection, self._opened), self._loop))

    def stop(self) -> "Tunnels":
        """Closes them, each after its answer."""
        if not self._ended.is_set():
            self._ended.set()
            for client in self._clients:
                client.result(seconds(20))
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
        return self

    async def _connect(self):
        return await websockets.connect(self._url, compression=None, open_timeout=seconds(10), max_size=None)

    async def _talk(self, connection, number: int) -> None:
        try:
            said = 0
            while not self._ended.is_set():
                said += 1
                await connection.send(f"{number} says {said}")
                answer = await asyncio.wait_for(connection.recv(), seconds(10))
                if answer != f"{number} says {said}":
                    self.failures.append(f"tunnel {number}, message {said}: {answer!r}")
                self.exchanges += 1
                await asyncio.sleep(_APART)
            await connection.close()
        except Exception as error:  # noqa: BLE001 - whatever it is, the tunnel has ended before its time
            self.failures.append(f"tunnel {number}, message {said}: {error!r}")
