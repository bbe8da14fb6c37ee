from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bulk.sandbox.worlds.journal import Journal
from bulk.sandbox.worlds.seeds import starting_world
from bulk.sandbox.worlds.world import World

if TYPE_CHECKING:
    from pathlib import Path

ONE, TWO = {"op": "put", "number": 1}, {"op": "put", "number": 2}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.jsonl"


def test_reading_beside_a_writer_changes_nothing(path: Path) -> None:
    with closing(Journal(path)) as writer:
        writer.append(ONE)
        with path.open("ab") as file:
            file.write(b'{"op": "put", "half a ')
        before = path.read_bytes()

        with closing(Journal(path)) as reader:
            assert reader.records == [ONE]

        assert path.read_bytes() == before


def test_torn_line_goes_when_the_next_is_written(path: Path) -> None:
    path.write_bytes(b'{"op":"put","number":1}\n{"op":"put","num')

    with closing(Journal(path)) as journal:
        journal.append(TWO)

    with closing(Journal(path)) as journal:
        assert journal.records == [ONE, TWO]


def test_one_process_writes_at_a_time(path: Path) -> None:
    with closing(Journal(path)) as first, closing(Journal(path)) as second:
        first.append(ONE)

        with pytest.raises(OSError, match="another sandbox writes to it"):
            second.append(TWO)

        assert first.records == []
        first.append(TWO)
    with closing(Journal(path)) as journal:
        assert journal.records == [ONE, TWO]


def test_what_another_has_written_since_is_not_written_over(path: Path) -> None:
    with closing(Journal(path)) as late:
        with closing(Journal(path)) as first:
            first.append(ONE)

        with pytest.raises(OSError, match="another sandbox has written to it"):
            late.append(TWO)


def close(world: World) -> None:
    assert world._journal is not None
    world._journal.close()


def test_starting_world_is_written_when_something_happens_in_it(path: Path) -> None:
    world = World(Journal(path), products=None)
    world.populate(starting_world())
    module = world.modules(world.products()[0])[0]
    when_looked_at = path.read_bytes()
    world.delete(module)
    close(world)

    again = World(Journal(path), products=None)
    close(again)
    assert when_looked_at == b""
    assert again.products() == world.products()
    assert again.modules(module.product_key) == world.modules(module.product_key)
