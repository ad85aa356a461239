"""All agents of files, as it is once the operator has done its work. Pure."""

from collections.abc import Iterator
from dataclasses import replace

from agent_identity.cli.callers import guards, rules_of
from agent_identity.cli.graph_agents import FILES, Sight
from agent_identity.cli.manifests import Manifests
from agent_identity.cli.seen import Seen
from agent_identity.cli.surroundings import Surroundings
from agent_identity.core.facts import AgentService, Facts
from agent_identity.core.resource import Key, Observed
from agent_identity.providers.istio.ambient import is_ambient


def of_files(read: Manifests) -> Sight:
    """As it is once the operator has done its work."""
    keys = read.of_kind("AgentIdentity")
    agents = tuple(_of_file(read.around, key) for key in keys)
    return Sight(FILES, read.around.world, agents, notes=tuple(_assumed(read.around, agents)))


def _of_file(around: Surroundings, key: Key) -> Seen:
    facts = around.facts(key)
    return Seen(
        facts=_brought_about(facts),
        class_known=facts.agent_class is not None,
        namespace_known=key.namespace not in around.assumed,
        pods=None,
        bindings=(),
        hidden=frozenset(),
        refused=(),
        guessed=(),
    )


def _brought_about(facts: Facts) -> Facts:
    """With the policies that the operator writes, and with the Services that an ambient mesh needs:
    they come with workloads, which are not read."""
    identity = facts.identity
    own = {"labelled": True, "identity": identity.key.name, "owner_uid": identity.meta.uid}
    ports = {port for _, rule in rules_of(facts) for port in rule.ports}
    served = AgentService(identity.key.name, tuple((port, port) for port in sorted(ports)))
    facts = replace(facts, services=(served,))
    policies = {r: Observed(r, str(r), "1", b"", **own) for r in guards(facts)}  # type: ignore[arg-type]
    return replace(facts, observed={**facts.observed, **policies})


def _assumed(around: Surroundings, agents: tuple[Seen, ...]) -> Iterator[str]:
    for name in sorted(around.assumed):
        yield f"namespace {name} is not among the files: taken for allowed"
    for name in sorted({s.facts.identity.class_name for s in agents if not s.class_known}):
        yield (
            f"class {name} is not among the files: taken for one that gives what is asked for,"
            " has a mesh, and has no rules of its own"
        )
    ambient = (s.facts.identity.class_name for s in agents if is_ambient(s.facts))
    for name in sorted(set(ambient)):
        yield f"class {name} is for an ambient mesh: taken for granted that Services lead to agents"
