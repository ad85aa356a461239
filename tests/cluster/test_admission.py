"""What the API server refuses by the policies of the chart, as they ship: who may use a class, who
writes what the operator owns, and which pods are agents. And whose way they must not be in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from attack_people import (
    CREATED,
    FORBIDDEN,
    HOME,
    OK,
    Manifest,
    Person,
    acting_as,
    assert_refused,
    done,
    employ,
    grant,
    make_role,
    may_use,
    path_of,
)
from attack_town import (
    AGENT,
    CLASS,
    MANAGED,
    OTHER,
    OWNED,
    SECOND_CLASS,
    TEAM,
    Town,
    dry,
    exempted,
    is_refused,
    may_tamper,
    node,
    pod,
    token_secret,
    told_to_helm,
    town,
    without_policies,
)

from testbed.endpoint import Answer
from testbed.tenant import MESH, RBAC, full_spec, grant_manifest, rule
from testbed.waiting import wait_until

LABEL = "agentidentity.dev/identity"
OURS = "agentidentity.dev/cleanup"
ONLY_THE_OPERATOR = "only the operator writes objects of kind"
END_SECONDS = 60
COLLECTOR_SECONDS = 120
"""The garbage collector looks for new kinds every 30 s only."""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("town")) as settled:
        yield settled


# --- who may use a class


def test_with_use_an_identity_is_made_and_becomes_ready(here: Town) -> None:
    """The operator's finalizer and status pass the same policies on the way."""
    done(here.alice.create(here.identity("of-alice", **full_spec())))
    here.team.wait_ready("of-alice")


def test_without_use_it_is_refused_and_says_whom_to_ask(here: Town) -> None:
    answer = here.bob.create(here.identity("of-bob"))
    assert_refused(answer, "ask the platform team for `use` on AgentIdentityClass town", "bob")


def test_use_of_one_class_is_not_use_of_another(here: Town) -> None:
    answer = here.alice.create(here.identity("of-alice-too", className=SECOND_CLASS))
    assert_refused(answer, f"`use` on AgentIdentityClass {SECOND_CLASS}")


def test_a_class_that_is_not_named_is_the_default_one(here: Town) -> None:
    manifest = here.identity("unnamed")
    del manifest["spec"]["className"]
    assert_refused(here.alice.create(manifest), "`use` on AgentIdentityClass default")


def test_use_in_one_namespace_is_no_use_in_another(here: Town) -> None:
    carol = employ(here.bed, "carol")
    for namespace in (TEAM, OTHER):
        grant(here.bed, carol, "edit", namespace)
    grant(here.bed, carol, f"use-{CLASS}", TEAM)
    done(dry(carol, here.identity("of-carol")))
    answer = dry(carol, here.identity("of-carol", namespace=OTHER))
    assert_refused(answer, f"`use` on AgentIdentityClass {CLASS}")


def test_who_may_not_make_accounts_has_none_made(here: Town) -> None:
    dave = employ(here.bed, "dave")
    grant(here.bed, dave, "agentidentity-edit", TEAM)
    grant(here.bed, dave, f"use-{CLASS}")
    answer = dry(dave, here.identity("of-dave"))
    assert_refused(answer, "ask for `create` on serviceaccounts in namespace team")


def test_a_spec_is_not_changed_without_use(here: Town) -> None:
    for spec in ({"rbac": None}, {"serviceAccount": {"annotations": {"a": "b"}}}):
        answer = here.bob.patch("AgentIdentity", TEAM, AGENT, {"spec": spec})
        assert_refused(answer, f"`use` on AgentIdentityClass {CLASS}")
    whole = here.bob.read("AgentIdentity", TEAM, AGENT)
    whole["spec"]["vault"]["tokenTTLSeconds"] = 1000
    assert_refused(here.bob.replace("AgentIdentity", TEAM, AGENT, whole), "`use`")


def test_labels_and_annotations_may_be_changed_without_use(here: Town) -> None:
    for field in ("labels", "annotations"):
        metadata = {"metadata": {field: {"example.com/note": "x"}}}
        done(here.bob.patch("AgentIdentity", TEAM, AGENT, metadata))


