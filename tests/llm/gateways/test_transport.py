"""Reading from a connection within a time limit."""

from __future__ import annotations

import pytest

from mojentic_nb.llm.gateways.transport import in_time


def test_nothing_is_read_after_the_time_limit():
    read: list[int] = []

    with pytest.raises(TimeoutError, match="Incomplete after 0 s"):
        in_time(lambda size, **_: read.append(size), 0, TimeoutError)(100)

    assert read == []
