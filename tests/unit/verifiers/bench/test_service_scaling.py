"""The instrument that says what a second worker is worth."""

from verifiers.bench import service_scaling
from verifiers.bench.service_scaling import QUIET_CORES, Scaling, Slice, measure_scaling


def one(rate, bare_rate=100.0, others_cores=0.0):
    return Slice(rate, bare_rate, 0.1, 1.0, others_cores)


def test_disturbed_pairs_do_not_count():
    calm, disturbed = (one(100.0), one(180.0)), (one(100.0), one(20.0, others_cores=2 * QUIET_CORES))
    scaling = Scaling((calm, disturbed, disturbed))
    assert scaling.rates() == {1: 100.0, 2: 180.0}
    assert "1 of 3 pairs quiet" in str(scaling)
    assert "two over one, service: median 1.80" in str(scaling)
    assert "at most 1.82" in str(scaling)


def test_where_none_was_quiet_all_are_shown_and_said_to_be():
    scaling = Scaling(((one(100.0, others_cores=1.0), one(50.0, others_cores=1.0)),))
    assert "0 of 1 pairs quiet; all shown" in str(scaling)
    assert scaling.rates() == {1: 100.0, 2: 50.0}


def test_it_measures(monkeypatch):
    monkeypatch.setattr(service_scaling, "SLICE_CASES", 60)
    (pair,) = measure_scaling(num_pairs=1).pairs
    assert all(part.rate > 0 and part.bare_rate > 0 and part.parent_cpu_s > 0 for part in pair)
