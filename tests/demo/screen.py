"""What the reader sees: titles, commands to copy, their answers, and what was checked."""

import os
import re
from typing import TextIO

BOLD, GREEN, RED = "1", "32", "31"
# Enough of a token to tell two apart, and not enough to use one.
_TOKENS = re.compile(r"\b((?:hv)?[sb]\.\w{4}|eyJ[\w-]{6})[\w.-]{12,}")


class Screen:
    """Plain lines; colour only where a person looks."""

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        self._stream = stream
        self._colour = colour
        self._spaced = True

    @classmethod
    def of(cls, stream: TextIO) -> "Screen":
        return cls(stream, colour=stream.isatty() and "NO_COLOR" not in os.environ)

    def title(self, text: str) -> None:
        self._space()
        self._write(f"== {text}", BOLD)
        self._space()

    def say(self, text: str) -> None:
        """A sentence of the story."""
        self._write(f"# {text}")

    def plain(self, text: str) -> None:
        """A line to copy that was not run here."""
        self._write(f"  {text}")

    def command(self, line: str) -> None:
        self._write(f"$ {line}", BOLD)

    def output(self, text: str) -> None:
        """What a command answered, tokens shortened."""
        for line in _TOKENS.sub(r"\1...", text).rstrip().splitlines():
            self._write(f"  {line}".rstrip())

    def passed(self, sentence: str) -> None:
        self._write(f"  ok: {sentence}", GREEN)
        self._space()

    def success(self, text: str) -> None:
        self._space()
        self._write(text, GREEN)

    def failure(self, text: str) -> None:
        self._space()
        self._write(text, RED)

    def _space(self) -> None:
        """One empty line, however many ask for it."""
        if not self._spaced:
            self._write("")
        self._spaced = True

    def _write(self, text: str, colour: str = "") -> None:
        coloured = f"\x1b[{colour}m{text}\x1b[0m" if colour and self._colour else text
        print(coloured, file=self._stream, flush=True)
        self._spaced = False
