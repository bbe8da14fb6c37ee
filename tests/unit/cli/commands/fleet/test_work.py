"""`bulk fleet work`, as it is typed, and as an engine of functions calls it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cli import main
from bulk.cli.commands.fleet.work import work_by_text
from bulk.fleet.lease import Note, State
from tests.unit.cli.commands.fleet.conftest import ROWS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.fleet.conftest import MemoryStore

WORK = ["fleet", "work", "s3://bucket/job", "--shard", "0", "--work-folder", "here"]


@pytest.fixture
def _split(boxes: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert boxes
    assert main(["fleet", "split", "in.csv", "--store", "s3://bucket/job"]) == 0
    capsys.readouterr()


@pytest.mark.usefixtures("_split")
def test_shard_that_is_done_needs_no_command_that_goes_on(
    boxes: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(WORK) == 0

    out = capsys.readouterr().out
    assert f"{2 * ROWS}  created" in out
    assert "fleet work" not in out
    assert [len(box.texts(f"{name}1")) for name, box in boxes.items()] == [ROWS, ROWS]
    assert len([*(tmp_path / "here").glob("*/0.0/ledger.db")]) == 1


@pytest.mark.usefixtures("_split")
@pytest.mark.parametrize("as_json", [False, True])
def test_shard_with_rows_that_are_left_ends_with_the_command_that_goes_on(
    as_json: bool, boxes: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    boxes["us"].fill([("us1", f"other{number}") for number in range(10)])

    code = main([*WORK, "--json"] if as_json else WORK)

    out = capsys.readouterr().out
    again = "bulk fleet work s3://bucket/job --shard 0 --work-folder here"
    assert code == 1
    if as_json:
        said = json.loads(out)
        assert (said["exit_code"], said["outcomes"]["over_budget"]) == (1, ROWS)
        assert said["resume"].endswith(f"{again} --json".removeprefix("bulk "))
    else:
        assert again.removeprefix("bulk ") in out


@pytest.mark.usefixtures("_split")
def test_task_as_text_is_the_command_and_its_end_as_text(boxes: dict[str, Any], store: MemoryStore) -> None:
    text = work_by_text(json.dumps({"words": WORK[2:], "ended_by": None}))

    assert json.loads(text) == {"exit_code": 0, "stopped": None}
    assert [box.actions()["CreateOTAModule"] for box in boxes.values()] == [ROWS, ROWS]
    note = Note.decoded(store.objects["lease/0.1"])
    assert note is not None
    assert note.state is State.RELEASED


@pytest.mark.usefixtures("_split")
def test_task_as_text_obeys_the_name_in_the_store_by_which_its_driver_ends_it(
    boxes: dict[str, Any], store: MemoryStore
) -> None:
    store.objects["stop/token"] = b"{}"

    said = json.loads(work_by_text(json.dumps({"words": WORK[2:], "ended_by": "stop/token"})))

    assert said == {"exit_code": 143, "stopped": "the driver of the fleet was stopped"}
    assert [box.actions().total() for box in boxes.values()] == [0, 0]


@pytest.mark.usefixtures("_split")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["s3://bucket/job", "--shard", "7"], 2, "--shard 7: there are shards 0 to 0"),
        (["s3://bucket/job", "--shard", "many"], 2, "'many' is not a valid integer range"),
        (["s3://bucket/job"], 2, "Missing option '--shard'"),
    ],
)
def test_task_as_text_that_can_not_be_done_says_why(words: list[str], code: int, said: str) -> None:
    ended = json.loads(work_by_text(json.dumps({"words": words, "ended_by": None})))

    assert ended["exit_code"] == code
    assert said in ended["stopped"]
