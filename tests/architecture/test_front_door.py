"""What meets a contributor and a release: workflows, templates, hooks and the image agree with the project."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from bulk.distribution import DISTRIBUTION, installed_version

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
YAML = [*sorted(GITHUB.rglob("*.yml")), ROOT / ".pre-commit-config.yaml"]
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(form for form in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if form.name != "config.yml")
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*")
FOR_OTHERS_TO_INSTALL = {"pre-commit", "git", ".", "twine", "gh", "docker", "test", "grep", "awk"}
"""Words that begin a command and are no tool of the extra `dev`."""


def load(path: Path) -> dict[Any, Any]:
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict), path
    return loaded


def triggers(workflow: dict[Any, Any]) -> Any:
    return workflow[True]  # YAML 1.1 reads the key `on` so


def steps_of(path: Path) -> list[dict[str, Any]]:
    return [step for job in load(path)["jobs"].values() for step in job.get("steps", [])]


def dockerfile() -> list[str]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.name)
def test_every_file_is_valid_yaml(path: Path) -> None:
    assert load(path)


def test_the_matrix_has_every_python_and_system_that_the_project_names() -> None:
    matrix = load(GITHUB / "workflows" / "tests.yml")["jobs"]["tests"]["strategy"]["matrix"]
    versions = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if re.search(r"Python :: \d+\.\d+$", name)]

    assert matrix["python"] == versions
    assert PROJECT["requires-python"] == f">={versions[0]}"
    assert {system.partition("-")[0] for system in matrix["os"]} == {"ubuntu", "macos"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_to_a_commit_and_says_its_version(path: Path) -> None:
    used = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))

    assert used
    assert [action for action in used if not PINNED.fullmatch(action) and not action.startswith("./")] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_read_and_only_the_job_that_needs_it_may_more(path: Path) -> None:
    workflow = load(path)

    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert "timeout-minutes" in job or "uses" in job
    for step in steps_of(path):
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


def test_a_release_runs_the_tests_first_and_publishes_without_a_token() -> None:
    release = load(GITHUB / "workflows" / "release.yml")
    publish = release["jobs"]["publish"]

    assert triggers(release) == {"push": {"tags": ["v*"]}}
    assert set(publish["needs"]) == {"tests", "build"}
    assert publish["permissions"] == {"id-token": "write"}
    assert "secrets." not in (GITHUB / "workflows" / "release.yml").read_text(encoding="utf-8")
    called = (GITHUB / release["jobs"]["tests"]["uses"].removeprefix("./.github/")).resolve()
    assert "workflow_call" in triggers(load(called))


def test_the_check_of_a_release_accepts_its_tag_and_no_other(tmp_path: Path) -> None:
    (check,) = [s["run"] for s in steps_of(GITHUB / "workflows" / "release.yml") if "agree" in s.get("name", "")]
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "CHANGELOG.md").write_text(f"## [Unreleased]\n\n## [{PROJECT['version']}] - 2026-12-01\n")

    def run(tag: str) -> int:
        environ = {"GITHUB_REF_NAME": tag, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
        return subprocess.run(["bash", "-e", "-c", check], cwd=tmp_path, env=environ, check=False).returncode

    assert run(f"v{PROJECT['version']}") == 0
    assert run("v9.9.9") == 1
    (tmp_path / "CHANGELOG.md").write_text("## [Unreleased]\n")
    assert run(f"v{PROJECT['version']}") == 1


def test_the_text_of_a_release_is_its_section_of_the_changelog(tmp_path: Path) -> None:
    (announce,) = [s["run"] for s in steps_of(GITHUB / "workflows" / "release.yml") if "text" in s.get("name", "")]
    (tmp_path / "CHANGELOG.md").write_text("# C\n\n## [1.2.0] - d\n\nnew\n\n## [1.1.0] - d\n\nold\n")
    (awk,) = [line for line in announce.splitlines() if line.startswith("awk")]

    subprocess.run(["bash", "-e", "-c", awk], cwd=tmp_path, env={"GITHUB_REF_NAME": "v1.2.0"}, check=True)

    assert (tmp_path / "notes.md").read_text().strip() == "new"


def test_the_tests_that_ci_runs_are_the_readmes() -> None:
    (first, second) = re.findall(
        r"^\$ (python -m pip .*)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

    assert second in [step.get("run") for step in steps_of(GITHUB / "workflows" / "tests.yml")]
    assert first in script
    assert script.rstrip().endswith(second)


def commands() -> list[str]:
    page = (GITHUB / "CONTRIBUTING.md").read_text(encoding="utf-8")
    shown = [line for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    hooks = [hook["entry"] for repo in load(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    run = [step["run"] for path in WORKFLOWS for step in steps_of(path) if "\n" not in step.get("run", "\n")]
    return [part.strip() for line in [*shown, *hooks, *run] for part in line.split("&&")]


@pytest.mark.parametrize("command", commands())
def test_every_command_is_there(command: str) -> None:
    program, *arguments = shlex.split(command)

    known = shutil.which(program, path=str(Path(sys.executable).parent)) or (ROOT / program).is_file()
    assert known or program in FOR_OTHERS_TO_INSTALL
    for argument in arguments:
        if re.fullmatch(r"(docs|tests|\.ci|bulk)/.*", argument):
            assert (ROOT / argument).exists(), argument


def test_hooks_use_the_tools_of_the_environment() -> None:
    hooks = [hook for repo in load(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]

    assert {repo["repo"] for repo in load(ROOT / ".pre-commit-config.yaml")["repos"]} == {"local"}
    assert {hook["language"] for hook in hooks} == {"system"}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_every_form_asks_under_a_name_of_its_own(form: Path) -> None:
    template = load(form)
    asked = [field for field in template["body"] if field["type"] != "markdown"]

    assert template["name"]
    assert template["description"]
    assert all(field["attributes"]["label"] for field in asked)
    assert len({field["id"] for field in asked}) == len(asked)


def test_the_distribution_has_one_name_and_the_command_another() -> None:
    assert PROJECT["name"] == DISTRIBUTION
    assert list(PROJECT["scripts"]) == ["bulk"]
    assert installed_version() == PROJECT["version"]


def test_the_image_is_pinned_and_runs_as_the_user_that_kubernetes_asks_for() -> None:
    lines = dockerfile()
    (pod,) = set(re.findall(r"runAsUser: (\d+)", (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")))

    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", bases[0])
    assert f"USER {pod}:{pod}" in lines
    assert f"--uid {pod} " in next(line for line in lines if "useradd" in line)
    assert 'ENTRYPOINT ["bulk"]' in lines


def test_the_image_is_built_from_what_the_package_needs_and_nothing_else() -> None:
    copied = {
        name.removeprefix("./")
        for line in dockerfile()
        if line.startswith("COPY ") and "--from" not in line
        for name in line.split()[1:-1]
    }
    let_through = re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)

    assert copied == set(let_through)
    assert {PROJECT["readme"], "pyproject.toml", "bulk"} <= copied
    assert all((ROOT / name).exists() for name in copied)
    extras = re.findall(r"'\.\[(.*)\]'", " ".join(dockerfile()))
    # The driver of a Dask fleet runs where Dask's own images do; in a pod, Kubernetes is what starts workers.
    assert set(extras[0].split(",")) == set(PROJECT["optional-dependencies"]) - {"dev", "dask"}


@pytest.fixture(scope="module")
def gate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("coverage_gate", ROOT / ".ci" / "coverage_gate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def measured(taken: int, of: int, lines: int = 0) -> dict[str, Any]:
    summary = {"num_branches": of, "covered_branches": taken, "missing_branches": of - taken, "missing_lines": lines}
    return {"summary": summary, "missing_lines": [7] * lines, "missing_branches": []}


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"bulk/control/pace.py": measured(40, 40), "bulk/rows/reading.py": measured(55, 60)}, None),
        (
            {"bulk/control/pace.py": measured(40, 40), "bulk/rows/reading.py": measured(54, 60)},
            r"94\.0% of all branches",
        ),
        ({"bulk/control/pace.py": measured(399, 400)}, r"^bulk/control/pace\.py: 1 branches"),
        ({"bulk/control/pace.py": measured(40, 40, lines=1)}, r"^bulk/control/pace\.py: .* 1 lines .*\[7\]"),
        ({"bulk/ledger/writer.py": measured(3, 4), "bulk/a.py": measured(99, 99)}, r"^bulk/ledger/writer\.py"),
    ],
)
def test_the_gate_lets_through_what_is_covered(
    files: dict[str, dict[str, Any]], complaint: str | None, gate: ModuleType
) -> None:
    complaints = gate.judge(files)

    assert bool(complaints) == bool(complaint)
    assert complaint is None or re.search(complaint, complaints[0])


def test_what_the_gate_and_the_measure_name_is_there(gate: ModuleType) -> None:
    assert [name for name in gate.WHOLE if not (ROOT / name).exists()] == []
    for name in gate.TESTS:
        file, _, test = name.removeprefix("--deselect=").partition("::")
        assert test in (ROOT / file).read_text(encoding="utf-8") if test else (ROOT / file).is_dir()
    measured = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["coverage"]["run"]
    assert (measured["source"], measured.get("omit", [])) == (["bulk"], [])
