"""Enumerations whose members carry words for people."""

from enum import StrEnum
from typing import Self


class Described(StrEnum):
    """A member is written as its value and what is told about it."""

    about: str

    def __new__(cls, value: str, about: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.about = about
        return member
