"""What happens to the operator's objects while something fails: each in two parts, of which only
the second one meets the fault.

Two of those that are usual for such campaigns have no part of their own: objects of an earlier
version are read as they are and nothing is written (`cluster/test_upgrade.py`), and there is
nothing that rotates.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from faults.recorder import Body, Name
from faults.scene import (
    AGENT,
    BYSTANDER,
    CALLER,
    OTHER_READER,
    READER,
    Scene,
    full,
    reads_orders,
    tasks_rule,
)

Act = Callable[[Scene], Awaitable[None]]
NARROW: Body = {
    "spec": {"rbac": None, "vault": {"policies": ["own-secrets"]}, "inbound": {"rules": []}}
}


@dataclass(frozen=True, slots=True)
class Workload:
    """before: brought about without a fault. act: what meets it. bystander: whether an identity
    that has nothing to do with it is created at the same time."""

    name: str
    story: str
    before: Act
    act: Act
    bystander: bool = True


async def _places(scene: Scene) -> None:
    await scene.namespace(scene.home)
    await scene.namespace(scene.shop, allowed=False)
    await scene.namespace(scene.elsewhere)
    await scene.agent_class(rbac={"clusterRoles": [READER, OTHER_READER]})
    await scene.agent_class(f"{scene.name}-else", vault=None)


async def _people(scene: Scene) -> None:
    """Everybody but the agent: who calls it, and whom it calls."""
    await _places(scene)
    await scene.identity(CALLER)
    await scene.grant(reads_orders(scene))


async def _everybody(scene: Scene) -> None:
    await _people(scene)
    await scene.identity(AGENT, **full(scene))


async def stranger(scene: Scene) -> None:
    """Somebody else's identity, in another namespace and of another class."""
    spec: Body = {"className": f"{scene.name}-else", "rbac": {"clusterRoles": [READER]}}
    await scene.identity(BYSTANDER, namespace=scene.elsewhere, **spec)


async def _create(scene: Scene) -> None:
    await scene.identity(AGENT, **full(scene))


async def _bare(scene: Scene) -> None:
    await _people(scene)
    await scene.identity(AGENT)


async def _patch_agent(scene: Scene, patch: Body) -> None:
    await scene.patch(scene.of_identity(AGENT), patch)


async def _widen(scene: Scene) -> None:
    await _patch_agent(scene, {"spec": full(scene)})


async def _narrow(scene: Scene) -> None:
    await _patch_agent(scene, NARROW)


async def _narrow_all(scene: Scene) -> None:
    await _patch_agent(
        scene, {"spec": {"rbac": None, "vault": None, "inbound": None, "outbound": None}}
    )


async def _delete(scene: Scene) -> None:
    await scene.delete(scene.of_identity(AGENT))


async def _recreate(scene: Scene) -> None:
    """As a pipeline does it: deleted, waited for, made anew with less."""
    await _delete(scene)
    gone = scene.of_identity(AGENT)
    await scene.stage.recorder.until(scene.name, lambda: scene.body(gone) is None, 60)
    await scene.identity(AGENT, rbac={"clusterRoles": [OTHER_READER]})


async def _stall(scene: Scene) -> None:
    await _patch_agent(scene, {"spec": {"rbac": {"clusterRoles": ["cluster-admin"]}}})


async def _stalled(scene: Scene) -> None:
    await _everybody(scene)
    await _stall(scene)


async def _restore(scene: Scene) -> None:
    await _patch_agent(scene, {"spec": {"rbac": {"clusterRoles": [READER]}}})


async def _change_secrets(scene: Scene) -> None:
    await _patch_agent(scene, {"spec": {"vault": {"policies": ["team"], "tokenTTLSeconds": 600}}})


async def _lower_ceiling(scene: Scene) -> None:
    await scene.patch(scene.of_class, {"spec": {"rbac": {"clusterRoles": [OTHER_READER]}}})


async def _change_class_policy(scene: Scene) -> None:
    body = scene.body(scene.of_class) or {}
    [own, *rest] = body["spec"]["vault"]["policies"]
    path = {"path": "kv/metadata/{namespace}/{serviceAccount}/*", "capabilities": ["list"]}
    policies = [own | {"rules": [*own["rules"], path]}, *rest]
    await scene.patch(scene.of_class, {"spec": {"vault": {"policies": policies}}})


async def _forbid_namespace(scene: Scene) -> None:
    await scene.patch(Name("Namespace", "", scene.home), {"metadata": {"labels": {"agents": "no"}}})


