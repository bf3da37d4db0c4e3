"""What is kept secret, and what encrypts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from toolkit.intents import Intent


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret(Intent):
    """A value that applications read at run time. The value itself is never known here."""

    RANK: ClassVar[int] = 45

    description: str = ""
    rotated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Key(Intent):
    """A key that encrypts for applications. Its material never leaves AWS."""

    RANK: ClassVar[int] = 45

    purpose: str
    algorithm: str
    rotated: bool = False
