"""Specs that the API server takes, and what the operator must make of each.

Most must be held back with a reason that says what to mend. The others lie exactly at a limit, or
are odd and right: what the API server takes and the operator refuses would be a trap.
"""

from dataclasses import dataclass
from typing import Any

from hostile_specs import (
    CALLER,
    GONE,
    HTTP_RULE,
    SCRAPER,
    WIDE_KEYS,
    WIDE_POLICIES,
    Edits,
    Manifest,
    Renamed,
    edited,
    names,
    numbered,
)

from testbed.bed import Bed
from testbed.tenant import class_manifest

IN_PLACE = "InPlace"
PREMADE = "premade"
BYSTANDER = "bystander"
UNBINDABLE = "unbindable"
"""A ClusterRole that a class lists and the operator has no `bind` on."""
HELD = "example.com/held"
"""A finalizer of somebody else."""


def classes(bed: Bed) -> dict[str, Manifest]:
    """Every class that the cases use, by a short name."""
    vault = class_manifest("any", bed)["spec"]["vault"]
    policies = [*vault["policies"], *({"name": n, "policyName": "team-x"} for n in WIDE_POLICIES)]
    keys = ["eks.amazonaws.com/role-arn", *WIDE_KEYS]
    misspelt = {
        "spec/inbound": {"minimumEnforcment": "Shadow"},
        "spec/serviceAccounts": Renamed("serviceAccount"),
        "spec/rbac": Renamed("rabc"),
        "spec/vault": Renamed("vualt"),
    }
    return {
        "open": class_manifest(
            "hostile-open",
            bed,
            serviceAccounts={"annotationKeys": keys},
            rbac={"clusterRoles": ["ticket-reader", UNBINDABLE, "nowhere"]},
            vault=vault | {"maxTokenTTLSeconds": 86400, "policies": policies},
        ),
        "narrow": class_manifest("hostile-narrow", bed),
        "meshless": class_manifest("hostile-meshless", bed, mesh={"type": "None"}),
        "vaultless": class_manifest("hostile-vaultless", None),
        "going": _held(class_manifest("hostile-going", None)),
        "broken": class_manifest(
            "hostile-broken", None, namespaceSelector={"matchLabels": {"bad key": "x"}}
        ),
        "misspelt": edited(class_manifest("hostile-misspelt", bed), misspelt),
        "spaced": class_manifest("hostile-spaced", bed, vault=vault | {"namespace": "team"}),
    }


def _held(manifest: Manifest) -> Manifest:
    return manifest | {"metadata": manifest["metadata"] | {"finalizers": [HELD]}}


@dataclass(frozen=True)
class Asked:
    """reason: of Ready. says: what its message must tell. uses: the class, by its short name."""

    id: str
    edits: Edits
    reason: str = IN_PLACE
    says: tuple[str, ...] = ()
    uses: str = "open"
    lives: str = "home"

    @property
    def waits(self) -> bool:
        """Whether somebody else than the author is due."""
        return self.reason in ("ClassNotFound", "ClassDeleting", "ClassInvalid")


_RULE = "spec/inbound/rules/0"
_GRPC = "spec/inbound/rules/1/grpc"
_ANNOTATIONS = "spec/serviceAccount/annotations"
_PULL_SECRETS = "spec/serviceAccount/imagePullSecrets"
_MISSING = [{"kind": "AgentIdentity", "name": name} for name in names(64, "missing")]


def _missing_everywhere() -> list[Manifest]:
    return [
        HTTP_RULE | {"name": f"r{i}", "from": [c | {"name": f"{c['name']}-{i}"} for c in _MISSING]}
        for i in range(32)
    ]


def _at_the_limit(what: str, where: str, value: Any) -> Asked:
    return Asked(f"limit-{what}", {where: value})


