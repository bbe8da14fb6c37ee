from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulk.errors import SettingsError
from bulk.sandbox.arrivals import ArrivalLog, Seen, busiest_windows, read_arrivals

if TYPE_CHECKING:
    from pathlib import Path


def seen(at: float, *, uid: str = "1", action: str = "CreateOTAModule") -> Seen:
    return Seen(at=at, action=action, product_key="p", module_name="主控", status=200, code="", fault="", uid=uid)


def test_what_was_written_is_read_again_but_for_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "arrivals.jsonl"
    for at in (1.0, 2.0):
        log = ArrivalLog(path)
        log.write(seen(at))
        log.close()
    with path.open("ab") as file:
        file.write(b'{"at": 3.0, "act')

    assert read_arrivals(path) == [seen(1.0), seen(2.0)]


def test_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--arrivals .* can't be opened"):
        ArrivalLog(tmp_path)


def test_busiest_window_slides_and_is_counted_by_uid_and_action() -> None:
    arrivals = [seen(at) for at in (0.875, 0.0, 0.5, 1.0, 1.375, 1.75)] + [seen(0.0, uid="2"), seen(0.0, action="List")]

    assert busiest_windows(arrivals) == {("1", "CreateOTAModule"): 4, ("2", "CreateOTAModule"): 1, ("1", "List"): 1}
    assert busiest_windows(arrivals, width_s=0.5)["1", "CreateOTAModule"] == 2
