"""Sets of manifests as files, and the program run on them."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_identity.cli.main import run
from samples import class_of

Manifest = dict[str, Any]
OURS = "agentidentity.dev/v1alpha1"
ROOT = Path(__file__).parents[3]
RULE = {
    "name": "tasks",
    "from": [{"kind": "AgentIdentity", "name": "planner"}],
    "ports": [8080],
    "protocol": "HTTP",
    "http": {"methods": ["POST"], "paths": ["/v1/tasks"]},
}


def identity(name: str = "agent", namespace: str = "agents", **spec: Any) -> Manifest:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": OURS, "kind": "AgentIdentity", "metadata": metadata, "spec": spec}


def agent_class(name: str = "default", **spec: Any) -> Manifest:
    known = class_of().spec
    assert known is not None
    body = known.model_dump(by_alias=True, exclude_none=True, mode="json")
    metadata = {"name": name}
    return {
        "apiVersion": OURS,
        "kind": "AgentIdentityClass",
        "metadata": metadata,
        "spec": body | spec,
    }


def namespace(name: str = "agents", **labels: str) -> Manifest:
    metadata = {"name": name, "labels": labels or {"agents": "allowed"}}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def full(**spec: Any) -> Manifest:
    """An agent that asks for something everywhere."""
    asked: Manifest = {
        "inbound": {"enforcement": "Enforce", "rules": [copy.deepcopy(RULE)]},
        "rbac": {"clusterRoles": ["ticket-reader"]},
        "vault": {"policies": ["own-secrets"], "tokenTTLSeconds": 600},
    }
    return identity(**(asked | spec))


def whole() -> list[Manifest]:
    """A set that is in order: class, namespace, a caller, and an agent."""
    return [agent_class(), namespace(), identity("planner"), full()]


class Program:
    """The program in this process, on files that are made for one test."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._directory = directory
        self._capsys = capsys

    def file(self, name: str, content: str | list[Manifest]) -> str:
        text = content if isinstance(content, str) else yaml.safe_dump_all(content)
        (self._directory / name).write_text(text)
        return str(self._directory / name)

    def __call__(self, *args: str) -> tuple[int, str, str]:
        """Exit code, what was put out, and what was told."""
        try:
            code = run(args)
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = self._capsys.readouterr()
        return code, out, err

    def check(self, *new: Manifest, flags: tuple[str, ...] = ()) -> tuple[int, str, str]:
        return self("check", self.file("new.yaml", list(new)), *flags)


def edited(change: Callable[[list[Manifest]], None]) -> list[Manifest]:
    """The whole set with one change."""
    manifests = copy.deepcopy(whole())
    change(manifests)
    return manifests
