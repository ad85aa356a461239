"""`check` of grants: what would stall, and whom a rule names in vain. Pure."""

from collections.abc import Iterator

from agent_identity.api.conditions import Reason
from agent_identity.api.rules import Caller, Rule
from agent_identity.cli.findings import Finding, Severity, finding, shown_caller
from agent_identity.cli.graph_agents import OWN_ACCOUNT, called
from agent_identity.cli.manifests import Manifests
from agent_identity.core.grants import GrantFacts, judge_grant
from agent_identity.core.identity import Identity
from agent_identity.core.resource import Key
from agent_identity.reconcile.callers import outbound_of

_NOT_THERE = "is not among the files: it is let in once it is there and asks for it"
_NOT_ASKED = "does not ask for it in spec.outbound: it gets nothing by this rule"
_STALLS = "stalls: it is let in nowhere"
_STALLING = {
    Reason.MESH_ROOT_NAMESPACE: "metadata.namespace",
    Reason.AGENT_SELECTED: "spec.targetRefs",
}
_ACCOUNT = OWN_ACCOUNT.removeprefix("it ")


def grant_standing(new: Manifests, key: Key, unknown: Severity) -> Iterator[Finding]:
    """unknown: how bad it is that a caller gets nothing."""
    facts, document = new.around.world.grants.facts(key), new.documents["AgentAccessGrant", key]
    if facts is None:
        return
    problem = judge_grant(facts).problem
    if problem and (where := _STALLING.get(problem.reason)):
        yield finding(Severity.ERROR, document, where, problem.message, problem.reason.about)
    for at, rule in enumerate(facts.grant.rules):
        for n, caller in enumerate(rule.from_):
            if why := _in_vain(new, facts, rule, caller):
                text = f"{shown_caller(caller, key.namespace)} {why}"
                yield finding(unknown, document, ("spec", "rules", at, "from", n), text)
    if facts.grant.spec and facts.grant.spec.enforcement == "Shadow":
        text = "enforcement is Shadow: nothing is written, and the grant keeps nobody out"
        yield finding(Severity.NOTE, document, "spec.enforcement", text)


def _in_vain(new: Manifests, facts: GrantFacts, rule: Rule, caller: Caller) -> str:
    """Why somebody who is named gets nothing by a grant; empty if that is not so, or not known. Who
    asks for less than all that is given needs no more."""
    grant, world = facts.grant.key, new.around.world
    if caller.kind == "ServiceAccount":
        return "" if any(world.callers.who(caller, grant.namespace)) else _ACCOUNT
    # Of a whole namespace those who ask are meant, and nobody need ask.
    if caller.kind == "AllAgentIdentities":
        return ""
    agent = called(caller, grant.namespace)
    if agent in {Key(c.namespace, c.name) for c, _ in facts.pairs}:
        return ""
    identity = world.identities.get(agent)
    if identity is None:
        return _NOT_THERE
    asked = outbound_of(identity).get(grant, frozenset())
    if asked and is_unjudged(new, identity):
        return ""
    return _STALLS if rule.name in asked else _NOT_ASKED


def is_unjudged(new: Manifests, identity: Identity) -> bool:
    """Its class is not among the files, so whether it stalls is not known."""
    return identity.class_name not in new.around.world.classes
