"""Whatever is asked for wrongly is refused or held back, says why, and leaves nothing behind.

A table of bad specs against the real servers. One identity beside them all is well from the first
case to the last, and nothing of it may have been written again in between.
"""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hostile_asks import (
    ASKED,
    ASKED_CLASSES,
    BYSTANDER,
    CHANGES,
    GIVEN,
    IN_PLACE,
    NAMED,
    PLAIN,
    PREMADE,
    UNBINDABLE,
    Asked,
    AskedClass,
    Change,
    Given,
    classes,
)
from hostile_objects import (
    ENDINGS,
    FOREIGN,
    KINDS,
    STRAY,
    TAMPERINGS,
    Ending,
    Foreign,
    Tampering,
    held_open,
    object_name,
)
from hostile_specs import GOOD_SPEC, REFUSED, Manifest, Refused, edited
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import ConflictError, ForbiddenError

from testbed.bed import Bed
from testbed.operator_process import OperatorProcess
from testbed.tenant import (
    OURS,
    READY_SECONDS,
    Tenant,
    class_manifest,
    full_spec,
    identity_manifest,
    refused,
)
from testbed.waiting import wait_until

Snapshot = dict[str, Any]
OPERATOR = "system:serviceaccount:agent-identity-system:agent-identity-operator"
HOME, FRONT = "hostile-home", "hostile-front"
WRITES_OF_ONE = 6
"""Status, finalizer, and again where two things were seen one after the other."""
COLLECTOR_SECONDS = 90
"""The garbage collector looks for new kinds every 30 s only: it may not know ours before that."""
WINDOW_SECONDS = 6.0
"""Longer than the tests' resync period."""


def lodge(bed: Bed, client: DynamicClient, namespace: str, *, allowed: bool = True) -> Tenant:
    """A namespace, which another module may have made, and who works there."""
    labels = {"agents": "allowed"} if allowed else {}
    body = {"metadata": {"name": namespace, "labels": labels}}
    with suppress(ConflictError):
        client.resources.get(api_version="v1", kind="Namespace").create(body=body)
    return Tenant(bed, client, namespace, "hostile-open")


def good_identity(namespace: str, name: str, class_name: str) -> Manifest:
    return identity_manifest(namespace, name, className=class_name, **GOOD_SPEC)


def seen(team: Tenant, kind: str, name: str) -> str:
    """Version and UID: the same as long as nobody writes."""
    metadata = (team.get(kind, name) or {"metadata": {}})["metadata"]
    return f"{metadata.get('uid')} at {metadata.get('resourceVersion')}"


def snapshot(team: Tenant, name: str) -> Snapshot:
    """All that a Ready identity has, in versions, and its Vault role in full."""
    objects = {kind: seen(team, kind, object_name(kind, name)) for kind in KINDS}
    identity = seen(team, "AgentIdentity", name)
    return objects | {"AgentIdentity": identity, "VaultRole": team.vault_role(name)}


def at(body: Any, where: str) -> Any:
    """What is at a place; None where there is nothing."""
    for part in filter(None, where.split("/")):
        try:
            body = body[int(part) if isinstance(body, list) else part]
        except (KeyError, IndexError):
            return None
    return body


def policies(team: Tenant) -> list[str]:
    return team.bed.openbao.list("sys/policies/acl")


@pytest.fixture(scope="module")
def log_before(operator: OperatorProcess) -> int:
    """How long the operator's log was before this module."""
    return len(operator.log_lines())


@pytest.fixture(scope="module")
def home(bed: Bed, client: DynamicClient, log_before: int) -> Tenant:
    """Every class, and one Ready identity that nobody may touch."""
    team = lodge(bed, client, HOME)
    made = classes(bed)
    for manifest in made.values():
        team.create(manifest)
    team.wait_ready("hostile-open", of="AgentIdentityClass")
    team.identity(BYSTANDER, **full_spec())
    team.wait_ready(BYSTANDER)
    team.delete("AgentIdentityClass", "hostile-going")
    return team


@pytest.fixture(scope="module")
def before(home: Tenant) -> Snapshot:
    """The bystander, before anything hostile came."""
    return snapshot(home, BYSTANDER)


@pytest.fixture(scope="module")
def front(bed: Bed, client: DynamicClient, home: Tenant, before: Snapshot) -> Tenant:
    """A namespace where nothing may ever be."""
    return lodge(bed, client, FRONT)


