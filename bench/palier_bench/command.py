"""The command line of bench/run."""

import argparse
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

from . import idle, machine, report
from .failure import Failure
from .measure import Effort, measure
from .peers import Floor, Haproxy, Nginx, Palier, Peer
from .process import keep_niceness
from .scenario import GROWTHS, SCENARIOS

PEERS = ("floor", "nginx", "haproxy", "palier")


def main() -> int:
    arguments = _parse()
    sys.stdout.reconfigure(line_buffering=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    try:
        with tempfile.TemporaryDirectory(prefix="palier-bench-") as directory:
            return _run(arguments, Path(directory))
    except Failure as failure:
        print(f"bench/run: {failure}", file=sys.stderr)
        return 1


def _parse() -> argparse.Namespace:
    names = [scenario.name for scenario in SCENARIOS] + [idle.NAME] + [growth.name for growth in GROWTHS]
    parser = argparse.ArgumentParser(prog="bench/run", description="CPU time per request of palier, of its peers and "
                                     "of a blind forwarder. Exit code 1: a wrong answer, a socket error or a proxy "
                                     "that did not start.", epilog=f"Scenarios: {', '.join(names)}.")
    parser.add_argument("--quick", action="store_true", help="about a minute, for CI")
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help="this scenario; may be repeated")
    parser.add_argument("--peers", default=",".join(PEERS), metavar="LIST", help=f"of {','.join(PEERS)}")
    parser.add_argument("--palier", metavar="PATH", help="the program to measure (default: build/release/palier)")
    parser.add_argument("--rounds", type=int, metavar="N", help="default 5; quick: 2")
    parser.add_argument("--seconds", type=int, metavar="S", help="of each visit; default 2; quick: 1")
    parser.add_argument("--json", metavar="FILE", help="write every sample too")
    arguments = parser.parse_args()
    arguments.peers = arguments.peers.split(",")
    if unknown := set(arguments.peers) - set(PEERS):
        parser.error(f"unknown peers: {', '.join(sorted(unknown))}")
    arguments.rounds = arguments.rounds or (2 if arguments.quick else 5)
    arguments.seconds = arguments.seconds or (1 if arguments.quick else 2)
    if min(arguments.rounds, arguments.seconds) < 1:
        parser.error("at least one round of one second")
    return arguments


def _run(arguments: argparse.Namespace, directory: Path) -> int:
    machine.install_missing(["cc", "wrk", *(name for name in ("nginx", "haproxy") if name in arguments.peers)])
    wrk = machine.find_program("wrk")
    if wrk is None:
        raise Failure("wrk is not there")
    descriptors = machine.raise_descriptor_limit()
    cpus = machine.choose_cpus()
    peers = _peers(arguments, descriptors)
    effort = Effort(arguments.rounds, arguments.seconds)
    keep_niceness()
    os.sched_setaffinity(0, {cpus.load})  # wrk inherits it
    print(f"{machine.model()}; the proxy on CPU {cpus.proxy}, load and backend on CPU {cpus.load}")
    if not cpus.separate:
        print("There is only one CPU: the proxy shares it with its load, and no number here means much.")
    print(f"median of {effort.rounds} rounds of {effort.seconds} s; CPU time is the proxy's, in µs per request")
    for peer in peers:
        print(f"  {peer.name:10}{peer.version()}")

    def wanted(name: str, quick: bool) -> bool:
        return name in arguments.only if arguments.only else quick or not arguments.quick

    document = {"cpu": machine.model(), "rounds": effort.rounds, "seconds": effort.seconds,
                "versions": {peer.name: peer.version() for peer in peers}, "scenarios": {}, "growth": {}}
    problems = 0
    for scenario in SCENARIOS:
        if wanted(scenario.name, scenario.quick):
            [result] = measure([scenario], peers, wrk, cpus, effort, directory)
            report.print_result(result)
            document["scenarios"][scenario.name] = report.result_as_json(result)
            problems += len(result.problems)
    if wanted(idle.NAME, False):
        result = idle.measure_idle(peers, cpus, min(3, effort.rounds), descriptors, directory)
        report.print_idle(result)
        document["scenarios"][idle.NAME] = report.idle_as_json(result)
        problems += len(result.problems)
    for growth in GROWTHS:
        if wanted(growth.name, False):
            measured = measure(list(growth.steps.values()), peers, wrk, cpus, effort, directory)
            results = dict(zip(growth.steps, measured))
            report.print_growth(growth, results)
            document["growth"][growth.name] = {count: report.result_as_json(r) for count, r in results.items()}
            problems += sum(len(r.problems) for r in results.values())
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return 1 if problems else 0


def _peers(arguments: argparse.Namespace, descriptors: int) -> list[Peer]:
    """Those that were asked for. A machine without nginx or haproxy, and nobody to install it, measures without."""
    peers: list[Peer] = []
    for name in PEERS:
        if name not in arguments.peers:
            continue
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
    program = machine.find_program(name)
    if program is None:
        raise Failure(f"{name} is not installed")
    return (Nginx if name == "nginx" else Haproxy)(program, descriptors)
