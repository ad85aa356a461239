"""The operators' Lease, as the API server has it."""

from faults.recorder import Body
from faults.unseen.ground import Ground
from testbed.operator_process import NAMESPACE

LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
_PATH = f"{LEASES}/agent-identity-operator"


async def lease(ground: Ground) -> Body:
    """Its `spec`."""
    return dict((await ground.theatre.stage.send("GET", _PATH))["spec"])
