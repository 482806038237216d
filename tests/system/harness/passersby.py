"""Visitors who keep coming, whatever became of those before them: the clients of wrk and h2load wait for their answers,
and a server that gives none soon has all of them waiting and no new ones."""

import asyncio
import threading
from collections import Counter

from .environment import seconds

_APART = 0.01


class Passersby:
    """A GET every 10 ms (scaled), each on a connection of its own, until stop()."""

    def __init__(self, port: int, target: str):
        self.statuses: Counter[int] = Counter()  # 0: no answer, or an unfinished one
        self._request = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        self._port = port
        self._ended = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=[self._come()], name="passersby")
        self._thread.start()

    def __enter__(self) -> "Passersby":
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def stop(self) -> "Passersby":
        """No more of them; those that are there get the time for an answer."""
        self._ended.set()
        self._thread.join()
        return self

    @property
    def requests(self) -> int:
        return self.statuses.total()

    @property
    def failures(self) -> int:
        return self.requests - self.statuses[200]

    async def _come(self) -> None:
        here: list[asyncio.Task] = []
        while not self._ended.is_set():
            here.append(asyncio.create_task(self._visit()))
            await asyncio.sleep(seconds(_APART))
        await asyncio.gather(*here)

    async def _visit(self) -> None:
        try:
            answer = await asyncio.wait_for(self._answer(), seconds(10))
        except (OSError, asyncio.TimeoutError):
            answer = b""
        head, _, body = answer.partition(b"\r\n\r\n")
        whole = body.rstrip().endswith((b"}", b"\r\n0"))
        self.statuses[int(head.split()[1]) if whole else 0] += 1

    async def _answer(self) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(self._request)
            return await reader.read()
        finally:
            writer.close()