async def _delete_namespace(scene: Scene) -> None:
    """To its end: for its first seconds the namespace's controller does nothing."""
    await scene.delete(Name("Namespace", "", scene.home))
    gone = scene.of_identity(AGENT)
    await scene.stage.recorder.until(scene.name, lambda: scene.body(gone) is None, 60)


async def _tamper(scene: Scene) -> None:
    """Others change and delete what is the operator's."""
    policy = Name("AuthorizationPolicy", scene.home, f"agentidentity-{AGENT}")
    mtls = Name("PeerAuthentication", scene.home, f"agentidentity-{AGENT}")
    binding = Name("RoleBinding", scene.home, f"agentidentity:{AGENT}:{READER}")
    await scene.patch(policy, {"spec": {"rules": [{}]}})
    await scene.patch(mtls, {"spec": {"mtls": {"mode": "DISABLE"}}})
    await scene.delete(binding)


async def _ten(scene: Scene) -> None:
    for number in range(10):
        await scene.identity(f"agent-{number}", **full(scene))


async def _grantless(scene: Scene) -> None:
    await _places(scene)
    await scene.identity(CALLER)
    await scene.identity(AGENT, **full(scene))


async def _grant(scene: Scene) -> None:
    await scene.grant(reads_orders(scene))


async def _narrow_grant(scene: Scene) -> None:
    narrower = reads_orders(scene) | {"http": {"methods": ["HEAD"], "paths": ["/v1/orders"]}}
    await scene.patch(scene.of_grant, {"spec": {"rules": [narrower]}})


async def _delete_grant(scene: Scene) -> None:
    await scene.delete(scene.of_grant)


async def _open_grant(scene: Scene) -> None:
    await _places(scene)
    await scene.identity(CALLER)
    await scene.grant(reads_orders(scene), onDelete="Open")
    await scene.identity(AGENT, **full(scene))


async def _delete_caller(scene: Scene) -> None:
    await scene.delete(scene.of_identity(CALLER))


async def _callers_change(scene: Scene) -> None:
    rules = [tasks_rule(CALLER) | {"ports": [9090]}]
    await _patch_agent(scene, {"spec": {"inbound": {"rules": rules}}})


async def _no_class_yet(scene: Scene) -> None:
    await scene.namespace(scene.home)
    await scene.namespace(scene.shop, allowed=False)
    await scene.namespace(scene.elsewhere)
    await scene.agent_class(f"{scene.name}-else", vault=None)
    await scene.identity(AGENT, vault={"policies": ["own-secrets"]})


async def _class_comes(scene: Scene) -> None:
    await scene.agent_class()


async def _class_goes(scene: Scene) -> None:
    await scene.delete(scene.of_class)


WORKLOADS: tuple[Workload, ...] = (
    Workload("create", "an agent that asks for something in every room", _people, _create),
    Workload("widen", "an agent without rights gets some in every room", _bare, _widen),
    Workload("narrow", "an agent has to do with less in every room", _everybody, _narrow),
    Workload("withdraw", "an agent asks for nothing any more", _everybody, _narrow_all),
    Workload("delete", "an agent is deleted, and was called and calling", _everybody, _delete),
    Workload("recreate", "deleted, and made anew under its name with less", _everybody, _recreate),
    Workload("stall", "an agent asks for what its class does not allow", _everybody, _stall),
    Workload("restore", "and asks for what is allowed again", _stalled, _restore),
    Workload("secrets", "other Vault policies, shorter tokens", _everybody, _change_secrets),
    Workload("ceiling", "the class no longer allows what agents have", _everybody, _lower_ceiling),
    Workload("policy", "a class's Vault policy changes", _everybody, _change_class_policy),
    Workload("forbid", "the namespace is no longer one for agents", _everybody, _forbid_namespace),
    Workload("namespace", "the namespace is deleted", _everybody, _delete_namespace),
    Workload("drift", "others change and delete what is the operator's", _everybody, _tamper),
    Workload("callers", "an agent's callers may do something else", _everybody, _callers_change),
    Workload("caller-gone", "who calls an agent is deleted", _everybody, _delete_caller),
    Workload("ten", "ten agents at once", _people, _ten),
    Workload("grant", "a grant comes that agents have asked for", _grantless, _grant),
    Workload("grant-less", "a grant gives less", _everybody, _narrow_grant),
    Workload("grant-closed", "a grant goes and leaves nobody in", _everybody, _delete_grant),
    Workload("grant-open", "a grant goes and lets everybody in", _open_grant, _delete_grant),
    Workload("class", "a class comes that an agent waits for", _no_class_yet, _class_comes),
    Workload("class-gone", "a class is deleted under its agents", _everybody, _class_goes),
)
BY_NAME = {workload.name: workload for workload in WORKLOADS}
