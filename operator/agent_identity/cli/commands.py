"""What each command does: arguments in, text and an exit code out."""

import argparse
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict
from enum import IntEnum
from typing import Any

from agent_identity.api.fields import DNS_LABEL
from agent_identity.cli import output
from agent_identity.cli.check import Checked, check
from agent_identity.cli.cluster import Reader, connect
from agent_identity.cli.compare import Change
from agent_identity.cli.documents import KINDS, Unreadable
from agent_identity.cli.explain import explain, is_ready
from agent_identity.cli.files import read_files
from agent_identity.cli.findings import Severity
from agent_identity.cli.manifests import Manifests, manifests
from agent_identity.cli.render import Rendered, render
from agent_identity.cli.seen import look_at
from agent_identity.cli.words import in_words
from agent_identity.core.facts import Cluster
from agent_identity.core.resource import Key
from agent_identity.settings import PREFIX, SettingsError, read_settings

_SETTINGS = ("CLUSTER_NAME", "TRUST_DOMAIN", "MESH_ROOT_NAMESPACE")


class Exit(IntEnum):
    """What a pipeline decides by."""

    FINE = 0
    WRONG = 1
    UNREADABLE = 2
    RISKIER = 3


def run_render(args: argparse.Namespace) -> int:
    """`agent-identity render`."""
    read = manifests_of(args.files, cluster_of(args), args.namespace)
    only = key_of(args.identity, args.namespace) if args.identity else None
    if only and only not in read.of_kind("AgentIdentity"):
        raise Unreadable(f"there is no AgentIdentity {only} among the files")
    wrong = tell_wrong(read)
    rendered = render(read, only)
    for text in (*rendered.assumed, *rendered.shadow, *rendered.stalled):
        output.tell(text)
    output.put(_rendered(rendered, args.output))
    return Exit.WRONG if wrong or rendered.stalled else Exit.FINE


def tell_wrong(read: Manifests) -> bool:
    """Whether something is wrong with the files by themselves, which is told."""
    wrong = [f for f in read.findings if f.severity is Severity.ERROR]
    for finding in wrong:
        output.tell(f"{finding.where}: {finding.subject}: {finding.path}: {finding.message}")
    return bool(wrong)


def _rendered(rendered: Rendered, form: str) -> str:
    if form == "json":
        items = [dict(w.body) for w in rendered.objects]
        return output.as_json({"apiVersion": "v1", "kind": "List", "items": items})
    if form == "yaml":
        return output.as_documents((f"For {w.owner}", w.body) for w in rendered.objects)
    header = ("KIND", "NAMESPACE", "NAME", "FOR")
    rows = [(*_named(w.body), w.owner) for w in rendered.objects]
    return output.as_table(header, rows)


def _named(body: Mapping[str, Any]) -> tuple[str, str, str]:
    metadata = body["metadata"]
    return body["kind"], metadata.get("namespace", "-"), metadata["name"]


def run_check(args: argparse.Namespace) -> int:
    """`agent-identity check`."""
    cluster = cluster_of(args, cluster_name="cluster", trust_domain="cluster.local")
    new = manifests_of(args.files, cluster, args.namespace)
    old = manifests_of(args.against, cluster, args.namespace) if args.against else None
    if not _ours(new) and not (old and _ours(old)):
        raise Unreadable(
            "there is no AgentIdentity, no AgentIdentityClass and no AgentAccessGrant in what was"
            f" given ({new.ignored} other objects)"
        )
    checked = check(new, old, strict=args.strict)
    output.put(_checked(checked, new, args.output))
    if checked.has_errors:
        return Exit.WRONG
    return Exit.RISKIER if checked.gained else Exit.FINE


