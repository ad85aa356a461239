"""People and programs with rights of their own, who talk to the real API server: their requests
carry a real token of theirs, and what comes back is what they would read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from testbed.bed import Bed
from testbed.control_plane import ControlPlane
from testbed.endpoint import Answer, Endpoint
from testbed.tenant import RBAC, VERSIONS
from testbed.waiting import wait_until

Manifest = dict[str, Any]
HOME = "people"
"""Where their own accounts are."""
CREATED = HTTPStatus.CREATED
FORBIDDEN = HTTPStatus.FORBIDDEN
OK = HTTPStatus.OK
MERGE = "application/merge-patch+json"
CLUSTER_WIDE = frozenset(
    {"AgentIdentityClass", "Namespace", "Node", "ClusterRole", "ClusterRoleBinding"}
)
PLURALS = {
    "AgentIdentity": "agentidentities",
    "AgentIdentityClass": "agentidentityclasses",
    "AuthorizationPolicy": "authorizationpolicies",
}


def path_of(kind: str, namespace: str = "", name: str = "", *, version: str = "") -> str:
    """Of one object, or without a name of all."""
    version = version or VERSIONS.get(kind, "v1")
    root = f"/api/{version}" if version == "v1" else f"/apis/{version}"
    within = "" if kind in CLUSTER_WIDE else f"/namespaces/{namespace}"
    plural = PLURALS.get(kind, f"{kind.lower()}s")
    return f"{root}{within}/{plural}" + (f"/{name}" if name else "")


def told(answer: Answer) -> str:
    """What the API server said."""
    try:
        return str(json.loads(answer.text).get("message", answer.text))
    except ValueError:
        return answer.text


@dataclass(frozen=True)
class Person:
    """name: as the API server knows them. headers: what shows it who they are."""

    name: str
    control_plane: ControlPlane
    headers: Mapping[str, str]

    def send(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        endpoint = Endpoint(self.control_plane.server, self.control_plane.ca_file)
        return endpoint.call(method, path, body=body, headers={**self.headers, **headers})

    def create(self, manifest: Manifest) -> Answer:
        metadata = manifest["metadata"]
        version = manifest.get("apiVersion", "")
        path = path_of(manifest["kind"], metadata.get("namespace", ""), version=version)
        return self.send("POST", path, manifest)

    def patch(self, kind: str, namespace: str, name: str, body: Manifest) -> Answer:
        return self.send("PATCH", path_of(kind, namespace, name), body, **{"Content-Type": MERGE})

    def replace(self, kind: str, namespace: str, name: str, body: Manifest) -> Answer:
        return self.send("PUT", path_of(kind, namespace, name), body)

    def delete(self, kind: str, namespace: str, name: str = "", **options: Any) -> Answer:
        """Without a name: all that there are."""
        return self.send("DELETE", path_of(kind, namespace, name), options or None)

    def read(self, kind: str, namespace: str, name: str) -> Manifest:
        return self.send("GET", path_of(kind, namespace, name)).json()

    def ask_token(self, namespace: str, account: str, **spec: Any) -> Answer:
        path = path_of("ServiceAccount", namespace, f"{account}/token")
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        return self.send("POST", path, body)


def bearer(name: str, bed: Bed, token: str) -> Person:
    """Whoever has this token."""
    return Person(name, bed.control_plane, {"Authorization": f"Bearer {token}"})


def administrator(bed: Bed) -> Person:
    """system:masters: RBAC allows them everything."""
    return bearer("admin", bed, bed.control_plane.admin_token)


def acting_as(bed: Bed, user: str, group: str) -> Person:
    """A user who can't log in here, such as a node or a person on call, impersonated."""
    admin = administrator(bed).headers
    shown = {"Impersonate-User": user, "Impersonate-Group": group}
    return Person(user, bed.control_plane, {**admin, **shown})


def employ(bed: Bed, name: str) -> Person:
    """Somebody new, without any right, with an account and a real token."""
    admin = administrator(bed)
    admin.create({"kind": "Namespace", "metadata": {"name": HOME}})
    admin.create({"kind": "ServiceAccount", "metadata": {"name": name, "namespace": HOME}})
    user = f"system:serviceaccount:{HOME}:{name}"
    return bearer(user, bed, bed.control_plane.token(HOME, name))


def grant(bed: Bed, who: Person, role: str, namespace: str = "") -> None:
    """Bind them to a ClusterRole, in a namespace or in the whole cluster. When this returns, the
    authorizer knows of it."""
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    subject = {"kind": "User", "name": who.name, "apiGroup": "rbac.authorization.k8s.io"}
    name = f"{role}-{who.name}".replace(":", "-")
    done(
        administrator(bed).create(
            {
                "apiVersion": RBAC,
                "kind": kind,
                "metadata": {"name": name, "namespace": namespace},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": role,
                },
                "subjects": [subject],
            }
        )
    )
    wait_until(
        lambda: _may_all(who, _resource_rules(bed, role), namespace or "default"),
        timeout=30,
        what=f"{role} for {who.name} in the authorizer",
    )


def _resource_rules(bed: Bed, role: str) -> list[Manifest]:
    """Of a ClusterRole; of an aggregated one, once its controller has filled it."""
    rules = administrator(bed).read("ClusterRole", "", role)["rules"]
    return [rule for rule in rules if "resources" in rule]


def _may_all(who: Person, rules: Sequence[Manifest], namespace: str) -> bool:
    """The authorizer learns of a binding by a watch: who asks at once may be told of no right."""
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    review = done(who.send("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", body))
    held = review["status"]["resourceRules"]
    return bool(rules) and all(rule in held for rule in rules)


def make_role(bed: Bed, name: str, *rules: Manifest) -> str:
    """A ClusterRole."""
    body = {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": name}}
    done(administrator(bed).create({**body, "rules": list(rules)}))
    return name


def may_use(bed: Bed, class_name: str) -> str:
    """A ClusterRole that lets one use a class."""
    rule = {
        "apiGroups": ["agentidentity.dev"],
        "resources": ["agentidentityclasses"],
        "verbs": ["use"],
        "resourceNames": [class_name],
    }
    return make_role(bed, f"use-{class_name}", rule)


def done(answer: Answer) -> Manifest:
    """What was made; fails with what was said when nothing was."""
    assert answer.status in (OK, CREATED, HTTPStatus.ACCEPTED), told(answer)
    return answer.json()


def assert_refused(answer: Answer, *says: str) -> None:
    """By an admission policy of ours, which says all of this; RBAC's refusal is none."""
    message = told(answer)
    assert answer.status == FORBIDDEN, message
    assert "ValidatingAdmissionPolicy 'agentidentity.dev-" in message, message
    assert [part for part in says if part not in message] == [], message
