"""The rights of an identity, and the ceilings of a class, as flat sets that can be compared.

What one right already lets through is no gain when it is written more narrowly: a pipeline that
cries out at every narrowing is one that nobody reads.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from agent_identity.api import v1alpha1 as v
from agent_identity.api.described import Described
from agent_identity.api.rules import Caller, Rule
from agent_identity.core import grants
from agent_identity.core.identity import AgentClass, Identity


class RightKind(Described):
    """What a right is about. Members carry how it is told; {} takes the right's own fields."""

    CLASS = "class", "class {subject}"
    NAMESPACES = "namespaces", "namespaces labelled {detail}"
    SHADOW = "shadow", "enforcement Shadow, with which anybody may call"
    INBOUND = "inbound", "{subject} may call {detail}"
    CLUSTER_ROLE = "clusterRole", "ClusterRole {subject}"
    VAULT_PATH = "vaultPath", "Vault {detail}"
    VAULT_POLICY = "vaultPolicy", "Vault policy {subject}"
    AUDIENCE = "audience", "Vault logins with tokens for audience {subject}"
    TOKEN_SECONDS = "tokenSeconds", "a Vault token for {detail} s"
    TOKEN_MAX_SECONDS = "tokenMaxSeconds", "a Vault token renewed for up to {detail} s"
    ANNOTATION = "annotation", "account annotation {subject} {detail}"
    PULL_SECRET = "pullSecret", "images pulled with Secret {subject}"


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One thing that may be done. source: the field that gives it, which makes it no other right.

    On a class, what its identities may ask for; there `subject` of a Vault path is the policy."""

    kind: RightKind
    subject: str = ""
    detail: tuple[str, ...] = ()
    source: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.kind.about.format(subject=self.subject, detail=_shown(self)).strip()


# They say how other rights are had; by themselves they give nothing.
_HOW = (
    *(RightKind.CLASS, RightKind.AUDIENCE),
    *(RightKind.TOKEN_SECONDS, RightKind.TOKEN_MAX_SECONDS),
)
ANYBODY = "anybody"
_ANYTHING = "*"


def identity_rights(identity: Identity, agent_class: AgentClass | None) -> frozenset[Right]:
    """What the identity has once everything that it asks for is in place; a class that is not
    known gives nothing of its own, and its policies keep their names."""
    if identity.spec is None:
        return frozenset()
    ceiling = agent_class.spec if agent_class else None
    return frozenset(
        [
            Right(RightKind.CLASS, identity.class_name, source="spec.className"),
            *_inbound(identity, ceiling),
            *_account(identity.spec),
            *_rbac(identity.spec.rbac, "spec.rbac.clusterRoles"),
            *(_vault(identity, identity.spec.vault, ceiling) if identity.spec.vault else ()),
        ]
    )


def class_ceilings(agent_class: AgentClass) -> frozenset[Right]:
    """What identities of a class may ask for, and what each of them gets unasked."""
    spec = agent_class.spec
    if spec is None:
        return frozenset()
    labels = sorted(f"{k}={w}" for k, w in spec.namespace_selector.match_labels.items())
    keys = spec.service_accounts.annotation_keys if spec.service_accounts else ()
    where = "spec.serviceAccounts.annotationKeys"
    return frozenset(
        [
            Right(RightKind.NAMESPACES, detail=tuple(labels), source="spec.namespaceSelector"),
            *(Right(RightKind.ANNOTATION, key, source=where) for key in keys),
            *_class_inbound(spec),
            *_rbac(spec.rbac, "spec.rbac.clusterRoles"),
            *(_class_vault(spec.vault) if spec.vault else ()),
        ]
    )


def grant_rights(facts: grants.GrantFacts) -> frozenset[Right]:
    """Whom a grant lets in, to what: those whom it names, who are there, and who ask for it. In
    Shadow it changes nothing."""
    grant = facts.grant
    if grant.spec is None or grant.spec.enforcement == "Shadow":
        return frozenset()
    let_in = (
        rule.model_copy(update={"from_": tuple(map(_named, facts.admitted.get(rule.name, ())))})
        for rule in grant.rules
    )
    return frozenset(_calls(let_in, grant.key.namespace, "spec.rules"))


def _named(caller: grants.Caller) -> Caller:
    return Caller(kind=caller.kind, namespace=caller.namespace, name=caller.name)


def gained(before: Iterable[Right], after: Iterable[Right]) -> tuple[Right, ...]:
    """Rights of `after` that nothing in `before` let through."""
    # One that is new altogether is told by what it gives, not by how.
    had = frozenset(before)
    by_kind: dict[RightKind, list[Right]] = {}
    for right in had:
        by_kind.setdefault(right.kind, []).append(right)
    new = (r for r in after if r not in had and (r.kind not in _HOW or r.kind in by_kind))
    return tuple(sorted(r for r in new if not any(covers(o, r) for o in by_kind.get(r.kind, ()))))


def covers(one: Right, other: Right) -> bool:
    """Whether `one` lets through all that `other` does."""
    if one.kind != other.kind:
        return False
    match one.kind:
        case RightKind.INBOUND:
            return _caller_covers(one.subject, other.subject) and _call_covers(one, other)
        case RightKind.VAULT_PATH:
            (path, capability), (narrower, wanted) = one.detail, other.detail
            same = (one.subject, capability) == (other.subject, wanted)
            return same and path_covers(path, narrower)
        case RightKind.TOKEN_SECONDS | RightKind.TOKEN_MAX_SECONDS:
            return int(one.detail[0]) >= int(other.detail[0])
        case RightKind.NAMESPACES:
            return set(one.detail) <= set(other.detail)
    return one == other


def path_covers(one: str, other: str) -> bool:
    """Whether every path that `other` means is one that `one` means. /* at the end is a prefix,
    {*} one segment, {**} any number of them."""
    if one in (other, _ANYTHING):
        return True
    if one.endswith("/*"):
        return other.startswith(one[:-1])
    ours, theirs = one.split("/"), other.split("/")
    for at, segment in enumerate(ours):
        if segment == "{**}":
            return len(theirs) > at
        if at >= len(theirs) or not _segment_covers(segment, theirs[at]):
            return False
    return len(ours) == len(theirs)


def _segment_covers(one: str, other: str) -> bool:
    return one == other or (one == "{*}" and other not in ("", "*", "{**}"))


def _caller_covers(one: str, other: str) -> bool:
    if one in (ANYBODY, other):
        return True
    kind, _, name = one.partition(" ")
    return kind == "AllAgentIdentities" and other.startswith(
        f"AgentIdentity {name.removesuffix('*')}"
    )


def _call_covers(one: Right, other: Right) -> bool:
    (port, verb, path), (to_port, with_verb, to_path) = one.detail, other.detail
    within = port in (_ANYTHING, to_port) and verb in (_ANYTHING, with_verb)
    return within and path_covers(path, to_path)


def _shown(right: Right) -> str:
    if right.kind is RightKind.INBOUND:
        port, verb, path = right.detail
        if port == _ANYTHING:
            return "everything"
        what = "anything" if verb == _ANYTHING else f"{verb} {path}"
        return f"{what} on port {port}"
    if right.kind is RightKind.VAULT_PATH:
        path, capability = right.detail
        policy = f" (policy {right.subject})" if right.subject else ""
        return f"{capability} {path}{policy}"
    return ", ".join(right.detail) or ("anyhow" if right.kind is RightKind.NAMESPACES else "")


def _inbound(identity: Identity, ceiling: v.AgentIdentityClassSpec | None) -> Iterator[Right]:
    inbound = identity.spec.inbound if identity.spec else None
    if ceiling and ceiling.mesh.type == "None":
        yield _open_to_all(f"spec.mesh of class {identity.class_name}")
    elif inbound and inbound.enforcement == "Shadow":
        yield _open_to_all("spec.inbound.enforcement")
    else:
        own = (inbound.rules or ()) if inbound else ()
        yield from _calls(own, identity.key.namespace, "spec.inbound.rules")
        baseline = (ceiling.inbound.rules or ()) if ceiling and ceiling.inbound else ()
        where = f"spec.inbound.rules of class {identity.class_name}"
        yield from _calls(baseline, identity.key.namespace, where)


def _class_inbound(spec: v.AgentIdentityClassSpec) -> Iterator[Right]:
    if spec.mesh.type == "None":
        yield _open_to_all("spec.mesh")
    if spec.inbound and spec.inbound.minimum_enforcement == "Shadow":
        yield Right(RightKind.SHADOW, source="spec.inbound.minimumEnforcement")
    baseline = (spec.inbound.rules or ()) if spec.inbound else ()
    # A caller without a namespace is of the namespace of each agent.
    yield from _calls(baseline, "{namespace}", "spec.inbound.rules")


def _open_to_all(source: str) -> Right:
    return Right(RightKind.INBOUND, ANYBODY, (_ANYTHING,) * 3, source)


def _calls(rules: Iterable[Rule], namespace: str, source: str) -> Iterator[Right]:
    for rule in rules:
        for caller in rule.from_:
            who = f"{caller.kind} {caller.namespace or namespace}/{caller.name or '*'}"
            for what in _operations(rule):
                yield Right(RightKind.INBOUND, who, what, f"{source}.{rule.name}")


def _operations(rule: Rule) -> Iterator[tuple[str, str, str]]:
    """gRPC is HTTP's POST to /service/method."""
    for port in rule.ports:
        if rule.http:
            yield from ((str(port), m, p) for m in rule.http.methods for p in rule.http.paths)
        elif rule.grpc:
            calls = ((s, m) for s in rule.grpc.services for m in rule.grpc.methods)
            yield from ((str(port), "POST", f"/{s}/{m}") for s, m in calls)
        else:
            yield str(port), _ANYTHING, _ANYTHING


def _account(spec: v.AgentIdentitySpec) -> Iterator[Right]:
    account = spec.service_account
    if account is None:
        return
    for key, value in (account.annotations or {}).items():
        yield Right(RightKind.ANNOTATION, key, (f"= {value}",), "spec.serviceAccount.annotations")
    for secret in account.image_pull_secrets or ():
        yield Right(
            RightKind.PULL_SECRET, secret.name, source="spec.serviceAccount.imagePullSecrets"
        )


def _rbac(rbac: v.RbacSpec | v.ClassRbac | None, source: str) -> Iterator[Right]:
    for role in rbac.cluster_roles if rbac else ():
        yield Right(RightKind.CLUSTER_ROLE, role, source=source)


def _vault(
    identity: Identity, asked: v.VaultSpec, ceiling: v.AgentIdentityClassSpec | None
) -> Iterator[Right]:
    vault = ceiling.vault if ceiling else None
    listed = {p.name: p for p in (vault.policies or () if vault else ())}
    for name in asked.policies:
        policy = listed.get(name)
        if policy is None:
            told = f"{name} of class {identity.class_name}"
            yield Right(RightKind.VAULT_POLICY, told, source="spec.vault.policies")
        else:
            yield from _policy(policy, f"spec.vault.policies.{name}", "")
    seconds = asked.token_ttl_seconds or (vault.default_token_ttl_seconds if vault else None)
    if seconds:
        yield _seconds(RightKind.TOKEN_SECONDS, seconds, "spec.vault.tokenTTLSeconds")
    if vault:
        yield from _class_limits(vault, f"spec.vault of class {identity.class_name}")


def _class_vault(vault: v.ClassVault) -> Iterator[Right]:
    for policy in vault.policies or ():
        yield from _policy(policy, "spec.vault.policies", policy.name)
    yield _seconds(
        RightKind.TOKEN_SECONDS,
        vault.default_token_ttl_seconds,
        "spec.vault.defaultTokenTTLSeconds",
    )
    yield from _class_limits(vault, "spec.vault")


def _class_limits(vault: v.ClassVault, source: str) -> Iterator[Right]:
    yield _seconds(RightKind.TOKEN_MAX_SECONDS, vault.max_token_ttl_seconds, source)
    yield Right(RightKind.AUDIENCE, vault.agent_auth.audience, source=source)


def _seconds(kind: RightKind, seconds: int, source: str) -> Right:
    return Right(kind, detail=(str(seconds),), source=source)


def _policy(policy: v.VaultPolicy, source: str, name: str) -> Iterator[Right]:
    """name: of the policy, where it is a ceiling."""
    if policy.policy_name:
        yield Right(RightKind.VAULT_POLICY, policy.policy_name, source=source)
    for rule in policy.rules or ():
        for capability in rule.capabilities:
            yield Right(RightKind.VAULT_PATH, name, (rule.path, capability), source)
