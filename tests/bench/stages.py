"""What can be measured by itself."""

from enum import StrEnum


class Stage(StrEnum):
    """All but the first stand on identities that are there, and so on the first."""

    COLD = "cold"
    CHANGE = "change"
    RESTART = "restart"
    REST = "rest"
    CLASS = "class"
    DELETE = "delete"
    NAIVE = "naive"
