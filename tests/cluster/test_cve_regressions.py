"""What went wrong elsewhere does not here: one test for each published weakness of the same kind.

Against the real servers, with the policies as they ship. What each was about: `tests/README.md`.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from attack_people import (
    FORBIDDEN,
    Manifest,
    assert_refused,
    bearer,
    done,
    grant,
    path_of,
    told,
)
from attack_town import (
    AGENT,
    CLASS,
    OTHER,
    OWNED,
    TEAM,
    Town,
    dry,
    kubelet_token,
    token_secret,
    town,
)

from testbed.endpoint import Endpoint
from testbed.tenant import Tenant, class_manifest, full_spec

OK = 200
INVALID = 422
CREDENTIALS = re.compile(
    r"eyJ[\w-]{10,}\.|\bhv[sb]\.|\bs\.[A-Za-z0-9]{20,}|BEGIN [A-Z ]*PRIVATE KEY"
)
KEY = "eks.amazonaws.com/role-arn"
RULE = {
    "name": "r",
    "from": [{"kind": "ServiceAccount", "namespace": OTHER, "name": "front"}],
    "ports": [8080],
    "protocol": "HTTP",
    "http": {"methods": ["GET"], "paths": ["/a"]},
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("town")) as settled:
        yield settled


def ready(here: Town, name: str, **spec: Any) -> Manifest:
    """An identity of the team, once it is Ready."""
    done(here.alice.create(here.identity(name, **spec)))
    return here.team.wait_ready(name)


def schema_of(here: Town, plural: str) -> Manifest:
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.agentidentity.dev"
    version = here.admin.send("GET", path).json()["spec"]["versions"][0]
    spec: Manifest = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return spec


def places(schema: Manifest, at: str = "spec") -> Iterator[str]:
    """Every field that can be written, by its path."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{at}.{name}"
        yield from places(inner, f"{at}.{name}")
    if isinstance(items := schema.get("items"), dict):
        yield from places(items, f"{at}[]")


def agent_login(here: Town, account: str, jwt: str) -> tuple[int, Manifest]:
    role = here.team.role_name(account)
    status, answer = here.bed.openbao.login(mount="kubernetes", role=role, jwt=jwt)
    return status, answer.get("auth") or {}


def readable(here: Town, name: str) -> str:
    """All that others may read of the operator's work."""
    shown = [
        json.dumps(here.team.get("AgentIdentity", name)),
        json.dumps(here.team.get("AgentIdentityClass", CLASS)),
        json.dumps(here.team.events(name)),
        here.operator.metrics(),
        here.operator.log_file.read_text(),
        *(json.dumps(here.admin.read(kind, TEAM, OWNED[kind])) for kind in OWNED),
    ]
    return "\n".join(shown)


# --- other operators


def test_cve_2026_22822_no_template_reads_for_a_tenant(here: Town) -> None:
    text = '{{ (lookup "v1" "Secret" "kube-system" "x").data }}{{identity.entity.id}}{namespace}'
    ready(here, "templated", serviceAccount={"annotations": {KEY: text}}, **full_spec())
    account = here.admin.read("ServiceAccount", TEAM, "templated")
    assert account["metadata"]["annotations"] == {KEY: text}
    assert dry(here.alice, here.identity("x", vault={"policies": [text]})).status == INVALID


def test_cve_2026_42875_no_field_takes_from_another_namespace(here: Town) -> None:
    """The first gives: whoever is named there may call. The second asks a grant there, whose owner
    must give as well."""
    gives, asks = "rules[].from[].namespace", "spec.outbound[].namespace"
    found = {
        plural: [p for p in places(schema_of(here, plural)) if p.endswith("amespace")]
        for plural in ("agentidentities", "agentaccessgrants")
    }
    assert found == {
        "agentidentities": [f"spec.inbound.{gives}", asks],
        "agentaccessgrants": [f"spec.{gives}"],
    }


def test_cve_2026_42876_no_token_of_an_account_by_a_secret(here: Town) -> None:
    assert_refused(here.alice.create(token_secret("stolen", AGENT)), "no token in a Secret")
    verbs = {e["verb"] for e in here.operator.changes() if e["objectRef"]["resource"] == "secrets"}
    assert verbs == set()


