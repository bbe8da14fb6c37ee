"""What a person sees of a sync in the ledger: the report's page, from a real sandbox."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bulk.control.guard import Limit
from bulk.report.html.content import read_content
from bulk.report.html.page import render

if TYPE_CHECKING:
    from tests.integration.sync.conftest import Nights

PRODUCT = "a1Prod00001"


async def page_of(nights: Nights) -> str:
    content = await asyncio.to_thread(read_content, nights.ledger)
    page = await asyncio.to_thread(render, content, written_at=datetime.now(UTC))
    return re.sub(r"\s+", " ", re.sub(r"</?bdi>", "", page))


async def test_page_begins_with_what_waits_and_the_command(synced: Nights) -> None:
    synced.box.console().update(PRODUCT, "m0", alias_name="<b>主控</b>", desc="desc 1")
    synced.write(synced.without((PRODUCT, "m1"), (PRODUCT, "m2")))
    night = await synced.sync(prune=True, max_updates=Limit(0), max_deletes=Limit(1))

    page = await page_of(synced)

    assert page.index('id="waiting"') < page.index('id="outcomes"')
    assert "<strong>1 update, 2 deletes</strong>" in page
    assert f"<code>bulk apply {night.plan}</code>" in page
    assert "AliasName: &lt;b&gt;主控&lt;/b&gt; → alias0" in page
    deletes = [page.index(f"{PRODUCT} {name}</th>") for name in ("m1", "m2")]
    assert max(deletes) < page.index(f"{PRODUCT} m0</th>"), "deletes are read first"
    assert "--retry-file" not in page


async def test_page_tells_what_was_changed_who_applied_it_and_how_to_undo_it(synced: Nights) -> None:
    synced.write(synced.without((PRODUCT, "m1"), (PRODUCT, "m2")))
    night = await synced.sync(prune=True, max_deletes=Limit(1))
    await synced.apply(Path(night.plan or ""))

    page = await page_of(synced)

    assert 'id="waiting"' not in page
    assert re.search(rf"apply of {night.run_id[:8]} by \w+, the last that updated or deleted anything: 0 created", page)
    assert "0 updated, 2 deleted" in page
    assert f"--undo-file {synced.ledger}.undo.csv</code>" in page


async def test_page_tells_what_stays_by_reason(synced: Nights) -> None:
    synced.box.console().update(PRODUCT, "m1", alias_name="somebody uses it", desc=None)
    synced.write(synced.without((PRODUCT, "m1")))
    await synced.sync(prune=True)

    page = await page_of(synced)

    assert 'id="surplus"' in page
    assert f"{PRODUCT} m1" in page
    assert "--outcome surplus</code>" in page
    assert "nothing was done about" not in page


async def test_page_of_runs_alone_says_nothing_of_syncs(nights: Nights) -> None:
    await nights.run()

    page = await page_of(nights)

    assert not {name for name in ("waiting", "changed", "surplus") if f'id="{name}"' in page}