def _checked(checked: Checked, new: Manifests, form: str) -> str:
    summary = _summary(checked, new)
    if form == "table":
        header = ("SEVERITY", "WHERE", "OBJECT", "FIELD", "WHAT")
        rows = (
            (
                f.severity,
                f.where,
                f.subject,
                f.path,
                ". ".join(t for t in (f.message, f.advice) if t),
            )
            for f in checked.findings
        )
        return output.as_table(header, rows) + _in_words(summary)
    told = {
        "findings": [asdict(f) | {"severity": f.severity.value} for f in checked.findings],
        "gained": [_change(c) for c in checked.gained],
        "lost": [_change(c) for c in checked.lost],
        "summary": summary,
    }
    return output.as_json(told) if form == "json" else output.as_yaml(told)


def _change(change: Change) -> dict[str, Any]:
    right = change.right
    return {
        "agents": list(change.agents),
        "detail": list(right.detail),
        "field": right.source,
        "grant": change.grant,
        "holder": change.holder,
        "kind": right.kind.value,
        "subject": right.subject,
        "what": str(right),
        "where": change.where,
    }


def _summary(checked: Checked, new: Manifests) -> dict[str, int]:
    of = {s: sum(f.severity is s for f in checked.findings) for s in Severity}
    return {f"{s}s": n for s, n in of.items()} | {
        "identities": len(new.of_kind("AgentIdentity")),
        "classes": len(new.of_kind("AgentIdentityClass")),
        "grants": len(new.of_kind("AgentAccessGrant")),
        "ignored": new.ignored,
    }


def _in_words(summary: Mapping[str, int]) -> str:
    found = ", ".join(f"{name} {summary[name]}" for name in ("errors", "risks", "notes"))
    kinds = ("identities", "classes", "grants")
    looked = ", ".join(f"{summary[kind]} {kind}" for kind in kinds)
    return f"{found}; looked at {looked}; {summary['ignored']} other objects left alone\n"


def run_explain(args: argparse.Namespace) -> int:
    """`agent-identity explain`."""
    key = key_of(args.identity, args.namespace)
    given = {n: w for n in ("cluster_name", "trust_domain") if (w := getattr(args, n))}
    root = cluster_of(args, cluster_name="cluster", trust_domain="cluster.local")
    reader = Reader(connect(args.kubeconfig, args.context))
    seen = look_at(reader, key, given, root.mesh_root_namespace)
    told = explain(seen)
    if args.output == "text":
        output.put(in_words(told))
    else:
        plain = json.loads(json.dumps(asdict(told)))
        output.put(output.as_json(plain) if args.output == "json" else output.as_yaml(plain))
    return Exit.FINE if is_ready(seen) else Exit.WRONG


def _ours(among: Manifests) -> bool:
    return bool(among.findings) or any(among.of_kind(kind) for kind in KINDS)


def manifests_of(names: list[str], cluster: Cluster, namespace: str) -> Manifests:
    """Of files; namespace: of those that name none."""
    return manifests(read_files(names), cluster, namespace=namespace)


def key_of(text: str, namespace: str) -> Key:
    """NAMESPACE/NAME, or NAME in the default namespace."""
    before, slash, after = text.partition("/")
    key = Key(before, after) if slash else Key(namespace, before)
    if not all(re.fullmatch(DNS_LABEL, part) for part in (key.namespace, key.name)):
        raise Unreadable(f"{text!r} must be NAMESPACE/NAME")
    return key


def cluster_of(args: argparse.Namespace, **fallback: str) -> Cluster:
    """Flags first, then the operator's own settings, then what will do."""
    chosen = {name: getattr(args, name.lower(), None) for name in _SETTINGS}
    given = {PREFIX + name: value for name, value in chosen.items() if value}
    names = [PREFIX + name for name in _SETTINGS]
    ours = {name: os.environ[name] for name in names if name in os.environ}
    last = {PREFIX + name.upper(): value for name, value in fallback.items()}
    try:
        # The rest of the settings is the operator's alone.
        read = read_settings({f"{PREFIX}KUBE_SERVER": "https://unused"} | last | ours | given)
    except SettingsError as error:
        raise Unreadable(f"{error} (or give it as a flag: see --help)") from None
    return Cluster(read.cluster_name, read.trust_domain, read.mesh_root_namespace)