# --- refused by the API server


def stored(team: Tenant, kind: str) -> list[str]:
    items = team.client.resources.get(api_version=OURS, kind=kind)
    return sorted(i.metadata.name for i in items.get(namespace=team.namespace).items)


@pytest.mark.parametrize("case", [pytest.param(c, id=c.id) for c in REFUSED])
def test_the_api_server_refuses_it_and_says_why(case: Refused, front: Tenant) -> None:
    if case.of == "AgentIdentity":
        good = good_identity(front.namespace, "refused", "hostile-open")
    else:
        good = class_manifest("hostile-refused", front.bed)
    there = stored(front, case.of)
    with pytest.raises(ApiException) as refusal:
        front.create(edited(good, case.edits))
    told = told_by(refusal.value)
    assert [says for says in case.says if says not in told] == [], told[:2000]
    assert stored(front, case.of) == there


def told_by(error: ApiException) -> str:
    """The message, or the text where there is no Status."""
    try:
        return str(json.loads(error.body or "")["message"])
    except ValueError:
        return refused(error)


@pytest.fixture(scope="module")
def fixed(home: Tenant, before: Snapshot) -> Tenant:
    """Identities whose account can't be changed."""
    home.identity(NAMED, serviceAccount={"name": "named-account"})
    home.identity(PLAIN)
    for name in (NAMED, PLAIN):
        home.wait_ready(name)
    return home


@pytest.mark.parametrize("case", [pytest.param(c, id=c.id) for c in CHANGES])
def test_what_is_fixed_stays(case: Change, fixed: Tenant) -> None:
    # A status may still be on its way.
    generation = at(fixed.get(case.of, case.name), "metadata/generation")
    spec = at(fixed.get(case.of, case.name), "spec")
    kind = "json-patch" if isinstance(case.patch, list) else "merge-patch"
    with pytest.raises(ApiException) as refusal:
        fixed.patch(case.of, case.name, case.patch, content_type=f"application/{kind}+json")
    assert case.says in told_by(refusal.value)
    body = fixed.get(case.of, case.name)
    assert (at(body, "metadata/generation"), at(body, "spec")) == (generation, spec)


# --- taken by the API server


Asks = Mapping[str, tuple[Tenant, str]]


@pytest.fixture(scope="module")
def asks(bed: Bed, client: DynamicClient, home: Tenant, before: Snapshot) -> Asks:
    """Every identity of the cases, made at once: case → where it lives, and its name."""
    teams = {
        "home": home,
        "hostile-stranger": lodge(bed, client, "hostile-stranger", allowed=False),
        "istio-system": lodge(bed, client, "istio-system"),
    }
    make_account(home)
    wait_until(lambda: home.get("ServiceAccount", "default"), timeout=10, what="account default")
    made = {}
    for case in ASKED:
        team = teams[case.lives]
        good = good_identity(team.namespace, case.id.lower(), f"hostile-{case.uses}")
        made[case.id] = team, team.create(edited(good, case.edits))["metadata"]["name"]
    return made


def make_account(team: Tenant) -> None:
    """An account of somebody else, with a right."""
    metadata = {"name": PREMADE, "namespace": team.namespace}
    team.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    subject = {"kind": "ServiceAccount", "name": PREMADE, "namespace": team.namespace}
    group = "rbac.authorization.k8s.io"
    role = {"apiGroup": group, "kind": "ClusterRole", "name": "ticket-reader"}
    team.create(
        {"kind": "RoleBinding", "metadata": metadata, "roleRef": role, "subjects": [subject]}
    )


@pytest.mark.parametrize("case", [pytest.param(c, id=c.id) for c in ASKED])
def test_it_is_held_back_and_says_why_or_is_right(case: Asked, asks: Asks) -> None:
    team, name = asks[case.id]
    ready = team.wait_reason(name, case.reason)
    assert [says for says in case.says if says not in ready["message"]] == [], ready
    if case.reason == IN_PLACE:
        assert ready["status"] == "True"
        return
    held = not case.waits
    assert ready["status"] == "False"
    assert team.condition(name, "Stalled")["status"] == str(held)
    assert team.condition(name, "Reconciling")["status"] == str(not held)
    assert_nothing_of(team, name, account=case.edits.get("spec/serviceAccount/name", name))


