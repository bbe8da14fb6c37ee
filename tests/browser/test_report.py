"""The report, as a person meets it in a browser: drawn, searchable, on a phone, on paper, and safe."""

from __future__ import annotations

import base64
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("browser")  # one browser, and one report, are enough

DRAWN = """
    return [...document.querySelectorAll("#rate-chart canvas, #latency-chart canvas")].map((canvas) => {
      const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      const colors = new Set();
      for (let at = 0; at < pixels.length; at += 4)
        if (pixels[at + 3]) colors.add(pixels.slice(at, at + 3).join());
      return colors.size;
    });
"""
SHOWN_ROWS = "return [...document.querySelectorAll('#row-table tbody tr')].filter((row) => row.offsetParent).length;"
SEARCH = """
    const search = document.getElementById("search");
    search.value = arguments[0];
    search.dispatchEvent(new Event("input"));
"""


def test_page_loads_without_complaint_and_without_network(browser: Any, page: Path) -> None:
    browser.open(page)

    assert browser.complaints() == []
    assert browser.requests() == [page.as_uri()]


@pytest.mark.parametrize("dark", [False, True])
def test_both_charts_are_drawn_in_several_colours(browser: Any, page: Path, *, dark: bool) -> None:
    browser.screen(1_200, dark=dark)
    browser.open(page)

    colours = browser.run(DRAWN)

    assert len(colours) == 2
    assert min(colours) > 10


def test_dark_is_dark_and_light_is_light(browser: Any, page: Path) -> None:
    browser.open(page)
    background = "return getComputedStyle(document.body).backgroundColor;"
    light = browser.run(background)

    browser.screen(1_200, dark=True)

    assert (light, browser.run(background)) == ("rgb(255, 255, 255)", "rgb(20, 23, 28)")


def test_hostile_names_are_shown_and_never_run(browser: Any, page: Path) -> None:
    browser.open(page)

    assert "onerror=document.title" in browser.run("return document.getElementById('row-table').textContent;")
    assert browser.run("return document.images.length;") == 0
    assert browser.driver.title != "taken"


def test_policy_refuses_a_script_that_was_smuggled_in(browser: Any, page: Path, tmp_path: Path) -> None:
    smuggled = tmp_path / "smuggled.html"
    text = page.read_text(encoding="utf-8")
    smuggled.write_text(
        text.replace("<main>", "<main><script>document.title = 'taken'</script><img src=x onerror=\"alert(1)\">"),
        encoding="utf-8",
    )

    browser.open(smuggled)

    assert browser.driver.title != "taken"
    assert len([line for line in browser.complaints() if "Content Security Policy" in line]) >= 2


def test_search_keeps_the_rows_with_every_word(browser: Any, page: Path) -> None:
    browser.open(page)
    before = browser.run(SHOWN_ROWS)

    browser.driver.execute_script(SEARCH, "A1PROD00003 Budget")

    assert before == 25
    assert browser.run(SHOWN_ROWS) == 2
    assert browser.run("return document.getElementById('found').value;") == "2 rows found"


def test_search_that_finds_nothing_says_so_and_an_empty_one_shows_all(browser: Any, page: Path) -> None:
    browser.open(page)

    browser.driver.execute_script(SEARCH, "no such thing")
    found = browser.run("return document.getElementById('found').value;"), browser.run(SHOWN_ROWS)
    browser.driver.execute_script(SEARCH, "")

    assert found == ("0 rows found", 0)
    assert browser.run(SHOWN_ROWS) == 25


def test_another_run_can_be_looked_at(browser: Any, page: Path) -> None:
    browser.open(page)
    last, first = browser.run("return JSON.parse(document.getElementById('chart-data').textContent);")
    words = "return document.getElementById('pace-words').textContent;"
    shown = browser.run(words)

    browser.run("const run = document.getElementById('run'); run.value = 1; run.dispatchEvent(new Event('change'));")

    assert (shown, browser.run(words)) == (last["words"], first["words"])
    assert first["throttled_in_all"] >= 2
    assert min(browser.run(DRAWN)) > 10


