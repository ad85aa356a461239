"""What fault campaigns found: views that are older than what there is, and answers that lie."""

from mutants.model import Mutant

EXECUTE = "operator/agent_identity/reconcile/execute.py"
REVOKE = "operator/agent_identity/reconcile/revoke.py"
PIPELINE = "operator/agent_identity/reconcile/pipeline.py"
LOOK = "operator/agent_identity/reconcile/second_look.py"
WATCHERS = "operator/agent_identity/watchers.py"
WORLD = "operator/agent_identity/reconcile/world.py"
GRANTS_SEEN = "operator/agent_identity/reconcile/grants_seen.py"
INFORMER = "operator/agent_identity/reconcile/informer.py"
OWN = "operator/agent_identity/reconcile/own.py"
KUBE = "operator/agent_identity/clients/kube.py"
ENDING = "tests/unit/engine/test_ending_guards.py"
SECOND = "tests/unit/engine/test_second_look_guards.py"
MISSED = "tests/unit/engine/test_watchers_guards.py"
SEEN = (
    "tests/unit/reconcile/test_world.py"
    "::test_an_answer_from_before_a_deletion_brings_nothing_of_ours_back"
)
LISTS = "tests/unit/reconcile/test_informer.py"
ANSWERS = "tests/unit/clients/test_kube_answers.py"
NEWCOMERS = "operator/agent_identity/reconcile/newcomers.py"
OPENINGS = "operator/agent_identity/core/openings.py"
FRESH = "operator/agent_identity/reconcile/fresh.py"
GRANTS = "operator/agent_identity/reconcile/grants.py"
WHO = "tests/unit/core/test_openings.py"
STALE = "tests/unit/engine/test_stale_views_guards.py"
ORDER = "tests/unit/engine/test_order_guards.py"

