"""The command line of bench/run."""

import argparse
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

from . import machine, probes, report, results, startup, table
from .crowd import most_connections
from .failure import Failure
from .idle import IDLES, measure_idle
from .latency import LATENCIES, measure_latency
from .measure import Effort, measure
from .peers import Floor, H2o, Haproxy, Nghttpx, Nginx, Palier, Peer
from .process import keep_niceness
from .scenarios import GROWTHS, SCENARIOS

PEERS = ("floor", "nginx", "haproxy", "nghttpx", "h2o", "palier")


def main() -> int:
    arguments = _parse()
    sys.stdout.reconfigure(line_buffering=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    try:
        with tempfile.TemporaryDirectory(prefix="palier-bench-") as directory:
            return _run(arguments, Path(directory))
    except (Failure, results.BadResult) as failure:
        print(f"bench/run: {failure}", file=sys.stderr)
        return 1


def _parse() -> argparse.Namespace:
    names = [row.name for row in (*SCENARIOS, *LATENCIES, *IDLES, *GROWTHS)] + [startup.NAME, probes.NAME]
    parser = argparse.ArgumentParser(prog="bench/run", description="CPU time per request of palier, of its peers and "
                                     "of a blind forwarder. Exit code 1: a wrong answer, a socket error or a proxy "
                                     "that did not start.", epilog=f"Scenarios: {', '.join(names)}.")
    parser.add_argument("--quick", action="store_true", help="two or three minutes, for CI")
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help="this scenario; may be repeated")
    parser.add_argument("--peers", default=",".join(PEERS), metavar="LIST", help=f"of {','.join(PEERS)}")
    parser.add_argument("--palier", metavar="PATH", help="the program to measure (default: build/release/palier)")
    parser.add_argument("--rounds", type=int, metavar="N", help="default 5; quick: 2")
    parser.add_argument("--seconds", type=int, metavar="S", help="of each visit; default 2; quick: 1")
    parser.add_argument("--json", metavar="FILE", help="write every sample too, for bench/compare and bench/table")
    parser.add_argument("--readme", action="store_true", help="write the table of bench/README.md and its chart")
    arguments = parser.parse_args()
    arguments.peers = arguments.peers.split(",")
    if unknown := set(arguments.peers) - set(PEERS):
        parser.error(f"unknown peers: {', '.join(sorted(unknown))}")
    arguments.rounds = arguments.rounds or (2 if arguments.quick else 5)
    arguments.seconds = arguments.seconds or (1 if arguments.quick else 2)
    if min(arguments.rounds, arguments.seconds) < 1:
        parser.error("at least one round of one second")
    return arguments


class _Rows:
    """Those that were asked for."""

    def __init__(self, arguments: argparse.Namespace):
        def wanted(name: str, quick: bool = False) -> bool:
            return name in arguments.only if arguments.only else quick or not arguments.quick

        self.scenarios = [scenario for scenario in SCENARIOS if wanted(scenario.name, scenario.quick)]
        self.idles = [idle for idle in IDLES if wanted(idle.name)]
        self.latencies = [latency for latency in LATENCIES if wanted(latency.name)]
        self.growths = [growth for growth in GROWTHS if wanted(growth.name)]
        self.startup = wanted(startup.NAME)
        self.probes = wanted(probes.NAME)

    def programs(self) -> set[str]:
        """What they need beside the peers, in the words of machine.PACKAGE_OF."""
        every = [*self.scenarios, *(step for growth in self.growths for step in growth.steps.values())]
        needed = {"cc", *(program for scenario in every for program in scenario.load.programs),
                  *(program for latency in self.latencies for program in latency.programs)}
        return needed | ({"c++", "openssl/ssl.h"} if self._secure() else set())

    def serves(self, peer: str) -> bool:
        """nghttpx and h2o are not even looked for when no row is for them."""
        return peer not in ("nghttpx", "h2o") or bool(self.scenarios or self.latencies or self.idles or self.startup)

    def _secure(self) -> bool:
        protocols = [row.protocol for row in self.idles] + [scenario.load.protocol for scenario in self.scenarios]
        protocols += [latency.steady.protocol for latency in self.latencies]
        return self.startup or any(protocol.secure for protocol in protocols)


