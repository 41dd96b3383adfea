"""The description of the machine that stands in every manifest."""

import json
import sys
from types import SimpleNamespace

import pytest

from rl.run.provenance import describe_hardware


def test_cores_and_memory_are_this_machine_s() -> None:
    import psutil

    describe_hardware.cache_clear()
    found = describe_hardware()
    assert found["memory_gib"] == round(psutil.virtual_memory().total / 2**30, 1)
    assert 1 <= found["num_cpus"] <= (psutil.cpu_count() or 1)
    assert found["cpu"]
    assert json.loads(json.dumps(found)) == found


def test_gpus_are_counted_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["H100", "H100", "L4"]
    cuda = SimpleNamespace(
        is_available=lambda: True, device_count=lambda: 3, get_device_name=names.__getitem__
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    describe_hardware.cache_clear()
    assert describe_hardware()["gpus"] == "2 x H100, 1 x L4"
    describe_hardware.cache_clear()
