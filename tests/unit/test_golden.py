"""What is written for every identity in `examples/`, to the letter.

`make golden` writes the files anew; a change in them must be meant.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_identity.api.rules import Caller
from agent_identity.core.checks import Standing, judge
from agent_identity.core.identity import AgentClass, Identity, parse_class, parse_identity
from agent_identity.reconcile.decide import decide
from agent_identity.registry import build_rooms
from samples import facts_of, metadata

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"


def manifests(kind: str) -> list[dict[str, Any]]:
    files = sorted((ROOT / "examples").rglob("*.yaml"))
    objects = [o for f in files for o in yaml.safe_load_all(f.read_text()) if o]
    return [o for o in objects if o["kind"] == kind]


def parsed(manifest: dict[str, Any]) -> dict[str, Any]:
    meta = manifest["metadata"]
    return manifest | {"metadata": metadata(meta["name"], meta.get("namespace", ""))}


def rendered(identity: Identity, agent_class: AgentClass) -> str:
    """Every object as the rooms want it, every named caller being there."""
    spec = identity.spec
    rules = (spec.inbound.rules or ()) if spec and spec.inbound else ()
    callers = {c: (principal(c),) for r in rules for c in r.from_}
    rooms = build_rooms(
        cluster="prod",
        cluster_uid=str,
        connect=lambda _: None,  # type: ignore[arg-type,return-value]
        accounts=lambda _: "",
        mesh_installed=lambda: True,
    ).rooms
    decision = decide(facts_of(identity, agent_class, callers=callers), rooms)
    objects = [{"ref": str(r.ref), "body": dict(r.body)} for r in decision.desired]
    return yaml.safe_dump_all(objects, sort_keys=True, width=100)


def principal(caller: Caller) -> str:
    return f"cluster.local/ns/{caller.namespace or 'agents'}/sa/{caller.name}"


CLASSES = {c.name: c for c in (parse_class(parsed(m)) for m in manifests("AgentIdentityClass"))}
IDENTITIES = [parse_identity(parsed(m)) for m in manifests("AgentIdentity")]


@pytest.mark.parametrize("identity", IDENTITIES, ids=lambda i: i.key.name)
def test_what_is_written_is_as_agreed(identity: Identity) -> None:
    agent_class = CLASSES[identity.class_name]
    verdict = judge(facts_of(identity, agent_class))
    found = (
        rendered(identity, agent_class)
        if verdict.standing is Standing.GRANTED
        else f"nothing: {verdict.problem}\n"
    )
    path = GOLDEN / f"{identity.key.name}.yaml"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(found)
    assert path.read_text() == found
