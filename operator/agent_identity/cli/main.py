"""The commands by name, what each takes, and what a pipeline decides by."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

from agent_identity.cli import output
from agent_identity.cli.cluster import Absent
from agent_identity.cli.commands import Exit, run_check, run_explain, run_render
from agent_identity.cli.documents import Unreadable, plain
from agent_identity.cli.graph_command import FORMATS, run_graph
from agent_identity.core.resource import MANAGER

# As a shell has it for SIGINT.
_INTERRUPTED = 130
_FILES = "YAML or JSON files, folders with such files, or - for standard input"
_EXITS = """\
exit codes:
  0  nothing is wrong
  1  something would be refused or stall, or is not there; of explain: it is not Ready
  2  wrong usage, or an input that can't be read
  3  nothing is wrong, but somebody gets more than before (check --against only)
"""


@dataclass(frozen=True, slots=True)
class Command:
    """about: one line. epilog: examples. run: what it does, and its exit code. usage: where the
    order that argparse writes down is not one that it takes."""

    name: str
    about: str
    epilog: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    usage: str | None = None


def _of_render(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILES", help=_FILES)
    parser.add_argument(
        "--identity", metavar="NAMESPACE/NAME", help="only this one, and its class's policies"
    )
    _cluster_arguments(parser)
    _output_argument(parser, output.FORMATS, "yaml")


def _of_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILES", help=_FILES)
    parser.add_argument(
        "--against",
        nargs="+",
        metavar="OTHER-FILES",
        help="what is in force: also tell who gains and who loses which right; after FILES",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="a class, namespace or caller that is not among the files is an error",
    )
    _cluster_arguments(parser)
    _output_argument(parser, output.FORMATS, "table")


def _of_explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("identity", metavar="NAMESPACE/NAME", help="the AgentIdentity")
    _kubeconfig_arguments(parser)
    _cluster_arguments(parser)
    _output_argument(parser, ("text", "yaml", "json"), "text")


def _of_graph(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="*", metavar="FILES", help=f"{_FILES}; without: a cluster")
    parser.add_argument("--identity", metavar="NAMESPACE/NAME", help="what is around this one only")
    parser.add_argument("--file", metavar="FILE", help="where to write; default: standard output")
    _kubeconfig_arguments(parser)
    _cluster_arguments(
        parser, "of a cluster: this one only; of files: of identities that name none"
    )
    parser.set_defaults(namespace=None)
    _output_argument(parser, tuple(FORMATS), "mermaid")


def _kubeconfig_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kubeconfig", metavar="FILE", help="default: as with kubectl")
    parser.add_argument("--context", metavar="NAME", help="of the kubeconfig")


def _cluster_arguments(
    parser: argparse.ArgumentParser,
    namespace: str = "of identities that name none (default: default)",
) -> None:
    """namespace: what it is for."""
    parser.add_argument(
        "--cluster-name", metavar="NAME", help="default: AGENT_IDENTITY_CLUSTER_NAME"
    )
    parser.add_argument(
        "--trust-domain", metavar="DOMAIN", help="default: AGENT_IDENTITY_TRUST_DOMAIN"
    )
    parser.add_argument(
        "--mesh-root-namespace", metavar="NAME", help="default: that of the operator, istio-system"
    )
    parser.add_argument(*("-n", "--namespace"), metavar="NAME", default="default", help=namespace)


def _output_argument(parser: argparse.ArgumentParser, formats: Sequence[str], default: str) -> None:
    text = f"{', '.join(formats)} (default: {default})"
    parser.add_argument("-o", "--output", choices=formats, default=default, help=text)


COMMANDS = (
    Command(
        "render",
        "print what the operator would write",
        """\
examples:
  agent-identity render --cluster-name prod --trust-domain cluster.local deploy/
  helm template . | agent-identity render --identity agents/planner -

The UID of an owner is known in a cluster only: uid-of-NAMESPACE/NAME stands for it. What goes to
Vault is shown as VaultRole and VaultPolicy of render.agentidentity.dev/v1: the path and payload of
the write, with ACCESSOR-OF-THE-MOUNT for what only Vault knows.
""",
        _of_render,
        run_render,
    ),
    Command(
        "check",
        "say what is wrong, or riskier than before",
        """\
examples:
  agent-identity check deploy/
  helm template . | agent-identity check --strict -
  agent-identity check deploy/ --against main/deploy/ --output json

Give whole sets of files, classes and namespaces too: what is not among them can't be checked, and
with --against an agent that is not in OTHER-FILES is a new one.
""",
        _of_check,
        run_check,
        "%(prog)s FILES... [--against OTHER-FILES...] [--strict] [options]",
    ),
    Command(
        "explain",
        "say from a cluster what an agent has, why, and what is missing",
        """\
examples:
  kubectl agentid explain agents/planner
  agent-identity explain agents/planner --context prod --output json

Reads what you may read, and says what you may not. `view` in the namespace has the identity and its
account; its class, its bindings, Istio's policies and the grants that it asks each need `get`.
""",
        _of_explain,
        run_explain,
    ),
    Command(
        "graph",
        "draw who may call whom, with what, and what is not in force",
        """\
examples:
  kubectl agentid graph --output html --file agents.html
  agent-identity graph deploy/ --identity agents/planner
  agent-identity graph deploy/ --output dot | dot -Tsvg > agents.svg

The page needs nothing but itself: open the file, find an agent, and see its access in and out. From
a cluster it reads what you may read, and says what you may not; from files it shows what will be.
""",
        _of_graph,
        run_graph,
    ),
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # A file's name may have come to be an argument.
        output.tell(f"{self.prog}: {plain(message)}; see {self.prog} --help")
        raise SystemExit(Exit.UNREADABLE)


def parser() -> argparse.ArgumentParser:
    """Every command with its arguments."""
    whole = _Parser(
        prog=_program(),
        description="What AgentIdentities mean: in a pipeline without a cluster, or from one.",
        epilog=_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        one = commands.add_parser(
            command.name,
            help=command.about,
            description=command.about,
            usage=command.usage,
            epilog=f"{command.epilog}\n{_EXITS}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.arguments(one)
        one.set_defaults(run=command.run)
    return whole


def _program() -> str:
    """kubectl starts us under a name of its own."""
    return "kubectl agentid" if "kubectl-agentid" in sys.argv[0] else "agent-identity"


def _version() -> str:
    try:
        return version(MANAGER)
    except PackageNotFoundError:
        return "of a checkout that is not installed"


def run(arguments: Sequence[str]) -> int:
    """One command, and its exit code. Whatever is in an input, the answer is a message."""
    args = parser().parse_args(arguments)
    try:
        code: int = args.run(args)
    except Unreadable as trouble:
        output.tell(str(trouble))
        return Exit.WRONG if isinstance(trouble, Absent) else Exit.UNREADABLE
    return code


def main() -> None:
    """Entry point of `agent-identity` and `kubectl agentid`."""
    try:
        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = _INTERRUPTED
    raise SystemExit(code)