def test_cve_2026_34984_no_address_is_put_together_from_a_spec(here: Town) -> None:
    for host in ("{namespace}.example", "{{x}}.example", "$(id).example", "a_b.example"):
        manifest = class_manifest("leaky", here.bed)
        manifest["spec"]["vault"]["address"] = f"https://{host}"
        answer = dry(here.admin, manifest)
        assert (answer.status, "spec.vault.address" in told(answer)) == (INVALID, True)


def test_cve_2026_26287_the_check_is_before_the_act(here: Town) -> None:
    done(here.admin.create({"kind": "Namespace", "metadata": {"name": "unlabelled"}}))
    grant(here.bed, here.alice, "admin", "unlabelled")
    done(here.alice.create(here.identity("early", namespace="unlabelled", **full_spec())))
    other = Tenant(here.bed, here.team.client, "unlabelled", CLASS)
    other.wait_reason("early", "NamespaceNotAllowed")
    written = [e["objectRef"] for e in here.operator.changes()]
    there = [ref for ref in written if ref.get("namespace") == "unlabelled"]
    about = {(ref["resource"], ref.get("subresource")) for ref in there}
    assert about <= {("agentidentities", "status"), ("events", None)}
    asked = [r for r in here.bed.openbao.audit_requests() if "unlabelled" in json.dumps(r)]
    assert [r for r in asked if r.get("operation") in ("create", "update")] == []


def test_cve_2026_22872_no_object_of_the_tenants_own_making_is_made(here: Town) -> None:
    wide = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "raw"},
        "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
    }
    for field in ("rawItems", "additionalResources", "template", "manifests"):
        spec = full_spec() | {field: [wide]}
        made = done(dry(here.alice, here.identity("raw", **spec)))
        assert field not in made["spec"]
    ready(here, "raw", **(full_spec() | {"rawItems": [wide]}))
    kinds = {e["objectRef"]["resource"] for e in here.operator.changes()}
    assert kinds <= {
        *("agentidentities", "agentidentityclasses", "events", "configmaps", "serviceaccounts"),
        *("rolebindings", "peerauthentications", "authorizationpolicies"),
    }


def test_cve_2026_10059_an_administrator_of_a_namespace_mints_no_agents_token(here: Town) -> None:
    assert_refused(here.alice.ask_token(TEAM, AGENT), "only a kubelet gets its token")
    assert_refused(here.bob.ask_token(TEAM, AGENT, audiences=["vault"]), "only a kubelet")


@pytest.mark.parametrize("name", ["cluster-admin", "admin", "system-masters", "ticket-reader"])
def test_cve_2026_73269_a_name_carries_no_right(here: Town, name: str) -> None:
    ready(here, name)
    assert set(here.team.owned(name)) == {
        *("ServiceAccount", "PeerAuthentication", "AuthorizationPolicy")
    }
    subject = f"--as=system:serviceaccount:{TEAM}:{name}"
    can = here.bed.control_plane.kubectl("auth", "can-i", "--list", subject, "-n", TEAM)
    assert "configmaps" not in can.stdout
    assert "*.*" not in can.stdout


def test_cve_2026_105312_whoever_runs_as_the_agent_has_this_namespace_only(here: Town) -> None:
    """Who may make its pods is the agent: so that is all that there is to have."""
    agent = bearer(AGENT, here.bed, kubelet_token(here, AGENT, audience=""))
    assert agent.send("GET", path_of("ConfigMap", TEAM)).status == OK
    for path in (
        path_of("ConfigMap", OTHER),
        "/api/v1/configmaps",
        path_of("Secret", TEAM),
        path_of("Pod", TEAM),
        path_of("AgentIdentity", TEAM),
    ):
        assert agent.send("GET", path).status == FORBIDDEN


def test_cve_2026_22039_the_author_is_asked_for_and_not_the_operator(here: Town) -> None:
    assert_refused(dry(here.bob, here.identity("of-bob")), "people:bob may not use this class")


@pytest.mark.parametrize("path", ["/a%2fb", "/a%2Fb", "/a/../b", "/a//b", "/%61", "/a;x", "/a?b"])
def test_cve_2026_100706_a_path_has_one_way_to_be_written(here: Town, path: str) -> None:
    rule = {**RULE, "http": {"methods": ["GET"], "paths": [path]}}
    inbound = {"enforcement": "Enforce", "rules": [rule]}
    answer = dry(here.alice, here.identity("paths", inbound=inbound))
    assert (answer.status, "http.paths" in told(answer)) == (INVALID, True)


