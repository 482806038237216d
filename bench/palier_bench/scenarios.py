"""What is measured. A new scenario is one more entry here, or in scenarios_tls.py."""

from . import requests
from .loads import Wrk
from .scenario import Growth, Scenario
from .scenarios_tls import TLS_SCENARIOS

KIB, MIB = 1024, 1024 * 1024


def _plain(path: str, size: int, connections: int) -> Wrk:
    return Wrk(connections, (requests.get(path),), size)


SCENARIOS = [
    Scenario("keepalive-64", "keep-alive, 64 connections, 128 bytes", _plain("/128", 128, 64), quick=True),
    Scenario("browser", "the same with a browser's headers and cookies", Wrk(64, (requests.browser(),), 128),
             quick=True),
    Scenario("keepalive-512", "keep-alive, 512 connections, 128 bytes", _plain("/128", 128, 512)),
    Scenario("close", "a connection per request, 64 at a time", Wrk(64, (requests.closing(),), 128), quick=True,
             floor=False, closes=True),
    Scenario("100k", "100 KiB response, 64 connections", _plain("/100k", 100 * KIB, 64), quick=True),
    Scenario("10m", "10 MiB response, 16 connections", _plain("/10m", 10 * MIB, 16)),
    Scenario("upload", "1 MiB upload, 16 connections", Wrk(16, (requests.upload(MIB),), 128), quick=True),
    *TLS_SCENARIOS,
]


def _servers(count: int) -> Scenario:
    return Scenario(f"servers-{count}", f"{count} servers", _plain("/128", 128, 64), floor=False, servers=count)


def _routes(hosts: int, prefixes: int) -> Scenario:
    load = Wrk(64, tuple(requests.to_every_route(hosts, prefixes)), 128)
    return Scenario(f"routes-{hosts * prefixes}", f"{hosts * prefixes} routes", load, floor=False, hosts=hosts,
                    prefixes=prefixes)


def _idle(count: int) -> Scenario:
    return Scenario(f"idle-{count}", f"{count} idle connections", _plain("/128", 128, 64), floor=False, idle=count)


GROWTHS = [
    Growth("idle", "idle keep-alive connections beside the load", {count: _idle(count) for count in (0, 1000, 10_000)}),
    Growth("servers", "servers in the pool", {count: _servers(count) for count in (2, 100, 1000)}),
    Growth("routes", "routes (hosts × path prefixes)",
           {side * side: _routes(side, side) for side in (1, 10, 100)}),
]
