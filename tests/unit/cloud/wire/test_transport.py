"""What a status says of a reply."""

from __future__ import annotations

import pytest

from bulk.cloud.wire.transport import Reply


@pytest.mark.parametrize(
    ("status", "is_2xx", "is_redirect"),
    [
        (199, False, False),
        (200, True, False),
        (299, True, False),
        (300, False, True),
        (399, False, True),
        (400, False, False),
    ],
)
def test_status_is_sorted_by_its_first_digit(status: int, is_2xx: bool, is_redirect: bool) -> None:
    reply = Reply(status, b"")

    assert (reply.is_2xx, reply.is_redirect) == (is_2xx, is_redirect)