def test_moving_to_a_class_takes_use_of_the_new_one_only(here: Town) -> None:
    erin = employ(here.bed, "erin")
    grant(here.bed, erin, "edit", TEAM)
    grant(here.bed, erin, may_use(here.bed, SECOND_CLASS))
    done(here.alice.create(here.identity("moving")))
    still = erin.patch("AgentIdentity", TEAM, "moving", {"spec": {"inbound": None, "rbac": None}})
    done(still)  # nothing that was there has changed
    ttl = {"policies": ["own-secrets"]}
    stays = erin.patch("AgentIdentity", TEAM, "moving", {"spec": {"vault": ttl}})
    assert_refused(stays, f"`use` on AgentIdentityClass {CLASS}")
    moves = erin.patch("AgentIdentity", TEAM, "moving", {"spec": {"className": SECOND_CLASS}})
    assert done(moves)["spec"]["className"] == SECOND_CLASS
    back = here.bob.patch("AgentIdentity", TEAM, "moving", {"spec": {"className": CLASS}})
    assert_refused(back, f"`use` on AgentIdentityClass {CLASS}")


def test_who_applies_for_everybody_has_use_and_the_namespace_still_decides(here: Town) -> None:
    flux = employ(here.bed, "flux")
    grant(here.bed, flux, "admin")
    grant(here.bed, flux, f"use-{CLASS}")
    done(here.admin.create({"kind": "Namespace", "metadata": {"name": "unlabelled"}}))
    done(flux.create(here.identity("by-flux", **full_spec())))
    here.team.wait_ready("by-flux")
    done(flux.create(here.identity("by-flux", namespace="unlabelled")))

    def reasons() -> list[str]:
        status = flux.read("AgentIdentity", "unlabelled", "by-flux").get("status", {})
        return [c["reason"] for c in status.get("conditions", ())]

    wait_until(lambda: "NamespaceNotAllowed" in reasons(), timeout=30, what="it stalls")


# --- who may write a grant

GRANT = "AgentAccessGrant"
POLICY = "AuthorizationPolicy"
OF_AGENT = {"kind": "AgentIdentity", "name": AGENT}


def test_a_grant_takes_the_right_to_write_policies(here: Town) -> None:
    gwen = employ(here.bed, "gwen")
    grant(here.bed, gwen, "edit", TEAM)
    grant(here.bed, gwen, "mesh-editor", OTHER)
    says = "ask for `create` on authorizationpolicies.security.istio.io in namespace team"
    manifest = grant_manifest(TEAM, "of-gwen", rule("read", OF_AGENT))
    assert_refused(gwen.create(manifest), says, gwen.name)
    done(here.alice.create(manifest))
    assert_refused(gwen.patch(GRANT, TEAM, "of-gwen", {"spec": {"rules": None}}), says)
    for field in ("labels", "annotations"):
        done(gwen.patch(GRANT, TEAM, "of-gwen", {"metadata": {field: {"example.com/note": "x"}}}))
    done(gwen.delete(GRANT, TEAM, "of-gwen"))
    here.team.wait_gone(GRANT, "of-gwen")
    grant(here.bed, gwen, "mesh-editor", TEAM)
    wait_until(lambda: not is_refused(dry(gwen, manifest)), timeout=10, what="her new right")
    done(gwen.create(manifest))
    here.team.wait_ready("of-gwen", of=GRANT)


# --- who writes what the operator owns


def changed(kind: str) -> Manifest:
    """A change of an owned object that its own kind takes, and RBAC too."""
    return {
        "ServiceAccount": {"automountServiceAccountToken": True},
        "RoleBinding": {"subjects": None},
        "PeerAuthentication": {"spec": {"mtls": {"mode": "DISABLE"}}},
        "AuthorizationPolicy": {"spec": {"rules": [{}]}},
    }[kind]


def manifest_of(kind: str, name: str, **metadata: object) -> Manifest:
    """A small one of the tenant's own."""
    group = "rbac.authorization.k8s.io"
    role = {"apiGroup": group, "kind": "ClusterRole", "name": "ticket-reader"}
    versions = {"ServiceAccount": "v1", "RoleBinding": RBAC}
    return {
        "apiVersion": versions.get(kind, MESH),
        "kind": kind,
        "metadata": {"name": name, "namespace": TEAM, **metadata},
        **({"roleRef": role} if kind == "RoleBinding" else {}),
    }


def _patch(who: Person, kind: str) -> Answer:
    return who.patch(kind, TEAM, OWNED[kind], changed(kind))


def _annotate(who: Person, kind: str) -> Answer:
    note = {"metadata": {"annotations": {"istio.io/dry-run": "true"}}}
    return who.patch(kind, TEAM, OWNED[kind], note)


def _replace(who: Person, kind: str) -> Answer:
    whole = who.read(kind, TEAM, OWNED[kind])
    return who.replace(kind, TEAM, OWNED[kind], {**whole, **changed(kind)})


def _delete(who: Person, kind: str) -> Answer:
    return who.delete(kind, TEAM, OWNED[kind])


