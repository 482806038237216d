"""What bench/ does with its numbers: percentiles, the comparison of two results, the table and the chart."""

import json
import re
import socket
import subprocess
import sys
import threading
import time
from array import array
from pathlib import Path
from xml.etree import ElementTree

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

from palier_bench import results, table  # noqa: E402
from harness import SANITIZED  # noqa: E402
from palier_bench.chart import draw  # noqa: E402
from palier_bench.compare import judge  # noqa: E402
from palier_bench.failure import Failure  # noqa: E402
from palier_bench.latency import half_of_slowest  # noqa: E402
from palier_bench.loads import Steady  # noqa: E402
from palier_bench.loads.steady import read_times  # noqa: E402
from palier_bench.percentiles import percentile  # noqa: E402
from palier_bench.scenarios import GROWTHS  # noqa: E402


def samples(*totals: float) -> dict:
    return {"samples": [{"total": total, "p50": total, "p99": 2 * total, "p999": 3 * total} for total in totals]}


def document(palier=(8.0, 8.1, 8.2), nginx=(10.0, 10.1, 10.2), **more) -> dict:
    peers = {"floor": samples(7.0, 7.1, 7.2), "nginx": samples(*nginx), "haproxy": samples(13.0, 13.1, 13.2),
             "palier": samples(*palier)}
    start = {"ready": 0.5, "resident": 2**20, "first": None, "later": None}
    return {
        "format": results.FORMAT, "cpu": "a CPU", "rounds": 3, "seconds": 2, "commit": "abc1234",
        "versions": {"nginx": "1.22.1", "haproxy": "2.6.12", "palier": "palier 0.1.0"},
        "scenarios": {"small": {"title": "small <answers> & more", "peers": peers, "problems": {"h2o": "no answer"}}},
        "latency": {"latency": {"title": "small", "rate": 15_000, "peers": peers, "problems": {}}},
        "idle": {"memory": {"title": "memory", "connections": 8500, "samples": {"nginx": [500.0], "palier": [300.0]}}},
        "growth": {"servers": {"title": "servers", "steps": {"2": {"peers": peers}, "1000": {"peers": peers}}}},
        "certificates": {"samples": {"0": {"palier": [start], "nginx": [start]}}},
        "probes": {"samples": {"tcp": [0.02, 0.03]}},
    } | more


@pytest.fixture
def compare(tmp_path):
    """Runs bench/compare on documents, or on texts that are none."""
    def run(*sides, options=()) -> subprocess.CompletedProcess:
        files = [tmp_path / f"{letter}.json" for letter in "AB"[:len(sides)]]
        for file, side in zip(files, sides):
            file.write_text(side if isinstance(side, str) else json.dumps(side))
        return subprocess.run([sys.executable, BENCH / "compare", *files, *options], capture_output=True, text=True)

    return run


@pytest.mark.parametrize("times, share, expected", [
    ([7], 0.5, 7), ([7], 0.999, 7), ([1, 2], 0.5, 1), ([1, 2, 3], 0.5, 2),
    (range(1, 101), 0.99, 99), (range(1, 101), 0.999, 100), (range(1, 1001), 0.999, 999), (range(1, 1001), 0.99, 990),
    (range(1, 1002), 0.999, 1000), (range(1, 11), 0, 1), (range(1, 11), 1, 10)])
def test_a_percentile_is_the_time_that_so_many_do_not_exceed(times, share, expected):
    assert percentile(list(times), share) == expected


def test_no_times_have_no_percentile():
    with pytest.raises(ValueError):
        percentile([], 0.5)


def test_the_generators_times_are_read_apart():
    assert read_times(array("q", [300, 3, 100, 9, 200, 1]).tobytes()) == ([100, 200, 300], [1, 3, 9])


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd"


@pytest.fixture
def stub():
    """Factory of servers of one connection: their answers in turn, the last again and again; returns the port. A number
    among them is a pause in seconds."""
    threads = []

    def serve(listener: socket.socket, answers: list) -> None:
        with listener, listener.accept()[0] as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listener.close()
            turn = iter(answers)
            answer = next(turn)
            while connection.recv(4096):
                if isinstance(answer, float):
                    time.sleep(answer)
                    answer = next(turn)
                connection.sendall(answer)
                answer = next(turn, answer)

    def start(*answers) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        threads.append(threading.Thread(target=serve, args=(listener, list(answers)), daemon=True))
        threads[-1].start()
        return listener.getsockname()[1]

    yield start
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


