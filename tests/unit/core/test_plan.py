"""The keyed difference, and its order."""

from agent_identity.core.plan import Verb, plan_changes
from agent_identity.core.resource import Kind, Observed, Ref, Resource, digest_of

ROOMS = {kind: kind.value for kind in Kind}


def resource(kind: Kind, name: str = "x", body: str = "body") -> Resource:
    return Resource(Ref(kind, "ns", name), {"spec": body}, kind.value)


def observed(kind: Kind, name: str = "x", body: str = "body", **more: object) -> Observed:
    digest = digest_of(kind, {"spec": body})
    return Observed(Ref(kind, "ns", name), "uid", "1", digest, **more)  # type: ignore[arg-type]


def as_map(*objects: Observed) -> dict[Ref, Observed]:
    return {o.ref: o for o in objects}


def test_nothing_to_do_where_all_is_as_desired() -> None:
    kind = Kind.ROLE_BINDING
    assert not plan_changes([resource(kind)], as_map(observed(kind)), ROOMS)


def test_create_replace_and_delete() -> None:
    kind = Kind.ROLE_BINDING
    desired = [resource(kind, "new"), resource(kind, "changed")]
    there = as_map(observed(kind, "changed", "other"), observed(kind, "old"))
    plan = plan_changes(desired, there, ROOMS)
    assert [(a.verb, a.ref.name) for a in plan.takes] == [(Verb.DELETE, "old")]
    assert [(a.verb, a.ref.name) for a in plan.gives] == [
        (Verb.REPLACE, "changed"),
        (Verb.CREATE, "new"),
    ]


def test_giving_goes_up_and_taking_away_comes_down() -> None:
    kinds = list(Kind)
    up = plan_changes([resource(k) for k in kinds], {}, ROOMS).gives
    down = plan_changes([], as_map(*(observed(k) for k in kinds)), ROOMS).takes
    assert [a.stage for a in up] == sorted(a.stage for a in up)
    assert [a.stage for a in down] == sorted((a.stage for a in down), reverse=True)
    assert up[0].ref.kind == Kind.SERVICE_ACCOUNT
    assert down[-1].ref.kind == Kind.SERVICE_ACCOUNT


def test_what_is_going_is_released_whether_wanted_or_not() -> None:
    kind = Kind.ROLE_BINDING
    for desired in ([], [resource(kind)]):
        plan = plan_changes(desired, as_map(observed(kind, deleting=True)), ROOMS)
        assert [a.verb for a in plan.takes] == [Verb.RELEASE]
        assert not plan.gives


def test_a_binding_that_something_holds_is_emptied_first() -> None:
    held = observed(Kind.ROLE_BINDING, finalizers=("example.com/held",))
    plan = plan_changes([], as_map(held), ROOMS)
    assert [a.verb for a in plan.takes] == [Verb.RELEASE]
