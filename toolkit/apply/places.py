"""A stack of the plan -> credentials, connection and project of its place, each place signed in to once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toolkit.config import Place
from toolkit.errors import TargetError

if TYPE_CHECKING:
    import openstack.connection


@dataclass
class Places:
    """The places that a plan's stacks go to."""

    stacks: Mapping[str, Mapping[str, Any]] = field(repr=False)
    connections: dict[Place, openstack.connection.Connection] = field(default_factory=dict, repr=False)  # fmt: skip

    def _place(self, stack: str) -> tuple[Place, bool]:
        from toolkit.engines.openstack import places

        held = self.stacks[stack]["place"]
        return Place(held["project"], held["region"]), len(places(self.stacks.values())) == 1

    def environment(self, stack: str) -> dict[str, str]:
        """The OS_* that an engine needs to work there. Raises TargetError."""
        from toolkit.engines.openstack import environment

        place, alone = self._place(stack)
        return environment(place, alone=alone)

    def connect(self, stack: str) -> openstack.connection.Connection:
        """A connection of openstacksdk. Raises TargetError."""
        from toolkit.engines.openstack import connect

        place, alone = self._place(stack)
        if place not in self.connections:
            self.connections[place] = connect(place, alone=alone)
        return self.connections[place]

    def projects(self, stacks: Iterable[str]) -> dict[str, list[str]]:
        """Project as it is really signed in to -> its stacks. Raises TargetError."""
        from toolkit.engines.openstack import signed_in

        found: dict[str, list[str]] = {}
        for stack in stacks:
            name = str(signed_in(self.connect(stack)).project_name or "")
            found.setdefault(name, []).append(stack)
        return found

    def close(self) -> None:
        """Let go of the connections."""
        for connection in self.connections.values():
            connection.close()


@contextmanager
def looking() -> Iterator[None]:
    """Everything that can go wrong while a target is looked at -> TargetError: an API that fails is no bug of ours."""
    from openstack.exceptions import SDKException

    from toolkit.engines.openstack import told

    with told():
        try:
            yield
        except SDKException as error:
            raise TargetError(
                f"the target cannot be looked at: {error}",
                "Run the same command again: nothing is begun before it was looked at.",
            ) from error