def test_figures_stand_in_a_table_too(browser: Any, page: Path) -> None:
    browser.open(page)

    slots = browser.driver.execute_async_script(
        """
        const done = arguments[0], figures = document.getElementById("figures");
        figures.addEventListener("toggle", () => done(document.getElementById("figure-rows").rows.length));
        figures.open = true;
        """
    )

    assert slots == browser.run("return JSON.parse(document.getElementById('chart-data').textContent)[0].at.length;")


@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_is_wider_than_a_small_screen(browser: Any, page: Path, width: int) -> None:
    browser.screen(width)
    browser.open(page)

    assert browser.run("return document.documentElement.scrollWidth;") <= width
    assert min(browser.run(DRAWN)) > 10


@pytest.mark.parametrize("width", [320, 390, 1_200])
def test_what_waits_for_a_person_fits_every_screen_and_runs_nothing(
    browser: Any, page_of_sync: Path, width: int
) -> None:
    browser.screen(width)
    browser.open(page_of_sync)

    words = browser.run("return document.querySelector('#waiting').closest('section').innerText;")
    assert browser.run("return document.documentElement.scrollWidth;") <= width
    assert "60 updates, 12 deletes" in words
    assert " apply " in words
    assert "before → </script>" in words
    assert browser.complaints() == []
    assert "taken" not in browser.driver.title


def test_charts_follow_the_window(browser: Any, page: Path) -> None:
    browser.open(page)

    browser.screen(390)
    width = browser.driver.execute_async_script(
        """
        const done = arguments[0];
        const look = () => {
          const width = document.querySelector("#rate-chart .uplot").clientWidth;
          if (width <= 390) done(width); else requestAnimationFrame(look);
        };
        look();
        """
    )

    assert 300 < width <= 390


def test_paper_is_white_and_without_controls(browser: Any, page: Path) -> None:
    browser.screen(1_200, dark=True, media="print")
    browser.open(page)
    browser.run("dispatchEvent(new Event('beforeprint'));")

    assert browser.run("return getComputedStyle(document.body).backgroundColor;") == "rgb(255, 255, 255)"
    assert browser.run("return document.getElementById('search').offsetParent;") is None
    assert min(browser.run(DRAWN)) > 10


def test_page_can_be_printed(browser: Any, page: Path) -> None:
    browser.open(page)

    printed = base64.b64decode(browser.driver.execute_cdp_cmd("Page.printToPDF", {})["data"])

    assert printed.startswith(b"%PDF-")
    assert browser.complaints() == []


def test_without_scripts_the_figures_in_short_are_still_there(browser: Any, page: Path) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open(page)
        text = browser.driver.execute_cdp_cmd("DOMSnapshot.captureSnapshot", {"computedStyles": []})["strings"]
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})

    assert any("on average" in string for string in text)
    assert any("which this viewer does not run" in string for string in text)


def test_every_control_has_a_name(browser: Any, page: Path) -> None:
    browser.open(page)

    unnamed = browser.run(
        "return [...document.querySelectorAll('input, select')].filter((each) => !each.labels.length).length;"
    )

    assert unnamed == 0


@pytest.mark.parametrize("width", [320, 390, 1_200])
def test_accounts_in_trouble_are_seen_and_the_others_unfold(browser: Any, page_of_accounts: Path, width: int) -> None:
    browser.screen(width)
    browser.open(page_of_accounts)
    seen = """return [...document.querySelectorAll("section[aria-labelledby=accounts] tbody tr")]
      .filter((row) => row.checkVisibility({contentVisibilityAuto: true}) && row.getBoundingClientRect().height > 0)
      .map((row) => row.cells[0].textContent);"""

    folded = browser.run(seen)
    browser.run("document.querySelector('details.accounts').open = true;")
    unfolded = browser.run(seen)

    assert folded == [f"天河第{number}工厂 <b>" for number in (20, 33, 7)]
    assert len(unfolded) == 40
    assert browser.run("return document.documentElement.scrollWidth;") <= width
    assert browser.complaints() == []


AXIS = """
    window.drawn = [];
    const fill = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
      window.drawn.push(text);
      return fill.call(this, text, ...rest);
    };
"""