OLD_VIEWS = (
    Mutant(
        "guards-go-before-rights",
        6,
        "While a right could not be taken away, mTLS and the policies stay.",
        EXECUTE,
        "            if guarded and action.stage in _GUARDS:\n",
        "            if False:\n",
        (f"{ENDING}::test_what_guards_a_right_stays_until_the_right_is_gone",),
    ),
    Mutant(
        "name-free-before-rights-go",
        6,
        "While a right could not be taken away, nobody else gets the account's name.",
        EXECUTE,
        "        return not name_stays and await self._kube.release(account)\n",
        "        return await self._kube.release(account)\n",
        (f"{ENDING}::test_what_guards_a_right_stays_until_the_right_is_gone[VaultRole]",),
    ),
    Mutant(
        "late-by-one-clock",
        8,
        "A clock that is behind keeps no deletion from its end.",
        REVOKE,
        "max(_seconds_since(identity.meta.deleted), time.monotonic() - known)",
        "_seconds_since(identity.meta.deleted)",
        (f"{ENDING}::test_a_clock_that_is_behind_keeps_no_deletion",),
    ),
    Mutant(
        "role-of-the-next-one-deleted",
        3,
        "A deletion that is over takes no Vault role from an identity made anew.",
        REVOKE,
        "            await self._look_twice(facts.identity)\n",
        "            pass\n",
        (f"{SECOND}::test_a_deletion_that_is_over_takes_no_role_from_the_next_one",),
    ),
    Mutant(
        "role-of-the-next-one-withdrawn",
        3,
        "An old spec takes no Vault role from an identity made anew.",
        PIPELINE,
        "            return await self._tools.second_look.finds(facts.identity)\n",
        "            return True\n",
        (f"{SECOND}::test_an_old_spec_takes_no_role_from_the_next_one",),
    ),
    Mutant(
        "taken-for-others-long-gone",
        3,
        "Before anything goes for others' objects, these are looked at again.",
        PIPELINE,
        "            return await self._tools.second_look.finds_in_the_way(facts)\n",
        "            return True\n",
        (f"{SECOND}::test_objects_that_are_in_nobodys_way_any_more_take_nothing",),
    ),
    Mutant(
        "withdrawal-waits-for-a-look",
        7,
        "An API server that does not answer keeps no Vault role.",
        LOOK,
        "            return True\n        known = self._world.identities",
        "            return False\n        known = self._world.identities",
        (f"{SECOND}::test_an_api_server_that_does_not_answer_keeps_no_role",),
    ),
    Mutant(
        "conflict-not-looked-at",
        10,
        "After a conflict the object is read: the watch may be long in telling.",
        OWN,
        "self._see[subject.meta.key.subject](await self._kube.get(own_path(subject)))",
        "pass",
        (f"{SECOND}::test_a_finalizer_on_an_old_version_is_seen_anew",),
    ),
    Mutant(
        "watch-believed-for-ever",
        11,
        "What a watch has lost is found by the next list.",
        INFORMER,
        "asyncio.timeout(self._relist * random.uniform(0.75, 1.0))",
        "asyncio.timeout(None)",
        (f"{LISTS}::test_what_a_watch_has_lost_is_found_by_the_next_list",),
    ),
    Mutant(
        "gone-brought-back",
        12,
        "An answer from before an object's deletion does not bring it back.",
        INFORMER,
        "if version <= max(self._gone.version(key), self._versions.get(key, -1)):",
        "if version <= self._versions.get(key, -1):",
        (
            f"{LISTS}::test_an_answer_from_before_a_deletion_brings_nothing_back",
            f"{LISTS}::test_an_answer_from_before_a_deletion_that_came_first_brings_nothing_either",
            f"{LISTS}::test_an_answer_from_before_a_list_without_it_brings_nothing_back",
            "tests/unit/engine/test_rest_guards.py::test_what_goes_before_its_answer_has_come_is_made_anew",
        ),
    ),
    Mutant(
        "gone-identity-brought-back",
        12,
        "Nor is an identity brought back that is gone, by whichever answer.",
        WORLD,
        '        if metadata["uid"] in self._gone:\n',
        "        if False:\n",
        (f"{SEEN}[identity]",),
    ),
    Mutant(
        "gone-class-brought-back",
        12,
        "Nor is a class brought back that is gone, by whichever answer.",
        WORLD,
        '        if body["metadata"]["uid"] in self._gone:\n',
        "        if False:\n",
        (f"{SEEN}[class]",),
    ),
    Mutant(
        "gone-grant-brought-back",
        12,
        "Nor is a grant brought back that is gone, by whichever answer.",
        GRANTS_SEEN,
        '        if metadata["uid"] in self._gone:\n',
        "        if False:\n",
        (f"{SEEN}[grant]",),
    ),
    Mutant(
        "no-event-ends-the-process",
        10,
        "A line of a watch that is no event ends the watch, and not the process.",
        KUBE,
        "TimeoutError, ValueError, KeyError, TypeError) as error",
        "TimeoutError, ValueError) as error",
        (f"{ANSWERS}::test_what_is_no_event_breaks_the_watch_and_nothing_else",),
    ),
    Mutant(
        "absent-kind-missed",
        10,
        "Without one CRD of ours the process goes on with the other kinds.",
        WATCHERS,
        "        return not _unwatched() <= self._absent\n",
        "        return bool(_unwatched())\n",
        (f"{MISSED}::test_a_kind_that_is_not_served_is_not_missed",),
    ),
    Mutant(
        "kind-that-is-back-not-seen",
        10,
        "A kind that is served again is seen again.",
        WATCHERS,
        "                if _unwatched():\n",
        "                if _unwatched() - self._absent:\n",
        (f"{MISSED}::test_a_kind_that_is_back_is_missed",),
    ),
    Mutant(
        "ended-watcher-not-missed",
        10,
        "A watcher of our kinds that ends for good ends the process.",
        WATCHERS,
        "            self._absent = _PLURALS - await _served(kube)\n",
        "            self._absent = _unwatched()\n",
        (f"{MISSED}::test_a_watcher_that_ends_is_missed",),
    ),
    Mutant(
        "unsaid-right-that-stays",
        12,
        "Who could not be rid of a right is not called Ready.",
        PIPELINE,
        "if room.condition is None or not (own or room.asked(facts)):",
        "if room.condition is None or not room.asked(facts):",
        (f"{ORDER}::test_who_could_not_be_rid_of_a_right_is_not_called_ready",),
    ),
    Mutant(
        "refused-status-forgotten",
        12,
        "A status that was refused is tried again.",
        OWN,
        "            if not error.absent:\n",
        "            if not (error.absent or error.conflict):\n",
        (f"{ORDER}::test_a_status_that_was_refused_is_tried_again",),
    ),
    Mutant(
        "changed-policy-believed",
        6,
        "Of a policy that others changed it is not believed whom it lets in: it is read.",
        NEWCOMERS,
        "return known if digest == seen.digest else None",
        "return known",
        (f"{STALE}::test_a_grants_policy_that_others_changed_lets_in_nobody_unseen[changed]",),
    ),
    Mutant(
        "made-anew-unread",
        6,
        "Where a grant's policy is made anew, every agent that it lets in is read.",
        NEWCOMERS,
        "        if action.seen is None or not concerned:\n            return concerned\n",
        "        if action.seen is None or not concerned:\n            return frozenset()\n",
        (
            f"{STALE}::test_a_grants_policy_that_others_changed_lets_in_nobody_unseen[taken away]",
            f"{STALE}::test_an_identitys_policy_lets_in_nobody_unseen",
            f"{STALE}::test_what_others_do_to_a_policy_during_a_turn_is_not_taken_for_ours",
        ),
    ),
    Mutant(
        "wider-rule-for-the-unseen",
        6,
        "Who gets more by a rule that was changed is read, as who comes is.",
        OPENINGS,
        "return all(other.to.get(of, _ANYTHING) <= mine for of, mine in self.to.items())",
        "return True",
        (
            f"{STALE}::test_a_wider_rule_of_a_grant_is_for_nobody_unseen",
            f"{STALE}::test_a_wider_rule_of_an_identity_is_for_nobody_unseen",
            f"{WHO}::test_who_gets_more_is_new",
        ),
    ),
    Mutant(
        "rule-of-others-believed",
        6,
        "A rule of another form than ours proves of nobody that it lets them in.",
        OPENINGS,
        "if rule == plain and operation.keys() <= _LIMITS",
        "if True",
        (f"{WHO}::test_a_rule_of_another_form_lets_nobody_in_already",),
    ),
    Mutant(
        "caller-not-looked-at",
        6,
        "Before an identity's policy lets in an agent, that agent is read.",
        PIPELINE,
        "unseen = await self._look_at_callers(facts, changes.gives)",
        "unseen: dict[str, Problem] = {}",
        (f"{STALE}::test_an_identitys_policy_lets_in_nobody_unseen",),
    ),
    Mutant(
        "unseen-caller-of-an-identity",
        6,
        "A caller that can't be read is not let in, and the rest goes on.",
        PIPELINE,
        "facts = _without(unseen, facts)",
        "pass",
        (f"{STALE}::test_a_caller_that_cannot_be_read_is_not_let_in_and_the_rest_goes_on",),
    ),
    Mutant(
        "caller-of-another-class",
        6,
        "A caller that was moved to another class is judged by that one, read afresh.",
        FRESH,
        "            if now and now.class_name != named:\n",
        "            if False:\n",
        (f"{STALE}::test_a_caller_that_moved_to_another_class_unseen_is_not_let_in",),
    ),
    Mutant(
        "moved-to-another-class",
        6,
        "An identity that was moved to another class gets nothing before that one was read.",
        PIPELINE,
        "same = fresh.identity.class_name == identity.class_name",
        "same = True",
        (f"{STALE}::test_an_identity_that_moved_to_another_class_unseen_is_given_nothing",),
    ),
    Mutant(
        "those-let-in-read-again",
        11,
        "Who is let in already costs no read when another one comes.",
        NEWCOMERS,
        "return concerned & after.beside(await self._openings_of(action.seen))",
        "return concerned",
        (
            f"{STALE}::test_who_is_in_a_grants_policy_is_not_read_when_another_one_comes",
            f"{STALE}::test_who_is_in_an_identitys_policy_is_not_read_when_another_one_comes",
            f"{STALE}::test_after_a_restart_one_read_of_the_policy_tells_who_is_in_it",
        ),
    ),
    Mutant(
        "shutting-out-waits-for-a-read",
        7,
        "Who goes is shut out though the grant can't be read.",
        GRANTS,
        "gives = not self._newcomers.only_narrow(changes.gives)",
        "gives = bool(changes.gives)",
        (f"{STALE}::test_who_goes_is_shut_out_though_the_grant_cannot_be_read",),
    ),
    Mutant(
        "failed-callee-not-waited-for",
        8,
        "A callee that failed to shut an agent out is waited for, for a while.",
        "operator/agent_identity/reconcile/callees_first.py",
        "if not (self._is_tried_again(key) or self.lag(key)):",
        "if not self.lag(key):",
        (f"{ENDING}::test_a_callee_that_failed_to_close_is_waited_for_as_long",),
    ),
    Mutant(
        "callee-put-off-not-waited-for",
        8,
        "A callee that met a conflict, or saw something change, is waited for until it has closed.",
        "operator/agent_identity/reconcile/engine.py",
        "self._queue.put_off(key, wait or 0.25)",
        "self._queue.add(key, wait or 0.25)",
        (f"{ENDING}::test_a_callee_that_met_a_conflict_is_waited_for_until_it_has_closed",),
    ),
    Mutant(
        "stalled-wait-for-each-other",
        7,
        "Agents that lose their rights together do not wait for each other.",
        "operator/agent_identity/reconcile/callees_first.py",
        "if goes or not self._holds(c))",
        "if True)",
        (
            f"{ENDING}::test_those_who_lose_their_rights_together_do_not_wait_for_each_other[stalled]",
        ),
    ),
    Mutant(
        "deleted-not-after-the-stalled",
        8,
        "One that is deleted waits for a callee that waits for others itself.",
        "operator/agent_identity/reconcile/callees_first.py",
        "if goes or not self._holds(c))",
        "if not self._holds(c))",
        (
            f"{ENDING}::test_those_who_lose_their_rights_together_do_not_wait_for_each_other[deleted]",
        ),
    ),
    Mutant(
        "waited-once-for-all",
        7,
        "Who was stalled before, and waited for its callees, waits for them again the next time.",
        PIPELINE,
        "            self._tools.first.stays(facts.identity.key)\n",
        "            pass\n",
        (f"{ENDING}::test_who_may_be_a_caller_again_waits_anew_the_next_time",),
    ),
    Mutant(
        "sweep-of-the-unseen",
        3,
        "A class sweeps no role of an identity that it has not seen yet.",
        "operator/agent_identity/reconcile/classes.py",
        "            await self._second_look.look_at_owner(account)\n",
        "            pass\n",
        (f"{SECOND}::test_a_class_sweeps_no_role_of_one_that_it_has_not_seen_yet",),
    ),
    Mutant(
        "given-up-taken-for-not-done",
        10,
        "What was given up without an answer is looked at once more: it may be carried out yet.",
        "operator/agent_identity/reconcile/engine.py",
        "            self._look_once_more(key)\n",
        "",
        ("tests/unit/engine/test_rest_guards.py::test_what_was_given_up_is_looked_at_once_more",),
    ),
    Mutant(
        "late-role-nobodys",
        10,
        "A role that was given up and comes late goes, though nobody asks for it any more.",
        "operator/agent_identity/reconcile/engine.py",
        "(key, agent_class.meta.key) if agent_class else (key,)",
        "(key,)",
        (
            "tests/unit/engine/test_rest_guards.py::test_a_role_that_was_given_up_and_comes_late_goes",
        ),
    ),
)
