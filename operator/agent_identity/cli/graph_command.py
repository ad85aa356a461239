"""`agent-identity graph`: arguments in, a drawing and an exit code out."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from agent_identity.cli import output
from agent_identity.cli.cluster import Absent, Reader, connect
from agent_identity.cli.commands import Exit, cluster_of, key_of, manifests_of, tell_wrong
from agent_identity.cli.documents import Unreadable
from agent_identity.cli.graph import Graph, NodeKind, around, node_of, within
from agent_identity.cli.graph_build import graph
from agent_identity.cli.graph_cluster import of_cluster
from agent_identity.cli.graph_files import of_files
from agent_identity.cli.graph_formats import MERMAID_LIMIT, as_dot, as_mermaid, as_values
from agent_identity.cli.graph_page import as_page
from agent_identity.core.facts import Cluster
from agent_identity.core.resource import Subject

FORMATS: Mapping[str, Callable[[Graph], str]] = {
    "mermaid": as_mermaid,
    "dot": as_dot,
    "json": lambda drawn: output.as_json(as_values(drawn)),
    "html": as_page,
}


def run_graph(args: argparse.Namespace) -> int:
    """Of files if there are any, else of a cluster."""
    cluster = cluster_of(args, cluster_name="cluster", trust_domain="cluster.local")
    if args.files:
        whole, code = _of_files(args, cluster)
    else:
        whole, code = _of_cluster(args, cluster), Exit.FINE
    drawn = _narrowed(whole, args)
    for note in drawn.notes:
        output.tell(note)
    if args.output == "mermaid" and len(drawn.edges) > MERMAID_LIMIT:
        output.tell(
            f"{len(drawn.edges)} edges, and Mermaid draws {MERMAID_LIMIT} unless told otherwise:"
            " --identity draws one agent, and --output html has no limit"
        )
    _write(FORMATS[args.output](drawn), args.file)
    return code


def _of_files(args: argparse.Namespace, cluster: Cluster) -> tuple[Graph, Exit]:
    read = manifests_of(args.files, cluster, args.namespace or "default")
    if not any(read.of_kind(subject) for subject in (Subject.IDENTITY, Subject.GRANT)):
        raise Unreadable(
            "there is no AgentIdentity and no AgentAccessGrant in what was given"
            f" ({read.ignored} other objects)"
        )
    wrong, drawn = tell_wrong(read), graph(of_files(read))
    stalls = any(node.stalls for node in drawn.nodes)
    return drawn, Exit.WRONG if wrong or stalls else Exit.FINE


def _of_cluster(args: argparse.Namespace, cluster: Cluster) -> Graph:
    """What is wrong with a cluster is drawn, and is no failure of whoever looks."""
    reader = Reader(connect(args.kubeconfig, args.context))
    whole = graph(of_cluster(reader, cluster, args.namespace or ""))
    return within(whole, args.namespace) if args.namespace else whole


def _narrowed(whole: Graph, args: argparse.Namespace) -> Graph:
    if not args.identity:
        return whole
    key = key_of(args.identity, args.namespace or "default")
    if node_of(NodeKind.AGENT, key).id not in {node.id for node in whole.nodes}:
        raise Absent(f"there is no AgentIdentity {key}")
    return around(whole, key)


def _write(text: str, name: str | None) -> None:
    if not name:
        output.put(text)
        return
    try:
        Path(name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise Unreadable(f"{name}: {error.strerror or error}") from None
