"""Invariants 10 to 12: nobody's trouble is another's, rest costs nothing, and status is honest."""

from mutants.model import Mutant

LIMITS = "operator/agent_identity/clients/limits.py"
EXECUTE = "operator/agent_identity/reconcile/execute.py"
OWN = "operator/agent_identity/reconcile/own.py"
PIPELINE = "operator/agent_identity/reconcile/pipeline.py"
STATUS = "operator/agent_identity/core/status.py"
MESH = "operator/agent_identity/core/mesh.py"
OBSERVED = "operator/agent_identity/core/observed.py"
ISTIO = "operator/agent_identity/providers/istio/desired.py"
CALLS = "tests/unit/clients/test_requests_guards.py"
QUEUE = "tests/unit/reconcile/test_queue.py"
GATE = "tests/unit/clients/test_limits.py"
ORDER = "tests/unit/engine/test_order_guards.py"
REST = "tests/unit/engine/test_rest_guards.py"
AMBIENT = "tests/unit/engine/test_ambient_guards.py"
AT_ONCE = "tests/cluster/test_without_resync.py"
WATCHERS = "tests/unit/engine/test_watchers_guards.py"
TOLD = "tests/unit/core/test_status.py"
WEAKENS = "tests/unit/core/test_mesh_guards.py::test_only_what_lets_in_more_is_named"
DIGEST = "tests/unit/core/test_resource.py"