def _delete_all(who: Person, kind: str) -> Answer:
    return who.send("DELETE", f"{path_of(kind, TEAM)}?labelSelector={LABEL}={AGENT}")


def _create(who: Person, kind: str) -> Answer:
    return who.create(manifest_of(kind, "forged", labels=MANAGED))


def _strip_label(who: Person, kind: str) -> Answer:
    labels = dict.fromkeys(MANAGED)
    return who.patch(kind, TEAM, OWNED[kind], {"metadata": {"labels": labels}})


def _strip_owner(who: Person, kind: str) -> Answer:
    return who.patch(kind, TEAM, OWNED[kind], {"metadata": {"ownerReferences": None}})


def _strip_finalizers(who: Person, kind: str) -> Answer:
    return who.patch(kind, TEAM, OWNED[kind], {"metadata": {"finalizers": ["example.com/held"]}})


def _add_label(who: Person, kind: str) -> Answer:
    who.create(manifest_of(kind, "own"))
    return who.patch(kind, TEAM, "own", {"metadata": {"labels": MANAGED}})


TAMPERINGS: list[Callable[[Person, str], Answer]] = [
    _patch,
    _annotate,
    _replace,
    _delete,
    _delete_all,
    _create,
    _strip_label,
    _strip_owner,
    _strip_finalizers,
    _add_label,
]


@pytest.mark.parametrize("kind", OWNED)
@pytest.mark.parametrize("tampering", TAMPERINGS, ids=lambda t: t.__name__)
def test_an_administrator_of_the_namespace_tampers_in_vain(
    here: Town, kind: str, tampering: Callable[[Person, str], Answer]
) -> None:
    before = here.admin.read(kind, TEAM, OWNED[kind])
    assert_refused(tampering(here.alice, kind), f"{ONLY_THE_OPERATOR} {kind}")
    assert here.admin.read(kind, TEAM, OWNED[kind]) == before


def test_what_is_owed_to_vault_is_nobodys_to_strike(here: Town) -> None:
    clerk = employ(here.bed, "clerk")
    grant(here.bed, clerk, "edit", "agent-identity-system")
    metadata = {"namespace": "agent-identity-system", "labels": MANAGED}
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "agent-identity-debts", **metadata},
    }
    assert_refused(dry(clerk, manifest), f"{ONLY_THE_OPERATOR} ConfigMap")


OWNER = {"apiVersion": "agentidentity.dev/v1alpha1", "kind": "AgentIdentity", "controller": True}


@pytest.mark.parametrize("kind", OWNED)
def test_an_owner_of_our_kind_is_not_forged(here: Town, kind: str) -> None:
    uid = here.admin.read("AgentIdentity", TEAM, AGENT)["metadata"]["uid"]
    owners = [{**OWNER, "name": AGENT, "uid": uid}]
    says = f"makes an object of agentidentity.dev the owner of objects of kind {kind}"
    assert_refused(here.alice.create(manifest_of(kind, "forged", ownerReferences=owners)), says)
    here.alice.create(manifest_of(kind, "own"))
    patch = {"metadata": {"ownerReferences": owners}}
    assert_refused(here.alice.patch(kind, TEAM, "own", patch), says)


@pytest.mark.parametrize("kind", OWNED)
def test_what_is_their_own_they_write_as_ever(here: Town, kind: str) -> None:
    done(here.alice.create(manifest_of(kind, "plain", labels={"a": "b"})))
    done(here.alice.patch(kind, TEAM, "plain", {"metadata": {"labels": {"a": "c"}}}))
    done(here.alice.delete(kind, TEAM, "plain"))


def _in_force(here: Town, name: str) -> str:
    """A grant of this name; its policy's."""
    done(here.alice.create(grant_manifest(TEAM, name, rule("read", OF_AGENT))))
    here.team.wait_ready(name, of=GRANT)
    return f"agentaccessgrant-{name}"


def test_only_the_operator_lets_a_grant_go(here: Town) -> None:
    _in_force(here, "held")
    free = {"metadata": {"finalizers": None}}
    answer = here.alice.patch(GRANT, TEAM, "held", free)
    assert_refused(answer, f"only the operator takes the finalizer {OURS} off")
    answer = here.alice.delete(GRANT, TEAM, "held", propagationPolicy="Orphan")
    assert_refused(answer, "delete it with propagationPolicy Background")
    assert "deletionTimestamp" not in here.admin.read(GRANT, TEAM, "held")["metadata"]


