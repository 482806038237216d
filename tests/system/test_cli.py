"""The command line: version, check, refusals to start, and the demo."""

import re
import shutil
import signal
import socket
import subprocess
from collections import Counter

import pytest
from harness import (BINARY, ROOT, Child, RawClient, free_port, is_listening, listening_sockets, make_ca,
                     make_certificate, run_palier, server, site, to_toml, wait_for)


def test_version():
    done = run_palier("version")
    assert done.returncode == 0
    assert re.match(r"palier \d+\.\d+", done.stdout), done.stdout


def test_check_accepts_a_good_file(tmp_path):
    good = tmp_path / "palier.toml"
    good.write_text(to_toml(site([server("a", "127.0.0.1:8081"), server("b", "front2.example:80", weight=0)])))
    done = run_palier("check", "-c", good)
    assert done.returncode == 0, done.stderr


def test_check_starts_nothing(tmp_path):
    config = site([server("a", "127.0.0.1:8081")])
    good = tmp_path / "palier.toml"
    good.write_text(to_toml(config))
    with socket.socket() as taken:
        address, port = config["listener"][0]["address"].split(":")
        taken.bind((address, int(port)))
        taken.listen()
        assert run_palier("check", "-c", good).returncode == 0


FIVE_MISTAKES = """\
shutdwon_grace = "10s"

[timeouts]
connect = "3 parsecs"

[[listener]]
name    = "http"
address = "127.0.0.1:8080"

[[pool]]
name    = "web"
retries = "two"
  [[pool.server]]
  name    = "front1"
  address = "127.0.0.1:8081"
  [[pool.server]]
  name    = "front1"
  address = "127.0.0.1:8082"

[[route]]
pool = "wbe"
"""


