"""The Kubernetes-auth role of one identity, and the policies of one class. Pure.

A role's payload is always whole, empty fields included: Vault keeps what an update leaves out.
Policies are structures that are serialised; no tenant's text is in them, since placeholders become
Vault's own templates on the verified metadata of the login.
"""

import json
from collections.abc import Mapping
from typing import Any

from agent_identity.api.conditions import ConditionType
from agent_identity.api.v1alpha1 import ClassVault, VaultPolicy
from agent_identity.core.checks import Standing
from agent_identity.core.facts import Facts
from agent_identity.core.identity import AgentClass
from agent_identity.core.names import vault_home, vault_policy, vault_role
from agent_identity.core.resource import Key, Kind, Ref, Resource
from agent_identity.core.status import Report

CONDITION = ConditionType.VAULT


class VaultRoom:
    """Pure half of the room; see providers.contract."""

    room = "vault"
    condition: ConditionType | None = CONDITION
    kinds: tuple[Kind, ...] = (Kind.VAULT_ROLE,)

    def asked(self, facts: Facts) -> bool:
        return facts.identity.vault is not None

    def desired(self, facts: Facts, standing: Standing) -> tuple[Resource, ...]:
        vault = facts.agent_class.vault if facts.agent_class else None
        if standing is not Standing.GRANTED or vault is None or facts.identity.vault is None:
            return ()
        return (Resource(_ref(facts, vault), role_payload(facts, vault), self.room),)

    def retired(self, key: Key, facts: Facts | None) -> tuple[Resource, ...]:
        return ()

    def report(self, facts: Facts) -> Report:
        return Report(CONDITION)

    def status_fields(self, facts: Facts) -> Mapping[str, Any]:
        vault = facts.agent_class.vault if facts.agent_class else None
        if vault is None or facts.identity.vault is None:
            return {}
        return {"vaultRole": _ref(facts, vault).name}


def _ref(facts: Facts, vault: ClassVault) -> Ref:
    identity = facts.identity
    name = vault_role(facts.cluster.name, identity.key.namespace, identity.account)
    return Ref(Kind.VAULT_ROLE, vault_home(vault), name)


def role_payload(facts: Facts, vault: ClassVault) -> dict[str, Any]:
    """Payload of `auth/<mount>/role/<name>` (Vault API, Kubernetes auth method, "Create/update
    role"). Tokens are service tokens: batch tokens can't be revoked. The alias is the account's
    UID: an account that is made anew inherits nothing."""
    identity = facts.identity
    asked = identity.vault
    ttl = (asked.token_ttl_seconds if asked else None) or vault.default_token_ttl_seconds
    return {
        "bound_service_account_names": [identity.account],
        "bound_service_account_namespaces": [identity.key.namespace],
        "bound_service_account_namespace_selector": "",
        "audience": vault.agent_auth.audience,
        "alias_name_source": "serviceaccount_uid",
        "token_policies": _policy_names(facts, vault),
        "token_no_default_policy": True,
        "token_type": "service",
        "token_ttl": ttl,
        "token_max_ttl": vault.max_token_ttl_seconds,
        "token_explicit_max_ttl": 0,
        "token_period": 0,
        "token_num_uses": 0,
        "token_bound_cidrs": [],
    }


def _policy_names(facts: Facts, vault: ClassVault) -> list[str]:
    asked = facts.identity.vault.policies if facts.identity.vault else ()
    listed = {p.name: p for p in vault.policies or ()}
    return sorted(
        listed[name].policy_name
        or vault_policy(facts.cluster.name, facts.identity.class_name, name)
        for name in set(asked)
    )


def class_policies(cluster: str, agent_class: AgentClass, accessor: str) -> dict[str, str]:
    """Name → text of every policy that the operator writes for a class. accessor: of the agents'
    auth mount, which Vault's templates need (Vault, Policies, "Templated policies")."""
    vault = agent_class.vault
    listed = (vault.policies or ()) if vault else ()
    return {
        vault_policy(cluster, agent_class.name, policy.name): _policy_text(
            policy, cluster, accessor
        )
        for policy in listed
        if policy.rules
    }


def _policy_text(policy: VaultPolicy, cluster: str, accessor: str) -> str:
    alias = f"identity.entity.aliases.{accessor}.metadata"
    stands_for = {
        "{cluster}": cluster,
        "{namespace}": f"{{{{{alias}.service_account_namespace}}}}",
        "{serviceAccount}": f"{{{{{alias}.service_account_name}}}}",
    }
    paths: dict[str, set[str]] = {}
    for rule in policy.rules or ():
        path = "/".join(stands_for.get(segment, segment) for segment in rule.path.split("/"))
        paths.setdefault(path, set()).update(rule.capabilities)
    body = {"path": {p: {"capabilities": sorted(c)} for p, c in sorted(paths.items())}}
    return json.dumps(body, separators=(",", ":"), sort_keys=True)
