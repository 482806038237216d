"""palier ctl against a control socket that a test speaks for: what is sent, what is printed, and how it ends."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from harness import BINARY, ROOT, Child, run_palier, seconds, wait_for

POOLS = {"pools": [
    {"name": "web", "only": "", "maintenance": False, "held_by_passive": False, "decisions": [],
     "servers": [
         {"name": "front1", "address": "10.0.0.11:80", "role": "active", "local": True, "tier": 1, "health": "up",
          "health_since_ms": 192000, "reason": "", "ejected": False, "admin": "drained",
          "decisions": [{"what": "drained", "uid": 0, "pid": 4711, "by": "anna", "reason": "new kernel",
                         "at": "2026-11-20T23:25:01Z", "until": "2026-11-21T01:00:00Z"}],
          "weight": 100, "configured_weight": 100, "in_flight": 3, "tunnels": 1, "connections": 7, "exchanges": 120044,
          "failures": 2},
         {"name": "fröhlich", "address": "10.0.0.12:80", "role": "passive", "local": False, "tier": 2, "health": "down",
          "health_since_ms": 950, "reason": "HTTP 503\x1b[2J", "ejected": True, "admin": "enabled", "decisions": [],
          "weight": 5, "configured_weight": 50, "in_flight": 0, "tunnels": 0, "connections": 0, "exchanges": 9,
          "failures": 9}]},
    {"name": "static", "only": "s1", "maintenance": True, "held_by_passive": True,
     "decisions": [{"what": "maintenance", "uid": 33, "pid": 5, "by": "", "reason": "", "at": "2026-11-20T23:25:01Z",
                    "until": None}],
     "rollout": {"state": "interrupted", "at": [{"server": "s1", "step": "hook"}, {"server": "s2", "step": "soak"}]},
     "servers": []},
    {"name": "api", "rollout": {"state": "stopped", "why": "a1, step hook: exit status 1", "at": []}, "servers": []}],
    "aside": [{"pool": "web", "server": "gone", "decisions": [
         {"what": "weight 5", "uid": 0, "by": "", "reason": "", "at": "", "until": None}]}]}


class Speaker:
    """Listens on a socket and answers each line as it was told; remembers them."""

    def __init__(self, path: Path):
        self.path = path
        self.lines: list[str] = []
        self.answers: dict[str, list] = {}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def answer(self, command: str, *lines: dict | bytes, ok: bool = True) -> None:
        """Lines for requests that begin with `command`; the last dictionary gets "done" and "ok"."""
        last = lines[-1] if lines else {}
        if isinstance(last, dict):
            lines = (*lines[:-1], {**last, "done": True, "ok": ok})
        self.answers[command] = list(lines)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rwb") as stream:
                for line in stream:
                    self.lines.append(line.decode().rstrip("\n"))
                    for answer in self.answers.get(line.split()[0].decode(), []):
                        stream.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode() + b"\n")
                    stream.flush()
                    if line.startswith(b"cut"):
                        return
        except OSError:
            pass

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def speaker(tmp_path):
    started = Speaker(tmp_path / "control.sock")
    yield started
    started.close()


@pytest.fixture
def ctl(speaker):
    def run(*words, **options) -> subprocess.CompletedProcess:
        return run_palier("ctl", "-s", speaker.path, *words, **options)

    return run


# What is sent


def test_words_are_quoted_for_the_line(speaker, ctl):
    speaker.answer("rollout")
    done = ctl("rollout", "web", 'run=deploy.sh {server} "now"', "reason=", "back\\slash", "--by", "anna b")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert speaker.lines == ['rollout web run="deploy.sh {server} \\"now\\"" reason="" back\\slash by="anna b"']


def test_options_may_stand_anywhere(speaker):
    speaker.answer("status", {"pid": 1})
    for words in (["-s", speaker.path, "--json", "status"], ["status", "--json", f"--socket={speaker.path}"],
                  [f"-s{speaker.path}", "--json", "--", "status"]):
        done = run_palier("ctl", *words)
        assert (done.returncode, json.loads(done.stdout)) == (0, {"pid": 1, "done": True, "ok": True})
    assert speaker.lines == ["status"] * 3


def test_the_socket_of_the_environment(speaker):
    speaker.answer("status", {"pid": 1})
    assert run_palier("ctl", "status", env={"PALIER_SOCKET": str(speaker.path)}).stdout == "pid  1\n"


@pytest.mark.parametrize("memory, text", [
    ({"used": 0, "limit": 0, "pressure": "none", "shortages": 0, "closed_idle": 0, "refused": 0}, "no limit"),
    ({"used": 18 << 20, "limit": 64 << 20, "pressure": "none", "shortages": 0}, "18 of 64 MiB"),
    ({"used": 62 << 20, "limit": 64 << 20, "pressure": "hard", "shortages": 1, "closed_idle": 120, "refused": 5},
     "62 of 64 MiB, hard pressure, short 1 time: 120 idle connections closed, 5 requests refused")])
def test_memory_is_told_for_people(speaker, memory, text):
    speaker.answer("status", {"memory": memory})
    assert run_palier("ctl", "-s", speaker.path, "status").stdout == f"memory  {text}\n"


def test_an_argument_cannot_begin_another_line(speaker, ctl):
    done = ctl("drain", "web/a", "reason=x\nstop")
    assert done.returncode == 2 and "control characters" in done.stderr
    assert speaker.lines == []


@pytest.mark.parametrize("words, said", [
    ([], ""), (["--by"], "palier ctl: --by wants a value\n"), (["-x", "status"], "palier ctl: there is no option -x\n"),
    (["--json"], ""), (["status", "--jsn"], 'palier ctl: there is no option --jsn; did you mean "--json"?\n')])
def test_usage(words, said):
    done = run_palier("ctl", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said + "usage: palier ctl [-s SOCKET]")


def test_help_of_the_command_line():
    done = run_palier("ctl", "--help")
    assert done.returncode == 0 and "usage: palier ctl [-s SOCKET]" in done.stdout
    assert re.search(r"^ *ctl ", run_palier("--help").stdout, re.MULTILINE)


# What is printed


def test_pools(speaker, ctl):
    speaker.answer("pools", POOLS)
    done = ctl("pools")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "web"
    assert lines[-2:] == ["", "web/gone  not configured; weight 5 by uid 0"]
    assert lines[4:6] == ["", "static  maintenance by uid 33 since 2026-11-20T23:25:01Z; "
                              "held by passive servers until an active one is enabled; "
                              "roll-out interrupted: s1, step hook; s2, step soak"]
    assert "api  roll-out stopped: a1, step hook: exit status 1" in lines
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", done.stdout)
    titles, first, second = lines[1:4]
    assert re.split(" {2,}", first.strip()) == [
        "front1", "10.0.0.11:80", "active local", "1", "up 3m12s", "drained", "100", "3", "1", "7", "120044", "2",
        "drained by anna since 2026-11-20T23:25:01Z until 2026-11-21T01:00:00Z: new kernel"]
    assert re.split(" {2,}", second.strip()) == [
        "fröhlich", "10.0.0.12:80", "passive", "2", "down 950ms", "enabled", "5 of 50", "0", "0", "0", "9", "9",
        "ejected; HTTP 503?[2J"]
    for title in ("ADDRESS", "HEALTH", "NOTES"):
        column = titles.index(title)
        assert all(line[column - 1] == " " != line[column] for line in (first, second)), title
    for title in ("IN FLIGHT", "TOTAL", "FAILED"):
        end = titles.index(title) + len(title)
        assert all(line[end - 1] != " " == line[end] for line in (first, second)), title
    assert all(line == line.rstrip() for line in lines)


def test_json_prints_lines_as_they_came(speaker, ctl):
    speaker.answer("pools", {"event": "x", "warning": "w"}, b'{"odd":  "spacing", "done":true,"ok":false}\n')
    done = ctl("--json", "pools")
    assert done.returncode == 1
    assert done.stdout.splitlines()[1] == '{"odd":  "spacing", "done":true,"ok":false}'
    assert done.stderr == ""


def test_status(speaker, ctl):
    speaker.answer("status", {"version": "1.2", "pid": 7, "uptime_ms": 90061000, "ready": False, "workers": 2,
                              "obstacles": ["starting", "pool web has no server"], "zebra": None, "config_file": "x",
                              "since_ms": 1795216101123})
    assert ctl("status").stdout.splitlines() == [
        "version      1.2", "pid          7", "uptime       1d1h", "ready        no",
        "obstacles    starting, pool web has no server", "workers      2", "config file  x",
        "since        2026-11-20T23:08:21.123Z"]


def test_reload(speaker, ctl):
    speaker.answer("reload", {"changes": {"added": ["pool api", "server web/front3"], "changed": ["listener https"],
                                          "removed": ["route /old"], "needs_restart": ["workers"]},
                              "closes": 12, "dry_run": True, "generation": 4})
    assert ctl("reload", "dry_run=true").stdout.splitlines() == [
        "+ pool api", "+ server web/front3", "~ listener https", "- route /old", "! workers: needs a restart or an upgrade",
        "generation  4", "closes      12", "dry run     yes"]
    speaker.answer("reload", {"changes": {"added": [], "changed": [], "removed": []}, "closes": 0})
    assert ctl("reload").stdout.splitlines() == ["nothing changes", "closes  0"]


def test_a_refusal_and_all_that_it_tells(speaker, ctl):
    speaker.answer("reload", {"error": "the configuration has mistakes", "errors": ["a.toml:1:2: x", "a.toml:3:4: y"]},
                   ok=False)
    done = ctl("reload")
    assert done.returncode == 1
    assert done.stderr == "palier ctl: the configuration has mistakes\n"
    assert done.stdout == "a.toml:1:2: x\na.toml:3:4: y\n"
    # One that is the refusal itself is told once.
    speaker.answer("reload", {"error": "a.toml:1:2: x", "errors": ["a.toml:1:2: x"]}, ok=False)
    done = ctl("reload")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "palier ctl: a.toml:1:2: x\n")


def test_certificates(speaker, ctl):
    speaker.answer("certificates", {
        "certificates": [{"names": ["a.example", "*.a.example"], "file": "/etc/a.pem", "not_before": "2026-01-01",
                          "not_after": "2027-01-01", "key_type": "EC", "days_left": 41}],
        "problems": [{"file": "/etc/b.pem", "reason": "no key"}]})
    lines = ctl("certificates").stdout.splitlines()
    assert re.split(" {2,}", lines[0]) == ["DAYS", "EXPIRES", "KEY", "FILE", "NAMES"]
    assert re.split(" {2,}", lines[1].strip()) == ["41", "2027-01-01", "EC", "/etc/a.pem", "a.example, *.a.example"]
    assert lines[2] == "! /etc/b.pem: no key"


def test_events_are_a_line_each(speaker, ctl):
    speaker.answer(
        "events",
        {"event": "server", "time": "T", "server": "web/a", "from": "up", "to": "down", "reason": "x\ny",
         "after_ms": 1500},
        {"event": "command", "time": "T", "line": "drain web/a", "uid": 0, "pid": 3, "by": "anna"},
        {"event": "rollout", "pool": "web", "server": "a", "step": "warm", "detail": "/ answered 200"},
        {"event": "rollout", "pool": "web", "server": "", "step": "finished", "detail": ""},
        {"event": "output", "pool": "web", "server": "a", "stream": "stderr", "line": "\x1b[1mrestarting"},
        {"event": "upgrade", "step": "started", "pid": 4711},
        {"in_flight": 3, "tunnels": ["a", "b"], "left_ms": 2500, "nested": {"k": [1]}}, {})
    assert ctl("events").stdout.splitlines() == [
        "T  server web/a: up -> down after 1.5s: x?y", "T  command drain web/a (anna, uid 0, pid 3)",
        "rollout web/a: warm: / answered 200", "rollout web: finished", "output web/a | ?[1mrestarting",
        "upgrade started, pid 4711", "in flight 3, left 2.5s, nested k 1, tunnels a, b"]


def test_help_of_the_server(speaker, ctl):
    speaker.answer("help", {"commands": [{"name": "stop", "usage": "stop", "about": "as SIGTERM", "changes": True}]})
    assert ctl("help").stdout == "stop\n    as SIGTERM\n"
    usage = "long " + " ".join(f"[option{number}=…]" for number in range(12))
    speaker.answer("help", {"commands": [{"name": "long", "usage": usage, "about": "x"}]})
    lines = ctl("help", "long").stdout.splitlines()
    assert speaker.lines[-1] == "help long"
    assert len(lines) == 4 and all(len(line) <= 80 for line in lines)
    assert " ".join(line.strip() for line in lines[:-1]) == usage


def test_the_answer_to_a_decision(speaker, ctl):
    speaker.answer("drain", {"admin": "drained", "in_flight": 2, "server": "web/a", "tunnels": 1, "weight": 100})
    assert [line.split() for line in ctl("drain", "web/a").stdout.splitlines()] == [
        ["server", "web/a"], ["admin", "drained"], ["weight", "100"], ["in", "flight", "2"], ["tunnels", "1"]]
    speaker.answer("only", {"pool": "web", "only": ""})
    assert [line.split() for line in ctl("only", "web", "off").stdout.splitlines()] == [["pool", "web"], ["only", "off"]]
    speaker.answer("only", {"error": "no"}, ok=False)
    assert ctl("only", "web", "off").stdout == ""


def test_warnings_go_to_stderr(speaker, ctl):
    speaker.answer("drain", {"event": "waiting", "warning": "one"}, {"warning": ["two", "three\x07"]})
    done = ctl("drain", "web/a")
    assert done.stderr == "warning: one\nwarning: two\nwarning: three?\n"


@pytest.mark.parametrize("command, odd", [
    ("pools", {"pools": 3}), ("pools", {"pools": [1, None, {"servers": {"a": 1}}, {"servers": [[], "x"]}], "aside": [0]}),
    ("certificates", {"certificates": [5, {"names": 5, "days_left": "x"}], "problems": [None]}),
    ("reload", {"changes": {"added": 5, "changed": [{"a": []}]}}), ("help", {"commands": [[]]}),
    ("status", {"obstacles": [[{}]], "uptime_ms": -1})])
def test_odd_shapes_break_nothing(speaker, ctl, command, odd):
    speaker.answer(command, {"event": None, "server": []}, odd)
    assert ctl(command).returncode == 0


def on_terminal(arguments: list, env: dict) -> bytes:
    leader, follower = pty.openpty()
    try:
        subprocess.run([str(BINARY), *map(str, arguments)], stdout=follower, stderr=subprocess.DEVNULL,
                       env={**os.environ, **env}, timeout=seconds(10), check=True)
        os.set_blocking(leader, False)
        return os.read(leader, 65536)
    finally:
        os.close(leader)
        os.close(follower)


def test_colours_are_for_terminals(speaker, ctl):
    speaker.answer("pools", POOLS)
    assert "\x1b" not in ctl("pools").stdout
    coloured = on_terminal(["ctl", "-s", speaker.path, "pools"], {"NO_COLOR": ""})
    assert b"\x1b[32mup 3m12s\x1b[0m" in coloured and b"\x1b[2J" not in coloured
    assert b"\x1b" not in on_terminal(["ctl", "-s", speaker.path, "pools"], {"NO_COLOR": "1"})


# How it ends


def test_no_socket(tmp_path):
    done = run_palier("ctl", "-s", tmp_path / "none.sock", "status")
    assert done.returncode == 1
    assert "there is no " in done.stderr and "does palier run" in done.stderr


def test_what_is_no_socket(tmp_path):
    (tmp_path / "file").touch()
    done = run_palier("ctl", "-s", tmp_path / "file", "status")
    assert (done.returncode, done.stderr) == (1, f"palier ctl: {tmp_path}/file is no socket\n")


def test_nobody_answers(tmp_path):
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "stale.sock"))
    done = run_palier("ctl", "-s", tmp_path / "stale.sock", "status")
    assert done.returncode == 1 and "nobody answers on " in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_no_permission():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "control.sock")
        with socket.socket(socket.AF_UNIX) as closed:
            closed.bind(path)
            closed.listen()
            os.chmod(path, 0o600)
            done = subprocess.run([str(BINARY), "ctl", "-s", path, "status"], capture_output=True, text=True,
                                  user=65534, group=65534, extra_groups=[], timeout=seconds(10))
    assert done.returncode == 1
    assert f"you may not use {path}: it is for user root and group root" in done.stderr


def test_a_connection_that_is_cut(speaker, ctl):
    speaker.answer("cut", {"event": "x"}, b'{"half":')
    done = ctl("cut")
    assert (done.returncode, done.stdout) == (1, "x\n")
    assert "before its answer was complete" in done.stderr


def test_what_is_no_palier(speaker, ctl):
    speaker.answer("status", b"HTTP/1.1 400 Bad\x1b[2J\r\n")
    done = ctl("status")
    assert done.returncode == 1 and "what answers is no palier: HTTP/1.1 400 Bad?[2J" in done.stderr


def test_sigint_ends_it(speaker, tmp_path):
    speaker.answer("events", b'{"event":"following"}\n')
    child = Child([BINARY, "ctl", "-s", speaker.path, "events"], tmp_path, "ctl")
    wait_for(lambda: child.stdout() == "following\n", "the first event")
    assert child.stop(signal.SIGINT) == -signal.SIGINT
    assert child.stderr() == ""


@pytest.mark.parametrize("words, outcome", [
    (["rollout", "web", "run=x"], "the roll-out goes on: `rollout web status` tells of it, `rollout web abort` ends it"),
    (["upgrade"], "the upgrade goes on")])
def test_sigint_says_what_goes_on(speaker, tmp_path, words, outcome):
    speaker.answer(words[0], b'{"event":"following"}\n')
    child = Child([BINARY, "ctl", "-s", speaker.path, *words], tmp_path, "ctl")
    wait_for(lambda: child.stdout() == "following\n", "the first event")
    assert child.stop(signal.SIGINT) == -signal.SIGINT
    assert child.stderr() == f"\npalier ctl: interrupted; {outcome}\n"


# Completion


def bash_completions(speaker: Path, *words: str) -> list[str]:
    """What bash would offer for the last of `words`."""
    script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE};'
              ' _palier; ((${#COMPREPLY[@]})) && printf "%s\\n" "${COMPREPLY[@]}"; true')
    done = subprocess.run(["bash", "--norc", "-c", script, "bash", str(ROOT / "packaging/completions/palier.bash"), *words],
                          capture_output=True, text=True, timeout=seconds(30),
                          env={**os.environ, "PATH": f"{BINARY.parent}:{os.environ['PATH']}", "PALIER_SOCKET": str(speaker)})
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.fixture
def completing(speaker):
    speaker.answer("pools", POOLS)
    speaker.answer("help", {"commands": [
        {"name": "drain", "usage": "drain POOL/SERVER [wait=30s] [tunnels=wait|close] [reason=…]", "about": ""},
        {"name": "novel", "usage": "novel POOL", "about": ""}]})
    return speaker


def test_names_for_completion(completing, tmp_path):
    def names(*kind):
        return run_palier("ctl", "__names", *kind, env={"PALIER_SOCKET": str(completing.path)}).stdout.splitlines()

    assert names("pools") == ["web", "static", "api"]
    assert names("servers") == ["web/front1", "web/fröhlich"]
    assert names() == ["web", "web/front1", "web/fröhlich", "static", "api"]
    silent = run_palier("ctl", "__names", "servers", env={"PALIER_SOCKET": str(tmp_path / "none")})
    assert (silent.returncode, silent.stdout, silent.stderr) == (0, "", "")


def test_bash_completes_with_live_names(completing, tmp_path):
    complete = lambda *words: bash_completions(completing.path, *words)  # noqa: E731
    assert complete("palier", "c") == ["check", "ctl"]
    assert complete("palier", "run", "--") == ["--config", "--workers", "--take-over", "--help"]
    assert complete("palier", "ctl", "no") == ["novel"]
    assert complete("palier", "ctl", "drain", "web/fron") == ["web/front1"]
    assert complete("palier", "ctl", "--json", "drain", "st") == ["static"]
    assert complete("palier", "ctl", "drain", "web/front1", "w") == ["wait=", "web", "web/front1", "web/fröhlich"]
    assert complete("palier", "ctl", "drain", "web/front1", "tunnels", "=", "c") == ["close"]
    assert complete("palier", "ctl", "drain", "web/front1", "tunnels", "=") == ["wait", "close"]
    assert complete("palier", "ctl", "--j") == ["--json"]
    assert complete("palier", "run", "--w") == ["--workers"]
    nobody = tmp_path / "none"
    assert "drain" in bash_completions(nobody, "palier", "ctl", "d")
    assert bash_completions(nobody, "palier", "ctl", "drain", "w") == []