def test_check_reports_five_mistakes_at_once(tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text(FIVE_MISTAKES)
    done = run_palier("check", "-c", bad)
    assert done.returncode == 1
    output = done.stdout + done.stderr
    places = {int(line): message for line, _, message in
              re.findall(rf"{re.escape(str(bad))}:(\d+):(\d+): (.+)", output)}
    lines = FIVE_MISTAKES.splitlines()
    where = {word: number for number, line in enumerate(lines, 1)
             for word in ("shutdwon_grace", "3 parsecs", '"two"', '"wbe"') if word in line}
    second_front = [number for number, line in enumerate(lines, 1) if "front1" in line][1]
    for word, number in where.items():
        assert number in places, f"nothing about {word} in line {number}:\n{output}"
    assert {second_front, second_front - 1} & set(places), output
    assert "shutdown_grace" in places[where["shutdwon_grace"]], "the key that was meant"
    assert "web" in places[where['"wbe"']].replace("wbe", ""), "the pool that was meant"
    assert len(places) == 5, output


def test_run_refuses_what_check_refuses(tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text(FIVE_MISTAKES)
    done = run_palier("run", "-c", bad)
    assert done.returncode == 1
    assert len(re.findall(rf"{re.escape(str(bad))}:\d+:\d+: ", done.stdout + done.stderr)) == 5


def test_syntax_error_has_its_place(tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text('node = "srv1"\nworkers = = 2\n')
    done = run_palier("check", "-c", bad)
    assert done.returncode == 1 and f"{bad}:2:" in done.stdout + done.stderr


def test_check_accepts_every_example(tmp_path):
    """With the files that the examples name beside them, as an operator would have them."""
    conf = shutil.copytree(ROOT / "conf", tmp_path / "conf")
    ca = make_ca(tmp_path)
    make_certificate(conf / "certs", ["www.example.com", "partners.example.com"], ca)
    for name in ("clients-ca.pem", "backends-ca.pem"):
        shutil.copy(ca.crt, conf / name)
    examples = sorted(conf.glob("*.toml"))
    assert len(examples) >= 9
    for example in examples:
        done = run_palier("check", "-c", example)
        assert (done.returncode, done.stderr) == (0, "")


def test_check_knows_whose_the_control_socket_may_be(tmp_path):
    """What the system's own lists of users and groups say, not a list of palier's."""
    config = site([server("a", "127.0.0.1:8081")], control_owner="no-such-user", control_group="nogroup")
    file = tmp_path / "palier.toml"
    file.write_text(to_toml(config))
    done = run_palier("check", "-c", file)
    assert done.returncode == 1
    assert re.findall(r':\d+:\d+: (.*)', done.stderr) == ['there is no user "no-such-user" on this machine']


def test_missing_file(tmp_path):
    done = run_palier("check", "-c", tmp_path / "nowhere.toml")
    assert done.returncode == 1 and "nowhere.toml" in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [[], ["fly"], ["run"], ["check"], ["run", "--no-such-option"],
                                       ["demo", "--port", "many"]], ids=" ".join)
def test_usage_errors_exit_2(arguments):
    done = run_palier(*arguments)
    assert done.returncode == 2
    assert done.stdout + done.stderr != ""


def test_help_exits_0():
    done = run_palier("--help")
    assert done.returncode == 0
    for command in ("run", "check", "demo", "version"):
        assert command in done.stdout


def test_busy_port_is_told_clearly(tmp_path):
    config = site([server("a", "127.0.0.1:8081")])
    file = tmp_path / "palier.toml"
    with socket.socket() as taken:
        host, port = config["listener"][0]["address"].split(":")
        taken.bind((host, int(port)))
        taken.listen()
        file.write_text(to_toml(config))
        done = run_palier("run", "-c", file)
    assert done.returncode == 1
    assert re.search(rf"{port}.*in use", done.stderr, re.IGNORECASE), done.stderr


def test_workers_option_wins_over_the_file(raw_backend, start_palier):
    palier = start_palier(site([server("a", raw_backend(name="a").address)], workers=1), arguments=["--workers", "3"])
    assert palier.get().body == b"a"
    assert listening_sockets(palier.port) == 3, "one listening socket for each worker"


@pytest.fixture
def demo(tmp_path):
    """A running `palier demo`: (its port, the child)."""
    port = free_port()
    child = Child([BINARY, "demo", "--port", port, "--tls-port", 0], tmp_path, "demo")
    try:
        def ready() -> bool:
            assert child.running(), child.stdout() + child.stderr()
            return "https://" in child.stdout() and is_listening(port)

        wait_for(ready, "the demo to serve and to say so")
        yield port, child
        assert child.stop(signal.SIGTERM) == 0, child.stderr()
    finally:
        if child.running():
            child.kill()


def front_of(page: bytes) -> str:
    """Which front a page says that it is."""
    return re.search(rb"front[123]", page)[0].decode()


def test_demo_shows_the_rotation(demo):
    port, child = demo
    fronts = Counter()
    for _ in range(60):
        with RawClient(port) as client:
            answer = client.request("GET", "/", X_Marker="seen-by-the-front")
        assert answer.status == 200 and b"seen-by-the-front" in answer.body, "the page shows the request's fields"
        fronts[front_of(answer.body)] += 1
    for front, share in (("front1", 30), ("front2", 20), ("front3", 10)):
        assert abs(fronts[front] - share) <= 4, fronts
    assert f":{port}" in child.stdout() + child.stderr(), "it says where to look"


def test_demo_rotation_is_exact_on_one_connection(demo):
    port, _ = demo
    with RawClient(port) as client:
        fronts = Counter(front_of(client.request("GET", "/").body) for _ in range(12))
    assert fronts == {"front1": 6, "front2": 4, "front3": 2}


def test_demo_curl_loop(demo):
    port, _ = demo
    done = subprocess.run(["sh", "-c", f"for i in 1 2 3 4 5 6; do curl -s http://127.0.0.1:{port}/; done"],
                          capture_output=True, check=True)
    assert done.stdout.count(b"front") >= 6


def test_demo_speaks_tls_and_http2(demo):
    _, child = demo
    url = re.search(r"https://localhost:\d+/", child.stdout())[0]
    for version in ("1.1", "2"):
        answer = subprocess.run(["curl", "-sSk", f"--http{version}", "-w", "HTTP/%{http_version}", url],
                                capture_output=True, text=True, check=True).stdout
        assert answer.endswith(f"HTTP/{version}")
        assert "came by https" in answer.splitlines()[0]
        assert "X-Forwarded-Proto: https" in answer


def test_demo_speaks_http2_to_those_who_begin_with_it(demo):
    port, _ = demo
    answer = subprocess.run(["curl", "-sS", "--http2-prior-knowledge", "-w", "HTTP/%{http_version}",
                             f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=True).stdout
    assert answer.endswith("HTTP/2") and "came by http" in answer.splitlines()[0]


def test_demo_configuration_can_be_kept(tmp_path):
    printed = run_palier("demo", "--print-config", "--port", free_port())
    assert printed.returncode == 0
    file = tmp_path / "demo.toml"
    file.write_text(printed.stdout)
    done = run_palier("check", "-c", file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert printed.stdout.count("weight") >= 3


def test_demo_configuration_can_be_kept_with_tls(tmp_path):
    """As its comments say: run the command, take the "# " away."""
    before, after = run_palier("demo", "--print-config").stdout.split("# HTTPS", 1)
    comment, after = after.split("\n\n", 1)
    explained, listener = comment.split("# [[listener]]", 1)
    command = "".join(re.findall(r"^#     (.*?)\\?$", explained, re.MULTILINE))
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True, capture_output=True)
    file = tmp_path / "demo.toml"
    file.write_text(before + re.sub(r"^# ?", "", "# [[listener]]" + listener, flags=re.MULTILINE) + "\n\n" + after)
    done = run_palier("check", "-c", file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'name    = "https"\n' in file.read_text()


def test_demo_on_a_busy_port(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_palier("demo", "--port", port)
    assert done.returncode == 1 and str(port) in done.stderr
