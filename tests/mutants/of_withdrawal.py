"""Invariant 7: what is not allowed goes, whatever else is the matter; nobody's callers."""

from mutants.model import Mutant

EXECUTE = "operator/agent_identity/reconcile/execute.py"
DECIDE = "operator/agent_identity/reconcile/decide.py"
CALLERS = "operator/agent_identity/reconcile/callers.py"
WORLD = "operator/agent_identity/reconcile/world.py"
CHECKS = "operator/agent_identity/core/checks.py"
GUARDS = "tests/unit/engine/test_order_guards.py"
REST = "tests/unit/engine/test_rest_guards.py"
SEEN = "tests/unit/reconcile/test_world.py"
NOTICED = "tests/unit/reconcile/test_notice_guards.py"
EACH = "tests/unit/core/test_checks.py::test_each_check"
CLOSED = f"{GUARDS}::test_a_stalled_identity_keeps_mtls_and_deny_and_nothing_else"

WITHDRAWAL = (
    Mutant(
        "binding-of-a-stalled-one",
        7,
        "An identity that may have nothing has no binding.",
        "operator/agent_identity/providers/rbac/desired.py",
        "if standing is not Standing.GRANTED or identity.spec is None",
        "if identity.spec is None",
        (CLOSED,),
    ),
    Mutant(
        "vault-role-of-a-stalled-one",
        7,
        "An identity that may have nothing has no Vault role.",
        "operator/agent_identity/providers/vault/desired.py",
        "if standing is not Standing.GRANTED or vault is None",
        "if vault is None",
        (CLOSED,),
    ),
    Mutant(
        "annotations-of-a-stalled-one",
        7,
        "The account of an identity that may have nothing has no annotation.",
        "operator/agent_identity/providers/account/desired.py",
        "if granted and asked and asked.annotations:",
        "if asked and asked.annotations:",
        (CLOSED,),
    ),
    Mutant(
        "unread-spec-keeps-rights",
        7,
        "A room that can't say what it wants keeps nothing that the verdict takes away.",
        DECIDE,
        "decision.problems if decision.verdict.standing is Standing.GRANTED else {}",
        "decision.problems",
        (f"{REST}::test_what_the_verdict_forbids_goes_though_its_room_cannot_say_what_it_wants",),
    ),
    Mutant(
        "blind-write",
        7,
        "Nothing is written at a backend that could not be looked at.",
        DECIDE,
        "[r for r in decision.desired if r.room not in blind]",
        "list(decision.desired)",
        (f"{GUARDS}::test_a_role_that_could_not_be_read_is_not_written",),
    ),
    Mutant(
        "first-failure-ends-taking",
        7,
        "What can't be taken away keeps nothing else from going.",
        EXECUTE,
        "                guarded = guarded or action.stage is Stage.GRANT\n",
        "                return\n",
        (f"{GUARDS}::test_one_that_cannot_be_taken_away_keeps_no_other",),
    ),
    Mutant(
        "going-class-gives",
        7,
        "A class that is being deleted gives nothing any more.",
        CHECKS,
        "if facts.agent_class.deleting:",
        "if False:",
        (f"{EACH}[a class that is going]",),
    ),
    Mutant(
        "any-namespace-may",
        7,
        "A namespace that is not labelled as the class wants gets nothing.",
        CHECKS,
        "    _namespace_is_allowed,  # who may use the class\n",
        "",
        (
            f"{EACH}[a namespace without the label]",
            f"{EACH}[a namespace with another value]",
            f"{EACH}[a namespace that is not there]",
        ),
    ),
    Mutant(
        "one-label-is-enough",
        7,
        "A namespace must carry every label that the class wants.",
        CHECKS,
        "    if namespace is not None and not missing:\n",
        "    if namespace is not None and len(missing) < max(1, len(wanted)):\n",
        ("tests/unit/core/test_checks.py::test_a_namespace_must_carry_every_label",),
    ),
    Mutant(
        "account-of-an-expelled-one",
        7,
        "In a namespace that is not allowed, the account goes too.",
        CHECKS,
        "Standing.EXPELLED if expelled else Standing.CLOSED",
        "Standing.CLOSED",
        (
            "tests/unit/core/test_checks.py::test_only_a_namespace_that_is_not_allowed_costs_the_account",
        ),
    ),
    Mutant(
        "stalled-one-is-a-caller",
        7,
        "An identity that may not have what it asks for is nobody's caller.",
        WORLD,
        "if judge(self._own_facts(identity)).standing is not Standing.GRANTED:",
        "if not judge(self._own_facts(identity)):",
        (f"{SEEN}::test_those_who_name_it_are_looked_at_when_it_becomes_or_ceases_to_be",),
    ),
    Mutant(
        "going-one-is-a-caller",
        7,
        "An identity that is going is nobody's caller.",
        WORLD,
        'if identity is None or identity.deleting:\n            return ""',
        'if identity is None:\n            return ""',
        (f"{NOTICED}::test_an_identity_that_is_going_is_nobodys_caller",),
    ),
    Mutant(
        "without-account-a-caller",
        7,
        "An identity that has no account yet is nobody's caller.",
        WORLD,
        "if account is None or account.deleting or not account.is_owned_by(identity.meta.uid):",
        "if account and (account.deleting or not account.is_owned_by(identity.meta.uid)):",
        (f"{SEEN}::test_an_agent_is_somebody_once_its_account_is_its_own",),
    ),
    Mutant(
        "going-account-a-caller",
        7,
        "An identity whose account is going is nobody's caller.",
        WORLD,
        "if account is None or account.deleting or not",
        "if account is None or not",
        (f"{NOTICED}::test_an_account_that_is_going_is_nobodys",),
    ),
    Mutant(
        "callees-not-told",
        7,
        "Those who name an identity are looked at when it becomes or ceases to be a caller.",
        CALLERS,
        "        for callee in sorted(self.callees(agent)):\n",
        "        for callee in ():\n",
        (f"{SEEN}::test_those_who_name_it_are_looked_at_when_it_becomes_or_ceases_to_be",),
    ),
    Mutant(
        "identities-of-class-not-told",
        7,
        "When a class changes or goes, its identities are looked at.",
        WORLD,
        "            self._name_callers(self.identities[key])\n            self._touch(key)\n",
        "            self._name_callers(self.identities[key])\n",
        (
            f"{NOTICED}::test_a_class_that_changes_has_its_identities_looked_at",
            f"{NOTICED}::test_a_class_that_goes_has_its_identities_looked_at",
        ),
    ),
    Mutant(
        "identities-of-namespace-not-told",
        7,
        "When a namespace's labels change, its identities are looked at.",
        WORLD,
        " or known.labels != current.labels",
        "",
        (f"{SEEN}::test_a_namespace_that_changes_labels_has_its_identities_looked_at",),
    ),
    Mutant(
        "failed-withdrawal-not-retried",
        7,
        "What could not be taken away is tried again, whatever else is the matter.",
        "operator/agent_identity/reconcile/pipeline.py",
        "        return min(told, key=_patience, default=None)\n",
        "        return told[-1] if told else None\n",
        (f"{GUARDS}::test_a_withdrawal_that_failed_is_tried_again_though_the_identity_is_stalled",),
    ),
)
