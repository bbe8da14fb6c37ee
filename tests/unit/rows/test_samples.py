from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk.model import MAX_CUSTOM_MODULES
from bulk.rows import open_input
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk.rows import RowReader

    RowsOf = Callable[[RowReader], list[tuple[Any, ...]]]

SAMPLES = Path(__file__).parents[3] / "samples"
VALID = {"valid", "duplicate", "contradiction"}
"""What `broken.csv` expects of rows that only ingest, which knows the other rows, can judge."""


def generate(*arguments: str) -> bytes:
    script = str(SAMPLES / "generate.py")
    return subprocess.run([sys.executable, "-X", "utf8", script, *arguments], check=True, capture_output=True).stdout


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_samples_are_what_the_generator_writes(kind: str) -> None:
    assert generate("--demo", "--format", kind) == (SAMPLES / f"modules.{kind}").read_bytes()


def test_samples_hold_what_a_product_line_meets(rows_of: RowsOf) -> None:
    with open_input(str(SAMPLES / "modules.csv"), ReadSettings()) as reader:
        rows = rows_of(reader)

    assert 200 <= len(rows) <= 300
    assert not [row for row in rows if row[6] is not None]
    modules = Counter(row[1:5] for row in rows)
    assert max(modules.values()) == 2
    products = Counter(product for product, *_ in modules)
    assert len(products) == 40
    assert [product for product, count in products.items() if count > MAX_CUSTOM_MODULES] == ["a1Demo00004"]
    assert ("a1Demo00001", "mcu", "主控", "Main controller firmware") in modules


def test_samples_in_both_formats_ask_for_the_same_modules(rows_of: RowsOf) -> None:
    found = []
    for name in ("modules.csv", "modules.jsonl"):
        with open_input(str(SAMPLES / name), ReadSettings()) as reader:
            found.append([row[1:5] for row in rows_of(reader)])

    assert found[0] == found[1]


def test_each_broken_row_has_the_reason_that_it_expects(rows_of: RowsOf) -> None:
    with open_input(str(SAMPLES / "broken.csv"), ReadSettings()) as reader:
        rows = rows_of(reader)

    # Some rows can't be taken apart, so what they expect is read as the text behind their last comma.
    expected = [text.rpartition(",")[2] for text in (SAMPLES / "broken.csv").read_text(encoding="utf-8").splitlines()]
    assert [row[0] for row in rows] == list(range(2, len(expected) + 1))
    for row, reason in zip(rows, expected[1:], strict=True):
        assert (row[6] is None) if reason in VALID else (reason in str(row[6])), row


@pytest.mark.parametrize("shuffle", [[], ["--shuffle"]])
def test_generator_deals_all_rows_to_all_products(tmp_path: Path, shuffle: list[str]) -> None:
    path = tmp_path / "large.csv"

    generate("--rows", "1000", "--products", "200", *shuffle, "-o", str(path))

    with open_input(str(path), ReadSettings()) as reader:
        rows = next(reader.batches()).valid
    assert len({row[1:3] for row in rows}) == 1000
    assert set(Counter(row[1] for row in rows).values()) == {5}


def test_generator_is_deterministic_and_heeds_its_seed() -> None:
    first, again, other = (generate("--rows", "50", "--shuffle", "--seed", seed) for seed in ("1", "1", "2"))

    assert first == again
    assert first != other
