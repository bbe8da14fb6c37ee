"""No secret, token, signature or signed URL in anything that a run writes, whatever goes wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path
    from typing import Any

    from bulk.sandbox import Sandbox
    from tests.conftest import Job
    from tests.crash.conftest import Ended

    BoxWith = Callable[..., Sandbox]
    MakeJob = Callable[..., Job]
    RunChild = Callable[..., Coroutine[Any, Any, Ended]]

SECRET = "kept+From/Everybody=but-2"
TOKEN = "CAISsts/token+that==is-long-enough"
SIGNED = re.compile(rb"Signature(=|%3D|\":\s*\")[A-Za-z0-9+/%]{8}|(GET|POST)&%2F&|SignatureNonce[=%]")
FAULTS = "redirect=1x@60,latency=0-5ms,throttle=5%,reset-after=5%,http502=5%,html=5%,truncate=5%"

WRONG_SECRET = {"ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET, "ALIBABA_CLOUD_SECURITY_TOKEN": TOKEN}
CRASH_IN_TRANSPORT = """
import bulk.cloud.wire.transport as m

async def crash(self, request, *, timeout_s):
    raise RuntimeError(f"{request.endpoint}/?{request.query} {os.environ['ALIBABA_CLOUD_ACCESS_KEY_SECRET']}")

m.HttpTransport.send = crash
"""


def forms_of(secret: str) -> list[bytes]:
    from urllib.parse import quote

    once = quote(secret, safe="-_.~")
    return [form.encode() for form in (secret, once, quote(once, safe="-_.~"))]


def leaks(folder: Path, ended: Ended, secrets: list[str]) -> list[str]:
    """Return where something stands that must not: every file below the folder, and both streams."""
    written = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    written |= {"stdout": ended.stdout.encode(), "stderr": ended.stderr.encode()}
    forms = [form for secret in secrets for form in forms_of(secret)]
    return [
        f"{place}: {found!r}"
        for place, content in written.items()
        for found in [*(form for form in forms if form in content), *(m.group() for m in SIGNED.finditer(content))]
    ]


@pytest.mark.parametrize(
    "log",
    [(), ("-vv",), ("-vv", "--log-format", "json", "--log-file", "run.log")],
    ids=["quiet", "words", "json in a file"],
)
@pytest.mark.parametrize(
    ("case", "faults", "environ", "patch", "exit_code"),
    [
        ("faults", FAULTS, {"ALIBABA_CLOUD_SECURITY_TOKEN": TOKEN}, "", 3),
        ("wrong secret", "", WRONG_SECRET, "", 3),
        ("crash of the program", "", WRONG_SECRET, CRASH_IN_TRANSPORT, 3),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 30 else "",
)
async def test_nothing_that_a_run_writes_holds_a_secret(
    case: str,
    faults: str,
    environ: dict[str, str],
    patch: str,
    exit_code: int,
    log: tuple[str, ...],
    make_job: MakeJob,
    box_with: BoxWith,
    run_child: RunChild,
    tmp_path: Path,
) -> None:
    job = make_job(products=10)
    flags = [str(tmp_path / flag) if flag == "run.log" else flag for flag in log]
    async with box_with(faults) as box:
        ended = await run_child(job, box, *flags, environ=environ, patch=patch)
        secrets = [box.credentials.access_key_secret, SECRET, TOKEN]

        assert box.requests.total() > 0 or patch

    assert ended.returncode == exit_code, ended.stderr
    assert not leaks(tmp_path, ended, secrets), case
    assert (tmp_path / "run.log").exists() == ("run.log" in log)
