"""RoleBindings in the identity's own namespace, to ClusterRoles that its class lists."""

from collections.abc import Mapping
from typing import Any

from agent_identity.api.conditions import ConditionType
from agent_identity.core.checks import Standing
from agent_identity.core.facts import Facts
from agent_identity.core.identity import Identity
from agent_identity.core.names import binding_name
from agent_identity.core.ownership import owned_metadata
from agent_identity.core.resource import Key, Kind, Ref, Resource
from agent_identity.core.status import Report

_API_GROUP = "rbac.authorization.k8s.io"


CONDITION = ConditionType.RBAC


class RbacRoom:
    """Pure half of the room; see providers.contract."""

    room = "rbac"
    condition: ConditionType | None = CONDITION
    kinds: tuple[Kind, ...] = (Kind.ROLE_BINDING,)

    def asked(self, facts: Facts) -> bool:
        spec = facts.identity.spec
        return spec is not None and spec.rbac is not None

    def desired(self, facts: Facts, standing: Standing) -> tuple[Resource, ...]:
        identity = facts.identity
        if standing is not Standing.GRANTED or identity.spec is None or identity.spec.rbac is None:
            return ()
        return tuple(_binding(identity, role) for role in sorted(identity.spec.rbac.cluster_roles))

    def retired(self, key: Key, facts: Facts | None) -> tuple[Resource, ...]:
        return ()

    def report(self, facts: Facts) -> Report:
        return Report(CONDITION)

    def status_fields(self, facts: Facts) -> Mapping[str, Any]:
        return {}


def _binding(identity: Identity, cluster_role: str) -> Resource:
    namespace = identity.key.namespace
    ref = Ref(Kind.ROLE_BINDING, namespace, binding_name(identity.key.name, cluster_role))
    body = {
        "apiVersion": f"{_API_GROUP}/v1",
        "kind": "RoleBinding",
        "metadata": owned_metadata(identity, ref),
        "roleRef": {"apiGroup": _API_GROUP, "kind": "ClusterRole", "name": cluster_role},
        "subjects": [{"kind": "ServiceAccount", "name": identity.account, "namespace": namespace}],
    }
    return Resource(ref, body, "rbac")