def _retired_of_an_identity(here: Town, name: str) -> str:
    done(here.alice.create(here.identity(name, **full_spec())))
    here.team.wait_ready(name)
    done(here.alice.create(pod(f"{name}-0", name, name)))
    policy = f"agentidentity-{name}"
    wait_until(lambda: here.team.get("Pod", f"{name}-0"), timeout=10, what="its pod")
    done(here.alice.delete("AgentIdentity", TEAM, name))
    here.team.wait_gone("AgentIdentity", name)
    assert (here.team.get(POLICY, policy) or {})["metadata"]["labels"][RETIRED] == "true"
    return policy


RETIRED = "agentidentity.dev/retired"


def test_what_a_grant_left_shut_is_anybodys_to_delete(here: Town) -> None:
    """Of those who may delete policies there, and nothing but that."""
    shut = _in_force(here, "shut")
    for changes in ({"metadata": {"labels": {RETIRED: "true"}}}, {"spec": {"rules": [{}]}}):
        assert_refused(here.alice.patch(POLICY, TEAM, shut, changes), ONLY_THE_OPERATOR)
    assert_refused(here.alice.delete(POLICY, TEAM, shut), ONLY_THE_OPERATOR)
    done(here.alice.delete(GRANT, TEAM, "shut"))
    here.team.wait_gone(GRANT, "shut")
    for changes in ({"metadata": {"labels": {RETIRED: None}}}, {"spec": {"rules": [{}]}}):
        assert_refused(here.alice.patch(POLICY, TEAM, shut, changes), ONLY_THE_OPERATOR)
    done(here.alice.delete(POLICY, TEAM, shut))
    assert here.team.get(POLICY, shut) is None


def test_what_an_identity_left_shut_is_nobodys_to_delete(here: Town) -> None:
    """It goes by itself, when the pods that it keeps shut are gone."""
    shut = _retired_of_an_identity(here, "left")
    assert_refused(here.alice.delete(POLICY, TEAM, shut), ONLY_THE_OPERATOR)
    done(here.alice.delete("Pod", TEAM, "left-0", gracePeriodSeconds=0))
    here.team.wait_gone(POLICY, shut)


def test_the_next_grant_of_the_name_takes_over_what_was_left_shut(here: Town) -> None:
    """By the operator's own rights: no policy is in its way."""
    policy = _in_force(here, "again")
    done(here.alice.delete(GRANT, TEAM, "again"))
    here.team.wait_gone(GRANT, "again")
    before = here.admin.read(POLICY, TEAM, policy)["metadata"]["uid"]
    assert _in_force(here, "again") == policy
    assert here.admin.read(POLICY, TEAM, policy)["metadata"]["uid"] == before


@contextmanager
def _behind_the_operators_back(here: Town) -> Iterator[None]:
    """Alice may write what it owns, and it does not look."""
    setting = f"admission.ownedObjects.exemptUsers={{{here.alice.name}}}"
    with told_to_helm(here, setting, until=exempted(here.alice)):
        here.operator.pause()
        try:
            yield
        finally:
            here.operator.resume()


def test_a_grant_whose_policy_was_taken_away_shuts_its_workload_and_ends(here: Town) -> None:
    policy = _in_force(here, "robbed")
    with _behind_the_operators_back(here):
        done(here.alice.delete(POLICY, TEAM, policy))
        done(here.alice.delete(GRANT, TEAM, "robbed"))
    here.team.wait_gone(GRANT, "robbed", timeout=END_SECONDS)
    assert (here.team.get(POLICY, policy) or {})["metadata"]["labels"][RETIRED] == "true"


def test_a_grants_policy_that_was_moved_and_is_held_is_put_back(here: Town) -> None:
    """What others put into it may stand while the finalizer that holds it is taken off."""
    policy = _in_force(here, "moved")
    before = here.admin.read(POLICY, TEAM, policy)
    held = {"metadata": {"finalizers": ["example.com/held"]}}
    with _behind_the_operators_back(here):
        bank = {"spec": {"selector": {"matchLabels": {"app": "bank"}}}}
        done(here.alice.patch(POLICY, TEAM, policy, held | bank))
        done(here.alice.delete(POLICY, TEAM, policy))

    def is_new() -> bool:
        now = here.admin.read(POLICY, TEAM, policy)
        return now.get("spec") == before["spec"] and now["metadata"] != before["metadata"]

    wait_until(is_new, timeout=END_SECONDS, what="it is made anew as it was")


# --- how identities end


