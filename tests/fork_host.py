"""A Python that has loaded `bulk` and forks for each child: loading takes longer than most children's work.

A child has streams, an environment, a folder, arguments, a process id and an end of its own, as one that was executed.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import socket
import sys
import threading
import traceback
from contextlib import suppress
from typing import NoReturn


def load() -> None:
    """Import all of `bulk`, but for what imports a library that reads the environment as it is imported.

    What `bulk` imports in a function is imported too.
    """
    import bulk

    for late in ("anyio._backends._asyncio", "anyio.to_thread", "encodings.idna", "importlib.metadata", "rich.live"):
        importlib.import_module(late)
    with suppress(ImportError):  # an extra
        importlib.import_module("uvloop")
    for module in pkgutil.walk_packages(bulk.__path__, "bulk."):
        if "official" not in module.name and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    assert "alibabacloud_credentials" not in sys.modules
    gc.collect()
    gc.freeze()


def next_program(control: socket.socket) -> str | None:
    """Fork for everyone who asks; return in each child, with its program, and once nobody can ask any more."""
    while True:
        asked, handed, _, _ = socket.recv_fds(control, 1, 4)
        if not asked:
            return None
        if os.fork():
            for number in handed:
                os.close(number)
            _bury()
            continue
        control.close()
        with socket.socket(fileno=handed[0]) as asker:
            return _become(asker, handed[1:])


def _bury() -> None:
    """Ask for the end of those that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _become(asker: socket.socket, streams: list[int]) -> str:
    """Return in the child; the process that it has for a parent tells its end, as only a parent hears of it."""
    child = os.fork()
    if child:
        for number in streams:
            os.close(number)
        asker.sendall(f"{child}\n".encode())
        _, status = os.waitpid(child, 0)
        asker.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    with asker.makefile("rb") as stream:
        wanted = json.loads(stream.readline())
    for own, handed in enumerate(streams):
        os.dup2(handed, own)
        os.close(handed)
    os.environ.clear()
    os.environ.update(wanted["environ"])
    os.chdir(wanted["folder"])
    sys.argv[1:] = wanted["words"]
    program: str = wanted["program"]
    return program


def run(program: str) -> NoReturn:
    """Run a program and end the process; this leaves out the taking apart of what all children share."""
    try:
        exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})
        code: object = None
    except SystemExit as ended:
        code = ended.code
    except BaseException:  # noqa: BLE001 - the end of the process
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as the end of an interpreter does
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    load()
    asked_for = next_program(socket.socket(fileno=int(sys.argv[1])))
    if asked_for is not None:
        run(asked_for)
