"""Machines on one switch: network namespaces that belong to this process and have no name outside of it, so that the
kernel takes them away when it and what it started in them have ended, however that came about."""

import contextlib
import ctypes
import itertools
import os
import re
import shutil
import subprocess
from typing import Iterator

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _call(function, *arguments: int) -> None:
    if function(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{function.__name__}: {os.strerror(ctypes.get_errno())}")


def _open_own() -> int:
    """The calling thread's namespace, as a descriptor."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _run(*command: str, given: str | None = None) -> None:
    done = subprocess.run(command, input=given, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


class _Namespace:
    def __init__(self):
        before = _open_own()
        try:
            _call(_libc.unshare, _CLONE_NEWNET)
            self.descriptor = _open_own()
            _call(_libc.setns, before, _CLONE_NEWNET)
        finally:
            os.close(before)
        with self.inside():
            _run("ip", "link", "set", "lo", "up")

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """The calling thread is in here, and with it the sockets, threads and processes that it starts. They stay when
        the thread leaves."""
        before = _open_own()
        try:
            _call(_libc.setns, self.descriptor, _CLONE_NEWNET)
            try:
                yield
            finally:
                _call(_libc.setns, before, _CLONE_NEWNET)
        finally:
            os.close(before)

    def close(self) -> None:
        os.close(self.descriptor)


class Machine(_Namespace):
    """A machine with a loopback interface of its own and one cable, eth0."""

    def __init__(self, name: str, address: str, switch: _Namespace):
        super().__init__()
        self.name, self.address = name, address
        # Seen by its opener's pid, a namespace needs no name.
        end = f"/proc/{os.getpid()}/fd/{switch.descriptor}"
        with self.inside():
            _run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", name, "netns", end)
            _run("ip", "address", "add", f"{address}/24", "dev", "eth0")
            _run("ip", "link", "set", "eth0", "up")
        with switch.inside():
            _run("ip", "link", "set", name, "master", "switch", "up")
        self._is_cut_off = False

    def cut_off(self) -> None:
        """A rule that drops every packet to this machine, so that nobody learns anything from it."""
        rule = "table inet cut { chain input { type filter hook input priority 0; iifname eth0 drop; }; }"
        with self.inside():
            _run("nft", "-f", "-", given=rule)
        self._is_cut_off = True

    def reconnect(self) -> None:
        """Ends cut_off(); nothing where that was not."""
        if self._is_cut_off:
            with self.inside():
                _run("nft", "delete", "table", "inet", "cut")
            self._is_cut_off = False


class Network:
    """Machines by name, at 192.0.2.1, 192.0.2.2 and so on. The host is not among them."""

    def __init__(self, *names: str):
        self._switch = _Namespace()
        with self._switch.inside():
            _run("ip", "link", "add", "switch", "type", "bridge")
            _run("ip", "link", "set", "switch", "up")
        self.machines = [Machine(name, f"192.0.2.{number}", self._switch)
                         for name, number in zip(names, itertools.count(1))]

    def __getitem__(self, name: str) -> Machine:
        return next(machine for machine in self.machines if machine.name == name)

    def close(self) -> None:
        """Lets go of the machines: each lives for as long as a process in it."""
        for namespace in (*self.machines, self._switch):
            namespace.close()


def why_no_networks() -> str | None:
    """What keeps this process from making a Network and cutting its cables; None when it can."""
    missing = [tool for tool in ("ip", "nft") if shutil.which(tool) is None]
    if missing:
        return f"{' and '.join(missing)} not found: apt-get install iproute2 nftables"
    try:
        network = Network("probe")
        try:
            network["probe"].cut_off()
        finally:
            network.close()
    except (AssertionError, OSError) as failure:
        if re.search("not permitted|denied|not supported|No such file", str(failure)) is None:
            raise
        return f"no network namespaces with packet filters here, which take root and CAP_SYS_ADMIN: {failure}"
    return None
