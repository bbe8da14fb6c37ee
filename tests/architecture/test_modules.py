"""What holds for every module: it imports alone, and says completely and in order what it offers."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import bulk

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(bulk.__path__, "bulk.") if not module.name.endswith("__main__")
)
ROOT = Path(__file__).parents[2]


def public_names(module: str) -> set[str]:
    """Names that a module defines itself and that no underscore hides."""
    tree = ast.parse(Path(importlib.import_module(module).__file__ or "").read_text(encoding="utf-8"))
    defined = {
        node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return {name for name in defined if not name.startswith("_")}


@pytest.mark.parametrize("module", ["bulk", *MODULES])
def test_all_is_sorted_and_every_name_is_there(module: str) -> None:
    imported = importlib.import_module(module)
    names = getattr(imported, "__all__", [])

    assert list(names) == sorted(names, key=lambda name: (not name.isupper(), name[0].islower(), name))
    for name in names:
        assert hasattr(imported, name), name


@pytest.mark.parametrize("module", MODULES)
def test_all_is_complete(module: str) -> None:
    offered = set(getattr(importlib.import_module(module), "__all__", []))

    assert public_names(module) <= offered


@pytest.mark.parametrize("package", ["bulk", "bulk.model", "bulk.cloud.client", "bulk.ledger.store", "bulk.engine.run"])
def test_a_module_can_be_the_first_that_is_imported(package: str) -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", f"import {package}"], capture_output=True, check=False)

    assert done.returncode == 0, done.stderr.decode()


def test_importing_the_package_loads_no_client_and_no_ledger() -> None:
    code = "import sys, bulk; print(sorted({'aiohttp', 'sqlite3', 'rich', 'click', 'structlog'} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_every_public_name_of_the_package_can_be_used() -> None:
    for name in bulk.__all__:
        assert getattr(bulk, name) is not None
    assert dir(bulk) == sorted(bulk.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        bulk.nothing  # noqa: B018 - the access is what is tested


def test_every_public_name_of_the_fleet_can_be_used_and_is_no_module() -> None:
    for name in bulk.fleet.__all__:
        assert isinstance(getattr(bulk.fleet, name), type) or callable(getattr(bulk.fleet, name))
    assert dir(bulk.fleet) == sorted(bulk.fleet.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        bulk.fleet.nothing  # noqa: B018 - the access is what is tested


def test_every_event_that_a_listener_may_be_given_is_public() -> None:
    events = importlib.import_module("bulk.events")
    given = {
        name for name, value in vars(events).items() if isinstance(value, type) and issubclass(value, events.Event)
    }

    assert given | {"Listener"} <= set(bulk.__all__)


def test_no_module_has_outgrown_its_room() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / "bulk").rglob("*.py")}

    assert {str(path): count for path, count in lines.items() if count > 400} == {}
