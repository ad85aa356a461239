"""What fault campaigns and readings of the code found, each with the mutants that would bring it
back, and by these with the tests that would see it."""

from collections.abc import Iterable
from typing import NamedTuple

from mutants.model import Mutant, shown
from mutants.workspace import MutantError


class Finding(NamedTuple):
    """what: had gone wrong. mutants: names of those that make it go wrong again."""

    what: str
    mutants: tuple[str, ...]


BY_CAMPAIGNS = (
    Finding(
        "An agent was called Ready while a right that it no longer asked for could not be taken"
        " away",
        ("unsaid-right-that-stays",),
    ),
    Finding(
        "A binding was given anew while mTLS or the policy, which somebody had changed, could not"
        " be put right",
        ("guards-that-others-changed-not-awaited",),
    ),
    Finding("A status that was refused stayed out of date", ("refused-status-forgotten",)),
    Finding(
        "An old view let a caller in again",
        ("changed-policy-believed", "made-anew-unread", "caller-not-looked-at"),
    ),
    Finding(
        "An old view took the Vault role of an identity made anew",
        ("role-of-the-next-one-deleted", "role-of-the-next-one-withdrawn"),
    ),
    Finding("Guards went before the right that they guarded", ("guards-go-before-rights",)),
    Finding("A lost event stayed lost", ("watch-believed-for-ever",)),
    Finding(
        "The rights of an agent that was deleted went before a callee that had failed once had"
        " shut it out",
        ("failed-callee-not-waited-for", "callee-put-off-not-waited-for"),
    ),
    Finding(
        "Two addresses of one Vault took each other's roles away",
        ("addresses-are-places", "role-of-an-unreached-address-taken"),
    ),
    Finding(
        "A policy that somebody was deleting just as its agent or grant went was not made anew:"
        " what it had guarded was open",
        ("released-is-in-place", "ended-before-it-is-shut"),
    ),
    Finding(
        "Classes that share a Vault asked, each again and again, about every role of agents that"
        " were being deleted",
        ("ending-is-swept",),
    ),
    Finding(
        "Of two classes that left a Vault together neither waited for the rest",
        ("last-class-looks-too-early",),
    ),
    Finding(
        "All classes had one turn together while each namespace had its own: one of 48 waited a"
        " minute and a half",
        ("classes-share-a-turn",),
    ),
    Finding(
        "A class that went just while the operator started was taken to be there until the resync",
        ("gap-before-the-watch", "others-lists-not-followed"),
    ),
    Finding(
        "Tokens of a role that somebody had deleted by hand lived on when it was not wanted any"
        " more",
        ("role-taken-by-others-forgotten",),
    ),
    Finding(
        "A deletion that failed until its deadline waited for its next try",
        ("late-by-its-back-off",),
    ),
    Finding(
        "A role that the last class at a Vault had just swept was made anew, shut, by its"
        " identity's own turn, and no class was left to take it",
        ("swept-and-made-anew", "class-gone-under-a-write"),
    ),
    Finding(
        "Thousands of turns that had nothing to wait for kept the Lease and the probes waiting, for"
        " eight seconds",
        ("turns-hold-the-loop",),
    ),
)
BY_READING = (
    Finding(
        "Tokens with what had been withdrawn lived on where Vault failed between the role and them",
        ("role-gone-before-its-tokens", "narrow-role-tells-of-no-tokens"),
    ),
    Finding(
        "A withdrawn right was called gone while its Vault had not been reached since the start",
        ("unlisted-vault-taken-for-empty", "known-before-it-is-listed"),
    ),
    Finding(
        "Pods that nothing had guarded were shut at their identity's end",
        ("never-guarded-is-shut",),
    ),
    Finding("Without Istio an end never came", ("kept-without-the-meshs-kinds",)),
    Finding(
        "An `outbound` entry was called in force after a restart though its grant had stalled",
        ("policy-speaks-for-everybody",),
    ),
    Finding(
        "A waypoint was let in where no policy of the agent's was bound to what it serves, or"
        " before that one stood",
        ("waypoint-with-services-unguarded", "waypoint-let-in-first"),
    ),
    Finding("Classes of one slow Vault took all workers", ("gate-without-slots",)),
    Finding(
        "A stolen token of the operator could open any workload for good",
        ("operator-leaves-what-opens", "operator-lets-in-for-a-grant-that-is-gone"),
    ),
    Finding(
        "A stolen token of the operator could have every identity collected",
        ("operator-has-ours-collected",),
    ),
    Finding(
        "A class left a Vault while its identity was taking a role away there, or while it could"
        " not be seen whose a role was",
        ("last-class-waits-only-for-deletions", "unseen-owner-wants"),
    ),
    Finding(
        "An identity that was granted nothing opened what an earlier one of its name had left shut",
        ("left-shut-opened-by-the-next",),
    ),
    Finding(
        "One object of another team's, 9 MB in one line of the watch, ended the process",
        ("one-line-ends-all",),
    ),
    Finding(
        "A pull request that kubectl reads otherwise was passed over by `check`",
        ("merged-kind-passed-over", "encoded-kind-passed-over"),
    ),
    Finding(
        "A write to Vault that was given up was carried out later, over a role made anew or where"
        " nobody asked for it",
        ("given-up-taken-for-not-done", "late-role-nobodys"),
    ),
    Finding(
        "A policy of others, or a grant, that is bound to an agent's Service or waypoint was not"
        " seen",
        (
            "foreign-policy-before-the-agent-unseen",
            "grant-before-an-agent-unseen",
            "grant-at-an-agents-waypoint-unseen",
        ),
    ),
    Finding(
        "What an identity left whose finalizer was taken off by force held up the next of its"
        " name for ever",
        ("left-over-beside-the-next-one", "left-account-judged-by-the-next-one"),
    ),
    Finding(
        "A pod that no watch had told of was open for good after its identity's end",
        ("untold-pods-left-open", "left-shut-opened-under-untold-pods"),
    ),
    Finding(
        "A grant's last policy went while what was to stay could not be made", ("last-policy-goes",)
    ),
    Finding(
        "What an identity left was owed, for good, to the Vault of a class that never reached it",
        ("unreached-vaults-have-tokens",),
    ),
)


def found_tables(mutants: Iterable[Mutant]) -> str:
    """Two tables, in Markdown. Raises MutantError for a mutant that there is not."""
    by_name = {mutant.name: mutant for mutant in mutants}
    campaigns = _table("The campaigns", BY_CAMPAIGNS, by_name)
    return f"{campaigns}\n{_table('Reading the code', BY_READING, by_name)}"


def _table(who: str, findings: Iterable[Finding], by_name: dict[str, Mutant]) -> str:
    rows = "".join(_row(finding, by_name) for finding in findings)
    return f"| {who} found | Mutants | Tests |\n|---|---|---|\n{rows}"


def _row(finding: Finding, by_name: dict[str, Mutant]) -> str:
    if unknown := set(finding.mutants) - by_name.keys():
        raise MutantError(f"there are no mutants {sorted(unknown)}")
    tests = {test for name in finding.mutants for test in by_name[name].tests}
    cells = "<br>".join(f"`{shown(test)}`" for test in sorted(tests))
    names = "<br>".join(f"`{name}`" for name in finding.mutants)
    return f"| {finding.what}. | {names} | {cells} |\n".replace("\\", "\\\\")
