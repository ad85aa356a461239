"""Invariants 1 and 2: a rule without callers is no rule, and a principal is exact."""

from mutants.model import Mutant

ISTIO = "operator/agent_identity/providers/istio/desired.py"
RULES = "operator/agent_identity/providers/istio/rules.py"
AMBIENT = "operator/agent_identity/providers/istio/ambient.py"
SPIFFE = "operator/agent_identity/core/spiffe.py"
CHECKS = "operator/agent_identity/core/checks.py"
ROOM = "tests/unit/providers/test_istio_room.py"
GUARDS = "tests/unit/providers/test_istio_guards.py"
WAYPOINTS = "tests/unit/providers/test_ambient.py"
ORDER = "tests/unit/engine/test_order_guards.py"
IDS = "tests/unit/core/test_spiffe.py"

CALLERS = (
    Mutant(
        "rule-without-callers-kept",
        1,
        "A rule whose callers are all missing is dropped.",
        ISTIO,
        "for rule in _rules(facts) if (principals := _principals(rule, facts))",
        "for rule in _rules(facts) for principals in [_principals(rule, facts)]",
        (f"{ROOM}::test_a_rule_whose_callers_are_missing_is_dropped_and_the_policy_stays",),
    ),
    Mutant(
        "rule-without-principals-written",
        1,
        "Even if it were not dropped, a rule without principals can't be made.",
        RULES,
        "    if not principals or any(",
        "    if any(",
        (f"{ROOM}::test_a_principal_that_would_mean_more_is_a_bug[principals0]",),
    ),
    Mutant(
        "ports-left-out",
        1,
        "A rule always names its ports, so that `to` is never missing.",
        RULES,
        '{"ports": [str(port) for port in sorted(rule.ports)]}',
        "{}",
        (f"{ROOM}::test_no_rule_is_ever_without_exact_callers_and_ports",),
    ),
    Mutant(
        "closed-policy-deleted",
        1,
        "The policy of an identity that may have nothing stays: without one everybody is let in.",
        ISTIO,
        "return _closed(facts) if _was_guarded(facts) else",
        "return () if _was_guarded(facts) else",
        (f"{ORDER}::test_a_stalled_identity_keeps_mtls_and_deny_and_nothing_else",),
    ),
    Mutant(
        "closed-policy-keeps-rules",
        1,
        "The policy of an identity that may have nothing has no rules.",
        ISTIO,
        "return (*_policies(facts, []), ",
        "return (*_all_policies(facts), ",
        (f"{ORDER}::test_a_stalled_identity_keeps_mtls_and_deny_and_nothing_else",),
    ),
    Mutant(
        "empty-ceiling-allows-all",
        1,
        "A class that lists nothing allows nothing.",
        CHECKS,
        "    if not extra:\n",
        "    if not extra or not listed:\n",
        ("tests/unit/core/test_checks.py::test_each_check[a role where the class has none]",),
    ),
    Mutant(
        "policy-allows-by-action",
        1,
        "The policy says ALLOW: with rules it lets in only these, without rules nobody.",
        ISTIO,
        'guarded | {"action": "ALLOW"}',
        'guarded | {"action": "AUDIT"}',
        (f"{ROOM}::test_a_rule_whose_callers_are_missing_is_dropped_and_the_policy_stays",),
    ),
    Mutant(
        "principal-with-scheme",
        2,
        "A principal carries no `spiffe://`: with it an ALLOW lets nobody in.",
        SPIFFE,
        'return f"{self.trust_domain}/ns/',
        'return f"spiffe://{self.trust_domain}/ns/',
        (f"{IDS}::test_the_two_forms",),
    ),
    Mutant(
        "principal-of-any-length",
        2,
        "A principal that has not five parts is never written.",
        RULES,
        'len(p.split("/")) != 5 or "*" in p',
        '"*" in p',
        (
            f"{ROOM}::test_a_principal_that_would_mean_more_is_a_bug[principals3]",
            f"{ROOM}::test_a_principal_that_would_mean_more_is_a_bug[principals4]",
        ),
    ),
    Mutant(
        "principal-with-wildcard",
        2,
        "A principal with a wildcard is never written.",
        RULES,
        'len(p.split("/")) != 5 or "*" in p',
        'len(p.split("/")) != 5',
        (f"{GUARDS}::test_no_wildcard_in_five_parts_either",),
    ),
    Mutant(
        "trust-domain-of-anything",
        2,
        "A trust domain is what the SPIFFE standard allows.",
        SPIFFE,
        'r"[a-z0-9._-]{1,255}"',
        'r"[^ ]{1,255}"',
        (f"{IDS}::test_a_trust_domain_that_the_standard_refuses",),
    ),
    Mutant(
        "segment-matched-in-part",
        2,
        "A namespace or account that holds more than a plain segment makes no principal.",
        SPIFFE,
        "not _SEGMENT.fullmatch(segment)",
        "not _SEGMENT.match(segment)",
        (f"{IDS}::test_a_path_segment_that_the_standard_refuses[a/b]",),
    ),
    Mutant(
        "segment-of-dots",
        2,
        "`.` and `..` are no path segments of a SPIFFE ID.",
        SPIFFE,
        'or segment in (".", "..")',
        "",
        (f"{IDS}::test_a_path_segment_that_the_standard_refuses[..]",),
    ),
    Mutant(
        "waypoint-let-in-for-nothing",
        1,
        "A waypoint comes in only where it has a rule of ours to enforce: it passes on all else.",
        AMBIENT,
        " and bool(_service_ports(rule, _leads(services)))",
        "",
        (f"{WAYPOINTS}::test_a_waypoint_with_nothing_to_pass_on_is_let_in_nowhere",),
    ),
    Mutant(
        "waypoint-with-services-unguarded",
        1,
        "A waypoint comes in only while its policy is bound to all Services of the agent.",
        AMBIENT,
        "guarded = len(services) <= _MOST_TARGETS",
        "guarded = True",
        (f"{WAYPOINTS}::test_a_waypoint_that_guards_not_all_services_is_let_in_nowhere",),
    ),
)
