"""The ServiceAccount: one per agent, never shared, never adopted, no token mounted by default."""

from collections.abc import Mapping
from typing import Any

from agent_identity.api.conditions import ConditionType
from agent_identity.core.checks import Standing
from agent_identity.core.facts import Facts
from agent_identity.core.names import account_ref
from agent_identity.core.ownership import owned_metadata
from agent_identity.core.resource import CLEANUP_FINALIZER, Key, Kind, Resource
from agent_identity.core.status import Report

CONDITION = ConditionType.SERVICE_ACCOUNT


class AccountRoom:
    """Pure half of the room; see providers.contract."""

    room = "account"
    condition: ConditionType | None = CONDITION
    kinds: tuple[Kind, ...] = (Kind.SERVICE_ACCOUNT,)

    def asked(self, facts: Facts) -> bool:
        return True

    def desired(self, facts: Facts, standing: Standing) -> tuple[Resource, ...]:
        granted = standing is Standing.GRANTED
        kept = standing is Standing.CLOSED and facts.has(account_ref(facts.identity))
        return (_account(facts, granted=granted),) if granted or kept else ()

    def retired(self, key: Key, facts: Facts | None) -> tuple[Resource, ...]:
        return ()

    def report(self, facts: Facts) -> Report:
        return Report(CONDITION)

    def status_fields(self, facts: Facts) -> Mapping[str, Any]:
        return {"serviceAccount": facts.identity.account}


def _account(facts: Facts, *, granted: bool) -> Resource:
    """The finalizer holds the account until what hangs on its UID is gone: a Vault token that was
    issued to it outlives it. Without a grant its annotations go: they may be rights in a cloud."""
    identity = facts.identity
    ref = account_ref(identity)
    asked = identity.spec.service_account if identity.spec else None
    more: dict[str, Any] = {"finalizers": [CLEANUP_FINALIZER]}
    if granted and asked and asked.annotations:
        more["annotations"] = dict(asked.annotations)
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": owned_metadata(identity, ref, **more),
        "automountServiceAccountToken": False,
    }
    if asked and asked.image_pull_secrets:
        body["imagePullSecrets"] = [{"name": s.name} for s in asked.image_pull_secrets]
    return Resource(ref, body, "account")