def test_only_the_operator_takes_its_finalizer_off(here: Town) -> None:
    for finalizers in (None, ["example.com/mine"]):
        answer = here.alice.patch(
            "AgentIdentity", TEAM, AGENT, {"metadata": {"finalizers": finalizers}}
        )
        assert_refused(answer, f"only the operator takes the finalizer {OURS} off")
    answer = here.admin.patch("AgentIdentityClass", "", CLASS, {"metadata": {"finalizers": None}})
    assert_refused(answer, f"only the operator takes the finalizer {OURS} off")


def test_finalizers_of_others_come_and_go(here: Town) -> None:
    for finalizers in ([OURS, "example.com/x"], [OURS]):
        metadata = {"metadata": {"finalizers": finalizers}}
        done(here.alice.patch("AgentIdentity", TEAM, AGENT, metadata))


ORPHANING = [{"propagationPolicy": "Orphan"}, {"orphanDependents": True}]


@pytest.mark.parametrize("name", [AGENT, ""], ids=["one", "all"])
@pytest.mark.parametrize("options", ORPHANING, ids=lambda o: next(iter(o)))
def test_nothing_is_orphaned(here: Town, name: str, options: Manifest) -> None:
    answer = here.alice.delete("AgentIdentity", TEAM, name, **options)
    assert_refused(answer, "delete it with propagationPolicy Background")
    assert "deletionTimestamp" not in here.admin.read("AgentIdentity", TEAM, AGENT)["metadata"]


def test_the_finalizer_that_orphans_is_not_set(here: Town) -> None:
    answer = here.alice.patch(
        "AgentIdentity", TEAM, AGENT, {"metadata": {"finalizers": [OURS, "orphan"]}}
    )
    assert_refused(answer, "the finalizer `orphan` can't be set")
    manifest = here.identity("orphaning")
    manifest["metadata"]["finalizers"] = ["orphan"]
    assert_refused(here.alice.create(manifest), "the finalizer `orphan` can't be set")


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_a_deletion_by_the_team_ends(here: Town, policy: str) -> None:
    name = f"ending-{policy.lower()}"
    done(here.alice.create(here.identity(name, **full_spec())))
    here.team.wait_ready(name)
    # Taking away takes no right on the class.
    done(here.bob.delete("AgentIdentity", TEAM, name, propagationPolicy=policy))
    here.team.wait_gone("AgentIdentity", name, timeout=END_SECONDS)
    assert here.team.owned(name) == {}
    assert here.team.vault_role(name) is None


def test_a_namespace_ends_with_its_agents_and_grants(here: Town) -> None:
    labels = {"agents": "allowed"}
    metadata = {"name": "short-lived", "labels": labels}
    done(here.admin.create({"kind": "Namespace", "metadata": metadata}))
    grant(here.bed, here.alice, "admin", "short-lived")
    grant(here.bed, here.alice, "mesh-editor", "short-lived")
    done(here.alice.create(here.identity("last", namespace="short-lived", **full_spec())))
    done(here.alice.create(grant_manifest("short-lived", "last", rule("read", OF_AGENT))))

    made = (("ServiceAccount", "last"), (POLICY, "agentaccessgrant-last"))
    paths = [path_of(kind, "short-lived", name) for kind, name in made]

    def stands() -> bool:
        return all(here.admin.send("GET", path).status == OK for path in paths)

    wait_until(stands, timeout=30, what="the agent's account and the grant's policy")
    done(here.admin.delete("Namespace", "", "short-lived"))
    here.team.wait_gone("Namespace", "short-lived", timeout=END_SECONDS)


def test_a_class_ends(here: Town) -> None:
    answer = here.admin.read("AgentIdentityClass", "", SECOND_CLASS)
    body = {k: v for k, v in answer.items() if k in ("apiVersion", "kind", "spec")}
    done(here.admin.create({**body, "metadata": {"name": "short-lived"}}))
    here.team.wait_ready("short-lived", of="AgentIdentityClass")
    done(here.admin.delete("AgentIdentityClass", "", "short-lived"))
    here.team.wait_gone("AgentIdentityClass", "short-lived", timeout=END_SECONDS)


# --- tokens


@pytest.mark.parametrize("account", [AGENT, "default"])
def test_an_agents_token_is_not_written_into_a_secret(here: Town, account: str) -> None:
    made = here.alice.create(token_secret(f"of-{account}", account))
    if account == AGENT:
        assert_refused(made, "ServiceAccount agent is an agent's", "no token in a Secret")
        done(here.alice.create(token_secret(f"of-{account}", "default")))
    else:
        done(made)
    turned = {"metadata": {"annotations": {"kubernetes.io/service-account.name": AGENT}}}
    answer = here.alice.patch("Secret", TEAM, f"of-{account}", turned)
    assert_refused(answer, "no token in a Secret")


