"""Write an input file for `bulk`: a large one for trials, or the samples that lie beside this script.

    python samples/generate.py --rows 1000000 --products 200000 --shuffle -o large.csv
    python samples/generate.py --demo -o samples/modules.csv
    python samples/generate.py --demo --format jsonl -o samples/modules.jsonl

The same arguments give the same file on every machine. Rows are written as they are made, so size costs no memory.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import random
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

COLUMNS = ("ProductKey", "ModuleName", "AliasName", "Desc", "owner", "batch")
Row = tuple[str, ...]

MODULES = (
    ("mcu", "主控", "Main controller firmware"),
    ("wifi", "无线模块", "Wi-Fi module"),
    ("bluetooth", "蓝牙", "Bluetooth module"),
    ("sensor", "传感器", "Sensor hub"),
    ("camera", "摄像头", "Camera, lens and image pipeline"),
    ("battery", "电池管理", "Battery management"),
    ("gateway", "网关", "Gateway stack"),
    ("audio", "语音", "Voice front end"),
    ("meter", "计量", "Energy metering"),
    ("nfc", "近场通信", "NFC reader"),
    ("motor", "电机", "Motor driver"),
    ("display", "显示屏", "Display panel"),
    ("zigbee", "Zigbee", "Zigbee coordinator"),
    ("bootloader", "", "Boot loader"),
)
OWNERS = ("陈晨", "Li Wei", "Anna Berg", "王芳")

DEMO_PRODUCTS = 40
DEMO_ROWS_OF = {1: MODULES[:5], 2: MODULES[4:8], 3: MODULES[:4], 4: MODULES[:12]}
"""Products that meet something in the sandbox: a module that is there already (1), only two slots left (2), another
alias there (3); and one that asks for more than ten (4)."""


def product_key(number: int) -> str:
    """Return the key of a product, its number starting at 1."""
    return f"a1Demo{number:05d}"


def demo_rows(seed: int) -> Iterator[Row]:
    """Yield the samples' rows: some forty products, and as the last row the first one again."""
    draw = random.Random(seed)
    for number in range(1, DEMO_PRODUCTS + 1):
        modules = DEMO_ROWS_OF.get(number) or MODULES[: draw.randint(4, 9)]
        owner, batch = draw.choice(OWNERS), f"2024-W{draw.randint(40, 52)}"
        for module in modules:
            yield product_key(number), *module, owner, batch
    yield product_key(5), *MODULES[0], draw.choice(OWNERS), "2025-W01"


def large_rows(rows: int, products: int, *, shuffle: bool, seed: int) -> Iterator[Row]:
    """Yield ``rows`` rows, dealt evenly to the products, product by product or in an order that looks random."""
    rows_per_product = math.ceil(rows / products)
    step, start = _scatter(rows, seed) if shuffle else (1, 0)
    for index in range(rows):
        number, nth = divmod((start + index * step) % rows, rows_per_product)
        again, which = divmod(nth, len(MODULES))
        name, alias, desc = MODULES[which]
        yield (
            product_key(number + 1),
            f"{name}-{again + 1}" if again else name,
            alias,
            desc,
            OWNERS[number % len(OWNERS)],
            f"2024-W{40 + number % 13}",
        )


def _scatter(rows: int, seed: int) -> tuple[int, int]:
    """Return step and start of a walk that visits every row once: no list to shuffle, so no memory."""
    draw = random.Random(seed)
    step = draw.randrange(max(rows, 1)) | 1
    while math.gcd(step, rows) > 1:
        step += 2
    return step, draw.randrange(max(rows, 1))


def write(rows: Iterable[Row], kind: str, output: TextIO) -> None:
    """Write rows as CSV with a header, or as JSON lines without the empty columns."""
    if kind == "csv":
        writer = csv.writer(output, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
        return
    for row in rows:
        named = {column: value for column, value in zip(COLUMNS, row, strict=True) if value}
        output.write(json.dumps(named, ensure_ascii=False) + "\n")


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000, help="rows to write (default: %(default)s)")
    parser.add_argument("--products", type=int, help="products to deal them to (default: one for each five rows)")
    parser.add_argument("--shuffle", action="store_true", help="scatter each product's rows over the file")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another file (default: %(default)s)")
    parser.add_argument("--format", choices=("csv", "jsonl"), default="csv", help="(default: %(default)s)")
    parser.add_argument("--demo", action="store_true", help="write the samples' own rows instead")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="(default: standard output)")
    args = parser.parse_args()
    if args.demo:
        rows = demo_rows(args.seed)
    else:
        products = args.products or max(1, args.rows // 5)
        rows = large_rows(args.rows, products, shuffle=args.shuffle, seed=args.seed)
    output = args.output.open("w", encoding="utf-8", newline="") if args.output else nullcontext(sys.stdout)
    with output as file:
        write(rows, args.format, file)


if __name__ == "__main__":
    main()
