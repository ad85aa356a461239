"""What a mutant is, and the invariants that mutants belong to."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """One guard taken out. file, old, new: text that occurs once, and what stands there instead.

    tests: pytest node ids; each of them must fail. Without [brackets]: at least one of its cases.
    """

    name: str
    invariant: int
    guard: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def real(self) -> bool:
        """Whether it takes real servers to see it."""
        return any(test.startswith("tests/cluster/") for test in self.tests)


INVARIANTS: Mapping[int, str] = {
    1: "An empty or unresolved caller list or an empty intersection of permissions drops the rule,"
    " and a policy without rules allows nothing. There is never a rule without `from` or `to`.",
    2: "Istio principals are `<trust domain>/ns/<ns>/sa/<sa>`: exactly five parts, no wildcard,"
    " never with `spiffe://`.",
    3: "What we write is ours (label *and* controller reference with our UID) or the identity"
    " stalls. Nothing existing is adopted, changed or deleted. Objects are made by POST and"
    " replaced by PUT of the version that was seen, on any difference. Derived names are"
    " injective.",
    4: "Nothing free-form crosses from a tenant into Vault, RBAC or a SPIFFE ID. Characters that"
    " Vault would take for a glob are refused.",
    5: "A Vault role's payload is always whole: exact name and namespace, audience,"
    " `alias_name_source: serviceaccount_uid`, service tokens, no default policy.",
    6: "Taking away comes first, giving last. Account, mTLS and deny stand before the first right."
    " Narrower Vault policies write the role, then end the tokens. Before anything is given,"
    " identity, class and namespace are read afresh.",
    7: "Withdrawal never waits: what is not allowed is taken away even while the identity is"
    " stalled, invalid or waiting. Those it calls shut an agent out first, before anything else of"
    " it goes (for at most 5 s). A stalled one keeps mTLS and deny and is nobody's caller.",
    8: "Deletion always ends and leaves no right: order, foreign finalizers, the account held until"
    " its entity is gone, a deadline after which what is left is owed and paid later, sweeping by"
    " prefix, the cluster's marker; an entity goes only if its one alias is ours.",
    9: "While pods of a deleted identity run on, its policy stays and allows nothing; it is swept"
    " when they are gone. What a deleted grant guarded stays shut, unless the grant says Open.",
    10: "One broken backend, class, namespace or tenant never stops another.",
    11: "A restart and a steady state write nothing. A drift is repaired, and an event tells"
    " of it.",
    12: "Status is honest: Ready only if every room is, for this generation; foreign policies are"
    " named; missing callers do not hold Ready back; nothing is decided by our own status.",
    13: "Of two identities that want one account, the owner of the live account has it; else the"
    " older one; else that of the lesser UID.",
    14: "No secret gets into a log line, an event, a status or an exception's text.",
    15: "The operator's own rights hold no wildcard, `escalate`, `impersonate`, secrets or account"
    " tokens, and `bind` only by name.",
    16: "Of several replicas one writes: the one that holds the Lease, and only while it surely"
    " does. Told to end, it ends what it has begun and gives the Lease back after its last write.",
    17: "The API server itself refuses, by the chart's policies: an identity by whoever may not use"
    " its class, a change of what the operator owns by anybody else, half an agent, an agent's"
    " token for people, and whatever is not the operator's own by its token. It is in nobody else's"
    " way.",
    18: "What an agent may call is what the grant gives and its own spec.outbound asks for. A grant"
    " guards what it names and nothing else, never an agent's pods, and never less than before. A"
    " status tells nothing of a grant that does not name the agent.",
    19: "`agent-identity check` passes over nothing that would be applied, and its exit code says"
    " what it came to. Whatever an input holds, the command line ends with a message, and no text"
    " of a stranger's is a command of the terminal or the pipeline.",
}


def shown(test: str) -> str:
    """A test's id as a cell of a table tells it."""
    return test.removeprefix("tests/").replace("|", "\\|")