AT_THE_LIMIT = [
    _at_the_limit("name-63-long", "metadata/name", "n" * 63),
    _at_the_limit("account-63-long", "spec/serviceAccount/name", "s" * 63),
    _at_the_limit("rule-name-63-long", f"{_RULE}/name", "r" * 63),
    _at_the_limit("caller-name-63-long", f"{_RULE}/from/0/name", "c" * 63),
    _at_the_limit("path-256-long", f"{_RULE}/http/paths", ["/" + "a" * 255]),
    _at_the_limit("service-256-long", f"{_GRPC}/services", ["a" * 256]),
    _at_the_limit("grpc-method-128-long", f"{_GRPC}/methods", ["a" * 128]),
    _at_the_limit("annotation-2048-long", _ANNOTATIONS, {WIDE_KEYS[0]: "a" * 2048}),
    _at_the_limit("annotation-empty", _ANNOTATIONS, {WIDE_KEYS[0]: ""}),
    _at_the_limit("pull-secret-253-long", _PULL_SECRETS, [{"name": "a" * 253}]),
    _at_the_limit("32-rules", "spec/inbound/rules", numbered(32, HTTP_RULE)),
    _at_the_limit("64-callers", f"{_RULE}/from", numbered(64, CALLER)),
    _at_the_limit("16-ports", f"{_RULE}/ports", list(range(1, 17))),
    _at_the_limit("ports-1-and-65535", f"{_RULE}/ports", [1, 65535]),
    _at_the_limit("32-paths", f"{_RULE}/http/paths", [f"/{n}" for n in names(32)]),
    _at_the_limit("16-services", f"{_GRPC}/services", names(16)),
    _at_the_limit("32-grpc-methods", f"{_GRPC}/methods", names(32)),
    _at_the_limit("16-annotations", _ANNOTATIONS, dict.fromkeys(WIDE_KEYS, "v")),
    _at_the_limit("8-pull-secrets", _PULL_SECRETS, numbered(8, {"name": "s"})),
    _at_the_limit("16-policies", "spec/vault/policies", WIDE_POLICIES),
    _at_the_limit("ttl-60", "spec/vault/tokenTTLSeconds", 60),
    _at_the_limit("ttl-86400", "spec/vault/tokenTTLSeconds", 86400),
    _at_the_limit("spec-empty-but-class", "spec/serviceAccount", {}),
    Asked(
        "limit-2048-missing-callers",
        {"spec/inbound/rules": _missing_everywhere()},
        says=("named and not there", "and 2032 more"),
    ),
    Asked("limit-of-narrow-ttl", {"spec/vault/tokenTTLSeconds": 3600}, uses="narrow"),
    Asked(
        "odd-forged-marks",
        {
            "metadata/labels": {
                "agentidentity.dev/identity": BYSTANDER,
                "agentidentity.dev/retired": "true",
                "app.kubernetes.io/managed-by": "agent-identity-operator",
            },
            "metadata/annotations": {"kopf.zalando.org/last-handled-configuration": "{no json"},
        },
    ),
    Asked("limit-class-name-63-long", {"spec/className": "c" * 63}, "ClassNotFound", ("c" * 63,)),
    Asked("limit-16-cluster-roles", {"spec/rbac/clusterRoles": names(16)}, "NotInClass", ("n015",)),
    Asked(
        "limit-cluster-role-128-long",
        {"spec/rbac/clusterRoles": ["a" * 128]},
        "NotInClass",
        ("a" * 128,),
    ),
    Asked("limit-policy-63-long", {"spec/vault/policies": ["p" * 63]}, "NotInClass", ("p" * 63,)),
]


def _no_key(what: str, key: str) -> Asked:
    says = ("spec.serviceAccount.annotations",)
    return Asked(f"annotation-key-{what}", {_ANNOTATIONS: {key: "v"}}, "InvalidSpec", says)


def _not_listed(what: str, where: str, value: object, *says: str) -> Asked:
    return Asked(what, {where: value}, "NotInClass", says)