def assert_nothing_of(team: Tenant, name: str, account: object) -> None:
    """No object, no role, and a status that promises none."""
    assert team.owned(name) == {}
    if account != BYSTANDER:
        assert team.vault_role(str(account)) is None
    status = at(team.get("AgentIdentity", name), "status")
    assert set(status) == {"observedGeneration", "conditions"}


@pytest.fixture(scope="module")
def given(home: Tenant, before: Snapshot) -> Tenant:
    for case in GIVEN:
        name = f"given-{case.id.lower()}"
        home.create(edited(good_identity(HOME, name, "hostile-open"), case.edits))
    return home


@pytest.mark.parametrize("case", [pytest.param(c, id=c.id) for c in GIVEN])
def test_what_is_left_out_or_odd_widens_nothing(case: Given, given: Tenant) -> None:
    name = f"given-{case.id.lower()}"
    given.wait_ready(name)
    body = made_for(given, case.kind, name)
    got = at(body, case.where)
    wanted = json.loads(json.dumps(case.is_).replace("{name}", name).replace("{namespace}", HOME))
    assert got == wanted


def made_for(team: Tenant, kind: str, name: str) -> Any:
    if kind == "VaultRole":
        return team.vault_role(name)
    return team.get(kind, name if kind == "AgentIdentity" else object_name(kind, name))


REACH = [
    (
        UNBINDABLE,
        "Forbidden",
        "the operator may not bind ClusterRole unbindable: add it to the chart's boundClusterRoles",
    ),
    ("nowhere", "Rejected", '"nowhere" not found'),
]


@pytest.mark.parametrize(("role", "reason", "told"), REACH, ids=[r for _, r, _ in REACH])
def test_a_role_that_cannot_be_bound_is_not_bound(
    role: str, reason: str, told: str, home: Tenant
) -> None:
    with suppress(ConflictError):
        rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
        home.create({"kind": "ClusterRole", "metadata": {"name": UNBINDABLE}, "rules": rules})
    home.identity(f"to-{role}", rbac={"clusterRoles": [role]})
    condition = home.wait_reason(f"to-{role}", reason)
    assert told in condition["message"]
    assert "RoleBinding" not in home.owned(f"to-{role}")


def test_without_its_account_an_agent_gets_no_right(
    bed: Bed, client: DynamicClient, home: Tenant
) -> None:
    """Else whoever makes an account of that name has it."""
    team = lodge(bed, client, "hostile-quota")
    forbid_accounts(team)
    team.identity("accountless", **full_spec())
    account = team.wait_reason("accountless", "Forbidden", "ServiceAccountReady")
    assert "exceeded quota" in account["message"]
    assert not {"ServiceAccount", "RoleBinding"} & set(team.owned("accountless"))
    assert team.vault_role("accountless") is None
    team.delete("ResourceQuota", "full")
    team.wait_ready("accountless")


def forbid_accounts(team: Tenant) -> None:
    """A quota that is used up, as its controller would say; returns once it counts."""
    quotas = team.client.resources.get(api_version="v1", kind="ResourceQuota")
    full = {"count/serviceaccounts": "0"}
    quotas.create(
        body={"metadata": {"name": "full"}, "spec": {"hard": full}}, namespace=team.namespace
    )
    quotas.status.patch(
        name="full",
        namespace=team.namespace,
        body={"status": {"hard": full, "used": full}},
        content_type="application/merge-patch+json",
    )
    account = {"metadata": {"name": "probe"}}
    accounts = team.client.resources.get(api_version="v1", kind="ServiceAccount")

    def counts() -> bool:
        try:
            accounts.create(body=account, namespace=team.namespace, dry_run="All")
        except ForbiddenError:
            return True
        return False

    wait_until(counts, timeout=10, what="the quota counts")


# --- classes


@pytest.fixture(scope="module")
def asked_classes(home: Tenant, before: Snapshot) -> dict[str, str]:
    """Every class of the cases, made at once: case → name."""
    made = {}
    for case in ASKED_CLASSES:
        good = class_manifest(f"hostile-class-{case.id.lower()}", home.bed)
        made[case.id] = home.create(edited(good, case.edits))["metadata"]["name"]
    return made


