"""Invariant 6: what is taken, when; and what is given, when, and on what."""

from mutants.model import Mutant

PIPELINE = "operator/agent_identity/reconcile/pipeline.py"
EXECUTE = "operator/agent_identity/reconcile/execute.py"
DECIDE = "operator/agent_identity/reconcile/decide.py"
PLAN = "operator/agent_identity/core/plan.py"
GUARDS = "tests/unit/engine/test_order_guards.py"
MISSING = f"{GUARDS}::test_while_one_of_them_is_missing_no_right_is_given"
NOTICED = "tests/unit/reconcile/test_notice_guards.py"
MARKED = "tests/unit/core/test_marks_guards.py"
STEPS = "tests/unit/core/test_plan.py::test_giving_goes_up_and_taking_away_comes_down"

_TAKE = """        takes = await self._but_what_guards(facts, changes.takes, outcome)
        await self._tools.executor.take(takes, facts, outcome)
"""
_GIVE = """        await self._forget_gone_accounts(facts, outcome)
        if changes.gives or self._lacks_finalizer(facts, decision):
            if granted:
                await self._look_at_those_who_leave(changes.gives)
            unseen = await self._look_at_callers(facts, changes.gives)
            seen_afresh = await self._look_afresh(facts, decision)
            if seen_afresh is None:
                raise Failed(Reason.BUSY, "the identity has changed meanwhile", retry_after=0.05)
            facts = seen_afresh
            if unseen:
                facts = _without(unseen, facts)
                decision = decide(facts, self._tools.rooms)
                anew = plan(decision, observed, self._tools.rooms, blind=blind)
                changes = _to_do(anew, outcome)
            await self._give(changes, facts, decision, outcome)
            for problem in unseen.values():
                outcome.note(self._room_of[Kind.AUTHORIZATION_POLICY], problem)
"""

