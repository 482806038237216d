"""Roll-outs through the control socket: real fronts that a hook restarts under traffic, and a palier that is killed."""

import http.client
import os
import signal
import threading
from pathlib import Path

import pytest
from harness import Palier, duration, free_port, is_listening, server, site, wait_for

NGINX = """
daemon on;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
{user}
events {{ }}
http {{
    access_log off;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ default_type text/plain; return 200 "{name} version {version}\\n"; }}
    }}
}}
"""

# What an operator would write: stop the front, install the next version, start it, and say so.
DEPLOY = """#!/bin/sh
set -e
cd "$1/$PALIER_SERVER"
kill -TERM "$(cat nginx.pid)"
while test -e nginx.pid; do sleep 0.01; done
sed -i 's/version 1/version 2/' nginx.conf
PATH=$PATH:/usr/sbin nginx -p . -c "$PWD/nginx.conf"
echo "$PALIER_SERVER at $PALIER_ADDRESS is new"
"""


class Fronts:
    """Three small nginx, each in the background as a service would be."""

    def __init__(self, directory):
        self.directory = directory
        self.ports = {f"front{number}": free_port() for number in (1, 2, 3)}
        self.deploy = directory / "deploy.sh"
        self.deploy.write_text(DEPLOY)
        self.deploy.chmod(0o755)
        for name, port in self.ports.items():
            (directory / name).mkdir()
            (directory / name / "nginx.conf").write_text(NGINX.format(
                directory=directory / name, port=port, name=name, version=1,
                user="user root root;" if os.geteuid() == 0 else ""))
            self._start(name)

    def servers(self) -> list[dict]:
        return [server(name, f"127.0.0.1:{port}") for name, port in self.ports.items()]

    def pid(self, name: str) -> int:
        return int((self.directory / name / "nginx.pid").read_text())

    def stop(self) -> None:
        for name in self.ports:
            if (self.directory / name / "nginx.pid").exists():
                os.kill(self.pid(name), signal.SIGTERM)

    def _start(self, name: str) -> None:
        path = os.environ.get("PATH", "") + ":/usr/sbin"
        conf = self.directory / name / "nginx.conf"
        assert os.spawnvpe(os.P_WAIT, "nginx", ["nginx", "-p", str(conf.parent), "-c", str(conf)],
                           {**os.environ, "PATH": path}) == 0
        wait_for(lambda: is_listening(self.ports[name]), f"nginx of {name}")


@pytest.fixture
def fronts(tmp_path):
    started = Fronts(tmp_path)
    yield started
    started.stop()


class KeepAliveClients:
    """Clients that ask again and again, each on its one connection; a connection that ends is a failure."""

    def __init__(self, port: int, count: int):
        self.answers: list[str] = []
        self.failures: list[str] = []
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(port,)) for _ in range(count)]

    def __enter__(self) -> "KeepAliveClients":
        for thread in self._threads:
            thread.start()
        wait_for(lambda: len(self.answers) > 20 or self.failures, "the first answers")
        return self

    def __exit__(self, *_) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _run(self, port: int) -> None:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        client.connect()
        client.auto_open = 0  # a connection that ends is not replaced in silence
        while not self._ending.is_set():
            try:
                client.request("GET", "/")
                answer = client.getresponse()
                text = answer.read().decode()
                (self.answers if answer.status == 200 else self.failures).append(text)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                return
        client.close()


PROBES = {"health": {"path": "/", "interval": "50ms", "timeout": "50ms", "rise": 2}}


def test_three_fronts_are_restarted_and_no_client_notices(fronts, start_palier):
    palier = start_palier(site(fronts.servers(), pool=PROBES))
    before = {name: fronts.pid(name) for name in fronts.ports}
    with palier.control(timeout=60) as control, KeepAliveClients(palier.port, 4) as clients:
        lines = control.ask(f'rollout web run="{fronts.deploy} {fronts.directory}" warm="/,/page" soak=100ms '
                            f'wait={duration(10)} by=anna')
    assert lines[-1]["ok"], lines[-1]
    assert lines[-1]["updated"] == list(fronts.ports) and lines[-1]["drained"] == []
    assert clients.failures == []
    for name, port in fronts.ports.items():
        assert fronts.pid(name) != before[name]
        steps = [line["step"] for line in lines if line.get("event") == "rollout" and line["server"] == name]
        assert list(dict.fromkeys(steps)) == ["drain", "hook", "warm", "probe", "enable", "soak", "done"]
        assert {"stdout": f"{name} at 127.0.0.1:{port} is new"}.items() <= {
            line["stream"]: line["line"] for line in lines
            if line.get("event") == "output" and line["server"] == name}.items()
    # All took part, before and after, and nobody was left out.
    assert {f"{name} version 1\n" for name in fronts.ports} <= set(clients.answers)
    for name in fronts.ports:
        wait_for(lambda: palier.get("/").body.decode() == f"{name} version 2\n", f"an answer of {name}")


def test_a_palier_that_is_killed_reports_the_roll_out_and_resumes_it(tmp_path, raw_backend, start_palier):
    config = site([server(name, raw_backend().address) for name in ("front1", "front2", "front3")])
    go, ran = tmp_path / "go", tmp_path / "ran"
    hook = (f"echo $PALIER_SERVER >> {ran}; test $PALIER_SERVER = front1 || "
            f"while test ! -e {go}; do sleep 0.02; done")
    first = Palier(config, tmp_path, name="first").wait_ready()
    try:
        with first.control() as control:
            control.send(f'rollout web run="{hook}" shell=true soak=0s')
            wait_for(lambda: ran.exists() and ran.read_text() == "front1\nfront2\n", "the second server's hook")
            wait_for(lambda: "hook_born" in Path(config["state_file"]).read_text(), "its place in the state file")
            os.kill(first.pid, signal.SIGKILL)
            first.child.wait()
    finally:
        first.child.stop(signal.SIGKILL)

    second = start_palier(config, name="second")
    second.control_path = first.control_path
    second.wait_event(r"warning the roll-out of web was interrupted at front2, step hook; `rollout web resume`")
    with second.control() as control:
        status = control.do("rollout web status")
        assert status["state"] == "interrupted"
        assert status["at"] == [{"server": "front2", "step": "hook", "drained": True}]
        pool = control.do("pools web")["pools"][0]
        assert pool["rollout"]["state"] == "interrupted"
        admin = {row["name"]: row["admin"] for row in pool["servers"]}
        assert admin == {"front1": "enabled", "front2": "drained", "front3": "enabled"}

        # The hook outlived its palier: another beside it would do harm.
        assert "still runs" in control.refused("rollout web resume")
        go.touch()
        resumed = wait_for(lambda: (lines := control.ask("rollout web resume"))[-1]["ok"] and lines,
                           "the end of the first hook")
        assert resumed[-1]["updated"] == ["front1", "front2", "front3"]
        assert ran.read_text() == "front1\nfront2\nfront2\nfront3\n"
        assert control.do("rollout web status")["state"] == "none"
