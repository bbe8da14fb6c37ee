"""A headless Chromium, and the report of a real run against the sandbox to look at with it."""

from __future__ import annotations

import csv
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from bulk.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome

HOSTILE_NAME = "</script><img src=x onerror=document.title='taken'>"

_FLAGS = (
    "--headless",
    "--no-sandbox",  # root in a container has no other way; the page is ours
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Browser:
    """What a test asks of the browser."""

    driver: Chrome

    def screen(self, width: int, *, dark: bool = False, media: str = "") -> None:
        """Be a window, a phone or paper."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": [scheme]})

    def open(self, page: Path) -> None:
        self._log("performance")
        self.driver.get(page.as_uri())

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def _log(self, kind: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]  # selenium's own
        return entries

    def complaints(self) -> list[str]:
        """Return what the console says: errors, and what the policy refused."""
        return [entry["message"] for entry in self._log("browser")]

    def requests(self) -> list[str]:
        """Return every address that was asked for since `open`."""
        events = [orjson.loads(entry["message"])["message"] for entry in self._log("performance")]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


@pytest.fixture(scope="session")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no browser: `apt-get install chromium chromium-driver` brings one")
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = browser
    for flag in (*_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with Chrome(options=options, service=Service(driver)) as started:
        yield started


@pytest.fixture
def browser(chrome: Chrome) -> Browser:
    found = Browser(chrome)
    found.screen(1_200)
    return found


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of a ledger with two runs, the first of which met throttles and failures."""
    folder = tmp_path_factory.mktemp("report")
    source, ledger, report = folder / "modules.csv", folder / "modules.db", folder / "report.html"
    rows = [(f"a1Prod{product:05d}", f"module-{number}") for product in range(12) for number in range(12)]
    with source.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("ProductKey", "ModuleName"), *rows, (HOSTILE_NAME, HOSTILE_NAME)])
    run = ["run", str(source), "--sandbox", "--ledger", str(ledger), "--qps", "80", "--list-qps", "80", "--seed", "1"]
    faults = "latency=5-20ms,create:throttle=2x@20,create:code:iot.ota.CreateOTAModuleParamError=3x"
    assert main([*run, "--faults", faults]) == 1
    assert main(run) == 1
    assert main(["report", str(ledger), "-o", str(report)]) == 0
    return report


@pytest.fixture(scope="session")
def page_of_accounts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of 40 accounts, of which three have a product with too many rows."""
    folder = tmp_path_factory.mktemp("accounts")
    source, ledger, report = folder / "modules.csv", folder / "modules.db", folder / "report.html"
    names = [f"天河第{number}工厂 <b>" for number in range(40)]
    tables = [f"[accounts.{orjson.dumps(name).decode()}]\nkey_env = 'KEY{number}'" for number, name in enumerate(names)]
    (folder / "bulk.toml").write_text(
        "\n".join(["sandbox = true", "qps = 0", "list_qps = 0", *tables]), encoding="utf-8"
    )
    rows = [
        (name, f"a1Prod{number:05d}", f"module-{module}")
        for number, name in enumerate(names)
        for module in range(12 if number in {7, 20, 33} else 2)
    ]
    with source.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("Account", "ProductKey", "ModuleName"), *rows, ("", "a1", "m")])
    run = ["run", str(source), "--ledger", str(ledger), "--settings", str(folder / "bulk.toml")]
    assert main(run) == 1
    assert main(["report", str(ledger), "-o", str(report)]) == 0
    return report


@pytest.fixture(scope="session")
def page_of_sync(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of a ledger whose second night waits for a person."""
    folder = tmp_path_factory.mktemp("sync")
    source, ledger, report = folder / "modules.csv", folder / "modules.db", folder / "report.html"
    rows = [(f"a1Prod{product:05d}", f"module-{number}" + "x" * 40) for product in range(12) for number in range(6)]

    def write(named: list[tuple[str, str]], text: str) -> None:
        with source.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(("ProductKey", "ModuleName", "AliasName", "Desc"))
            table.writerows((*name, "主控", text) for name in named)

    sync = ["sync", str(source), "--prune", "--sandbox", "--ledger", str(ledger), "--qps", "0", "--list-qps", "0"]
    write(rows, "before")
    assert main(sync) == 0
    write([row for number, row in enumerate(rows) if number % 6 != 5], f"{HOSTILE_NAME} " + "long" * 10)
    assert main(sync) == 5
    assert main(["report", str(ledger), "-o", str(report)]) == 0
    return report


@pytest.fixture(scope="session")
def page_of_scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of an input with Chinese, Arabic and very long cells."""
    folder = tmp_path_factory.mktemp("scripts")
    source, ledger, report = folder / "模块清单 2026.csv", folder / "账本.db", folder / "report.html"
    rows = [
        ("a1Lamp00001", "وحدة", "التحكم", "描述"),
        ("a1Lamp00001", "sensor", "传感器" * 70, ""),
        ("a1Lamp00001", "x" * 64, "主控制器" * 8, "描述" * 45),
    ]
    with source.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("ProductKey", "ModuleName", "AliasName", "Desc"), *rows])
    run = ["run", str(source), "--sandbox", "--ledger", str(ledger), "--qps", "0", "--list-qps", "0"]
    assert main(run) == 1
    assert main(["report", str(ledger), "-o", str(report)]) == 0
    return report
