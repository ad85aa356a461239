"""What a class tells of its Vault: what to look at, and nobody's role."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest

from agent_identity.api.conditions import Reason
from agent_identity.api.v1alpha1 import ClassVault
from agent_identity.clients.vault import Vault
from agent_identity.core.errors import Failed
from agent_identity.core.names import vault_home
from agent_identity.providers.contract import Claim, Debt
from agent_identity.providers.vault.backend import VaultBackend
from samples import class_of, facts_of, identity_of

ROLES = "auth/kubernetes/role"
GHOST = "prod_agents_ghost"
CLASS = class_of()


class Strict:
    """A Vault with one role, that refuses what it is told to."""

    def __init__(self, spec: ClassVault) -> None:
        self.spec = spec
        self.refused: set[str] = set()

    def _look(self, call: str) -> None:
        if call in self.refused:
            path = call.partition(" ")[2]
            raise Failed(Reason.FORBIDDEN, f"no right on {path} of Vault {self.spec.address}")

    async def read(self, path: str) -> Mapping[str, Any] | None:
        self._look(f"GET {path}")
        return {"kubernetes/": {"accessor": "acc"}} if path == "sys/auth" else None

    async def keys(self, path: str) -> list[str]:
        return [GHOST] if path == ROLES else []

    async def write(self, path: str, _: Mapping[str, Any]) -> None:
        self._look(f"WRITE {path}")

    async def delete(self, path: str) -> None:
        self._look(f"DELETE {path}")


def backend(*refused: str) -> VaultBackend:
    def connect(spec: ClassVault) -> Vault:
        strict = Strict(spec)
        strict.refused |= set(refused)
        return cast("Vault", strict)

    return VaultBackend(
        cluster="prod", cluster_uid=lambda: "uid", connect=connect, accounts=lambda _: ""
    )


async def nobody(*_: object) -> Claim:
    return Claim.NOBODYS


def test_a_marker_that_is_refused_asks_for_the_clusters_name() -> None:
    with pytest.raises(Failed) as told:
        asyncio.run(backend(f"GET {ROLES}/prod__marker").serve(CLASS, nobody))
    assert told.value.reason is Reason.FORBIDDEN
    assert told.value.message.startswith(f"no right on {ROLES}/prod__marker of Vault")
    assert told.value.message.endswith("(is clusterName right?)")


def test_what_is_refused_with_the_right_name_does_not_ask_for_it() -> None:
    with pytest.raises(Failed) as told:
        asyncio.run(backend("GET sys/auth").serve(CLASS, nobody))
    assert "clusterName" not in told.value.message


def test_a_role_that_cannot_be_swept_is_told_and_named_to_nobody() -> None:
    report = asyncio.run(backend(f"DELETE {ROLES}/{GHOST}").serve(CLASS, nobody))
    assert isinstance(report.problem, Failed)
    assert report.problem.reason is Reason.FORBIDDEN
    assert f"no right on {ROLES}/prod_* of Vault" in report.problem.message
    assert "ghost" not in report.problem.message


def test_a_role_that_cannot_be_swept_is_no_trouble_of_the_classs_identities() -> None:
    vault = backend(f"DELETE {ROLES}/{GHOST}")
    asyncio.run(vault.serve(CLASS, nobody))
    asking = facts_of(identity_of("planner", vault={"policies": ["own-secrets"]}), CLASS)
    assert asyncio.run(vault.observe(asking, granted=True)).problem is None


def test_a_debt_that_cannot_be_paid_names_nobody_to_the_class() -> None:
    assert CLASS.vault is not None
    debt = Debt("", vault_home(CLASS.vault), "agents", "ghost")
    with pytest.raises(Failed) as told:
        asyncio.run(backend(f"DELETE {ROLES}/{GHOST}").pay(CLASS, debt))
    assert "ghost" not in told.value.message
    assert told.value.reason is Reason.FORBIDDEN
