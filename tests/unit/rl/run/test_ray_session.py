"""A Ray address that leads nowhere is said at once."""

import signal
import socket
import subprocess
import time

import pytest
import ray

from rl.run import ray_session
from verifiers.errors import BadInput


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "no-such-host.invalid:{}"])
def test_a_dead_address_answers_within_ten_seconds(monkeypatch, form):
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("RAY_ADDRESS", form.format(taken.getsockname()[1]))
        begun = time.monotonic()
        with pytest.raises(BadInput, match=r"no Ray cluster answers at RAY_ADDRESS=.*unset RAY_ADDRESS"):
            ray_session._join_or_start(1, 64, None)
        assert time.monotonic() - begun < 10


def test_an_address_that_only_ray_resolves_is_left_to_it():
    for address in ("auto", "local", "my-cluster"):
        ray_session.require_reachable(address)


def test_whoever_listens_is_reachable():
    with socket.create_server(("127.0.0.1", 0)) as server:
        ray_session.require_reachable(f"127.0.0.1:{server.getsockname()[1]}")


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_start_that_is_stopped_leaves_no_process(monkeypatch, stop):
    """Ctrl-C or SIGTERM while Ray's own processes come up: nobody else would end them."""
    started = []

    def init(**_):
        started.append(subprocess.Popen(["sleep", "600"]))
        raise stop

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with pytest.raises(stop):
        ray_session._join_or_start(1, 64, {})
    assert [process.wait(10) for process in started] == [-signal.SIGKILL]


def test_a_free_port_is_none_that_the_system_hands_out(monkeypatch):
    assert ray_session.free_port() in ray_session.PORTS
    with socket.socket() as taken:
        taken.bind(("", 0))
        port = taken.getsockname()[1]
        monkeypatch.setattr(ray_session, "PORTS", [port] * 100)
        assert ray_session.free_port() not in (0, port)


@pytest.mark.parametrize("has_own", [True, False])
def test_a_process_keeps_its_own_way_to_end(monkeypatch, has_own):
    """Ray's asks to end but once, which an import may swallow; without another it is kept."""
    before = signal.getsignal(signal.SIGTERM)

    def ours(*_):
        raise SystemExit

    def rays(*_):
        raise SystemExit

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(ray_session, "_join_or_start", lambda *_: signal.signal(signal.SIGTERM, rays))
    try:
        signal.signal(signal.SIGTERM, ours if has_own else signal.SIG_DFL)
        with ray_session.ray_session(1, 64):
            assert signal.getsignal(signal.SIGTERM) is (ours if has_own else rays)
    finally:
        signal.signal(signal.SIGTERM, before)
