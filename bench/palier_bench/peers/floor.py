"""The blind forwarder: what the kernel alone costs."""

from pathlib import Path

from ..machine import compile_c
from ..site import Site
from .peer import Peer


class Floor(Peer):
    name = "floor"

    def __init__(self):
        self._program = compile_c("floor")

    def version(self) -> str:
        return "blind forwarder"

    def command(self, site: Site, port: int, directory: Path) -> list:
        return [self._program, port, site.backend_port]
