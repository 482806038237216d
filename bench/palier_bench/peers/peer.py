"""What the benchmark asks of every program that it measures."""

from abc import ABC, abstractmethod
from pathlib import Path

from ..scenario import Scenario
from ..site import Site


class Peer(ABC):
    name: str

    @abstractmethod
    def version(self) -> str:
        """The program's own words, one line."""

    @abstractmethod
    def command(self, site: Site, port: int, directory: Path) -> list:
        """Writes the configuration to `directory`; returns the command that listens on `port` in the foreground."""

    def serves(self, scenario: Scenario) -> bool:
        """Whether it takes part."""
        return True