def test_other_secrets_are_as_they_were(here: Town) -> None:
    manifest = token_secret("plain", AGENT) | {"type": "Opaque"}
    done(here.alice.create(manifest))


def test_people_get_no_token_of_an_agent(here: Town) -> None:
    for spec in ({}, {"audiences": ["vault"]}):
        answer = here.alice.ask_token(TEAM, AGENT, **spec)
        assert_refused(answer, "ServiceAccount agent is an agent's: only a kubelet gets its token")
    # Bound to a pod, it is still a person who asks.
    done(here.alice.create(pod("bound", AGENT, AGENT)))
    uid = here.alice.read("Pod", TEAM, "bound")["metadata"]["uid"]
    bound = {"apiVersion": "v1", "kind": "Pod", "name": "bound", "uid": uid}
    assert_refused(here.alice.ask_token(TEAM, AGENT, boundObjectRef=bound), "only a kubelet")
    assert_refused(here.admin.ask_token(TEAM, AGENT), "only a kubelet")
    done(here.alice.ask_token(TEAM, "default"))


def test_a_kubelet_gets_it_for_a_pod_of_its_node(here: Town) -> None:
    manifest = pod("placed", AGENT, AGENT)
    token = {"serviceAccountToken": {"path": "token", "audience": "vault"}}
    volume = {"name": "vault", "projected": {"sources": [token]}}
    manifest["spec"] |= {"nodeName": "worker-1", "volumes": [volume]}
    done(here.admin.create({"kind": "Node", "metadata": {"name": "worker-1"}}))
    uid = done(here.admin.create(manifest))["metadata"]["uid"]
    bound = {"apiVersion": "v1", "kind": "Pod", "name": "placed", "uid": uid}
    kubelet = node(here.bed, "worker-1")

    def asked() -> Answer:
        return kubelet.ask_token(TEAM, AGENT, audiences=["vault"], boundObjectRef=bound)

    wait_until(lambda: asked().status == CREATED, timeout=10, what="the node knows its pod")
    # Without a pod it would be a token for the node itself.
    answer = kubelet.ask_token(TEAM, AGENT, audiences=["vault"])
    assert answer.status == FORBIDDEN


# --- pods


NOT_HALF = "are of one agent: its pods have both, and no other pod has either"
OWN_LABEL = "identity is a pod's own, and not changed with its status or node"


@pytest.mark.parametrize(
    ("account", "identity"),
    [(AGENT, ""), ("", AGENT), (AGENT, "nobody"), (AGENT, "of-alice"), ("default", AGENT)],
)
def test_a_pod_is_no_half_an_agent(here: Town, account: str, identity: str) -> None:
    answer = dry(here.alice, pod("half", account, identity))
    # Of two agents that it mixes, either may be named.
    assert_refused(answer, NOT_HALF)


def test_the_old_field_for_the_account_is_the_account(here: Town) -> None:
    manifest = pod("old")
    manifest["spec"]["serviceAccount"] = AGENT
    assert_refused(dry(here.alice, manifest), NOT_HALF)


def test_a_whole_agent_and_others_pods_pass(here: Town) -> None:
    for manifest in (pod("whole", AGENT, AGENT), pod("other"), pod("third", "default")):
        done(here.alice.create(manifest))
    done(here.alice.patch("Pod", TEAM, "whole", {"metadata": {"labels": {"version": "2"}}}))
    done(here.alice.delete("Pod", TEAM, "whole", gracePeriodSeconds=0))


def test_a_pod_is_not_relabelled_into_or_out_of_an_agent(here: Town) -> None:
    done(here.alice.create(pod("stays", AGENT, AGENT)))
    done(here.alice.create(pod("joins")))
    for name, label in (("stays", None), ("stays", "nobody"), ("joins", AGENT)):
        answer = here.alice.patch("Pod", TEAM, name, {"metadata": {"labels": {LABEL: label}}})
        assert_refused(answer, NOT_HALF)


def _labelled(label: str | None) -> Manifest:
    return {"metadata": {"labels": {LABEL: label}}}


def test_no_status_relabels_a_pod_into_or_out_of_an_agent(here: Town) -> None:
    done(here.alice.create(pod("told", AGENT, AGENT)))
    done(here.alice.create(pod("plain-told")))
    for name, label in (("told", None), ("told", "nobody"), ("plain-told", AGENT)):
        assert_refused(here.admin.patch("Pod", TEAM, f"{name}/status", _labelled(label)), OWN_LABEL)
    answer = here.admin.patch("Pod", TEAM, "told/status", {"metadata": {"labels": {"a": "b"}}})
    assert done(answer)["metadata"]["labels"] == {LABEL: AGENT, "a": "b"}