CHARACTERS = [
    _no_key("space", "bad key"),
    _no_key("newline-last", "eks.amazonaws.com/role-arn\n"),
    _no_key("cyrillic", "eks.\u0430mazonaws.com/role-arn"),
    _no_key("fullwidth", "\uff45ks.amazonaws.com/role-arn"),
    _no_key("upper-prefix", "EKS.amazonaws.com/role-arn"),
    _no_key("empty", ""),
    _no_key("star", "*"),
    _no_key("two-slashes", "eks.amazonaws.com/role-arn/x"),
    _no_key("dots", "../role-arn"),
    _no_key("too-long", "k" * 254),
    _no_key("huge", "k" * 300_000),
    _no_key("nul", "a\0b"),
    _not_listed("annotation-key-ours", _ANNOTATIONS, {"agentidentity.dev/x": "v"}, "dev/x"),
    _not_listed(
        "annotation-key-of-vault",
        _ANNOTATIONS,
        {"vault.hashicorp.com/alias-metadata-x": "v"},
        "vault.hashicorp.com/alias-metadata-x",
        "spec.serviceAccount.annotations",
    ),
    _not_listed(
        "annotation-key-of-kubernetes",
        _ANNOTATIONS,
        {"kubernetes.io/enforce-mountable-secrets": "false"},
        "kubernetes.io/enforce-mountable-secrets",
    ),
    _not_listed("role-upper", "spec/rbac/clusterRoles", ["Ticket-Reader"], "Ticket-Reader"),
    _not_listed("role-colon", "spec/rbac/clusterRoles", ["system:admin"], "system:admin"),
]

REFERENCES = [
    _not_listed(
        "role-not-listed",
        "spec/rbac/clusterRoles",
        ["ticket-reader", "cluster-admin"],
        "spec.rbac.clusterRoles asks for cluster-admin",
        "it lists nowhere, ticket-reader",
    ),
    _not_listed("policy-root", "spec/vault/policies", ["root"], "spec.vault.policies", "root"),
    _not_listed("policy-by-its-vault-name", "spec/vault/policies", ["team-x"], "team-x"),
    Asked(
        "account-default",
        {"spec/serviceAccount/name": "default"},
        "ForeignObject",
        ("ServiceAccount default",),
    ),
    Asked(
        "account-premade",
        {"spec/serviceAccount/name": PREMADE},
        "ForeignObject",
        (f"ServiceAccount {PREMADE}",),
    ),
    Asked(
        "account-of-another",
        {"spec/serviceAccount/name": BYSTANDER},
        "AccountTaken",
        (f"ServiceAccount {BYSTANDER} belongs to AgentIdentity {BYSTANDER}",),
    ),
    Asked("class-missing", {"spec/className": "nowhere"}, "ClassNotFound", ("nowhere",)),
    Asked(
        "class-of-finalizer-missing",
        {"spec/className": "nowhere", "metadata/finalizers": ["agentidentity.dev/cleanup"]},
        "ClassNotFound",
        ("nowhere",),
    ),
    Asked("class-going", {}, "ClassDeleting", ("hostile-going",), uses="going"),
    Asked("class-broken", {}, "ClassInvalid", ("hostile-broken", "matchLabels"), uses="broken"),
    Asked(
        "class-not-for-here",
        {},
        "NamespaceNotAllowed",
        ("agents=allowed", "hostile-stranger"),
        lives="hostile-stranger",
    ),
    Asked("mesh-root", {}, "MeshRootNamespace", ("istio-system",), lives="istio-system"),
    Asked(
        "ttl-over-class",
        {"spec/vault/tokenTTLSeconds": 3601},
        "NotInClass",
        ("spec.vault.tokenTTLSeconds is 3601", "at most 3600"),
        uses="narrow",
    ),
    Asked(
        "shadow-under-enforce",
        {"spec/inbound/enforcement": "Shadow"},
        "EnforcementBelowClass",
        ("hostile-open", "inbound.enforcement Shadow"),
    ),
    Asked(
        "inbound-without-mesh", {}, "NoMesh", ("hostile-meshless", "spec.inbound"), uses="meshless"
    ),
    Asked(
        "vault-without-vault",
        {},
        "NotInClass",
        ("spec.vault.policies asks for own-secrets", "it lists none"),
        uses="vaultless",
    ),
]