@pytest.mark.parametrize("case", [pytest.param(c, id=c.id) for c in ASKED_CLASSES])
def test_a_class_stalls_and_says_why_or_is_right(
    case: AskedClass, home: Tenant, asked_classes: Mapping[str, str]
) -> None:
    name = asked_classes[case.id]
    ready = home.wait_reason(name, case.reason, of="AgentIdentityClass", timeout=15)
    assert [says for says in case.says if says not in ready["message"]] == [], ready
    assert ready["status"] == str(case.reason == IN_PLACE)
    stalled = home.condition(name, "Stalled", of="AgentIdentityClass")
    assert stalled["status"] == str(case.stalls)


@pytest.fixture(scope="module")
def deleted_classes(home: Tenant, asked_classes: Mapping[str, str]) -> Mapping[str, str]:
    """The same, once each has been looked at and all were deleted."""
    for case in ASKED_CLASSES:
        name = asked_classes[case.id]
        home.wait_reason(name, case.reason, of="AgentIdentityClass")
    for name in asked_classes.values():
        home.delete("AgentIdentityClass", name)
    return asked_classes


@pytest.mark.parametrize("case", [pytest.param(c, id=c.id) for c in ASKED_CLASSES])
def test_a_class_that_nobody_uses_can_be_deleted(
    case: AskedClass, home: Tenant, deleted_classes: Mapping[str, str]
) -> None:
    name = deleted_classes[case.id]
    home.wait_gone("AgentIdentityClass", name, timeout=10)
    assert [p for p in policies(home) if p.startswith(f"agentid_test_{name}_")] == []


# --- foreign objects


@pytest.fixture(scope="module")
def squatted(bed: Bed, client: DynamicClient, home: Tenant) -> dict[Foreign, str]:
    """Every derived name is taken before its identity gets a class: object → its version."""
    team = squatters(bed, client)
    team.create(identity_manifest(team.namespace, "other", className="hostile-open"))
    other = team.wait_ready("other")["metadata"]
    made = {}
    for case in (STRAY, *FOREIGN):
        good = good_identity(team.namespace, case.identity, team.class_name)
        own = team.create(good)["metadata"]
        made[case] = team.create(case.manifest(own, other))["metadata"]["resourceVersion"]
    team.create(class_manifest(team.class_name, bed))
    return made


def squatters(bed: Bed, client: DynamicClient) -> Tenant:
    team = lodge(bed, client, "hostile-squatters")
    team.class_name = "hostile-squatted"
    return team


@pytest.mark.parametrize("case", [pytest.param(c, id=c.identity) for c in FOREIGN])
def test_a_foreign_object_is_named_and_left_alone(
    case: Foreign, bed: Bed, client: DynamicClient, squatted: Mapping[Foreign, str]
) -> None:
    team = squatters(bed, client)
    assert_stalled_by(team, case)
    # Once more, for another generation of the spec.
    team.patch("AgentIdentity", case.identity, {"spec": {"vault": {"tokenTTLSeconds": 700}}})
    assert_stalled_by(team, case)
    assert at(team.get(case.kind, case.name), "metadata/resourceVersion") == squatted[case]
    team.delete(case.kind, case.name)
    team.wait_ready(case.identity)


def test_a_binding_that_may_be_a_right_of_ours_goes(
    bed: Bed, client: DynamicClient, squatted: Mapping[Foreign, str]
) -> None:
    team = squatters(bed, client)
    team.wait_ready(STRAY.identity)
    binding = team.get(STRAY.kind, STRAY.name)
    assert [o["name"] for o in at(binding, "metadata/ownerReferences")] == [STRAY.identity]
    assert at(binding, "roleRef/kind") == "ClusterRole"
    assert at(binding, "metadata/resourceVersion") != squatted[STRAY]


def assert_stalled_by(team: Tenant, case: Foreign) -> None:
    condition = team.wait_reason(case.identity, "ForeignObject", timeout=10)
    assert f"{case.kind} {case.name}" in condition["message"]
    assert team.condition(case.identity, "Stalled")["status"] == "True"
    theirs = {case.kind: [case.name]}
    assert {k: n for k, n in team.owned(case.identity).items() if theirs.get(k) != n} == {}
    assert team.vault_role(case.identity) is None


# --- tampering


