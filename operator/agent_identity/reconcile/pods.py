"""Pods that carry an identity's label, by the identity. No I/O."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent_identity.core.resource import IDENTITY_LABEL, Key
from agent_identity.reconcile.multimap import Multimap


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that carries an identity's label."""

    namespace: str
    name: str
    labels: Mapping[str, str]

    @property
    def agent(self) -> Key:
        return Key(self.namespace, self.labels.get(IDENTITY_LABEL, ""))

    def carries(self, labels: Mapping[str, str]) -> bool:
        """Whether a selector by these labels matches it."""
        return all(self.labels.get(k) == v for k, v in labels.items())


class Pods:
    """One store; a pod whose label changes moves."""

    def __init__(self) -> None:
        self._of: dict[Key, dict[str, Pod]] = defaultdict(dict)
        self._agents: Multimap[str, Key] = Multimap()

    def change(self, before: Pod | None, after: Pod | None) -> None:
        """Put a pod in the place of what it was."""
        if before is not None:
            self._of[before.agent].pop(before.name, None)
            if not self._of[before.agent]:
                del self._of[before.agent]
                self._agents.discard(before.namespace, before.agent)
        if after is not None:
            self._of[after.agent][after.name] = after
            self._agents.add(after.namespace, after.agent)

    def of(self, agent: Key) -> list[Pod]:
        """Pods of an identity."""
        return list(self._of.get(agent, {}).values())

    def matched(self, namespace: str, labels: Mapping[str, str]) -> Iterator[Key]:
        """Identities some pod of which a selector by these labels matches, sorted."""
        for agent in sorted(self._agents.of(namespace)):
            if any(pod.carries(labels) for pod in self._of[agent].values()):
                yield agent


def parse_pod(body: Mapping[str, Any]) -> Pod:
    """A pod from the API server's object."""
    metadata = body["metadata"]
    return Pod(metadata["namespace"], metadata["name"], metadata.get("labels") or {})
