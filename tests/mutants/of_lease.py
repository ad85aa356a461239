"""Invariant 16: of several replicas one writes, and one that is told to end ends in order."""

from mutants.model import Mutant

FENCE = "operator/agent_identity/clients/lease.py"
REPLICA = "operator/agent_identity/replica.py"
LEASES = "operator/agent_identity/reconcile/lease.py"
SENT = "tests/unit/clients/test_fence.py"
LATE = f"{SENT}::test_time_that_passes_between_two_steps_of_sending_lets_nothing_out"
LEADS = "tests/unit/engine/test_lease_guards.py"
FINISH = "tests/unit/engine/test_finish_guards.py"
ENDS = "tests/unit/engine/test_replica_guards.py"
PAIRS = "tests/cluster/test_high_availability.py"

LEASE = (
    Mutant(
        "fence-open-at-first",
        16,
        "Before it is known to hold the Lease, a process changes nothing.",
        FENCE,
        "        self._until = _NEVER\n",
        "        self._until = _FOR_EVER\n",
        (f"{SENT}::test_it_is_shut_before_anything_is_known",),
    ),
    Mutant(
        "fence-by-a-clock-that-sleeps",
        16,
        "The fence's clock goes on while the machine sleeps.",
        FENCE,
        "time.clock_gettime(time.CLOCK_BOOTTIME)",
        "time.process_time()",
        (f"{SENT}::test_its_clock_goes_on_while_the_machine_sleeps",),
    ),
    Mutant(
        "late-change-unasked-at-first",
        16,
        "A change that must not be sent makes no connection.",
        FENCE,
        "        self.check(method)\n        self._under_way += 1\n",
        "        self._under_way += 1\n",
        (f"{LATE}[body-0]", f"{LATE}[None-0]"),
    ),
    Mutant(
        "late-change-unalarmed",
        16,
        "A change that came too late ends the process.",
        FENCE,
        "            self.refused.set()\n",
        "            pass\n",
        (f"{SENT}::test_a_change_that_comes_too_late_is_refused_and_raises_the_alarm[POST]",),
    ),
    Mutant(
        "renewal-counts-from-its-end",
        16,
        "A renewal counts from its start: when it arrived, nobody here knows.",
        LEASES,
        "self._fence.hold_until(started + ",
        "self._fence.hold_until(self._fence.now() + ",
        (f"{LEADS}::test_each_renewal_that_succeeds_counts_from_its_start",),
    ),
    Mutant(
        "sleeper-renews",
        16,
        "One that slept too long does not take up the Lease again.",
        LEASES,
        "            if not self._fence.holds():\n",
        "            if False:\n",
        (f"{LEADS}::test_one_that_slept_too_long_does_not_even_try_to_renew",),
    ),
    Mutant(
        "loss-unnoticed",
        16,
        "A Lease that another has by now is lost.",
        LEASES,
        'there is None or (there.get("spec") or {}).get("holderIdentity") != self._holder',
        "there is None",
        (f"{LEADS}::test_one_that_another_has_is_lost_at_once",),
    ),
    Mutant(
        "dead-lease-never-over",
        16,
        "Another's Lease is over when it has not changed for as long as it is for.",
        LEASES,
        "        if spec != self._spec:\n",
        "        if True:\n",
        (f"{LEADS}::test_a_lease_that_does_not_change_is_over_when_its_time_is",),
    ),
    Mutant(
        "live-lease-over",
        16,
        "Another's Lease that changes is not over.",
        LEASES,
        "self._spec, self._changed_at = spec, self._clock()",
        "self._spec = spec",
        (f"{LEADS}::test_each_change_counts_from_when_it_was_seen_whatever_time_it_tells",),
    ),
    Mutant(
        "lease-taken-unseen",
        16,
        "The Lease is taken only in the version that was looked at.",
        LEASES,
        'self._kube.replace(self._path, there | {"spec": mine})',
        'self._kube.replace(self._path, {**there, "metadata": {"name": NAME}, "spec": mine})',
        (
            f"{LEADS}::test_of_several_who_try_at_once_one_succeeds",
            f"{LEADS}::test_one_that_was_renewed_after_the_look_is_not_taken",
        ),
    ),
    Mutant(
        "deleted-lease-over",
        16,
        "A Lease that somebody deleted is not over before its time.",
        LEASES,
        "        if left > 0 and spec.get(",
        "        if there and left > 0 and spec.get(",
        (f"{LEADS}::test_one_that_was_deleted_is_not_over_before_its_time",),
    ),
    Mutant(
        "anothers-lease-given-away",
        16,
        "Nobody gives back what another has.",
        LEASES,
        "            await self._look_again()\n            return False\n        return True\n\n\n",
        "            self._lease = await self._kube.get(self._path)\n            return False\n"
        "        return True\n\n\n",
        (f"{LEADS}::test_one_that_another_has_is_not_given_away",),
    ),
    Mutant(
        "end-without-waiting",
        16,
        "What has begun is waited for before the Lease is given back.",
        "operator/agent_identity/reconcile/engine.py",
        "            _, left = await asyncio.wait(left, timeout=seconds)\n",
        "            left = set()\n",
        (f"{FINISH}::test_what_has_begun_is_waited_for_and_nothing_else_begins",),
    ),
    Mutant(
        "queue-never-closed",
        16,
        "Told to end, a replica begins nothing new.",
        "operator/agent_identity/reconcile/queue.py",
        "        self.closed = True\n",
        "        self.closed = False\n",
        (f"{FINISH}::test_what_has_begun_is_waited_for_and_nothing_else_begins",),
    ),
    Mutant(
        "answers-not-waited-for",
        16,
        "The Lease is given back once every change that was sent is answered.",
        FENCE,
        "        self._under_way += 1\n",
        "        self._under_way += 0\n",
        (f"{SENT}::test_it_is_quiet_once_every_change_is_answered",),
    ),
    Mutant(
        "own-end-taken-for-a-loss",
        16,
        "A process that ends in order gives the Lease back, however slow its last write is.",
        REPLICA,
        "        keeping.cancel()\n"
        "        await asyncio.gather(keeping, return_exceptions=True)\n"
        "        still = await _within(self._write_seconds + _MOMENT, self._fence.quiet())\n",
        "        still = await _within(self._write_seconds + _MOMENT, self._fence.quiet())\n"
        "        keeping.cancel()\n"
        "        await asyncio.gather(keeping, return_exceptions=True)\n",
        (f"{ENDS}::test_a_write_that_is_slow_to_end_costs_no_lease",),
    ),
    Mutant(
        "given-back-before-the-answer",
        16,
        "While a write has no answer, the Lease is not given back.",
        REPLICA,
        "        if self._election and still:\n",
        "        if self._election:\n",
        (f"{ENDS}::test_after_a_write_that_does_not_end_the_lease_is_left_to_run_out",),
    ),
    Mutant(
        "kopf-takes-the-signals",
        16,
        "A signal ends the process in order, and not kopf first.",
        REPLICA,
        "        self._heed_signals()\n        self._watching.set()\n",
        "        self._watching.set()\n",
        (f"{PAIRS}::test_a_leader_that_is_told_to_end_hands_over",),
    ),
    Mutant(
        "lease-taken-from-a-live-one",
        16,
        "A Lease that another holds is left alone.",
        LEASES,
        "            return left\n        try:\n",
        "            pass\n        try:\n",
        (f"{LEADS}::test_anothers_is_left_alone_until_it_is_over",),
    ),
    Mutant(
        "stopped-between-check-and-kernel",
        16,
        "The fence is asked in the very call that gives bytes to the kernel.",
        FENCE,
        "        fenced.method = self.method\n",
        "        pass\n",
        (f"{LATE}[body-1]", f"{LATE}[None-1]"),
    ),
)
