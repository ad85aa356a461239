"""What an agent asks to call, what has become of it, and what lets it in. Pure.

That something is not granted is all that is told of a grant that does not name the agent: the
answer must not be a way to read another namespace.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from agent_identity.api.conditions import ConditionType
from agent_identity.api.rules import Rule
from agent_identity.cli.callers import calls_of
from agent_identity.cli.cluster import Json
from agent_identity.cli.seen import AskedGrant, Seen
from agent_identity.core.facts import Ask, AskState
from agent_identity.core.identity import Grant
from agent_identity.core.observed import observe_object
from agent_identity.core.resource import Kind
from agent_identity.core.spiffe import SpiffeID
from agent_identity.providers.istio.rules import istio_rule
from agent_identity.providers.outbound.desired import state_told

_NOT_SAID = "the operator has not said it"


@dataclass(frozen=True, slots=True)
class AskTold:
    """A rule of a grant that is asked for. calls, where: what it may call of what, if it is granted
    and the grant may be read."""

    grant: str
    rule: str
    state: str
    calls: str = ""
    where: str = ""


def asked(seen: Seen) -> Iterator[AskTold]:
    """In the order of the grants' names."""
    for ask in seen.facts.outbound:
        known = seen.grants.get(ask.grant)
        state = _state(ask, known, seen)
        rule = _granted(ask, known)
        calls, where = (calls_of(rule), guarded(known.grant)) if known and rule else ("", "")
        yield AskTold(str(ask.grant), ask.rule, state, calls, where)


def guarded(grant: Grant | None) -> str:
    """What a grant is for, in words."""
    spec = grant.spec if grant else None
    if spec and spec.selector:
        labels = sorted(spec.selector.match_labels.items())
        return f"pods labelled {', '.join(f'{k}={w}' for k, w in labels)}"
    targets = (spec.target_refs or ()) if spec else ()
    return ", ".join(sorted(f"{ref.kind} {ref.name}" for ref in targets))


def _granted(ask: Ask, known: AskedGrant | None) -> Rule | None:
    """The rule, if it names the agent."""
    if known is None or known.grant is None or ask.state is AskState.NOT_GRANTED:
        return None
    return next((r for r in known.grant.rules if r.name == ask.rule), None)


def _state(ask: Ask, known: AskedGrant | None, seen: Seen) -> str:
    """Of what may not be read the operator's word is told."""
    if known is None:
        return _as_told(ask, seen)
    rule = _granted(ask, known)
    if rule is None or ask.state is AskState.SHADOW:
        return ask.state.value
    if known.policies is None:
        return _as_told(ask, seen)
    stands = any(_lets_in(body, known, rule, seen) for body in known.policies)
    return AskState.IN_FORCE.value if stands else AskState.NOT_IN_PLACE.value


def _lets_in(policy: Json, known: AskedGrant, rule: Rule, seen: Seen) -> bool:
    """Whether a policy is the grant's, and says now that the agent may call what the rule has."""
    observed = observe_object(Kind.AUTHORIZATION_POLICY, policy)
    if known.grant is None or not observed.is_owned_by(known.grant.meta.uid):
        return False
    identity = seen.facts.identity
    domain = seen.facts.cluster.trust_domain
    principal = SpiffeID(domain, identity.key.namespace, identity.account).principal
    operations = istio_rule(rule, [principal])["to"]
    return any(
        said.get("to") == operations and principal in _principals(said)
        for said in policy["spec"].get("rules") or ()
    )


def _principals(said: Json) -> Iterator[str]:
    """Of a rule of Istio's that anybody may have written."""
    for source in said.get("from") or ():
        yield from (source.get("source") or {}).get("principals") or ()


def _as_told(ask: Ask, seen: Seen) -> str:
    message = str(seen.condition(ConditionType.OUTBOUND).get("message", ""))
    state = state_told(ask, message)
    return f"{state.value}, as the operator says" if state else _NOT_SAID
