"""The blind forwarder: what the kernel alone costs."""

from pathlib import Path

from ..machine import compile_program
from ..scenario import Scenario
from ..site import Site
from .peer import Peer


class Floor(Peer):
    name = "floor"

    def __init__(self):
        self._program = compile_program("floor")

    def version(self) -> str:
        return "blind forwarder"

    def serves(self, scenario: Scenario) -> bool:
        return scenario.floor

    def command(self, site: Site, port: int, directory: Path) -> list:
        return [self._program, port, site.backend_port]
