"""What an identity may have, as a list of small checks. The list is what reviewers read.

Admission is a moment and may be off, so everything is checked again at every reconcile. The first
check that finds a problem decides; the order is the order in which somebody would mend things.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from agent_identity.api.conditions import Reason
from agent_identity.api.v1alpha1 import AgentIdentityClassSpec, AgentIdentitySpec
from agent_identity.core.errors import Invalid, Problem, Waiting
from agent_identity.core.facts import Facts
from agent_identity.core.names import account_ref, owned_refs
from agent_identity.core.ownership import is_left_over
from agent_identity.core.resource import Observed
from agent_identity.core.spiffe import SpiffeID

Check = Callable[[Facts], Problem | None]


@dataclass(frozen=True, slots=True)
class Asked:
    """Facts whose specs are known to be there: what is asked for, and the ceiling."""

    facts: Facts
    spec: AgentIdentitySpec
    ceiling: AgentIdentityClassSpec

    @property
    def class_name(self) -> str:
        return self.spec.class_name


Ceiling = Callable[[Asked], Problem | None]


class Standing(Enum):
    """What an identity is entitled to."""

    GRANTED = "all that it asks for"
    CLOSED = "of what it has: its account, mTLS and deny; nothing new, and no right"
    EXPELLED = "of what it has: mTLS and deny; neither account nor right"


@dataclass(frozen=True, slots=True)
class Verdict:
    """problem: why it is not GRANTED."""

    standing: Standing
    problem: Problem | None = None


def _spec_parses(facts: Facts) -> Problem | None:
    if facts.identity.spec is None:
        return Invalid(Reason.INVALID_SPEC, facts.identity.problem)
    return None


def _not_in_mesh_root(facts: Facts) -> Problem | None:
    if facts.identity.key.namespace != facts.cluster.mesh_root_namespace:
        return None
    return Invalid(
        Reason.MESH_ROOT_NAMESPACE,
        f"{facts.identity.key.namespace} is the mesh's root namespace: no agent can live there",
    )


def _class_is_there(facts: Facts) -> Problem | None:
    name = facts.identity.class_name
    if facts.agent_class is None:
        return Waiting(Reason.CLASS_NOT_FOUND, f"there is no AgentIdentityClass {name}")
    if facts.agent_class.deleting:
        return Waiting(Reason.CLASS_DELETING, f"AgentIdentityClass {name} is being deleted")
    if facts.agent_class.spec is None:
        detail = f"AgentIdentityClass {name}: {facts.agent_class.problem}"
        return Waiting(Reason.CLASS_INVALID, detail)
    return None


def _namespace_is_allowed(asked: Asked) -> Problem | None:
    namespace = asked.facts.namespace
    labels = namespace.labels if namespace else {}
    wanted = asked.ceiling.namespace_selector.match_labels
    missing = sorted(f"{k}={v}" for k, v in wanted.items() if labels.get(k) != v)
    if namespace is not None and not missing:
        return None
    return Invalid(
        Reason.NAMESPACE_NOT_ALLOWED,
        f"class {asked.class_name} is for namespaces labelled {', '.join(missing)};"
        f" {asked.facts.identity.key.namespace} is not",
    )


def _annotations_are_listed(asked: Asked) -> Problem | None:
    account, ceiling = asked.spec.service_account, asked.ceiling.service_accounts
    keys = (account.annotations or {}) if account else {}
    listed = ceiling.annotation_keys if ceiling else ()
    return _unlisted("serviceAccount.annotations", asked, set(keys), set(listed))


def _cluster_roles_are_listed(asked: Asked) -> Problem | None:
    names = asked.spec.rbac.cluster_roles if asked.spec.rbac else ()
    listed = asked.ceiling.rbac.cluster_roles if asked.ceiling.rbac else ()
    return _unlisted("rbac.clusterRoles", asked, set(names), set(listed))


def _vault_policies_are_listed(asked: Asked) -> Problem | None:
    names = asked.spec.vault.policies if asked.spec.vault else ()
    listed = (asked.ceiling.vault.policies or ()) if asked.ceiling.vault else ()
    return _unlisted("vault.policies", asked, set(names), {p.name for p in listed})


def _unlisted(where: str, asked: Asked, names: set[str], listed: set[str]) -> Problem | None:
    extra = sorted(names - listed)
    if not extra:
        return None
    return Invalid(
        Reason.NOT_IN_CLASS,
        f"spec.{where} asks for {', '.join(extra)}, which class {asked.class_name}"
        f" does not list; it lists {', '.join(sorted(listed)) or 'none'}",
    )


def _token_lives_no_longer(asked: Asked) -> Problem | None:
    seconds = asked.spec.vault.token_ttl_seconds if asked.spec.vault else None
    limit = asked.ceiling.vault.max_token_ttl_seconds if asked.ceiling.vault else 0
    if seconds is None or seconds <= limit:
        return None
    return Invalid(
        Reason.NOT_IN_CLASS,
        f"spec.vault.tokenTTLSeconds is {seconds}; class {asked.class_name} allows at most {limit}",
    )


def _enforcement_is_enough(asked: Asked) -> Problem | None:
    inbound, ceiling = asked.spec.inbound, asked.ceiling.inbound
    minimum = ceiling.minimum_enforcement if ceiling else "Enforce"
    if inbound is None or inbound.enforcement == "Enforce" or minimum == "Shadow":
        return None
    return Invalid(
        Reason.ENFORCEMENT_BELOW_CLASS,
        f"class {asked.class_name} does not allow inbound.enforcement Shadow",
    )


def _mesh_enforces_inbound(asked: Asked) -> Problem | None:
    if asked.ceiling.mesh.type == "Istio" or asked.spec.inbound is None:
        return None
    return Invalid(
        Reason.NO_MESH,
        f"class {asked.class_name} has mesh type None: nothing would enforce spec.inbound",
    )


def _account_is_free(asked: Asked) -> Problem | None:
    identity, rival = asked.facts.identity, asked.facts.rival
    if rival is None:
        return None
    detail = f"ServiceAccount {identity.account} belongs to AgentIdentity {rival.name}"
    if rival.deleting:
        return Waiting(Reason.ACCOUNT_BUSY, f"{detail}, which is being deleted")
    return Invalid(Reason.ACCOUNT_TAKEN, detail)


def _spiffe_id_is_legal(asked: Asked) -> Problem | None:
    identity = asked.facts.identity
    try:
        SpiffeID(asked.facts.cluster.trust_domain, identity.key.namespace, identity.account)
    except Invalid as problem:
        return problem
    return None


def _nothing_is_foreign(asked: Asked) -> Problem | None:
    identity, owners = asked.facts.identity, asked.facts.owners
    others = _not_ours(asked)
    foreign = sorted(str(o.ref) for o in others if not is_left_over(o, owners))
    left = sorted(str(o.ref) for o in others if is_left_over(o, owners))
    if foreign:
        where = f"{', '.join(foreign)} in {identity.key.namespace}"
        detail = f"{where} exists and is not ours: nothing is adopted"
        return Invalid(Reason.FOREIGN_OBJECT, detail)
    if left:
        detail = f"{', '.join(left)} of an earlier identity of this name must go first"
        return Waiting(Reason.DELETING, detail)
    return None


def _nobody_else_bound_the_account(asked: Asked) -> Problem | None:
    """Only before the account is made: who binds one that is an agent's already means it."""
    facts, account = asked.facts, account_ref(asked.facts.identity)
    bindings = facts.foreign_bindings
    if not bindings or facts.has(account):
        return None
    here = [b.name for b in bindings if b.namespace == account.namespace]
    # What is bound elsewhere is not this namespace's to read.
    elsewhere = len(bindings) - len(here)
    named = [f"RoleBinding {name}" for name in here]
    named += [f"{elsewhere} of the cluster or of other namespaces"] if elsewhere else []
    return Invalid(
        Reason.ACCOUNT_IN_BINDING,
        f"bindings that are not ours name {account}, which would have their rights once it"
        f" is there: {', '.join(named)}",
    )