def test_cve_2026_110720_a_namesake_elsewhere_is_somebody_else(here: Town) -> None:
    """Vault's role names the namespace, and its alias is the account's UID."""
    done(here.admin.create({"kind": "ServiceAccount", **_named(AGENT, OTHER)}))
    jwt = here.bed.control_plane.token(OTHER, AGENT, audience="vault")
    assert agent_login(here, AGENT, jwt)[0] == FORBIDDEN
    role = here.team.vault_role(AGENT) or {}
    assert role["alias_name_source"] == "serviceaccount_uid"


def _named(name: str, namespace: str) -> Manifest:
    return {"metadata": {"name": name, "namespace": namespace}}


def test_cve_2026_22728_no_annotation_and_no_label_widens(here: Town) -> None:
    ready(here, "annotated", **full_spec())
    names = {kind: name.replace(AGENT, "annotated", 1) for kind, name in OWNED.items()}
    names |= {"RoleBinding": "agentidentity:annotated:ticket-reader"}
    names |= dict.fromkeys(("PeerAuthentication", "AuthorizationPolicy"), "agentidentity-annotated")
    before = {kind: here.admin.read(kind, TEAM, name) for kind, name in names.items()}
    keys = ("cluster-wide", "namespace-wide", "class", "policies", "account", "enforcement")
    marks = {f"agentidentity.dev/{key}": "true" for key in keys} | {"istio.io/dry-run": "true"}
    for field in ("annotations", "labels"):
        done(here.alice.patch("AgentIdentity", TEAM, "annotated", {"metadata": {field: marks}}))
    ttl = {"spec": {"vault": {"policies": ["own-secrets"], "tokenTTLSeconds": 700}}}
    done(here.alice.patch("AgentIdentity", TEAM, "annotated", ttl))
    here.team.wait_ready("annotated")
    assert {kind: here.admin.read(kind, TEAM, name) for kind, name in names.items()} == before


def test_cve_2025_55190_nothing_that_can_be_read_holds_a_credential(here: Town) -> None:
    shown = readable(here, AGENT)
    assert "spiffe://" in shown
    assert CREDENTIALS.findall(shown) == []
    for name in ("kube-token", "vault-token"):
        assert (here.operator.directory / name).read_text() not in shown


def test_cve_2026_61682_the_operators_port_believes_no_header(here: Town) -> None:
    port = Endpoint(f"http://127.0.0.1:{here.operator.port}")
    said = {"X-Remote-User": "admin", "X-Remote-Group": "system:masters"}
    for path in ("/", "/validate", "/mutate", "/debug/pprof/", "/api/v1/secrets"):
        for method in ("GET", "POST"):
            assert port.call(method, path, headers=said).status in (404, 405)
    assert port.call("POST", "/metrics", headers=said).status == 405


def test_cve_2026_40109_a_token_for_others_is_no_login(here: Town) -> None:
    assert agent_login(here, AGENT, kubelet_token(here, AGENT, audience=""))[0] == FORBIDDEN
    assert agent_login(here, AGENT, kubelet_token(here, AGENT))[0] == OK


def test_cve_2026_96615_the_operator_is_nobody_else(here: Town) -> None:
    token = (here.operator.directory / "kube-token").read_text()
    operator = bearer("operator", here.bed, token)
    for user in ("admin", f"system:serviceaccount:{TEAM}:{AGENT}", "system:node:worker"):
        as_user = {"Impersonate-User": user}
        answer = operator.send("GET", path_of("Secret", TEAM), **as_user)
        assert (answer.status, "cannot impersonate" in told(answer)) == (FORBIDDEN, True)


# --- Vault and OpenBao


def test_cve_2026_89322_every_name_in_vault_is_canonical(here: Town) -> None:
    names = [
        *here.bed.openbao.list("auth/kubernetes/role"),
        *(p for p in here.bed.openbao.list("sys/policies/acl") if p.startswith("agentid")),
    ]
    assert f"test_{TEAM}_{AGENT}" in names
    assert [n for n in names if not re.fullmatch(r"[a-z0-9_-]+", n)] == []
    for field, value in (("policies/0", "Own-Secrets"), ("policies/1", "TEAM")):
        manifest = class_manifest("upper", here.bed)
        manifest["spec"]["vault"]["policies"][int(field[-1])]["name"] = value
        assert dry(here.admin, manifest).status == INVALID
    policy = (here.bed.openbao.read(f"sys/policies/acl/agentid_test_{CLASS}_own-secrets") or {})[
        "policy"
    ]
    assert '"deny"' not in policy


