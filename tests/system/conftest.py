"""Fixtures of the system tests. Each factory ends what it started, palier first."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import (  # noqa: E402
    BINARY, Authority, Palier, RawBackend, SANITIZED, WebFront, make_ca, make_certificate, server, site, tls_listener)
from harness.succession import Succession  # noqa: E402


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


@pytest.fixture
def ca(tmp_path) -> Authority:
    """A root that vouches for what a test makes."""
    return make_ca(tmp_path)


@pytest.fixture
def certs(tmp_path) -> Path:
    """The folder that `secure` has palier serve certificates from."""
    folder = tmp_path / "certs"
    folder.mkdir()
    return folder


@pytest.fixture
def secure(start_palier, raw_backend, ca, certs):
    """Factory of paliers with one TLS listener, which is the first: secure(tls={...}, **keys of site()).

    Without certificates in `certs`, one for test.example is made, which is also the default. `backend`: what is
    behind it, by default one that echoes; `listener`: further keys of the listener; `more`: further listeners."""
    def start(backend: RawBackend | None = None, tls: dict | None = None, listener: dict | None = None,
              more: list[dict] | None = None, **config) -> Palier:
        keys = dict(tls or {})
        if not any(certs.iterdir()):
            make_certificate(certs, ["test.example"], ca)
            keys.setdefault("default", "test.example")
        entry = tls_listener(keys.pop("certificates", certs), **keys) | (listener or {})
        config.setdefault("listener", [entry, *(more or [])])
        servers = config.pop("servers", None) or [server("a", (backend or raw_backend()).address)]
        return start_palier(site(servers, **config))

    return start


@pytest.fixture
def succession(tmp_path, raw_backend):
    """Factory: succession(config, **options of Palier); all that serves by the end is ended then."""
    started: list[Succession] = []

    def start(config, **options) -> Succession:
        config.setdefault("state_file", "")
        options.setdefault("name", f"palier{len(started)}" if started else "palier")
        started.append(Succession(Palier(config, tmp_path, **options)))
        started[-1].palier.wait_ready()
        return started[-1]

    yield start
    failures = []
    for one in started:
        try:
            one.end()
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)