@pytest.fixture(scope="module")
def tampered(
    bed: Bed, client: DynamicClient, home: Tenant, operator: OperatorProcess
) -> dict[str, Manifest]:
    """Every object was tampered with while the operator looked away: as it was before."""
    team = victims(bed, client)
    for case in TAMPERINGS:
        team.create(good_identity(team.namespace, case.identity, team.class_name))
    for case in TAMPERINGS:
        team.wait_ready(case.identity)
    intact = {case.identity: team.get(case.kind, case.name) or {} for case in TAMPERINGS}
    operator.pause()
    try:
        for case in TAMPERINGS:
            tamper(team, case)
    finally:
        operator.resume()
    return intact


def victims(bed: Bed, client: DynamicClient) -> Tenant:
    return lodge(bed, client, "hostile-victims")


def tamper(team: Tenant, case: Tampering) -> None:
    if case.patch:
        team.patch(case.kind, case.name, case.patch, field_manager="somebody-else")
    if case.deleted:
        team.delete(case.kind, case.name)


@pytest.mark.parametrize("case", [pytest.param(c, id=c.identity) for c in TAMPERINGS])
def test_what_was_tampered_with_is_put_back(
    case: Tampering, bed: Bed, client: DynamicClient, tampered: Mapping[str, Manifest]
) -> None:
    team, before = victims(bed, client), tampered[case.identity]

    def whole() -> bool:
        body = team.get(case.kind, case.name)
        return body is not None and essence(body) == essence(before)

    wait_until(whole, timeout=READY_SECONDS, what=f"{case.name} put back")
    gone = seen(team, case.kind, case.name).split()[0] != before["metadata"]["uid"]
    assert gone == case.deleted
    wait_until(
        lambda: [e for e in team.events(case.identity) if repaired(e, case)],
        timeout=10,
        what=f"an event that says that {case.name} was put back",
    )
    team.wait_ready(case.identity)


def repaired(event: Manifest, case: Tampering) -> bool:
    return event["reason"] == "Repaired" and f"{case.kind} {case.name}" in event["note"]


def essence(body: Manifest) -> Manifest:
    """All but what the API server keeps; a deletion that goes on shows."""
    kept = ("labels", "annotations", "finalizers", "ownerReferences", "deletionTimestamp")
    metadata = {k: v for k in kept if (v := body["metadata"].get(k))}
    return {k: v for k, v in body.items() if k != "secrets"} | {"metadata": metadata}


# --- ends


@pytest.fixture(scope="module")
def ended(
    bed: Bed, client: DynamicClient, home: Tenant, operator: OperatorProcess
) -> dict[str, str]:
    """Identities deleted while the operator looked away: case → a Vault token of its agent."""
    team = leavers(bed, client)
    for case in ENDINGS:
        team.create(good_identity(team.namespace, case.id, team.class_name))
    for case in ENDINGS:
        team.wait_ready(case.id)
        assert may_read(team, case.id)
    tokens = {case.id: team.vault_login(case.id)[1] for case in ENDINGS}
    for case in ENDINGS:
        secret = f"kv/data/{team.namespace}/{case.id}/api-key"
        assert bed.openbao.request("GET", secret, token=tokens[case.id])[0] == 404
    operator.pause()
    try:
        for case in ENDINGS:
            end(team, case)
        for case in ENDINGS:
            if case.policy == "Orphan":
                wait_orphaned(team, case.id)
    finally:
        operator.resume()
    return tokens


def leavers(bed: Bed, client: DynamicClient) -> Tenant:
    return lodge(bed, client, "hostile-leavers")


def end(team: Tenant, case: Ending) -> None:
    for kind in case.held:
        team.patch(kind, object_name(kind, case.id), held_open(kind))
    for kind in case.terminating:
        team.delete(kind, object_name(kind, case.id))
    kind = team.client.resources.get(api_version=OURS, kind="AgentIdentity")
    kind.delete(name=case.id, namespace=team.namespace, body={"propagationPolicy": case.policy})


def wait_orphaned(team: Tenant, name: str) -> None:
    """Until the garbage collector has taken the owner off everything."""

    def orphaned() -> bool:
        bodies = [team.get(kind, object_name(kind, name)) for kind in KINDS]
        return not any(at(body, "metadata/ownerReferences") for body in bodies)

    wait_until(orphaned, timeout=COLLECTOR_SECONDS, what=f"everything of {name} is nobody's")


