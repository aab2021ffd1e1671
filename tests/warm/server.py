"""A process that has imported the library and the shop, and forks one for each command.

What it forks has the arguments, environment, folder and streams of the client that asked for it,
and dies with that. To import everything takes longer than what most commands do.

    python -m tests.warm.server SOCKET    # until its stdin is closed
"""

from __future__ import annotations

import gc
import marshal
import os
import random
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from threading import Thread
from typing import Final, NoReturn

PACKAGES: Final = ("handrail.cli", "handrail.processes", "handrail.verify", "handrail.restore")
STREAMS: Final = 3


def main(address: Path) -> None:
    for package in PACKAGES:
        for module in iter_modules(import_module(package).__path__):
            with suppress(ModuleNotFoundError):  # of an extra that is not installed
                import_module(f"{package}.{module.name}")
    import_module("runtime.app")
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listener:
        unfinished = address.with_suffix(".unfinished")
        listener.bind(str(unfinished))
        listener.listen()
        unfinished.rename(address)  # who finds it is answered
        _serve(listener)


def _serve(listener: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the guards are not waited for
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        client, _ = listener.accept()
        with client:
            if not os.fork():
                listener.close()
                _guard(client)


def _guard(client: socket.socket) -> NoReturn:
    """Of one command: kills it once its client is gone, and answers with its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(client, 1, STREAMS)
    with client.makefile("rb") as asked:
        request = marshal.loads(asked.read(int(asked.readline())))  # of a client of ours
    if not (pid := os.fork()):
        client.close()
        _become(streams, *request)
    for stream in streams:
        os.close(stream)
    client.sendall(f"{pid}\n".encode())
    Thread(target=_dies_with, args=(client, pid), daemon=True).start()
    _, status = os.waitpid(pid, 0)
    with suppress(OSError):  # it was killed
        client.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _dies_with(client: socket.socket, pid: int) -> None:
    client.recv(1)  # which never says more
    with suppress(ProcessLookupError):  # it has ended by itself
        os.kill(pid, signal.SIGKILL)


def _become(
    streams: list[int], folder: str, arguments: list[str], environment: dict[str, str]
) -> NoReturn:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    random.seed()
    sys.path[0] = folder
    command = import_module("handrail.cli.main")
    sys.argv = [str(command.__file__), *arguments]
    command.main()
    raise AssertionError("a command leaves by itself")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