_ONE_ROLE = {"spec/serviceAccount": GONE, "spec/inbound": GONE, "spec/vault": GONE}
MISSPELT_CEILINGS = [
    Asked(
        "clasName",
        {"spec/className": Renamed("clasName")},
        "ClassNotFound",
        ("AgentIdentityClass default",),
    ),
    Asked(
        "minimumEnforcment",
        {
            "spec/inbound/enforcement": "Shadow",
            "spec/rbac": GONE,
            "spec/vault": GONE,
            "spec/serviceAccount": GONE,
        },
        "EnforcementBelowClass",
        ("hostile-misspelt",),
        uses="misspelt",
    ),
    Asked(
        "class-serviceAccount",
        {"spec/rbac": GONE, "spec/vault": GONE},
        "NotInClass",
        ("eks.amazonaws.com/role-arn", "it lists none"),
        uses="misspelt",
    ),
    Asked(
        "class-rabc", _ONE_ROLE, "NotInClass", ("ticket-reader", "it lists none"), uses="misspelt"
    ),
    Asked(
        "class-vualt",
        {"spec/serviceAccount": GONE, "spec/rbac": GONE},
        "NotInClass",
        ("own-secrets", "it lists none"),
        uses="misspelt",
    ),
]

ASKED = [*AT_THE_LIMIT, *CHARACTERS, *REFERENCES, *MISSPELT_CEILINGS]


@dataclass(frozen=True)
class Given:
    """Taken and Ready: what is `where` in an object that was made. {name} and {namespace} stand
    for the identity's; None: there is no such object or nothing at that place."""

    id: str
    edits: Edits
    kind: str
    where: str = ""
    is_: Any = None