without_palier = pytest.mark.skipif(SANITIZED, reason="has nothing of palier in it")


@without_palier
def test_a_stall_is_charged_with_every_request_that_was_due_in_it(stub, tmp_path):
    load = Steady(1, (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",), 4, rate=1000)
    count = load.run(stub(*[ANSWER] * 100, 0.4, ANSWER), 1, tmp_path)
    taken, late = read_times((tmp_path / "times").read_bytes())
    assert count.requests == len(taken) == len(late) == 1000
    # Those that were due in its first 300 ms took at least 100 ms; one at a time, only one would have.
    assert sum(time_ >= 100e6 for time_ in taken) >= 300
    assert count.p99 >= 300 and count.p50 < count.p99 <= count.p999


@without_palier
@pytest.mark.parametrize("wrong", [
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nabcd", ANSWER + b"e",
    b"HTTP/2 200 OK\r\nContent-Length: 4\r\n\r\nabcd"])
def test_a_wrong_answer_fails_the_latency_row(stub, tmp_path, wrong):
    load = Steady(1, (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",), 4, rate=1000)
    with pytest.raises(Failure, match="errors among 3 requests: 1 answer"):
        load.run(stub(ANSWER, ANSWER, ANSWER, wrong), 1, tmp_path)


def test_half_load_is_that_of_the_slowest():
    assert half_of_slowest({"palier": 41_000, "nginx": 30_310, "haproxy": 35_000}) == 15_200
    assert half_of_slowest({"palier": 12.0}) == 100


def test_idle_connections_are_as_many_as_there_are_descriptors_for():
    [idle] = [growth for growth in GROWTHS if growth.name == "idle"]
    assert list(idle.within(50_000).steps) == [0, 1000, 10_000]
    capped = idle.within(8500).steps
    assert {count: step.idle for count, step in capped.items()} == {0: 0, 1000: 1000, 8500: 8500}
    [servers] = [growth for growth in GROWTHS if growth.name == "servers"]
    assert servers.within(0) == servers


@pytest.mark.parametrize("before, after, verdict", [
    ([10, 10.1, 10.2], [9, 9.1, 9.2], "better"),
    ([9, 9.1, 9.2], [10, 10.1, 10.2], "worse"),
    ([10, 10.1, 12], [9, 9.1, 10], ""),         # a round of the one is as good as one of the other
    ([10, 10.1, 10.2], [9, 9.1, 10.05], ""),    # they overlap
    ([10, 10, 10], [9.9, 9.9, 9.9], ""),        # apart, but by too little
    ([10], [5], ""),                            # nothing is known of the spread
    ([0, 0], [5, 5], "")])
def test_a_change_is_beyond_noise_when_no_rounds_overlap(before, after, verdict):
    assert judge(before, after).verdict == verdict


def test_compare_tells_changes_and_the_ratio_to_the_best_peer(compare):
    said = compare(document(), document(palier=(7.0, 7.1, 7.2)))
    assert (said.returncode, said.stderr) == (0, "")
    row = said.stdout.split("\nsmall: ")[1].split("\n\n")[0]
    assert re.search(r"palier +8\.100 +7\.100 +-12\.3%  better", row)
    assert re.search(r"palier/best +0\.802 +0\.703 +-12\.3%  better", row)
    assert re.search(r"nginx +10\.10 +10\.10 +\+0\.0%$", row, re.MULTILINE)
    assert re.search(r"^palier better: small -12\.3%, latency p50 -12\.3%", said.stdout, re.MULTILINE)
    assert "palier worse: nowhere" in said.stdout
    assert "Fewer than 5 rounds" in said.stdout


def test_a_slower_machine_changes_the_numbers_but_not_the_ratio(compare):
    slow = document(palier=(9.6, 9.72, 9.84), nginx=(12.0, 12.12, 12.24), cpu="another CPU")
    said = compare(document(), slow).stdout
    assert "Two machines" in said
    assert re.search(r"^palier worse: small", said, re.MULTILINE)
    assert "palier/best worse: nowhere" in said and "palier/best better: nowhere" in said


def test_compare_shows_only_what_changed_and_names_rows_of_one_file_only(compare):
    said = compare(document(), document(latency={}), options=["--changed"]).stdout
    assert "only in A: latency p50, latency p99, latency p99.9" in said
    assert "nginx" not in said


def test_compare_says_where_a_row_is_not_quite_the_same(compare):
    other = document()
    other["latency"]["latency"]["rate"] = 16_000
    said = compare(document(), other).stdout
    assert "latency p99: p99 at 16,000/s, small, ms\n  not quite the same in A: p99 at 15,000/s, small" in said


@pytest.mark.parametrize("bad, words", [
    ("", "is not JSON"), ("[]", "is not a result"), ('{"versions": {}}', "has format 1"),
    (json.dumps(document(format=results.FORMAT + 1)), f"has format {results.FORMAT + 1}"),
    (json.dumps(document(scenarios={"small": {"title": "small", "peers": {"palier": {}}}})), "is damaged"),
    (json.dumps(document(scenarios=[])), "is damaged"),
    (json.dumps(document(idle={"m": {"title": "m", "connections": 1, "samples": {"palier": ["x"]}}})), "is damaged")])
def test_compare_refuses_what_is_no_result(compare, bad, words):
    said = compare(document(), bad)
    assert said.returncode == 2 and said.stdout == ""
    assert said.stderr.startswith("bench/compare: ") and words in said.stderr and "B.json" in said.stderr


def test_compare_refuses_files_that_have_nothing_in_common(compare):
    empty = {"scenarios": {}, "latency": {}, "idle": {}, "growth": {}, "certificates": None, "probes": None}
    assert compare(document(), document(**empty)).returncode == 2
    assert compare(document()).returncode == 2  # one file only
    assert subprocess.run([BENCH / "compare", "/nonexistent", "/nonexistent"], capture_output=True).returncode == 2


def test_a_ratio_is_the_median_of_the_rounds_own():
    """Not that of the medians, which were measured at different times."""
    row = results.Row("", "", "", "µs", {"palier": [8.0, 16.0, 80.0], "nginx": [10.0, 20.0, 10.0], "h2o": []})
    assert (row.best_peer(), row.ratio("nginx"), row.ratio("h2o"), row.ratio(None)) == ("nginx", 0.8, None, None)


def test_the_chart_is_the_same_svg_for_the_same_numbers():
    drawn = draw(results.rows(document()))
    assert drawn == draw(results.rows(document()))
    root = ElementTree.fromstring(drawn)
    svg = "{http://www.w3.org/2000/svg}"
    texts = ["".join(text.itertext()) for text in root.iter(f"{svg}text")]
    assert "small <answers> & more" in texts and "0.80" in texts
    widths = {float(bar.get("width")) for bar in root.iter(f"{svg}rect")}
    lines = {text: float(text_at.get("x")) for text_at in root.iter(f"{svg}text")
             if (text := "".join(text_at.itertext())) in ("0", "0.85", "1")}
    assert any(abs(width - 8.1 / 10.1 * (lines["1"] - lines["0"])) < 0.2 for width in widths)
    assert len(list(root.iter(f"{svg}circle"))) == 3  # what the floor serves too


def test_a_bar_beyond_the_chart_is_cut_and_keeps_its_number():
    root = ElementTree.fromstring(draw(results.rows(document(palier=(80.0, 81.0, 82.0)))))
    svg = "{http://www.w3.org/2000/svg}"
    assert all(float(bar.get("x")) + float(bar.get("width")) <= float(root.get("width"))
               for bar in root.iter(f"{svg}rect"))
    assert "8.02" in ["".join(text.itertext()) for text in root.iter(f"{svg}text")]


def test_the_table_has_every_program_and_replaces_only_what_is_between_the_marks():
    one = document()
    text = table.replaced(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n", table.render(one, results.rows(one)))
    assert text.startswith(f"before\n{table.BEGIN}\n") and text.endswith(f"{table.END}\nafter\n") and "old" not in text
    assert "| small <answers> & more | 7.10 | *10.10* | 13.10 | 8.10 | **0.80** | 1.14 |" in text
    assert "| p99.9 at 15,000/s, small |" in text and "at abc1234" in text
    assert f"]({table.CHART.name})" in text
    assert "Not measured: h2o in small." in text
    for other in (f"{table.BEGIN}", f"{table.END}{table.BEGIN}", f"{table.BEGIN}{table.BEGIN}{table.END}"):
        with pytest.raises(results.BadResult):
            table.replaced(other, "")


def test_the_readme_has_the_marks_once_and_the_chart_that_it_shows():
    text = table.README.read_text()
    assert table.replaced(text, "") != text
    assert ("](ratios.svg)" in text) == table.CHART.exists()