def _run(arguments: argparse.Namespace, directory: Path) -> int:
    rows = _Rows(arguments)
    arguments.peers = [name for name in PEERS if name in arguments.peers and rows.serves(name)]
    machine.install_missing([*rows.programs(), *(name for name in arguments.peers if name in machine.PACKAGE_OF)])
    descriptors = machine.raise_descriptor_limit()
    cpus = machine.choose_cpus()
    peers = _peers(arguments, descriptors)
    effort = Effort(arguments.rounds, arguments.seconds)
    keep_niceness()
    os.sched_setaffinity(0, {cpus.load})  # the load generators inherit it
    print(f"{machine.model()}; the proxy on CPU {cpus.proxy}, load and backend on CPU {cpus.load}")
    if not cpus.separate:
        print("There is only one CPU: the proxy shares it with its load, and no number here means much.")
    print(f"median of {effort.rounds} rounds of {effort.seconds} s; CPU time is the proxy's, in µs per request")
    for peer in peers:
        print(f"  {peer.name:10}{peer.version()}")
    document = {"format": results.FORMAT, "cpu": machine.model(), "rounds": effort.rounds, "seconds": effort.seconds,
                "commit": "" if arguments.palier else machine.commit(),
                "versions": {peer.name: peer.version() for peer in peers},
                "scenarios": {}, "latency": {}, "idle": {}, "growth": {}}
    problems = _measure_rows(rows, peers, cpus, effort, descriptors, directory, document)
    report.print_summary(results.rows(document))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    if arguments.readme:
        table.write(document)
    return 1 if problems else 0


def _measure_rows(rows: _Rows, peers: list[Peer], cpus: machine.Cpus, effort: Effort, descriptors: int,
                  directory: Path, document: dict) -> int:
    """Prints each row as it is done and adds it to the document; returns how many peers failed in one."""
    problems = 0
    few = min(3, effort.rounds)
    for scenario in rows.scenarios:
        [result] = measure([scenario], peers, cpus, effort, directory)
        report.print_result(result)
        document["scenarios"][scenario.name] = report.result_as_json(result)
        problems += len(result.problems)
    for latency in rows.latencies:
        timed = measure_latency(latency, peers, cpus, effort, directory)
        report.print_latency(timed)
        document["latency"][latency.name] = report.latency_as_json(timed)
        problems += len(timed.problems)
    for idle in rows.idles:
        held = measure_idle(idle, peers, cpus, few, descriptors, directory)
        report.print_idle(held)
        document["idle"][idle.name] = report.idle_as_json(held)
        problems += len(held.problems)
    if rows.startup:
        started = startup.measure_startup(peers, cpus, few, directory)
        report.print_startup(started)
        document[startup.NAME] = report.startup_as_json(started)
        problems += len(started.problems)
    palier = next((peer for peer in peers if peer.name == "palier"), None)
    if rows.probes and palier is not None:
        probed = probes.measure_probes(palier, cpus, few, directory)
        report.print_probes(probed)
        document[probes.NAME] = report.probes_as_json(probed)
        problems += len(probed.problems)
    for asked in rows.growths:
        growth = asked.within(most_connections(descriptors))
        measured = dict(zip(growth.steps, measure(list(growth.steps.values()), peers, cpus, effort, directory)))
        report.print_growth(growth, measured)
        if max(growth.steps) < max(asked.steps):
            print(f"  {max(asked.steps):,} were wanted; {descriptors:,} descriptors (ulimit -Hn) are enough for "
                  f"{max(growth.steps):,}")
        document["growth"][growth.name] = report.growth_as_json(growth, measured)
        problems += sum(len(result.problems) for result in measured.values())
    return problems


def _peers(arguments: argparse.Namespace, descriptors: int) -> list[Peer]:
    """Those that were asked for. A machine without one of them, and nobody to install it, measures without."""
    peers: list[Peer] = []
    for name in arguments.peers:
        if name in machine.PACKAGE_OF and machine.find_program(name) is None:
            print(f"{name} is not installed: measuring without it", file=sys.stderr)
            continue
        peers.append(make_peer(name, arguments.palier, descriptors))
    return peers


def make_peer(name: str, palier: str | None, descriptors: int) -> Peer:
    if name == "floor":
        return Floor()
    if name == "palier":
        return Palier(machine.palier_binary(palier))
    program = machine.require_program(name)
    if name == "nghttpx":
        return Nghttpx(program)
    return {"nginx": Nginx, "haproxy": Haproxy, "h2o": H2o}[name](program, descriptors)
