"""Fixtures of the system tests. Each factory ends what it started, palier first."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import BINARY, Palier, RawBackend, SANITIZED, WebFront  # noqa: E402


def pytest_report_header():
    return f"palier: {BINARY}{' (sanitizer)' if SANITIZED else ''}{'' if BINARY.exists() else ' (missing)'}"


@pytest.fixture
def raw_backend():
    """Factory of RawBackend; fails the test when one of their handlers failed."""
    started: list[RawBackend] = []

    def start(*arguments, **options) -> RawBackend:
        started.append(RawBackend(*arguments, **options))
        return started[-1]

    yield start
    for backend in started:
        backend.stop()
    errors = [error for backend in started for error in backend.errors]
    assert not errors, "\n".join(errors)


@pytest.fixture
def web_front(tmp_path):
    """Factory of WebFront: web_front("front1")."""
    started: list[WebFront] = []

    def start(name: str, **options) -> WebFront:
        started.append(WebFront(name, tmp_path, **options))
        return started[-1]

    yield start
    for front in started:
        front.stop()


@pytest.fixture
def start_palier(tmp_path, raw_backend, web_front):
    """Factory of running paliers: start_palier(config, **options of Palier). At the end of the test each must end
    with 0 on SIGTERM and have no sanitizer report. (It asks for the backends' fixtures so as to end before them.)"""
    started: list[Palier] = []

    def start(config, **options) -> Palier:
        options.setdefault("name", f"palier{len(started)}" if started else "palier")
        started.append(Palier(config, tmp_path, **options))
        return started[-1].wait_ready()

    yield start
    failures = []
    for palier in started:
        try:
            palier.check_end()
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)
