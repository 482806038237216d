"""What a row of the benchmark is."""

from dataclasses import dataclass, field, replace

from . import requests
from .loads import Load

GOAL, FLOOR_GOAL = 0.85, 1.2  # how much of the best peer's cost, and of the floor's, palier wants to stay below


@dataclass(frozen=True)
class Scenario:
    """`floor`: a blind forwarder can serve it. `closes`: each request ends its connection. `idle`: connections
    that are open beside the load's."""
    name: str
    title: str
    load: Load
    quick: bool = False
    floor: bool = True
    closes: bool = False
    servers: int = 1
    hosts: int = 1
    prefixes: int = 1
    idle: int = 0

    @property
    def is_simple(self) -> bool:
        """One server, one route."""
        return self.servers * self.hosts * self.prefixes == 1

    @property
    def expected_body(self) -> bytes:
        return requests.expected_body(self.load.body_size)


@dataclass(frozen=True)
class Growth:
    """The same load on larger and larger sites, or beside more and more idle connections."""
    name: str
    title: str
    steps: dict[int, Scenario] = field(default_factory=dict)

    def within(self, connections: int) -> "Growth":
        """The same, with as many idle connections as can be had."""
        steps = {}
        for count, step in self.steps.items():
            idle = min(step.idle, connections)
            steps[idle if step.idle else count] = replace(step, idle=idle)
        return replace(self, steps=steps)
