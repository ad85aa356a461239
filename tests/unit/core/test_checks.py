"""What an identity may have: each check, and that the first problem decides."""

from typing import Any

import pytest

from agent_identity.api.conditions import Reason
from agent_identity.core.checks import Standing, judge
from agent_identity.core.errors import Invalid, Waiting
from agent_identity.core.facts import Facts, ForeignBinding, Rival
from agent_identity.core.identity import Namespace, parse_class
from agent_identity.core.names import account_ref
from agent_identity.core.resource import Observed
from samples import class_of, facts_of, identity_of, metadata, namespace_of


def seen(facts: Facts, **marks: Any) -> Facts:
    """The same facts with an account of that name in the cluster."""
    ref = account_ref(facts.identity)
    observed = Observed(ref=ref, uid="u", resource_version="1", digest=b"", **marks)
    return facts_of(facts.identity, facts.agent_class, observed={ref: observed})


def deleting_class() -> Any:
    body = {"metadata": metadata("default", deletionTimestamp="2026-01-01T00:00:00Z"), "spec": {}}
    return parse_class(body)


PLAIN = identity_of()
CASES = {
    "all is well": (facts_of(PLAIN), None),
    "a spec that can't be read": (facts_of(identity_of(rbac={"x": 1})), Reason.INVALID_SPEC),
    "the mesh's root namespace": (
        facts_of(identity_of(namespace="istio-system")),
        Reason.MESH_ROOT_NAMESPACE,
    ),
    "a class that is going": (facts_of(PLAIN, deleting_class()), Reason.CLASS_DELETING),
    "a class that can't be read": (
        facts_of(PLAIN, class_of(mesh={"type": "Linkerd"})),
        Reason.CLASS_INVALID,
    ),
    "a namespace without the label": (
        facts_of(PLAIN, namespace=namespace_of(team="x")),
        Reason.NAMESPACE_NOT_ALLOWED,
    ),
    "a namespace with another value": (
        facts_of(PLAIN, namespace=namespace_of(agents="denied")),
        Reason.NAMESPACE_NOT_ALLOWED,
    ),
    "a namespace that is not there": (
        facts_of(PLAIN, namespace=None),
        Reason.NAMESPACE_NOT_ALLOWED,
    ),
    "an annotation that is not listed": (
        facts_of(identity_of(serviceAccount={"annotations": {"example.com/x": "1"}})),
        Reason.NOT_IN_CLASS,
    ),
    "a role that is not listed": (
        facts_of(identity_of(rbac={"clusterRoles": ["cluster-admin"]})),
        Reason.NOT_IN_CLASS,
    ),
    "a role where the class has none": (
        facts_of(identity_of(rbac={"clusterRoles": ["ticket-reader"]}), class_of(rbac=None)),
        Reason.NOT_IN_CLASS,
    ),
    "a policy that is not listed": (
        facts_of(identity_of(vault={"policies": ["root"]})),
        Reason.NOT_IN_CLASS,
    ),
    "a policy where the class has no vault": (
        facts_of(identity_of(vault={"policies": ["own-secrets"]}), class_of(vault=None)),
        Reason.NOT_IN_CLASS,
    ),
    "a life over the maximum": (
        facts_of(identity_of(vault={"policies": ["team"], "tokenTTLSeconds": 3601})),
        Reason.NOT_IN_CLASS,
    ),
    "a life at the maximum": (
        facts_of(identity_of(vault={"policies": ["team"], "tokenTTLSeconds": 3600})),
        None,
    ),
    "shadow where the class enforces": (
        facts_of(identity_of(inbound={"enforcement": "Shadow"})),
        Reason.ENFORCEMENT_BELOW_CLASS,
    ),
    "shadow where the class lets it": (
        facts_of(
            identity_of(inbound={"enforcement": "Shadow"}),
            class_of(inbound={"minimumEnforcement": "Shadow"}),
        ),
        None,
    ),
    "inbound without a mesh": (
        facts_of(identity_of(inbound={"enforcement": "Enforce"}), class_of(mesh={"type": "None"})),
        Reason.NO_MESH,
    ),
    "somebody else's account": (facts_of(PLAIN, rival=Rival("x", False)), Reason.ACCOUNT_TAKEN),
    "an account that is going": (facts_of(PLAIN, rival=Rival("x", True)), Reason.ACCOUNT_BUSY),
    "a foreign account": (seen(facts_of(PLAIN)), Reason.FOREIGN_OBJECT),
    "a foreign account with our label": (
        seen(facts_of(PLAIN), labelled=True),
        Reason.FOREIGN_OBJECT,
    ),
    "a foreign account with our owner": (
        seen(facts_of(PLAIN), owner_uid=PLAIN.meta.uid),
        Reason.FOREIGN_OBJECT,
    ),
    "a foreign account that poses as retired": (
        seen(facts_of(PLAIN), labelled=True, retired=True),
        Reason.FOREIGN_OBJECT,
    ),
    "an account of an earlier identity": (
        seen(facts_of(PLAIN), labelled=True, owner_uid="another"),
        Reason.DELETING,
    ),
    "an account that a binding names": (
        facts_of(PLAIN, foreign_bindings=(ForeignBinding("agents", "old"),)),
        Reason.ACCOUNT_IN_BINDING,
    ),
    "our own account that somebody binds": (
        facts_of(
            PLAIN,
            observed=seen(facts_of(PLAIN), labelled=True, owner_uid=PLAIN.meta.uid).observed,
            foreign_bindings=(ForeignBinding("agents", "new"),),
        ),
        None,
    ),
    "our own account": (seen(facts_of(PLAIN), labelled=True, owner_uid=PLAIN.meta.uid), None),
}