def test_cve_2026_40264_an_accessor_is_nothing_to_an_agent(here: Town) -> None:
    ready(here, "neighbour", **full_spec())
    _, other = agent_login(here, "neighbour", kubelet_token(here, "neighbour"))
    _, own = agent_login(here, AGENT, kubelet_token(here, AGENT))
    body = {"accessor": other["accessor"]}
    for path in ("auth/token/revoke-accessor", "auth/token/lookup-accessor"):
        asked = here.bed.openbao.request("POST", path, body, token=own["client_token"])
        assert asked[0] == FORBIDDEN
    assert other["accessor"] not in readable(here, "neighbour")


# --- Istio


def test_cve_2026_39350_callers_are_exact_principals(here: Town) -> None:
    """No dots in names, and never the field where a dot is any character."""
    caller = {**RULE, "from": [{"kind": "ServiceAccount", "namespace": OTHER, "name": "a.b"}]}
    for spec in (
        {"serviceAccount": {"name": "a.b"}},
        {"inbound": {"enforcement": "Enforce", "rules": [caller]}},
    ):
        assert dry(here.alice, here.identity("dotted", **spec)).status == INVALID
    ready(here, "called", inbound={"enforcement": "Enforce", "rules": [RULE]})
    policy = here.admin.read("AuthorizationPolicy", TEAM, "agentidentity-called")
    sources = [f["source"] for r in policy["spec"]["rules"] for f in r["from"]]
    assert sources == [{"principals": [f"cluster.local/ns/{OTHER}/sa/front"]}]


def test_cve_2021_31920_what_is_not_allowed_is_denied_and_nothing_is_by_its_path(
    here: Town,
) -> None:
    """Also -39155 and -39156: a path in another spelling is one more that is not let in."""
    ready(here, "paths", inbound={"enforcement": "Enforce", "rules": [RULE]})
    spec = here.admin.read("AuthorizationPolicy", TEAM, "agentidentity-paths")["spec"]
    assert spec["action"] == "ALLOW"
    operations = [to["operation"] for rule in spec["rules"] for to in rule["to"]]
    assert operations == [{"ports": ["8080"], "methods": ["GET"], "paths": ["/a"]}]
    for path in ("/a/*x", "*", "/a#b", "/a/%2e%2e/b", "a"):
        rule = {**RULE, "http": {"methods": ["GET"], "paths": [path]}}
        inbound = {"enforcement": "Enforce", "rules": [rule]}
        assert dry(here.alice, here.identity("x", inbound=inbound)).status == INVALID


def test_istio_security_2021_004_mtls_is_strict_before_anybody_is_named(here: Town) -> None:
    ready(here, "strict", inbound={"enforcement": "Enforce", "rules": [RULE]})
    authentication = here.admin.read("PeerAuthentication", TEAM, "agentidentity-strict")
    assert authentication["spec"]["mtls"] == {"mode": "STRICT"}
    made = [
        e["objectRef"]["resource"]
        for e in here.operator.changes()
        if e["verb"] == "create" and e["objectRef"].get("name") == "agentidentity-strict"
    ]
    assert made == ["peerauthentications", "authorizationpolicies"]


def test_cve_2026_31837_no_tenant_names_keys_or_headers(here: Town) -> None:
    """Also -26308: callers are told by their certificate alone."""
    words = ("jwks", "jwt", "issuer", "header", "when", "claim", "envoy")
    fields = [*places(schema_of(here, "agentidentities"))]
    assert "spec.inbound.rules[].from[].kind" in fields
    assert [f for f in fields if any(w in f.lower() for w in words)] == []
    ready(here, "keyless", inbound={"enforcement": "Enforce", "rules": [RULE]})
    rules = here.admin.read("AuthorizationPolicy", TEAM, "agentidentity-keyless")["spec"]["rules"]
    assert [set(rule) for rule in rules] == [{"from", "to"}]
    # kubectl is patient where the API server has never listed the kind before, and so answers 429.
    listed = ("get", "requestauthentications", "-n", TEAM, "-o", "name")
    assert here.bed.control_plane.kubectl(*listed).stdout == ""