def test_a_kubelet_tells_of_its_agents_pods(here: Town) -> None:
    manifest = pod("told-of", AGENT, AGENT)
    manifest["spec"]["nodeName"] = "teller"
    done(here.admin.create({"kind": "Node", "metadata": {"name": "teller"}}))
    done(here.admin.create(manifest))
    running = {"status": {"phase": "Running"}}
    kubelet = node(here.bed, "teller")

    def told() -> Answer:
        return kubelet.patch("Pod", TEAM, "told-of/status", running)

    wait_until(lambda: told().status == OK, timeout=10, what="the node knows its pod")
    assert here.admin.read("Pod", TEAM, "told-of")["status"]["phase"] == "Running"


@pytest.mark.parametrize("at", ["pods/bound-by/binding", "bindings"])
def test_no_binding_relabels_a_pod_into_or_out_of_an_agent(here: Town, at: str) -> None:
    """The API server puts a binding's labels on the pod."""
    here.admin.create(pod("bound-by", AGENT, AGENT))
    target = {"apiVersion": "v1", "kind": "Node", "name": "worker"}
    metadata: Manifest = {"name": "bound-by", "labels": {LABEL: "nobody"}}
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target}
    path = f"/api/v1/namespaces/{TEAM}/{at}?dryRun=All"
    assert_refused(here.admin.send("POST", path, body), OWN_LABEL)
    metadata["labels"] = {"topology.kubernetes.io/zone": "a"}
    done(here.admin.send("POST", path, body))


def test_a_pod_from_before_may_end_and_lose_its_finalizers(here: Town) -> None:
    manifest = pod("early", "later-agent")
    manifest["metadata"]["finalizers"] = ["example.com/held"]
    done(here.alice.create(here.identity("later", serviceAccount={"name": "later-agent"})))
    here.team.wait_ready("later")
    with_pods_off = told_to_helm(
        here,
        "admission.agentPods.mode=Off",
        until=[lambda: not is_refused(dry(here.alice, pod("probe", AGENT)))],
    )
    with with_pods_off:
        done(here.alice.create(manifest))
    done(here.alice.patch("Pod", TEAM, "early", {"metadata": {"finalizers": None}}))
    done(here.alice.delete("Pod", TEAM, "early", gracePeriodSeconds=0))


def test_a_container_added_to_a_running_agent_is_left_to_rbac(here: Town) -> None:
    """Whoever may do this is the agent, as whoever may exec: no policy pretends otherwise."""
    done(here.alice.create(pod("debugged", AGENT, AGENT)))
    more = {"spec": {"ephemeralContainers": [{"name": "d", "image": "d"}]}}
    path = path_of("Pod", TEAM, "debugged/ephemeralcontainers")
    strategic = {"Content-Type": "application/strategic-merge-patch+json"}
    done(here.admin.send("PATCH", path, more, **strategic))


def test_a_stalled_identity_is_in_nobodys_way(here: Town) -> None:
    """It has no account, so that neither its label nor its name says anything yet."""
    refused = here.identity("stalled", rbac={"clusterRoles": ["cluster-admin"]})
    done(here.alice.create(refused))
    here.team.wait_reason("stalled", "NotInClass")
    done(here.alice.create(manifest_of("ServiceAccount", "stalled")))
    for manifest in (pod("s1", "stalled"), pod("s2", "default", "stalled"), pod("s3")):
        done(dry(here.alice, manifest))
    done(dry(here.alice, token_secret("stalled", "stalled")))
    done(here.alice.ask_token(TEAM, "stalled"))


@pytest.mark.parametrize("labels", [{}, {LABEL: ""}], ids=["no label", "an empty label"])
def test_an_account_that_is_marked_by_halves_is_in_no_other_pods_way(
    here: Town, labels: dict[str, str]
) -> None:
    """Nobody but an exempt user could make one."""
    exempt = acting_as(here.bed, "system:kube-controller-manager", "system:masters")
    done(exempt.create(manifest_of("ServiceAccount", "halved", labels=MANAGED | labels)))
    wait_until(
        lambda: is_refused(here.alice.ask_token(TEAM, "halved")), timeout=10, what="it is known"
    )
    for manifest in (pod("unrelated"), pod("whole", AGENT, AGENT)):
        done(dry(here.alice, manifest))
    done(exempt.delete("ServiceAccount", TEAM, "halved"))


# --- exceptions, and other modes


