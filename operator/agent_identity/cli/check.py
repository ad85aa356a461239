"""`check`: what would be refused or stall, and which agent gains which right. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from agent_identity.api.conditions import Reason
from agent_identity.api.rules import Caller
from agent_identity.api.v1alpha1 import AgentIdentitySpec
from agent_identity.cli.check_grants import grant_standing, is_unjudged
from agent_identity.cli.compare import Change, changes, immutable, opened, told, told_to_open
from agent_identity.cli.documents import Path
from agent_identity.cli.findings import Finding, Severity, finding, shown_caller
from agent_identity.cli.graph_agents import called
from agent_identity.cli.manifests import Manifests
from agent_identity.core.checks import CEILINGS, ENTRY, Asked
from agent_identity.core.errors import Problem
from agent_identity.core.facts import Ask, AskState, Facts
from agent_identity.core.resource import Key

_FIELDS = {
    Reason.NAMESPACE_NOT_ALLOWED: "metadata.namespace",
    Reason.MESH_ROOT_NAMESPACE: "metadata.namespace",
    Reason.ENFORCEMENT_BELOW_CLASS: "spec.inbound.enforcement",
    Reason.NO_MESH: "spec.inbound",
    Reason.ACCOUNT_TAKEN: "spec.serviceAccount.name",
}
# What else is in a cluster no file tells.
_OF_A_CLUSTER = (Reason.FOREIGN_OBJECT, Reason.ACCOUNT_IN_BINDING, Reason.DELETING)


@dataclass(frozen=True, slots=True)
class Checked:
    """gained, lost: compared with the other manifests, if there were any."""

    findings: tuple[Finding, ...]
    gained: tuple[Change, ...] = ()
    lost: tuple[Change, ...] = ()

    @property
    def has_errors(self) -> bool:
        return any(f.severity is Severity.ERROR for f in self.findings)


def check(new: Manifests, old: Manifests | None, *, strict: bool) -> Checked:
    """old: what is in force. strict: what could not be checked counts as an error."""
    unknown = Severity.ERROR if strict else Severity.NOTE
    keys = new.of_kind("AgentIdentity")
    found = [*new.findings, *(f for key in keys for f in _standing(new, key, unknown))]
    for key in new.of_kind("AgentAccessGrant"):
        found += grant_standing(new, key, unknown)
    return Checked(_sorted(found)) if old is None else _compared(old, new, found)


def _compared(old: Manifests, new: Manifests, found: list[Finding]) -> Checked:
    """found: in the new ones by themselves."""
    more, opens = tuple(changes(old, new)), tuple(opened(old, new))
    # Nobody loses what anybody may.
    open_now = {c.grant for c in opens}
    less = tuple(c for c in changes(new, old) if c.grant not in open_now)
    found = [*found, *immutable(old, new), *map(told_to_open, opens)]
    found += [told(c, Severity.RISK, "gains") for c in more]
    found += [told(c, Severity.NOTE, "loses") for c in less]
    return Checked(_sorted(found), (*more, *opens), less)


def _sorted(findings: list[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda f: f.rank))


def _standing(new: Manifests, key: Key, unknown: Severity) -> Iterator[Finding]:
    """unknown: how bad it is that something could not be checked."""
    facts, document = new.around.facts(key), new.identity(key)
    for problem in _problems(facts):
        path = _FIELDS.get(problem.reason) or _named_field(problem)
        yield finding(Severity.ERROR, document, path, problem.message, problem.reason.about)
    for spot, text, advice in _unknowns(new, facts):
        yield finding(unknown, document, spot, text, advice)
    inbound = facts.identity.spec.inbound if facts.identity.spec else None
    if inbound and inbound.enforcement == "Shadow":
        text = "enforcement is Shadow: nothing is written, anybody may call"
        yield finding(Severity.NOTE, document, "spec.inbound.enforcement", text)


def _problems(facts: Facts) -> Iterator[Problem]:
    """The operator stops at the first; whoever mends a file wants them all. What is wrong with a
    spec by itself is told field by field elsewhere."""
    for check_one in ENTRY:
        problem = check_one(facts)
        if problem and problem.reason is Reason.MESH_ROOT_NAMESPACE:
            yield problem
    agent_class, spec = facts.agent_class, facts.identity.spec
    if spec and agent_class and agent_class.spec:
        asked = Asked(facts, spec, agent_class.spec)
        found = (p for ceiling in CEILINGS if (p := ceiling(asked)))
        yield from (p for p in found if p.reason not in _OF_A_CLUSTER)


def _named_field(problem: Problem) -> str:
    """Messages about a ceiling begin with the field."""
    first = problem.message.partition(" ")[0]
    return first if first.startswith("spec.") else "spec"


def _unknowns(new: Manifests, facts: Facts) -> Iterator[tuple[str | Path, str, str]]:
    identity = facts.identity
    if identity.spec is None:
        return
    if facts.agent_class is None:
        text = f"class {identity.class_name} is not among the files: its ceilings are not checked"
        yield "spec.className", text, "Name the class's file too."
    elif identity.key.namespace in new.around.assumed:
        text = f"namespace {identity.key.namespace} is not among the files: its labels are unknown"
        yield "metadata.namespace", text, "Name the namespace's file too."
    for ask in facts.outbound:
        if ask.state is AskState.NOT_GRANTED:
            text = f"no grant among the files gives {ask}: it is not granted until one does"
            yield _asked_at(ask, identity.spec), text, ""
    for caller in _missing_callers(new, facts):
        text = (
            f"caller {caller} is not among the files, or stalls: it is left out until it is there"
        )
        yield "spec.inbound.rules", text, ""


def _missing_callers(new: Manifests, facts: Facts) -> list[str]:
    namespace = facts.identity.key.namespace
    missing = (c for c, found in (facts.callers or {}).items() if not found)
    return sorted({shown_caller(c, namespace) for c in missing if not _unjudged(new, c, namespace)})


def _unjudged(new: Manifests, caller: Caller, namespace: str) -> bool:
    identity = new.around.world.identities.get(called(caller, namespace))
    return identity is not None and is_unjudged(new, identity)


def _asked_at(ask: Ask, spec: AgentIdentitySpec) -> Path:
    """Where in spec.outbound it is asked for."""
    names = [(entry.namespace, entry.grant) for entry in spec.outbound or ()]
    at = names.index((ask.grant.namespace, ask.grant.name))
    return "spec", "outbound", at, "rules", (spec.outbound or ())[at].rules.index(ask.rule)
