"""A real WebSocket server: python3-websockets in a thread."""

import asyncio
import threading
from contextlib import contextmanager

import websockets

from .ports import free_port
from .waiting import wait_for


@contextmanager
def websocket_server(handler):
    """python3-websockets in a thread; yields its address."""
    port, started, loop = free_port(), threading.Event(), asyncio.new_event_loop()
    stop = loop.create_future()

    async def serve():
        async with websockets.serve(handler, "127.0.0.1", port, max_size=None, compression=None):
            started.set()
            await stop

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    wait_for(started.is_set, "the WebSocket server")
    try:
        yield f"127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(stop.set_result, None)
        thread.join()
        loop.close()


async def websocket_echo(connection):
    """Says everything back; "close CODE" ends the connection with that code."""
    async for message in connection:
        if isinstance(message, str) and message.startswith("close "):
            await connection.close(int(message.split()[1]), "as asked")
        else:
            await connection.send(message)
