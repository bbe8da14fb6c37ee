"""Inputs for benchmarks: rows that are all valid and all different, the same ones every time."""

from __future__ import annotations

import csv
import random
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["as_jsonl", "module_of", "write_csv"]

_HEADER = ("ProductKey", "ModuleName", "AliasName", "Desc")


def module_of(index: int, *, products: int) -> tuple[str, str, str, str]:
    """Return the fields of a row: the rows of a product are ``products`` apart."""
    product, slot = index % products, index // products
    return (
        f"a1{product:09d}",
        f"module-{slot:02d}.main",
        f"固件-{slot}",
        f"firmware of part {slot}, written by a benchmark",
    )


def write_csv(path: Path, rows: int, *, products: int, shuffled: bool = False) -> Path:
    """Write a CSV and return its path.

    Args:
        path: Where to.
        rows: How many.
        products: Over how many products; no more than ten rows each, if all are to be created.
        shuffled: In no order, so that the rows of a product stand far apart; else product after product.
    """
    order = list(range(rows))
    if shuffled:
        random.Random(1).shuffle(order)
    else:
        order.sort(key=lambda index: (index % products, index // products))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_HEADER)
        writer.writerows(module_of(index, products=products) for index in order)
    return path


def as_jsonl(source: Path) -> Path:
    """Write the rows of a CSV as JSONL beside it, and return its path."""
    path = source.with_suffix(".jsonl")
    with source.open(encoding="utf-8", newline="") as rows, path.open("wb") as file:
        file.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in csv.DictReader(rows))
    return path