_AP_RULE = "spec/rules/1"
_CALL = "to/0/operation"
ODD_PATHS = ["/", "/*", "/.well-known/x", "/a/*", "/a..b", "/a/", "/{*}/x/{**}", "/~:@-_"]
ODD_TEXT = 'a"\\\n\t\u202e\u0000\U0001f916 $(x) {{ y }}'
GIVEN = [
    Given(
        "nmae",
        {"spec/serviceAccount": {"nmae": "special"}},
        "AgentIdentity",
        "status/serviceAccount",
        "{name}",
    ),
    Given(
        "name-null",
        {"spec/serviceAccount/name": None},
        "AgentIdentity",
        "status/serviceAccount",
        "{name}",
    ),
    Given(
        "serviceAccont",
        {"spec/serviceAccount": Renamed("serviceAccont")},
        "ServiceAccount",
        "metadata/annotations",
    ),
    Given(
        "annotation",
        {_ANNOTATIONS: Renamed("annotation")},
        "ServiceAccount",
        "metadata/annotations",
    ),
    Given(
        "annotation-null",
        {_ANNOTATIONS: {WIDE_KEYS[0]: None}},
        "ServiceAccount",
        "metadata/annotations",
    ),
    Given(
        "imagePullSecret",
        {_PULL_SECRETS: Renamed("imagePullSecret")},
        "ServiceAccount",
        "imagePullSecrets",
    ),
    Given("inbund", {"spec/inbound": Renamed("inbund")}, "AuthorizationPolicy", "spec/rules"),
    Given("inbound-null", {"spec/inbound": None}, "PeerAuthentication", "spec/mtls/mode", "STRICT"),
    Given("ruels", {"spec/inbound/rules": Renamed("ruels")}, "AuthorizationPolicy", "spec/rules"),
    Given("rules-empty", {"spec/inbound/rules": []}, "AuthorizationPolicy", "spec/rules"),
    Given("rules-null", {"spec/inbound/rules": None}, "AuthorizationPolicy", "spec/rules"),
    Given("rback", {"spec/rbac": Renamed("rback")}, "RoleBinding"),
    Given("valut", {"spec/vault": Renamed("valut")}, "VaultRole"),
    Given(
        "tokenTTLSecond",
        {"spec/vault/tokenTTLSeconds": Renamed("tokenTTLSecond")},
        "VaultRole",
        "token_ttl",
        900,
    ),
    Given("ttl-null", {"spec/vault/tokenTTLSeconds": None}, "VaultRole", "token_ttl", 900),
    Given("ttl-whole-float", {"spec/vault/tokenTTLSeconds": 700.0}, "VaultRole", "token_ttl", 700),
    Given(
        "caller-namspace",
        {f"{_RULE}/from/0": {"kind": "AgentIdentity", "name": BYSTANDER, "namspace": "web"}},
        "AuthorizationPolicy",
        f"{_AP_RULE}/from/0/source/principals",
        ["cluster.local/ns/{namespace}/sa/" + BYSTANDER],
    ),
    Given(
        "missing-caller-drops-the-rule",
        {f"{_RULE}/from": _MISSING[:1]},
        "AuthorizationPolicy",
        f"{_AP_RULE}",
    ),
    Given(
        "star-as-grpc-method",
        {f"{_GRPC}/methods": ["*"]},
        "AuthorizationPolicy",
        f"spec/rules/0/{_CALL}/paths",
        ["/shop.v1.Orders/*"],
    ),
    Given(
        "odd-paths",
        {f"{_RULE}/http/paths": ODD_PATHS},
        "AuthorizationPolicy",
        f"{_AP_RULE}/{_CALL}/paths",
        sorted(ODD_PATHS),
    ),
    Given(
        "odd-text",
        {_ANNOTATIONS: {WIDE_KEYS[0]: ODD_TEXT}},
        "ServiceAccount",
        "metadata/annotations",
        {WIDE_KEYS[0]: ODD_TEXT},
    ),
    Given(
        "no-default-policy",
        {"spec/vault/policies": [WIDE_POLICIES[0]]},
        "VaultRole",
        "token_no_default_policy",
        True,
    ),
]

# --- what can't be changed

_ACCOUNT_FIXED = "the account's name can't be changed"


@dataclass(frozen=True)
class Change:
    """A patch (merge; a list is a JSON patch) of a live object, and what the refusal says."""

    id: str
    of: str
    name: str
    patch: Any
    says: str


def _account(what: str, name: str, patch: Any) -> Change:
    return Change(f"account-{what}", "AgentIdentity", name, patch, _ACCOUNT_FIXED)


def _vault(what: str, patch: Any, says: str, name: str = "hostile-narrow") -> Change:
    return Change(f"vault-{what}", "AgentIdentityClass", name, {"spec": patch}, says)


def _removed(path: str) -> list[dict[str, str]]:
    return [{"op": "remove", "path": path}]


NAMED, PLAIN = "named", "plain"
CHANGES = [
    _account("set", PLAIN, {"spec": {"serviceAccount": {"name": "other"}}}),
    _account("changed", NAMED, {"spec": {"serviceAccount": {"name": "other"}}}),
    _account("null", NAMED, {"spec": {"serviceAccount": {"name": None}}}),
    _account("removed", NAMED, _removed("/spec/serviceAccount/name")),
    _account("section-null", NAMED, {"spec": {"serviceAccount": None}}),
    _account("section-removed", NAMED, _removed("/spec/serviceAccount")),
    _account(
        "section-emptied", NAMED, [{"op": "replace", "path": "/spec/serviceAccount", "value": {}}]
    ),
    _account(
        "misspelt",
        NAMED,
        [{"op": "replace", "path": "/spec/serviceAccount", "value": {"nmae": "named-account"}}],
    ),
    _vault("address", {"vault": {"address": "https://other"}}, "the address can't be changed"),
    _vault("mount", {"vault": {"agentAuth": {"mount": "other"}}}, "the mount can't be changed"),
    _vault(
        "namespace-added", {"vault": {"namespace": "team"}}, "the Vault namespace can't be changed"
    ),
    _vault(
        "namespace-changed",
        {"vault": {"namespace": "other"}},
        "the Vault namespace can't be changed",
        "hostile-spaced",
    ),
    _vault(
        "namespace-removed",
        {"vault": {"namespace": None}},
        "the Vault namespace can't be changed",
        "hostile-spaced",
    ),
    _vault("removed", {"vault": None}, "vault can't be removed once set"),
    Change(
        "vault-dropped",
        "AgentIdentityClass",
        "hostile-narrow",
        _removed("/spec/vault"),
        "vault can't be removed once set",
    ),
    _vault(
        "default-over-max",
        {"vault": {"maxTokenTTLSeconds": 60}},
        "defaultTokenTTLSeconds is over maxTokenTTLSeconds",
    ),
]