def in_the_way(facts: Facts) -> list[Observed]:
    """Objects of others, or of an earlier identity, that have names of this one's."""
    spec = facts.identity.spec
    ceiling = facts.agent_class.spec if facts.agent_class else None
    return _not_ours(Asked(facts, spec, ceiling)) if spec and ceiling else []


def _not_ours(asked: Asked) -> list[Observed]:
    facts = asked.facts
    seen = (facts.observed.get(ref) for ref in owned_refs(facts.identity, asked.ceiling))
    uid = facts.identity.meta.uid
    return [o for o in seen if o and not o.is_owned_by(uid) and not o.is_retired_policy]


ENTRY: tuple[Check, ...] = (
    _not_in_mesh_root,  # a policy there would be everybody's
    _spec_parses,  # the schema refuses most of it; a newer or older schema may not
    _class_is_there,  # without a class there is no ceiling, so there is nothing
)
CEILINGS: tuple[Ceiling, ...] = (
    _namespace_is_allowed,  # who may use the class
    _spiffe_id_is_legal,
    _annotations_are_listed,
    _cluster_roles_are_listed,
    _vault_policies_are_listed,
    _token_lives_no_longer,
    _enforcement_is_enough,
    _mesh_enforces_inbound,
    _account_is_free,  # one account, one identity
    _nothing_is_foreign,  # nothing is adopted
    _nobody_else_bound_the_account,  # nothing is inherited
)


def judge(facts: Facts) -> Verdict:
    """What the identity is entitled to, and what keeps it from more.

    Callers are not looked at: whether an agent may be a caller depends on its own verdict, and
    that must not go round in circles.
    """
    problem = _first_problem(facts)
    if problem is None:
        return Verdict(Standing.GRANTED)
    expelled = problem.reason == Reason.NAMESPACE_NOT_ALLOWED
    return Verdict(Standing.EXPELLED if expelled else Standing.CLOSED, problem)


def _first_problem(facts: Facts) -> Problem | None:
    for check in ENTRY:
        if problem := check(facts):
            return problem
    spec = facts.identity.spec
    ceiling = facts.agent_class.spec if facts.agent_class else None
    if spec is None or ceiling is None:
        return Invalid(Reason.INVALID_SPEC, "the identity or its class can't be read")
    asked = Asked(facts, spec, ceiling)
    return next((p for c in CEILINGS if (p := c(asked))), None)
