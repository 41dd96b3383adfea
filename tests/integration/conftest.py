"""The one Ray cluster of a test session, started by the first test that wants it."""

from collections.abc import Iterator

import pytest

from rl.run.ray_session import ray_session as start_session


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """A cluster of this session's own; other clusters on the machine are not touched."""
    with start_session(num_cpus=4, object_store_mib=512):
        yield
