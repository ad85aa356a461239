"""Real calls over mTLS: the operator writes policies, istiod translates, Envoy enforces.

A *scene* is a bed with an operator, an istiod, and whoever serves and calls there. Each test
process has one bed, and tests keep apart by namespaces of their own. How to add a scenario:

1. Write manifests (`fleet.py` and `shops.py` have some) and `scene.apply` them. The oracle
   (`oracle.py`) knows what was applied and which pods were started, and nothing else;
   `scene.replace_spec`, `scene.relabel` and `scene.delete` keep it up to date. It knows
   AgentIdentity, AgentIdentityClass, AgentAccessGrant with a selector, and Namespace.
2. `scene.wait_ready(…)`, then `scene.serve(…)`: a pod with Istio's sidecar before a server. It
   answers at HTTP_PORT, SECOND_HTTP_PORT, GRPC_PORT and TCP_PORT of an address of its own.
   `scene.wait_guarded` waits until the sidecar has a policy.
3. `scene.actor(namespace, account)` calls with a certificate of the mesh's CA; `scene.impostors`
   are callers that can't prove who they say they are.
4. `scene.differences(actors, server, request)` calls for each actor, and lists what is not as the
   oracle says. Where a change is on its way, `scene.wait_verdict` waits for it, or a rule more that
   lets somebody in where nobody was before (`Town.let_in` in `test_traps.py`).
5. To change something while everybody calls: `Market.change` in `test_changes.py`.

A refusal is DENIED (the sidecar knew the caller and answered "RBAC: access denied", or closed a TCP
connection after a full handshake) or CUT_OFF (it refused the connection). Anything else is raised
as an error of the test bed; whoever asserts CUT_OFF shows with another call that the port serves.
"""

from collections.abc import Iterator

import pytest
from kubernetes.dynamic import DynamicClient
from scene import Scene

from testbed.bed import Bed
from testbed.istiod import Istiod
from testbed.operator_process import OperatorProcess
from testbed.tenant import SHORT_PERIODS, client_with_a_role
from testbed.toolchain import find_binaries


@pytest.fixture(scope="session")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with Bed(tmp_path_factory.mktemp("bed")) as running:
        yield running


@pytest.fixture(scope="session")
def client(bed: Bed) -> DynamicClient:
    return client_with_a_role(bed)


@pytest.fixture(scope="session")
def operator(bed: Bed) -> Iterator[OperatorProcess]:
    with bed.operator(settings=SHORT_PERIODS) as process:
        process.wait_ready()
        yield process


@pytest.fixture(scope="session")
def istiod(bed: Bed) -> Iterator[Istiod]:
    with Istiod(bed.directory / "istiod", bed.control_plane, find_binaries()) as running:
        yield running


@pytest.fixture(scope="module")
def scene(
    bed: Bed, istiod: Istiod, operator: OperatorProcess, client: DynamicClient
) -> Iterator[Scene]:
    stage = Scene(bed, istiod, operator, client, bed.directory / "mesh")
    with stage.running:
        yield stage
