"""What an AuthorizationPolicy of ours opens, and whom a write of it would newly let in. Pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from agent_identity.core.resource import Body, Kind, Resource, canonical, digest_of

_LIMITS = frozenset({"ports", "methods", "paths"})


@dataclass(frozen=True, slots=True)
class Opening:
    """One rule: what it opens, by what its `operation` says, and to whom."""

    to: Mapping[str, frozenset[str]]
    principals: frozenset[str]

    def covers(self, other: "Opening") -> bool:
        """Whether all that the other opens is open by this. What is not said is no limit."""
        return all(other.to.get(of, _ANYTHING) <= mine for of, mine in self.to.items())


# No list that a rule has holds all of it.
_ANYTHING = frozenset({""})


@dataclass(frozen=True, slots=True)
class Openings:
    """A whole policy. frame: a digest of all of it but the rules."""

    frame: bytes
    rules: tuple[Opening, ...]

    @property
    def principals(self) -> frozenset[str]:
        return _all(rule.principals for rule in self.rules)

    def beside(self, before: "Openings | None") -> frozenset[str]:
        """Who gets more by this than by what was there before. None: nobody knows what was."""
        if before is None or before.frame != self.frame:
            return self.principals
        return _all(rule.principals - before.lets_in(rule) for rule in self.rules)

    def only_narrows(self, before: "Openings") -> bool:
        """Whether nothing but callers, and what they may, becomes less by this."""
        return before.frame == self.frame and not self.beside(before)

    def lets_in(self, wanted: Opening) -> frozenset[str]:
        """Whom it lets do all of this."""
        return _all(rule.principals for rule in self.rules if rule.covers(wanted))


def openings_of(resource: Resource) -> Openings:
    """What is to be. Raises ValueError where it opens something in a way that can't be told."""
    rules = resource.body["spec"].get("rules") or ()
    found = openings_in(resource.ref.kind, resource.body)
    if len(found.rules) != len(rules):
        raise ValueError(f"{resource.ref} has a rule of another form")
    return found


def only_with(principals: frozenset[str], resource: Resource, there: Openings) -> Resource:
    """The policy that is there, of the same frame as this one, with these of its callers only."""
    return _with(((rule, rule.principals & principals) for rule in there.rules), resource)


def what_stays(resource: Resource, there: Openings, wanted: Iterable[Openings]) -> Resource:
    """Of what is open there, all that these open too, be it in another policy; in a policy of the
    same frame as this one."""
    rules = (rule for policy in wanted for rule in policy.rules)
    return _with(((rule, rule.principals & there.lets_in(rule)) for rule in rules), resource)


def _with(rules: Iterable[tuple[Opening, frozenset[str]]], resource: Resource) -> Resource:
    open_to: dict[bytes, set[str]] = {}
    for rule, principals in rules:
        if principals:
            open_to.setdefault(canonical(_told(rule.to)), set()).update(principals)
    found = [
        {"from": [{"source": {"principals": sorted(who)}}], "to": [{"operation": json.loads(to)}]}
        for to, who in open_to.items()
    ]
    spec = {name: value for name, value in resource.body["spec"].items() if name != "rules"}
    body = {**resource.body, "spec": spec | ({"rules": found} if found else {})}
    return replace(resource, body=body)


def _told(to: Mapping[str, frozenset[str]]) -> Body:
    return {of: sorted(values) for of, values in to.items()}


def openings_in(kind: Kind, body: Body) -> Openings:
    """What is there. A rule that somebody else wrote in another form says nothing of anybody."""
    spec = dict(body.get("spec") or {})
    rules = spec.pop("rules", None) or ()
    found = (_opening(rule) for rule in rules)
    return Openings(digest_of(kind, {**body, "spec": spec}), tuple(o for o in found if o))


def _opening(rule: Body) -> Opening | None:
    try:
        principals = rule["from"][0]["source"]["principals"]
        operation = rule["to"][0]["operation"]
        to = {of: frozenset(values) for of, values in operation.items() if values}
    except (KeyError, IndexError, TypeError):
        return None
    plain = {"from": [{"source": {"principals": principals}}], "to": [{"operation": operation}]}
    # Anything more would be a limit that is not understood here.
    return (
        Opening(to, frozenset(principals))
        if rule == plain and operation.keys() <= _LIMITS
        else None
    )


def _all(parts: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset[str]().union(*parts)
