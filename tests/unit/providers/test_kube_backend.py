"""What the one backend of Kubernetes objects makes of what the API server answers."""

import asyncio
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, cast

import pytest

from agent_identity.api.conditions import Reason
from agent_identity.clients.kube import ApiError
from agent_identity.core.checks import Standing
from agent_identity.core.resource import Observed, Resource
from agent_identity.providers.kube_backend import KubeBackend
from agent_identity.providers.rbac.desired import RbacRoom
from samples import class_of, facts_of, identity_of

TOLD = "the operator may not bind ClusterRole view: add it to the chart's boundClusterRoles"


class Refusing:
    """An API server that refuses whatever is written."""

    def __init__(self, *, escalates: bool) -> None:
        self._answer = ApiError(403, Reason.FORBIDDEN, "in its own words", escalates=escalates)

    async def create(self, _path: str, _body: Mapping[str, Any]) -> None:
        raise self._answer

    replace = create


def binding() -> Resource:
    facts = facts_of(
        identity_of(rbac={"clusterRoles": ["view"]}), class_of(rbac={"clusterRoles": ["view"]})
    )
    (only,) = RbacRoom().desired(facts, Standing.GRANTED)
    return only


def refusal(*, escalates: bool, there: bool) -> ApiError:
    """What is told when a binding is made, or put back."""
    backend = KubeBackend(
        cast("Any", Refusing(escalates=escalates)),
        wrote=lambda *_: None,
        saw=lambda *_: None,
        forget=lambda *_: None,
        uid_of=lambda _: "",
        making=lambda _: nullcontext(),
        expect_gone=lambda _: None,
    )
    wanted = binding()
    seen = Observed(wanted.ref, "uid", "1", b"")
    writing = backend.replace(wanted, seen) if there else backend.create(wanted)
    with pytest.raises(ApiError) as told:
        asyncio.run(writing)
    assert told.value.reason is Reason.FORBIDDEN
    return told.value


@pytest.mark.parametrize("there", [False, True], ids=["create", "replace"])
def test_a_role_that_may_not_be_bound_is_named_with_what_to_do(*, there: bool) -> None:
    assert refusal(escalates=True, there=there).message == TOLD


@pytest.mark.parametrize("there", [False, True], ids=["create", "replace"])
def test_what_is_forbidden_for_another_reason_is_told_as_it_is(*, there: bool) -> None:
    assert refusal(escalates=False, there=there).message == "in its own words"