ORDER = (
    Mutant(
        "rights-before-guards",
        6,
        "Bindings are given in the last stage.",
        "operator/agent_identity/core/resource.py",
        "    Kind.ROLE_BINDING: Stage.GRANT,\n",
        "    Kind.ROLE_BINDING: Stage.ACCOUNT,\n",
        (
            f"{GUARDS}::test_the_first_rights_come_after_account_mtls_and_deny",
            f"{MARKED}::test_guards_come_before_rights_and_the_account_before_all",
        ),
    ),
    Mutant(
        "guards-taken-first",
        6,
        "Rights go before what guards them.",
        PLAN,
        "key=lambda a: (-a.stage, a.ref)",
        "key=lambda a: (a.stage, a.ref)",
        (STEPS, "tests/unit/engine/test_ending_guards.py::test_rights_go_before_what_guards_them"),
    ),
    Mutant(
        "given-in-any-order",
        6,
        "What is given goes up the stages.",
        PLAN,
        "key=lambda a: (a.stage, a.ref)",
        "key=lambda a: a.ref",
        (STEPS,),
    ),
    Mutant(
        "replacing-gives-nothing",
        6,
        "To replace an object is to give: it may open something.",
        PLAN,
        "return self.verb in (Verb.CREATE, Verb.REPLACE)",
        "return self.verb is Verb.CREATE",
        ("tests/unit/core/test_plan.py::test_create_replace_and_delete",),
    ),
    Mutant(
        "guards-not-awaited",
        6,
        "No first right is given before every guard stands.",
        EXECUTE,
        "(missing is not None and made >= required)",
        "missing is not None",
        (f"{MISSING}[PeerAuthentication]", f"{MISSING}[ServiceAccount]"),
    ),
    Mutant(
        "guards-that-others-changed-not-awaited",
        6,
        "No right is given while a guard that others changed can't be put right.",
        EXECUTE,
        "            required |= {a.ref for a in batch if a.gives}\n",
        "",
        (f"{GUARDS}::test_while_one_that_others_changed_cant_be_put_right_no_right_is_given",),
    ),
    Mutant(
        "guards-unsaid-none-needed",
        6,
        "While the guards can't be said, no first right is given.",
        EXECUTE,
        "(missing is not None and made >= required)",
        "made >= required",
        (f"{GUARDS}::test_without_the_meshs_kinds_no_right_is_given",),
    ),
    Mutant(
        "account-guards-nothing",
        6,
        "The account is a guard: whoever makes one of that name would have its rights.",
        DECIDE,
        "if STAGES[r.ref.kind] is not Stage.GRANT)",
        "if STAGES[r.ref.kind] in (Stage.MTLS, Stage.POLICY))",
        (f"{MISSING}[ServiceAccount]",),
    ),
    Mutant(
        "taken-after-given",
        6,
        "What goes is taken before anything is given.",
        PIPELINE,
        _TAKE + _GIVE,
        _GIVE + _TAKE,
        (f"{GUARDS}::test_an_old_right_goes_before_a_new_one_comes",),
    ),
    Mutant(
        "no-fresh-read",
        6,
        "Before anything is given, everything is read afresh.",
        PIPELINE,
        "            seen_afresh = await self._look_afresh(facts, decision)\n",
        "            seen_afresh = facts\n",
        (
            f"{GUARDS}::test_an_identity_that_was_changed_meanwhile_gets_nothing",
            f"{GUARDS}::test_an_identity_that_is_going_is_given_nothing",
        ),
    ),
    Mutant(
        "fresh-read-not-compared",
        6,
        "What was read afresh must lead to the same decision.",
        PIPELINE,
        "return fresh if same and again.desired == decision.desired else None",
        "return fresh if same else None",
        (f"{GUARDS}::test_an_identity_that_was_changed_meanwhile_gets_nothing",),
    ),
    Mutant(
        "class-not-read-afresh",
        6,
        "Before anything is given, the class is read afresh.",
        "operator/agent_identity/reconcile/fresh.py",
        "            self._world.see_class(body)\n",
        "            pass\n",
        (f"{GUARDS}::test_a_class_that_was_narrowed_meanwhile_gives_nothing_more",),
    ),
    Mutant(
        "namespace-not-read-afresh",
        6,
        "Before anything is given, the namespace is read afresh.",
        "operator/agent_identity/reconcile/fresh.py",
        "        self._world.namespace_seen(parse_namespace(body))\n",
        "        parse_namespace(body)\n",
        (f"{GUARDS}::test_a_namespace_that_lost_its_label_meanwhile_is_given_nothing",),
    ),
    Mutant(
        "going-one-is-given",
        6,
        "An identity that turns out to be going is given nothing.",
        PIPELINE,
        "if fresh is None or fresh.identity.deleting:",
        "if fresh is None:",
        (f"{GUARDS}::test_an_identity_that_is_going_is_given_nothing",),
    ),
    Mutant(
        "given-without-finalizer",
        6,
        "Our finalizer stands before anything is given.",
        PIPELINE,
        "return granted and not facts.identity.meta.held",
        "return False",
        (f"{GUARDS}::test_our_finalizer_stands_before_anything_is_given",),
    ),
    Mutant(
        "late-watch-believed",
        6,
        "What the watch tells late of a namespace gives nothing back.",
        "operator/agent_identity/reconcile/world.py",
        "elif known is None or known.version <= after.version:",
        "else:",
        (f"{NOTICED}::test_an_older_state_of_a_namespace_gives_nothing_back",),
    ),
    Mutant(
        "changed-on-its-way",
        6,
        "A guard that an admission controller changed guards nothing.",
        "operator/agent_identity/providers/kube_backend.py",
        "    if digest_of(resource.ref.kind, body) != resource.digest:\n",
        "    if False:\n",
        (f"{GUARDS}::test_a_guard_that_was_changed_on_its_way_guards_nothing",),
    ),
)
