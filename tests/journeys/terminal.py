"""A terminal: a shell of its own session, to which commands are written."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

_ENDED: Final = "<<all commands have ended>>"
_PATIENCE: Final = 900
"""Seconds: the longest step installs packages, or runs every failure at every step."""


class Terminal:
    """Closed, it interrupts what runs in it, as Ctrl-C does."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.printed = ""
        self._more = threading.Condition()
        self._open = True
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._shell.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGINT)
        with contextlib.suppress(BrokenPipeError):
            assert self._shell.stdin
            self._shell.stdin.close()
        try:
            self._shell.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            raise
        self._reader.join()

    def run(self, commands: str) -> str:
        """What the commands print, once the last has ended. The first that fails is an error."""
        return self._print_until(f"set -e\n{commands}echo '{_ENDED}'\n", _ENDED)

    def begin(self, commands: str, until: str) -> str:
        """What the commands print until this text; they may go on."""
        return self._print_until(commands, until)

    def _print_until(self, commands: str, text: str) -> str:
        assert self._shell.stdin
        with self._more:
            begin = len(self.printed)
        assert self._open, f"the shell ended:\n{self.printed}"
        self._shell.stdin.write(commands)
        self._shell.stdin.flush()
        with self._more:
            self._more.wait_for(
                lambda: text in self.printed[begin:] or not self._open, timeout=_PATIENCE
            )
            said = self.printed[begin:]
        assert text in said, f"no {text!r} after\n{commands}\nbut\n{said}"
        return said.partition(text)[0]

    def _read(self) -> None:
        assert self._shell.stdout
        with self._shell.stdout as lines:
            for line in lines:
                with self._more:
                    self.printed += line
                    self._more.notify_all()
        with self._more:
            self._open = False
            self._more.notify_all()
