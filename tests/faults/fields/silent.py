"""Changes of a spec that rightly show nothing in the system, each with the reason why.

What is not in this list must show: a field that nobody reads would be a promise that nobody keeps.
"""

from dataclasses import dataclass

from faults.fields.cases import Case


@dataclass(frozen=True, slots=True)
class Silent:
    """fields: by their ends, with the kind or without; none is all. mutators: as they begin; none
    is all. said: whether it shows in a status at least."""

    why: str
    fields: tuple[str, ...] = ()
    mutators: tuple[str, ...] = ()
    seed: str = ""
    said: bool = False

    def covers(self, case: Case) -> bool:
        where = f" {case.kind} {case.field}"
        at = any(where.endswith((f" {f}", f".{f}")) for f in self.fields)
        done = case.id.rpartition("/")[2].startswith(self.mutators or ("",))
        return (at or not self.fields) and done and self.seed in ("", case.seed.name)


SILENT = (
    Silent("said twice is said once", mutators=("duplicate", "other:twice")),
    Silent(
        "what a rule lets in does not depend on its name",
        ("spec.inbound.rules[].name",),
    ),
    Silent(
        "a ceiling that is raised shows when somebody asks for more",
        (
            "AgentIdentityClass spec.serviceAccounts.annotationKeys",
            "AgentIdentityClass spec.rbac.clusterRoles",
            "AgentIdentityClass spec.vault.policies",
        ),
        ("push",),
    ),
    Silent("it shows when the grant goes", ("AgentAccessGrant spec.onDelete",)),
    Silent(
        "a class for more namespaces shows where somebody lives in one",
        (
            "spec.namespaceSelector.matchLabels",
            "spec.namespaceSelector.matchLabels{}",
        ),
        ("pop", "empty", "delete"),
    ),
    Silent(
        "left out, a caller's namespace is the agent's own",
        ("AgentIdentityClass spec.inbound.rules[].from[].namespace",),
        ("delete",),
    ),
    Silent("it is the same certificate", ("spec.vault.caBundle",), ("change",)),
    Silent(
        "how the operator logs in is nobody's right",
        (
            "spec.vault.caBundle",
            "spec.vault.login.mount",
            "spec.vault.login.role",
        ),
        said=True,
    ),
    Silent(
        "an agent that asks for what nobody grants is told so",
        (
            "spec.outbound",
            "spec.outbound[].namespace",
            "spec.outbound[].grant",
            "spec.outbound[].rules",
            "spec.outbound[].rules[]",
        ),
        ("push", "other"),
        said=True,
    ),
    Silent("Shadow writes nothing, and tells what it would write", seed="shadow", said=True),
)


def why_silent(case: Case) -> Silent | None:
    return next((s for s in SILENT if s.covers(case)), None)