def test_a_user_who_is_named_may_write_what_is_owned(here: Town) -> None:
    setting = f"admission.ownedObjects.exemptUsers={{{here.alice.name}}}"
    with told_to_helm(here, setting, until=exempted(here.alice)):
        assert not may_tamper(here.bob)
        done(here.alice.create(manifest_of("ServiceAccount", "mine", labels=MANAGED)))
        done(here.alice.delete("ServiceAccount", TEAM, "mine"))
    assert_refused(_patch(here.alice, "ServiceAccount"), ONLY_THE_OPERATOR)


def test_a_group_that_is_named_may_write_what_is_owned(here: Town) -> None:
    setting = f"admission.ownedObjects.exemptGroups={{system:serviceaccounts:{HOME}}}"
    with told_to_helm(here, setting, until=exempted(here.bob)):
        assert may_tamper(here.alice)


def test_break_glass_gets_a_token_and_others_do_not(here: Town) -> None:
    oncall = acting_as(here.bed, "oncall-person", "oncall")
    role = make_role(
        here.bed,
        "token-maker",
        {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]},
    )
    grant(here.bed, oncall, role, TEAM)
    assert_refused(oncall.ask_token(TEAM, AGENT), "only a kubelet")

    def let_through() -> bool:
        return oncall.ask_token(TEAM, AGENT).status == CREATED

    setting = "admission.agentPods.breakGlassGroups={oncall}"
    with told_to_helm(here, setting, until=[let_through]):
        assert_refused(here.alice.ask_token(TEAM, AGENT), "only a kubelet")


def test_namespaces_that_are_not_selected_pay_nothing_and_are_not_guarded(here: Town) -> None:
    setting = "admission.agentPods.namespaceSelector.matchLabels.guarded=yes"
    half = pod("half", AGENT)
    with told_to_helm(here, setting, until=[lambda: not is_refused(dry(here.alice, half))]):
        labels = {"metadata": {"labels": {"guarded": "yes"}}}
        done(here.admin.patch("Namespace", "", TEAM, labels))
        wait_until(lambda: is_refused(dry(here.alice, half)), timeout=10, what="guarded again")


def test_audit_warns_and_lets_through(here: Town) -> None:
    modes = [f"admission.{of}.mode=Audit" for of in ("classUse", "ownedObjects", "agentPods")]
    token = here.bob.headers["Authorization"].removeprefix("Bearer ")
    with told_to_helm(here, *modes, until=without_policies(here)):
        annotate = ("annotate", "serviceaccount", AGENT, "-n", TEAM, "a=b", "--dry-run=server")
        told_so = here.bed.control_plane.kubectl(*annotate, token=token)
        assert "Warning: Validation failed for ValidatingAdmissionPolicy" in told_so.stderr
        assert f"{ONLY_THE_OPERATOR} ServiceAccount" in told_so.stderr
    audited = "validation.policy.admission.k8s.io/validation_failure"
    events = here.bed.control_plane.audit_events()
    assert [e for e in events if audited in e.get("annotations", {})]


def test_off_leaves_nothing_behind(here: Town) -> None:
    kinds = ("classUse", "ownedObjects", "agentPods", "operator")
    modes = [f"admission.{of}.mode=Off" for of in kinds]
    with told_to_helm(here, *modes, until=without_policies(here)):
        there = here.bed.control_plane.kubectl(
            "get", "validatingadmissionpolicies,validatingadmissionpolicybindings", "-o", "name"
        )
        assert "agentidentity.dev" not in there.stdout


# --- who cleans up


def test_the_garbage_collector_collects(here: Town) -> None:
    """Without the operator, and with its finalizer taken off by who may."""
    name = "collected"
    done(here.alice.create(here.identity(name, **full_spec())))
    here.team.wait_ready(name)
    setting = f"admission.ownedObjects.exemptUsers={{{here.alice.name}}}"
    with told_to_helm(here, setting, until=exempted(here.alice)):
        here.operator.pause()
        try:
            free = {"metadata": {"finalizers": None}}
            done(here.alice.patch("AgentIdentity", TEAM, name, free))
            done(here.alice.patch("ServiceAccount", TEAM, name, free))
            done(here.alice.delete("AgentIdentity", TEAM, name))
            wait_until(
                lambda: here.team.owned(name) == {},
                timeout=COLLECTOR_SECONDS,
                what="all of it is collected",
            )
        finally:
            here.operator.resume()


def test_the_agent_was_never_touched(here: Town) -> None:
    here.team.wait_ready(AGENT)
    assert [e["reason"] for e in here.team.events(AGENT) if e["reason"] == "Repaired"] == []