REST_AND_HONESTY = (
    Mutant(
        "gate-never-shuts",
        10,
        "A backend in trouble is left alone for a moment, and everybody is told so at once.",
        LIMITS,
        "        if error.reason in _TROUBLE:\n",
        "        if False:\n",
        (f"{GATE}::test_after_trouble_everybody_is_told_at_once_and_then_one_tries",),
    ),
    Mutant(
        "gate-never-opens",
        10,
        "A call that succeeds opens the gate.",
        LIMITS,
        "        self._trouble, self._pause = None, _FIRST_PAUSE\n",
        "        self._shut_until = time.monotonic() + self._pause\n",
        (f"{GATE}::test_after_trouble_everybody_is_told_at_once_and_then_one_tries",),
    ),
    Mutant(
        "refusal-shuts-gate",
        10,
        "A refusal of one request says nothing about the backend.",
        LIMITS,
        "        if error.reason in _TROUBLE:\n",
        "        if True:\n",
        (f"{GATE}::test_a_refusal_of_one_request_does_not_shut_it",),
    ),
    Mutant(
        "gate-without-slots",
        10,
        "A slow backend takes a bounded number of workers, and nobody waits for long.",
        LIMITS,
        "        self._slots = slots\n",
        "        self._slots = asyncio.Semaphore(99)\n",
        (f"{GATE}::test_beyond_its_limit_it_is_busy_and_nobody_waits_for_long",),
    ),
    Mutant(
        "queue-in-order-of-arrival",
        10,
        "Namespaces take turns.",
        "operator/agent_identity/reconcile/queue.py",
        "            self._ready[lane] = keys\n",
        "            self._ready[lane] = keys\n"
        "            self._ready.move_to_end(lane, last=False)\n",
        (f"{QUEUE}::test_namespaces_take_turns",),
    ),
    Mutant(
        "classes-share-a-turn",
        10,
        "Each class has a turn of its own: many wait for it.",
        "operator/agent_identity/reconcile/queue.py",
        'return Lane(key.namespace, "" if key.namespace else key.name)',
        'return Lane(key.namespace, "")',
        (f"{QUEUE}::test_each_class_takes_turns_like_a_namespace",),
    ),
    Mutant(
        "classes-take-all-workers",
        10,
        "However many classes there are, half of the workers are left to all others.",
        "operator/agent_identity/reconcile/queue.py",
        "free = at_work < self._classes_at_once",
        "free = True",
        (f"{QUEUE}::test_classes_leave_workers_to_all_others",),
    ),
    Mutant(
        "class-waits-for-a-worker-that-rests",
        10,
        "A class that waited for others is worked on once one of them is done.",
        "operator/agent_identity/reconcile/queue.py",
        "            self.add(key)\n        self._wake.set()\n",
        "            self.add(key)\n",
        (f"{QUEUE}::test_classes_leave_workers_to_all_others",),
    ),
    Mutant(
        "unreadable-answer-ends-all",
        10,
        "An answer of the API server that can't be read is none, and ends no loop.",
        "operator/agent_identity/clients/kube.py",
        "    except ValueError:\n",
        "    except ZeroDivisionError:\n",
        ("tests/unit/clients/test_kube_answers.py::test_an_answer_that_cannot_be_read_is_none",),
    ),
    Mutant(
        "unrenewed-token-kept",
        10,
        "A token that Vault does not renew is followed by a login, whatever Vault says.",
        "operator/agent_identity/clients/vault.py",
        'return _Token(auth) if isinstance(auth, dict) and auth.get("client_token") else None',
        "return _Token(auth)",
        (f"{CALLS}::test_a_token_that_is_not_renewed_is_followed_by_a_login",),
    ),
    Mutant(
        "new-token-thrown-away",
        10,
        "Who is refused with an old token does not throw away the new one.",
        "operator/agent_identity/clients/vault.py",
        "            if self._token is token:\n",
        "            if True:\n",
        (f"{CALLS}::test_who_is_refused_late_does_not_throw_away_the_new_token",),
    ),
    Mutant(
        "failed-list-left-for-a-period",
        10,
        "A list of our own kinds that fails is made again soon.",
        "operator/agent_identity/reconcile/engine.py",
        (
            "            self.listed_elsewhere.clear()\n"
            "            await self._persist(self._own_lists.take_in)\n"
        ),
        (
            "            self.listed_elsewhere.clear()\n"
            "            try:\n"
            "                await self._own_lists.take_in()\n"
            "            except Failed:\n"
            "                continue\n"
        ),
        (f"{REST}::test_a_list_that_fails_is_made_again_before_the_next_resync",),
    ),
    Mutant(
        "gap-before-the-watch",
        10,
        "What was deleted between our lists and those of the watch is missed.",
        "operator/agent_identity/replica.py",
        "noting_lists(engine.listed_elsewhere.set)",
        "noting_lists(lambda: None)",
        (f"{AT_ONCE}::test_a_class_that_goes_while_a_start_is_under_way_is_missed",),
    ),
    Mutant(
        "others-lists-not-noted",
        10,
        "That kopf has listed a kind of ours, and not that it watches, is noted.",
        "operator/agent_identity/watchers.py",
        'and "watch" not in request.url.query:',
        "and False:",
        (f"{WATCHERS}::test_that_kopf_has_listed_one_of_our_kinds_is_noted",),
    ),
    Mutant(
        "others-lists-not-followed",
        10,
        "After a list of who watches our kinds they are listed anew.",
        "operator/agent_identity/reconcile/engine.py",
        "await self.listed_elsewhere.wait()",
        "await asyncio.Event().wait()",
        (f"{REST}::test_after_the_lists_of_who_watches_ours_are_made_again",),
    ),
    Mutant(
        "first-looks-beside-the-queue",
        10,
        "A class whose first look lasts is not worked on twice at once.",
        "operator/agent_identity/reconcile/engine.py",
        "self._work_on(self._queue.take(key))",
        "self._one(key)",
        (f"{REST}::test_a_class_whose_first_look_lasts_is_not_worked_on_twice",),
    ),
    Mutant(
        "busy-spins",
        10,
        "What is busy for long is looked at less and less often.",
        "operator/agent_identity/reconcile/queue.py",
        "max(delay, min(_LONGEST_DELAY, lasted / 10))",
        "delay",
        (
            f"{QUEUE}::test_a_moment_that_lasts_is_looked_at_less_and_less_often",
            f"{REST}::test_what_is_busy_for_long_is_looked_at_less_and_less_often",
        ),
    ),
    Mutant(
        "silent-backend-stops-all",
        10,
        "A backend that does not answer is its own room's problem.",
        "operator/agent_identity/providers/vault/backend.py",
        "            except Problem as trouble:\n                problem = trouble\n"
        "                continue\n",
        "            except Problem:\n                raise\n",
        (f"{ORDER}::test_a_silent_vault_keeps_no_binding",),
    ),
    Mutant(
        "refused-write-stops-all",
        10,
        "What can't be given keeps nothing else from being given.",
        EXECUTE,
        "                await backend.replace(action.resource, action.seen)\n"
        "        except Problem as problem:\n"
        "            outcome.note(action.room, problem)\n",
        "                await backend.replace(action.resource, action.seen)\n"
        "        except Problem as problem:\n"
        "            raise\n",
        (f"{ORDER}::test_one_that_cannot_be_given_keeps_no_other",),
    ),
    Mutant(
        "unsaid-room-stops-all",
        10,
        "A room that can't say what it wants keeps no other from it.",
        "operator/agent_identity/reconcile/decide.py",
        "            problems[room.room] = problem\n",
        "            raise\n",
        (f"{REST}::test_a_room_that_cannot_say_keeps_no_other_from_it",),
    ),
    Mutant(
        "broken-class-part-stops-all",
        10,
        "A part of a class that is broken keeps the others from nothing.",
        "operator/agent_identity/reconcile/classes.py",
        "            return Report(room.condition, problem=problem), None\n",
        "            raise\n",
        (f"{REST}::test_a_class_whose_vault_is_down_still_says_how_its_mesh_is",),
    ),
    Mutant(
        "bug-ends-worker",
        10,
        "A bug in one identity ends no worker.",
        "operator/agent_identity/reconcile/engine.py",
        "        except Exception:  # noqa: BLE001  a bug in one identity must not end a worker\n",
        "        except Failed:\n",
        (f"{REST}::test_a_bug_in_one_identity_ends_no_worker",),
    ),
    Mutant(
        "decided-on-half-the-facts",
        11,
        "After a restart nothing is decided before everything was listed.",
        "operator/agent_identity/reconcile/engine.py",
        "        await asyncio.gather(*(i.synced.wait() for i in self._informers.all))\n",
        "",
        (f"{REST}::test_nothing_is_decided_before_everything_was_listed",),
    ),
    Mutant(
        "status-written-each-time",
        11,
        "A status that says the same is not written, be it an identity's or a class's.",
        OWN,
        "if canonical(subject.status) == canonical(status):",
        "if False:",
        (f"{REST}::test_at_rest_nothing_is_written",),
    ),
    Mutant(
        "own-writes-are-news",
        11,
        "The answer to our own write makes nothing due.",
        "operator/agent_identity/core/identity.py",
        "    return own or (left.finalizers",
        "    return (left.finalizers",
        (f"{REST}::test_our_own_writes_make_nothing_due",),
    ),
    Mutant(
        "own-replace-is-news",
        11,
        "What a write of ours changes makes nothing due, if the watch tells of it first.",
        "operator/agent_identity/reconcile/world.py",
        "        return self._making.get(after.ref) == after.digest\n",
        "        return after.ref not in self.owned and self._making.get(after.ref) is not None\n",
        (f"{REST}::test_our_own_writes_make_nothing_due_where_the_watch_tells_first",),
    ),
    Mutant(
        "deletion-of-what-we-make-is-no-news",
        11,
        "An object that is being deleted is news, though it is as a write of ours makes it.",
        "operator/agent_identity/reconcile/world.py",
        "        if after is None or after.deleting:\n            return False\n",
        "        if after is None:\n            return False\n",
        (f"{REST}::test_what_is_being_deleted_while_it_is_written_is_news",),
    ),
    Mutant(
        "transition-time-moves",
        11,
        "The time of a condition moves only with its status.",
        STATUS,
        'same = before is not None and before.get("status") == row["status"]',
        "same = False",
        (f"{TOLD}::test_the_transition_time_moves_only_with_the_status",),
    ),
    Mutant(
        "servers-fields-compared",
        11,
        "What the API server keeps is no difference.",
        "operator/agent_identity/core/resource.py",
        '_SERVERS = frozenset({"metadata", "status", "apiVersion", "kind"})',
        '_SERVERS = frozenset({"metadata", "apiVersion", "kind"})',
        (f"{DIGEST}::test_what_the_server_and_others_labels_say_makes_none",),
    ),
    Mutant(
        "drift-left",
        11,
        "What differs is replaced.",
        "operator/agent_identity/core/plan.py",
        "    if seen.digest == resource.digest:\n",
        "    if True:\n",
        (
            "tests/unit/core/test_plan.py::test_create_replace_and_delete",
            f"{REST}::test_what_was_changed_is_put_back_and_told",
        ),
    ),
    Mutant(
        "repair-untold",
        11,
        "An event tells of a drift that was repaired.",
        PIPELINE,
        "        if repaired and known:\n",
        "        if False:\n",
        (f"{REST}::test_what_was_changed_is_put_back_and_told",),
    ),
    Mutant(
        "generation-of-none",
        12,
        "Every condition carries the generation that it was seen for.",
        STATUS,
        '{"observedGeneration": generation, "lastTransitionTime": since}',
        '{"observedGeneration": 0, "lastTransitionTime": since}',
        (f"{TOLD}::test_every_condition_carries_the_generation",),
    ),
    Mutant(
        "ready-in-part",
        12,
        "Ready is True only if every room is.",
        STATUS,
        "problems[0] if problems else None)",
        "None)",
        (f"{TOLD}::test_ready_only_if_every_room_is",),
    ),
    Mutant(
        "forged-status-stays",
        12,
        "A status that somebody forged is no decision of ours, and is put back.",
        "operator/agent_identity/core/identity.py",
        " == right.finalizers and _says(one) == _says(other)",
        " == right.finalizers",
        (f"{REST}::test_a_forged_status_is_put_back",),
    ),
    Mutant(
        "missing-callers-hold-ready-back",
        12,
        "Callers that are missing are named, and hold nothing back.",
        ISTIO,
        "            return Report(CONDITION, reason=Reason.CALLERS_MISSING, message=detail)\n",
        "            waits = Waiting(Reason.CALLERS_MISSING, detail)\n"
        "            return Report(CONDITION, problem=waits)\n",
        (f"{REST}::test_callers_that_are_missing_do_not_hold_ready_back",),
    ),
    Mutant(
        "foreign-policy-unsaid",
        12,
        "A foreign policy that lets in more than ours is named.",
        ISTIO,
        "        if facts.foreign_policies:\n",
        "        if False:\n",
        ("tests/unit/providers/test_istio_room.py::test_a_foreign_policy_is_named",),
    ),
    Mutant(
        "foreign-policy-unseen",
        12,
        "A foreign policy that selects a pod of ours, or all, weakens ours.",
        MESH,
        "return any(all(pod.get(k) == v for k, v in view.selector or ()) for pod in self.pods)",
        "return False",
        (f"{WEAKENS}[all pods of the namespace]", f"{WEAKENS}[pods of ours]"),
    ),
    Mutant(
        "foreign-policy-of-others-pods",
        12,
        "A foreign policy for others' pods does not weaken ours.",
        MESH,
        "return any(all(pod.get(k) == v for k, v in view.selector or ()) for pod in self.pods)",
        "return bool(self.pods)",
        (f"{WEAKENS}[pods of others]",),
    ),
    Mutant(
        "foreign-policy-before-the-agent-unseen",
        12,
        "A foreign policy that is bound to what leads to an agent through a waypoint weakens ours.",
        MESH,
        "return any(Target(namespace, *target) in self.passed for target in view.targets)",
        "return False",
        (f"{WEAKENS}[one for a Service that leads to it]", f"{WEAKENS}[one for its waypoint]"),
    ),
    Mutant(
        "foreign-policy-before-others",
        12,
        "A foreign policy that is bound to what leads to others does not weaken ours.",
        MESH,
        "return any(Target(namespace, *target) in self.passed for target in view.targets)",
        "return bool(self.passed)",
        (f"{WEAKENS}[one for a Service of others]", f"{WEAKENS}[one for a Gateway elsewhere]"),
    ),
    Mutant(
        "foreign-policy-at-a-waypoint-told-to-nobody",
        12,
        "Agents behind a waypoint in another namespace learn of a foreign policy there.",
        "operator/agent_identity/reconcile/around.py",
        "everywhere = elsewhere or namespace == self._root",
        "everywhere = namespace == self._root",
        (f"{AMBIENT}::test_a_policy_of_others_at_what_leads_to_an_agent_is_told[waypoint]",),
    ),
    Mutant(
        "older-permissive-unseen",
        12,
        "An older PeerAuthentication counts instead of ours.",
        MESH,
        "own.created < policy.created",
        "own.created != policy.created",
        (f"{WEAKENS}[older and permissive]", f"{WEAKENS}[older, one port open]"),
    ),
    Mutant(
        "deny-taken-for-allow",
        12,
        "A policy that only takes away does not weaken ours.",
        OBSERVED,
        'action == "ALLOW" and bool(spec.get("rules"))',
        'bool(spec.get("rules"))',
        (f"{WEAKENS}[one that only denies]",),
    ),
    Mutant(
        "open-port-unseen",
        12,
        "A port on which mTLS is not strict weakens ours.",
        OBSERVED,
        '[spec.get("mtls"), *(spec.get("portLevelMtls") or {}).values()]',
        '[spec.get("mtls")]',
        (f"{WEAKENS}[older, one port open]",),
    ),
)
