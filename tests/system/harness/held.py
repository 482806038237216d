"""A backend that answers when it is told to: what is in flight while something else happens."""

import threading

from .messages import response


class Held:
    """A backend's handler."""

    def __init__(self):
        self.release = threading.Event()

    def __call__(self, connection):
        while True:
            connection.read_request()
            connection.wait(self.release)
            connection.send(response("finished"))