# --- classes


@dataclass(frozen=True)
class AskedClass:
    """reason: of the class's Ready."""

    id: str
    edits: Edits
    reason: str = IN_PLACE
    says: tuple[str, ...] = ()

    @property
    def stalls(self) -> bool:
        return self.reason == "InvalidSpec"


_RULES = "spec/vault/policies/0/rules"
_READ = {"capabilities": ["read"]}
_NO_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
ASKED_CLASSES = [
    AskedClass("name-63-long", {"metadata/name": "hostile-" + "c" * 55}),
    AskedClass("8-rules", {"spec/inbound": {"rules": numbered(8, SCRAPER)}}),
    AskedClass("32-annotation-keys", {"spec/serviceAccounts/annotationKeys": names(32)}),
    AskedClass("64-cluster-roles", {"spec/rbac/clusterRoles": names(64)}),
    AskedClass("16-vault-rules", {_RULES: [{"path": n, **_READ} for n in names(16)]}),
    AskedClass("vault-path-256-long", {_RULES: [{"path": "p" * 256, **_READ}]}),
    AskedClass("ttl-at-max", {"spec/vault/defaultTokenTTLSeconds": 3600}),
    AskedClass("no-policies", {"spec/vault/policies": []}),
    AskedClass("every-namespace", {"spec/namespaceSelector/matchLabels": {}}),
    AskedClass(
        "label-key",
        {"spec/namespaceSelector/matchLabels": {"bad key": "x"}},
        "InvalidSpec",
        ("spec.namespaceSelector.matchLabels",),
    ),
    AskedClass(
        "label-key-empty",
        {"spec/namespaceSelector/matchLabels": {"": "x"}},
        "InvalidSpec",
        ("spec.namespaceSelector.matchLabels",),
    ),
    AskedClass(
        "label-key-huge",
        {"spec/namespaceSelector/matchLabels": {"k" * 300_000: "x"}},
        "InvalidSpec",
        ("spec.namespaceSelector.matchLabels",),
    ),
    AskedClass(
        "ca-bundle-no-certificate",
        {"spec/vault/caBundle": _NO_CERTIFICATE},
        "InvalidSpec",
        ("spec.vault.caBundle",),
    ),
    AskedClass(
        "caBundel",
        {"spec/vault/caBundle": Renamed("caBundel")},
        "Unreachable",
        ("does not answer",),
    ),
    AskedClass(
        "address-port-too-high",
        {"spec/vault/address": "https://127.0.0.1:99999"},
        "Unreachable",
        ("https://127.0.0.1:99999",),
    ),
    AskedClass(
        "address-nobody-there",
        {"spec/vault/address": "https://127.0.0.1:1"},
        "Unreachable",
        ("https://127.0.0.1:1",),
    ),
    AskedClass(
        "mount-missing", {"spec/vault/agentAuth/mount": "nowhere"}, "Rejected", ("auth/nowhere",)
    ),
    AskedClass(
        "login-role-missing", {"spec/vault/login/role": "nobody"}, "LoginRefused", ("role nobody",)
    ),
]
