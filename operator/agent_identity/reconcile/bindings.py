"""Bindings that are not ours, by the accounts that they name. No I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent_identity.core.bindings import bound_accounts
from agent_identity.core.facts import ForeignBinding
from agent_identity.core.resource import Key, Kind, Observed
from agent_identity.reconcile.multimap import Multimap


@dataclass(frozen=True, slots=True)
class ClusterBinding:
    """A ClusterRoleBinding, as far as it decides anything."""

    name: str
    accounts: frozenset[Key]


def parse_cluster_binding(body: Mapping[str, Any]) -> ClusterBinding:
    """A ClusterRoleBinding from the API server's object."""
    return ClusterBinding(body["metadata"]["name"], bound_accounts(body))


class ForeignBindings:
    """changed: told of each account whose bindings differ."""

    def __init__(self, changed: Callable[[Key], None]) -> None:
        self._changed = changed
        self._naming: Multimap[Key, ForeignBinding] = Multimap()

    def cluster_binding_changed(
        self, before: ClusterBinding | None, after: ClusterBinding | None
    ) -> None:
        name = (after or before).name  # type: ignore[union-attr]
        self._move(
            ForeignBinding("", name),
            before.accounts if before else frozenset(),
            after.accounts if after else frozenset(),
        )

    def object_changed(self, before: Observed | None, after: Observed | None) -> None:
        """A RoleBinding differs; other kinds name nobody."""
        seen = after or before
        if seen is not None and seen.ref.kind == Kind.ROLE_BINDING:
            binding = ForeignBinding(seen.ref.namespace, seen.ref.name)
            self._move(
                binding,
                before.names if before else frozenset(),
                after.names if after else frozenset(),
            )

    def of(self, account: Key) -> tuple[ForeignBinding, ...]:
        """Sorted; empty for an account that nobody names."""
        return tuple(sorted(self._naming.of(account)))

    def _move(self, binding: ForeignBinding, before: frozenset[Key], after: frozenset[Key]) -> None:
        for account in before - after:
            self._naming.discard(account, binding)
        for account in after - before:
            self._naming.add(account, binding)
        for account in before ^ after:
            self._changed(account)
