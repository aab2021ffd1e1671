"""Stands for a command of `tests.warm.server`: signals go there, the exit code comes from there.

python -I -S client.py SOCKET ARGUMENTS
"""

from __future__ import annotations

import marshal
import os
import signal
import socket
import sys
from typing import Final

STOPS: Final = (signal.SIGTERM, signal.SIGINT)


def main(address: str, *arguments: str) -> None:
    folder = os.getcwd()  # noqa: PTH109  # to import pathlib takes as long as all the rest
    request = marshal.dumps((folder, list(arguments), dict(os.environ)))
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        socket.send_fds(server, [b"."], [0, 1, 2])
        server.sendall(f"{len(request)}\n".encode() + request)
        with server.makefile() as answers:
            pid = int(answers.readline())
            for number in STOPS:
                signal.signal(number, lambda number, _: os.kill(pid, number))
            code = int(answers.readline())
    if code < 0:
        for number in STOPS:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
