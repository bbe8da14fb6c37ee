from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from bulk.ledger.views.approvals import CutOff
from bulk.ledger.views.status import AccountStanding
from bulk.model import Outcome
from bulk.report.html.page import render
from bulk.report.html.view import PRINTED_ROWS

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    "\"><svg onload='alert(2)'>",
    "--><!--<script>alert(3)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "\u2028alert(4)\u2029\u202e",
    "' onmouseover=alert(5) x='",
    "&lt;b&gt;&#60;",
]


class Page(HTMLParser):
    """What a browser would make of a page: its elements, its attributes, the text of each."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.text = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the parser's own signature
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        elif self._inside == "style":
            self.styles.append(data)
        else:
            self.text += data.replace("\xa0", " ")

    def policy(self) -> dict[str, list[str]]:
        (content,) = [a["content"] for _, a in self.tags if a.get("http-equiv") == "Content-Security-Policy"]
        parts = (part.split() for part in (content or "").split(";"))
        return {name: sources for name, *sources in parts}


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_the_ledger_stays_text(book: Any, text: str) -> None:
    book.read_in((text, text), name=text, invalid=(orjson.dumps([text, text]).decode(), text))
    book.begin("r1")
    book.send("r1", 0)
    harmless = len(Page(book.page()).tags)
    book.settle(text, text, Outcome.FAILED, code=text, message=text)
    book.end("r1", summary=orjson.dumps({"resume": text}).decode())

    page = Page(book.page())

    assert page.text.count(text) >= 8
    assert {tag for tag, _ in page.tags}.isdisjoint({"img", "svg", "b"})
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on") or name == "style"]
    assert len(page.scripts) == 3
    assert len(page.tags) > harmless


def test_policy_lets_only_the_page_s_own_scripts_and_style_run(finished: Callable[[], Any]) -> None:
    page = Page(finished().page())

    policy = page.policy()

    data, *code = page.scripts
    assert json.loads(data)
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == [digest(script) for script in code]
    assert policy["style-src"] == [digest(style) for style in page.styles]


def test_nothing_is_loaded_from_elsewhere(finished: Callable[[], Any]) -> None:
    page = Page(finished().page())

    loads = [a for _, a in page.tags if {"src", "href", "srcset", "action", "data"} & a.keys()]
    assert [a for a in loads if not (a.get("href") or "").startswith("#")] == []
    assert not [style for style in page.styles if "url(" in style or "@import" in style]


def test_hostile_text_can_not_leave_the_block_of_figures(book: Any) -> None:
    book.begin("</script><script>alert(1)</script>")
    book.send("</script><script>alert(1)</script>", 0)

    page = Page(book.page())

    assert json.loads(page.scripts[0])[0]["run_id"] == "</script><script>alert(1)</script>"


def test_every_table_has_a_caption_and_headers_with_a_scope(finished: Callable[[], Any]) -> None:
    page = Page(finished().page())
    tags = [tag for tag, _ in page.tags]

    assert tags.count("table") == tags.count("caption") == tags.count("thead")
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")


def test_charts_have_words_for_who_can_not_see_them(finished: Callable[[], Any]) -> None:
    page = Page(finished().page())

    charts = [attributes for _, attributes in page.tags if attributes.get("role") == "img"]
    assert [bool(chart["aria-label"]) for chart in charts] == [True, True]
    assert "1 create (1.0/s on average, 10/s asked for), 0 listings, no throttling." in page.text
    assert "Half of all requests took up to 50 ms, 95% up to 50 ms, 99% up to 50 ms." in page.text


def test_reasons_say_what_to_do(finished: Callable[[], Any]) -> None:
    text = Page(finished().page()).text

    assert "iot.prod.NotExistedProduct" in text
    assert "line 3: no such product" in text
    assert "Check the ProductKey" in text


def test_rows_that_did_not_fit_are_named_with_the_command_for_all(book: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bulk.report.html.content.MOST_ROWS", 1)
    book.read_in(("a1", "m1"), ("a1", "m2"))
    book.settle("a1", "m1", Outcome.FAILED)
    book.settle("a1", "m2", Outcome.DRIFTED)

    text = Page(book.page()).text

    assert "The first 1 of 2 rows are here." in text
    assert (
        f"bulk results {book.path} --outcome drifted,failed,invalid,moved,over_budget,sending,unknown,withheld" in text
    )


def test_a_ledger_without_input_has_a_page(book: Any) -> None:
    page = Page(book.page())

    assert "no input yet" in page.text
    assert "No run yet." in page.text
    assert not [tag for tag, attributes in page.tags if attributes.get("role") == "img"]


def test_a_run_at_work_is_called_so(book: Any) -> None:
    book.begin("r1")

    assert "At work now: run r1" in Page(book.page()).text


def test_a_killed_run_is_called_so(book: Any) -> None:
    book.begin("r1")
    book.ledger.close()

    assert "The last run: killed, or the power failed." in Page(book.page()).text


def test_the_page_is_small(finished: Callable[[], Any]) -> None:
    assert len(finished().page()) < 100_000


def test_paper_holds_as_many_rows_as_the_page_says() -> None:
    style = files("bulk.report.html").joinpath("page.css").read_text()

    assert f"nth-child(n + {PRINTED_ROWS + 1} of :not([hidden]))" in style


def test_vendored_files_are_those_that_their_list_names() -> None:
    folder = files("bulk.report.html").joinpath("vendor/uplot")
    listed = re.findall(r"`([\w.]+)` \| `([0-9a-f]{64})`", folder.joinpath("README.md").read_text())

    assert len(listed) == 3
    for name, expected in listed:
        assert hashlib.sha256(folder.joinpath(name).read_bytes()).hexdigest() == expected, name


def test_the_chart_library_s_licence_is_in_every_page(finished: Callable[[], Any]) -> None:
    assert "Copyright (c) 2022 Leon Sorokin" in finished().page()


@pytest.fixture
def page_of(finished: Callable[[], Any], make_accounts: Callable[[int], Any]) -> Callable[..., Page]:
    """Return a maker of the page of a ledger with so many accounts, up to five of them in trouble."""

    def make(count: int, *, renamed: str | None = None) -> Page:
        content = finished().content()
        accounts = {
            name: AccountStanding(
                target="https://h (tuya)",
                rows=60,
                outcomes=account.outcomes,
                absent=0,
                exit_code=account.exit_code,
                stopped=account.stopped,
            )
            for name, account in make_accounts(count).items()
        }
        if renamed:
            accounts[renamed] = accounts.pop("factory-001")
        status = replace(content.status, accounts=accounts)
        return Page(render(replace(content, status=status), written_at=datetime.fromtimestamp(0, UTC)))

    return make


def rows_before_the_fold(page: Page) -> int:
    """Return how many accounts are to be seen without a click."""
    places = [(tag, attributes.get("id")) for tag, attributes in page.tags if tag in {"tr", "details", "h2"}]
    of_accounts = places[places.index(("h2", "accounts")) + 1 :]
    end = next(number for number, (tag, _) in enumerate(of_accounts) if tag != "tr")
    return end - 1  # the first is the table's head


def test_page_without_accounts_does_not_speak_of_them(finished: Callable[[], Any]) -> None:
    assert "accounts" not in {attributes.get("id") for _, attributes in Page(finished().page()).tags}


def test_page_shows_three_accounts_with_all_that_is_known(page_of: Callable[..., Page]) -> None:
    page = page_of(3, renamed="天河工厂")

    words = " ".join(page.text.split())
    assert rows_before_the_fold(page) == 3
    assert (
        "天河工厂 3 0 of 60 InvalidAccessKeyId.NotFound: the key is not known. Give the account another key." in words
    )
    assert "3 accounts, https://h (tuya)" in words


def test_page_of_150_accounts_shows_those_in_trouble_and_folds_the_others(page_of: Callable[..., Page]) -> None:
    page = page_of(150)

    assert rows_before_the_fold(page) == 5
    assert "145 accounts with every row provisioned" in page.text
    assert all(f"factory-{number:03}" in page.text for number in range(150))


@pytest.mark.parametrize("text", HOSTILE)
def test_name_of_an_account_stays_text(page_of: Callable[..., Page], text: str) -> None:
    page = page_of(3, renamed=text)

    assert text in page.text
    assert {tag for tag, _ in page.tags}.isdisjoint({"img", "svg", "b"})


@pytest.mark.parametrize(
    ("exit_codes", "words"), [((3, 3), "stopped: 2 of 2 accounts"), ((3, 0), "exit code 1"), ((0, 0), "exit code 1")]
)
def test_accounts_that_each_stopped_for_a_reason_of_their_own_are_counted(
    finished: Callable[[], Any], exit_codes: tuple[int, ...], words: str
) -> None:
    content = finished().content()
    accounts = {
        f"factory-{number}": AccountStanding(
            target="https://h (tuya)",
            rows=60,
            outcomes=content.status.outcomes,
            absent=0,
            exit_code=exit_code,
            stopped=f"no key {number}" if exit_code else None,
        )
        for number, exit_code in enumerate(exit_codes)
    }
    content = replace(content, status=replace(content.status, accounts=accounts))

    page = Page(render(content, written_at=datetime.fromtimestamp(0, UTC)))

    line = next(line for line in page.text.splitlines() if "The last run" in line)
    assert words in line
    assert ("stopped" in line) == (exit_codes == (3, 3))


@pytest.mark.parametrize(("plan", "is_offered"), [("plan cafe.jsonl", True), (None, False)])
def test_apply_that_was_cut_off_is_offered_again_where_its_plan_is_known(
    finished: Callable[[], Any], plan: str | None, is_offered: bool
) -> None:
    content = finished().content()
    runs = tuple(replace(run, summary=None) for run in content.status.runs)
    content = replace(content, status=replace(content.status, runs=runs, cut_off=CutOff(plan=plan, changes=3)))

    page = Page(render(content, written_at=datetime.fromtimestamp(0, UTC)))

    assert ("bulk apply 'plan cafe.jsonl'" in page.text) == is_offered


def headings(page: Page) -> list[str | None]:
    return [attributes.get("id") for tag, attributes in page.tags if tag == "h2"]


def test_reasons_come_before_charts_and_each_section_has_a_link(page_of: Callable[..., Page]) -> None:
    page = page_of(3)

    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert headings(page) == ["outcomes", "accounts", "reasons", "pace", "rows", "runs"]
    assert links == [f"#{name}" for name in headings(page)]


def test_input_without_rows_has_a_page_that_says_so(book: Any) -> None:
    book.begin("r1")
    book.read_in()
    book.end("r1", exit_code=0)

    page = Page(book.page())

    assert "The input has no rows." in page.text
    assert headings(page) == ["outcomes", "runs"]


def test_exit_code_has_words(finished: Callable[[], Any]) -> None:
    book = finished()
    book.begin("r2")
    book.end("r2", exit_code=5)

    assert "exit code 5, changes withheld" in Page(book.page()).text


def test_reason_that_accounts_share_is_said_once(finished: Callable[[], Any]) -> None:
    content = finished().content()
    one = AccountStanding(
        target="https://h (tuya)", rows=2, outcomes={"pending": 2}, absent=0, exit_code=3, stopped="no right"
    )
    accounts = {"cn": one, "eu": replace(one, stopped="no network"), "us": one}
    status = replace(content.status, accounts=accounts)

    page = Page(render(replace(content, status=status), written_at=datetime.fromtimestamp(0, UTC)))

    words = " ".join(page.text.split())
    assert words.count("no right") == 1
    assert words.index("no right") < words.index("us 3 0 of 2 the same as cn") < words.index("no network")
    assert "Platform" not in [attributes.get("data-label") for _, attributes in page.tags]


def test_accounts_of_several_platforms_each_name_theirs(finished: Callable[[], Any]) -> None:
    content = finished().content()
    one = AccountStanding(target="https://h (tuya)", rows=0, outcomes={}, absent=0, exit_code=0, stopped=None)
    accounts = {"cn": one, "eu": replace(one, target="https://eu (alibaba)")}
    status = replace(content.status, accounts=accounts)

    page = Page(render(replace(content, status=status), written_at=datetime.fromtimestamp(0, UTC)))

    assert [attributes.get("data-label") for _, attributes in page.tags].count("Platform") == 2


def test_words_with_hyphens_are_kept_whole_and_stay_text(book: Any) -> None:
    book.read_in(("a1", "m1"))
    book.settle("a1", "m1", Outcome.WITHHELD, message="more than --max-updates <b-c> allows")

    text = book.page()

    assert 'more than <span class="whole">--max-updates</span> <span class="whole">&lt;b-c&gt;</span> allows' in text


def test_blank_cells_of_a_row_have_a_word(book: Any) -> None:
    book.read_in(invalid=('["a 1",""]', "ModuleName is missing"))

    assert "a 1, (blank)" in " ".join(Page(book.page()).text.split())