def may_read(team: Tenant, account: str) -> bool:
    """Whether Kubernetes lets an account do what the binding gives."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{team.namespace}:{account}",
            "resourceAttributes": {
                "namespace": team.namespace,
                "verb": "get",
                "resource": "configmaps",
            },
        },
    }
    kind = team.client.resources.get(
        api_version="authorization.k8s.io/v1", kind="SubjectAccessReview"
    )
    return bool(kind.create(body=review).to_dict()["status"]["allowed"])


@pytest.mark.parametrize("case", [pytest.param(c, id=c.id) for c in ENDINGS])
def test_nobody_keeps_what_a_deleted_identity_had(
    case: Ending, bed: Bed, client: DynamicClient, ended: Mapping[str, str]
) -> None:
    team = leavers(bed, client)
    team.wait_gone("AgentIdentity", case.id)
    wait_until(lambda: team.owned(case.id) == {}, timeout=10, what=f"all of {case.id} is gone")
    assert not may_read(team, case.id)
    assert team.vault_role(case.id) is None
    # A token that lives would be told that there is no such secret.
    secret = f"kv/data/{team.namespace}/{case.id}/api-key"
    status, _ = bed.openbao.request("GET", secret, token=ended[case.id])
    assert status == 403


# --- what all of it did to others


def test_the_bystander_was_never_touched(home: Tenant, before: Snapshot, asks: Asks) -> None:
    assert home.condition(BYSTANDER)["status"] == "True"
    assert snapshot(home, BYSTANDER) == before


def test_nothing_was_written_again_and_again(asks: Asks, bed: Bed) -> None:
    writes: dict[tuple[str, str], int] = {}
    for event in bed.control_plane.audit_events():
        about = event.get("objectRef", {})
        ours = event["user"]["username"] == OPERATOR and event["verb"] == "patch"
        if ours and about.get("resource") == "agentidentities":
            where = (about["namespace"], about["name"])
            writes[where] = writes.get(where, 0) + 1
    counted = {case: writes[team.namespace, name] for case, (team, name) in asks.items()}
    assert {case: n for case, n in counted.items() if n > WRITES_OF_ONE} == {}


def test_nothing_spins(asks: Asks, operator: OperatorProcess) -> None:
    """In a window of more than one resync, each key is looked at about once."""
    keys = len(ASKED) + len(GIVEN) + len(FOREIGN) + len(TAMPERINGS) + len(ASKED_CLASSES)
    until, first = time.monotonic() + WINDOW_SECONDS, reconciles(operator)
    wait_until(lambda: time.monotonic() > until, timeout=2 * WINDOW_SECONDS, what="the window")
    assert reconciles(operator) - first < 4 * keys


def reconciles(operator: OperatorProcess) -> float:
    lines = operator.metrics().splitlines()
    name = "agent_identity_reconciles_total"
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_all_of_it_can_be_deleted(asks: Asks, home: Tenant) -> None:
    home.patch("AgentIdentityClass", "hostile-going", {"metadata": {"finalizers": None}})
    delete_all_of(home, "AgentIdentity")
    delete_all_of(home, "AgentIdentityClass")
    roles = home.bed.openbao.list("auth/kubernetes/role")
    assert [r for r in roles if r.startswith(("test_hostile-", "test_istio-system_"))] == []
    assert [p for p in policies(home) if p.startswith("agentid_test_hostile-")] == []


def delete_all_of(team: Tenant, kind: str) -> None:
    resource = team.client.resources.get(api_version=OURS, kind=kind)
    for where, name in ours(resource):
        resource.delete(name=name, namespace=where)
    wait_until(lambda: not ours(resource), timeout=60, what=f"every {kind} is gone")


def ours(resource: Any) -> list[tuple[str | None, str]]:
    """Namespace and name of what this module has made of a kind."""
    found = ((i.metadata.namespace, i.metadata.name) for i in resource.get().items)
    mine = ("hostile-", "istio-system")
    return [(where, name) for where, name in found if (where or name).startswith(mine)]


def test_the_operator_met_no_bug(home: Tenant, operator: OperatorProcess, log_before: int) -> None:
    lines = operator.log_lines()[log_before:]
    bugs = {f"{e.get('kind')} {e.get('name')}" for e in lines if e.get("level") == "error"}
    assert bugs == set()
    assert operator.alive