@pytest.mark.parametrize(("facts", "reason"), CASES.values(), ids=CASES)
def test_each_check(facts: Facts, reason: Reason | None) -> None:
    verdict = judge(facts)
    assert (verdict.problem.reason if verdict.problem else None) == reason
    assert (verdict.standing is Standing.GRANTED) == (reason is None)


def test_a_missing_class_is_waited_for() -> None:
    facts = Facts(**{**vars_of(facts_of(PLAIN)), "agent_class": None})
    verdict = judge(facts)
    assert isinstance(verdict.problem, Waiting)
    assert verdict.standing is Standing.CLOSED


def test_only_a_namespace_that_is_not_allowed_costs_the_account() -> None:
    for facts, reason in CASES.values():
        expelled = judge(facts).standing is Standing.EXPELLED
        assert expelled == (reason is Reason.NAMESPACE_NOT_ALLOWED)


def test_what_the_author_must_mend_is_invalid() -> None:
    facts, _ = CASES["a role that is not listed"]
    problem = judge(facts).problem
    assert isinstance(problem, Invalid)
    assert "cluster-admin" in problem.message
    assert "ticket-reader" in problem.message


def test_bindings_elsewhere_are_counted_and_not_named() -> None:
    bindings = (
        ForeignBinding("", "everywhere"),
        ForeignBinding("agents", "old"),
        ForeignBinding("shop", "orders"),
    )
    problem = judge(facts_of(PLAIN, foreign_bindings=bindings)).problem
    assert problem is not None
    assert problem.message.endswith("RoleBinding old, 2 of the cluster or of other namespaces")
    assert "everywhere" not in problem.message
    assert "orders" not in problem.message


def vars_of(facts: Facts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in Facts.__slots__}


def test_a_namespace_must_carry_every_label() -> None:
    both = class_of(namespaceSelector={"matchLabels": {"agents": "allowed", "env": "prod"}})
    one = Namespace("agents", "u", {"agents": "allowed"}, deleting=False)
    verdict = judge(facts_of(PLAIN, both, namespace=one))
    assert verdict.standing is Standing.EXPELLED