def test_time_axis_of_a_short_run_says_no_time_twice(browser: Any, page: Path) -> None:
    script = browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": AXIS})
    try:
        browser.open(page)
        drawn = browser.run("return window.drawn;")
    finally:
        browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)

    times = [text for text in drawn if text.count(":") == 2]
    assert times
    assert [time for time, following in pairwise(times) if time == following] == []


@pytest.mark.parametrize("chart", ["rate-chart", "latency-chart"])
def test_lines_of_a_chart_differ_without_colour(browser: Any, page: Path, chart: str) -> None:
    browser.open(page)

    styles = browser.run(f"""
        return [...document.querySelectorAll("#{chart} .u-series:not(:first-child) .u-marker")]
          .map((marker) => getComputedStyle(marker).borderTopStyle);
    """)

    assert set(styles) == {"solid", "dashed", "dotted"}


@pytest.mark.parametrize("width", [320, 360, 768, 1_200])
def test_an_option_is_never_broken_at_its_hyphens(browser: Any, page_of_sync: Path, width: int) -> None:
    browser.screen(width)
    browser.open(page_of_sync)

    lines = browser.run("""
        return [...document.querySelectorAll("main .whole")].filter((word) => word.textContent.startsWith("--max-"))
          .map((word) => {
            const range = document.createRange();
            range.selectNodeContents(word);
            return range.getClientRects().length;
          });
    """)

    assert set(lines) == {1}


def test_changes_that_wait_say_each_reason_once(browser: Any, page_of_sync: Path) -> None:
    browser.open(page_of_sync)

    groups = browser.run("""
        return [...document.querySelectorAll("section[aria-labelledby=waiting] tr.group")].map((row) => row.innerText);
    """)

    assert groups == [
        "Deletes: more deletes than --max-deletes allows",
        "Updates: more updates than --max-updates allows",
    ]


def test_links_lead_to_every_section(browser: Any, page_of_sync: Path) -> None:
    browser.open(page_of_sync)

    links = browser.run("return [...document.querySelectorAll('nav a')].map((link) => link.hash.slice(1));")

    assert links == browser.run("return [...document.querySelectorAll('main h2')].map((heading) => heading.id);")
    assert links[:3] == ["waiting", "outcomes", "reasons"]


@pytest.mark.parametrize("name", ["page", "page_of_accounts", "page_of_sync"])
def test_paper_leaves_room_for_reasons(browser: Any, request: pytest.FixtureRequest, name: str) -> None:
    browser.screen(680, media="print")  # A4 without its margins
    browser.open(request.getfixturevalue(name))

    widths = browser.run("""
        return [...document.querySelectorAll("td.why, td.remedy, [data-label='For example']")]
          .map((cell) => cell.offsetWidth).filter((width) => width);
    """)

    assert min(widths) >= 150
    assert browser.run("return document.documentElement.scrollWidth;") <= 680
    assert browser.run("return document.querySelector('nav').offsetParent;") is None


@pytest.mark.parametrize("width", [320, 768, 1_200])
def test_cells_in_scripts_of_both_directions_keep_their_order(browser: Any, page_of_scripts: Path, width: int) -> None:
    browser.screen(width)
    browser.open(page_of_scripts)

    cells = browser.run("""
        return [...document.querySelectorAll("#row-table tbody tr:first-child [data-label=Row] bdi")]
          .map((cell) => [cell.textContent, cell.getBoundingClientRect().top, cell.getBoundingClientRect().left]);
    """)

    assert [text for text, _, _ in cells] == ["a1Lamp00001", "وحدة", "التحكم", "描述"]
    assert [place for _, *place in cells] == sorted(place for _, *place in cells)
    assert browser.run("return document.documentElement.scrollWidth;") <= width


@pytest.mark.parametrize(("width", "media"), [(360, ""), (680, "print"), (768, ""), (1_200, "")])
def test_a_product_key_is_on_one_line(browser: Any, page: Path, width: int, media: str) -> None:
    browser.screen(width, media=media)
    browser.open(page)

    heights = browser.run("""
        return [...document.querySelectorAll("section[aria-labelledby=budget] th bdi, [data-label=Product] bdi")]
          .filter((key) => /^a1Prod\\d+$/.test(key.textContent)).map((key) => key.getClientRects().length);
    """)

    assert set(heights) == {1}
