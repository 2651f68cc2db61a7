"""Text fit to be shown to others: without the names of the user, of the machine and of the home folder."""

from __future__ import annotations

import getpass
import platform
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_ENDS = r"(?=$|[/\\\s'\":;,)\]])"  # where a component of a path ends, within a path or a sentence


@dataclass(frozen=True, slots=True)
class Names:
    """What must not be told: home folders, longest first, and names of the user and the machine; empty is unknown."""

    homes: tuple[str, ...]
    users: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    @classmethod
    def here(cls) -> Self:
        """Ask the system."""
        homes: list[str] = []
        with suppress(RuntimeError, OSError):  # no home
            home = Path.home()
            homes = sorted({str(home), str(home.resolve())}, key=len, reverse=True)
        users = [Path(home).name for home in homes]
        with suppress(OSError, KeyError, ImportError):  # a user without a name, as in many containers
            users.append(getpass.getuser())
        host = platform.node()
        return cls(tuple(homes), tuple(dict.fromkeys(users)), tuple(dict.fromkeys((host, host.partition(".")[0]))))

    def hide(self, text: str) -> str:
        """Shorten home folders to `~` and replace folders named after the user or the machine."""
        for home in self.homes:
            if len(home) > 1:  # the home of some service users is the root of all folders
                text = re.sub(re.escape(home) + _ENDS, "~", text)
        for word, names in (("USER", self.users), ("HOST", self.hosts)):
            for name in filter(None, names):
                text = re.sub(r"(?<=[/\\])" + re.escape(name) + _ENDS, word, text)
        return text


def without_names(value: Any, names: Names) -> Any:  # noqa: ANN401 - any JSON value
    """Give a JSON value with `names` hidden in every text."""
    match value:
        case str():
            return names.hide(value)
        case dict():
            return {key: without_names(item, names) for key, item in value.items()}
        case list() | tuple():
            return [without_names(item, names) for item in value]
    return value
