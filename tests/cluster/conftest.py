"""One bed and one operator for each test process; one namespace for each test.

The operator's periods are short, so that what takes minutes in production takes seconds here.
"""

import os
from collections.abc import Iterator
from itertools import count

import pytest
from kubernetes.dynamic import DynamicClient

from testbed.bed import Bed
from testbed.control_plane import ControlPlane
from testbed.kind_cluster import KindControlPlane, docker_problem
from testbed.operator_process import OperatorProcess
from testbed.tenant import SHORT_PERIODS, Tenant, class_manifest, client_with_a_role

_numbers = count(1)
# Who gives the session's cluster. A bed that a test makes for itself is always the test bed's own.
PROVIDERS: dict[str, type[ControlPlane]] = {"testbed": ControlPlane, "kind": KindControlPlane}
CLUSTER = os.environ.get("CLUSTER") or "testbed"


def pytest_configure() -> None:
    """What can't be had is told before anything starts."""
    problem = docker_problem() if CLUSTER == "kind" else ""
    if CLUSTER not in PROVIDERS:
        problem = f"CLUSTER is one of {', '.join(PROVIDERS)}; not {CLUSTER}"
    if problem:
        pytest.exit(problem, returncode=pytest.ExitCode.USAGE_ERROR)


@pytest.fixture(scope="session")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with Bed(tmp_path_factory.mktemp("bed"), provider=PROVIDERS[CLUSTER]) as running:
        yield running


@pytest.fixture(scope="session")
def operator(bed: Bed) -> Iterator[OperatorProcess]:
    with bed.operator(settings=SHORT_PERIODS) as process:
        process.wait_ready()
        yield process


@pytest.fixture(scope="session")
def client(bed: Bed) -> DynamicClient:
    return client_with_a_role(bed)


@pytest.fixture
def tenant(bed: Bed, operator: OperatorProcess, client: DynamicClient) -> Iterator[Tenant]:
    """A namespace of its own, with a class of its own that uses OpenBao and is Ready. What is in it
    goes with the test: hundreds of classes, looked at every few seconds, would slow down all."""
    name = f"team-{next(_numbers)}"
    client.resources.get(api_version="v1", kind="Namespace").create(
        body={"metadata": {"name": name, "labels": {"agents": "allowed"}}}
    )
    team = Tenant(bed, client, name, f"class-of-{name}")
    team.create(class_manifest(team.class_name, bed))
    team.wait_ready(team.class_name, of="AgentIdentityClass")
    yield team
    team.delete("AgentIdentityClass", team.class_name)
    for kind in ("AgentIdentity", "AgentAccessGrant"):
        team.delete_all(kind)
