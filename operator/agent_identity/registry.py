"""The explicit list of rooms. A new one is a folder in `providers/` and a line here."""

from collections.abc import Callable
from dataclasses import dataclass

from agent_identity.api.v1alpha1 import ClassVault
from agent_identity.clients.vault import Vault
from agent_identity.core.resource import Kind
from agent_identity.providers.account.desired import AccountRoom
from agent_identity.providers.contract import Backend, ClassRoom, GrantRoom, Provider
from agent_identity.providers.istio.desired import IstioRoom
from agent_identity.providers.istio.grants import GrantPolicies
from agent_identity.providers.istio.installed import MeshInstalled
from agent_identity.providers.outbound.desired import OutboundRoom
from agent_identity.providers.rbac.desired import RbacRoom
from agent_identity.providers.spiffe.desired import SpiffeRoom
from agent_identity.providers.vault.backend import Accounts, VaultBackend
from agent_identity.providers.vault.desired import VaultRoom


@dataclass(frozen=True, slots=True)
class Rooms:
    """backends: for kinds that are no Kubernetes objects."""

    rooms: tuple[Provider, ...]
    backends: dict[Kind, Backend]
    class_rooms: tuple[ClassRoom, ...]
    grant_room: GrantRoom


def build_rooms(
    *,
    cluster: str,
    cluster_uid: Callable[[], str],
    connect: Callable[[ClassVault], Vault],
    accounts: Accounts,
    mesh_installed: Callable[[], bool],
) -> Rooms:
    """Every room, in the order in which their conditions are shown."""
    vault = VaultBackend(
        cluster=cluster, cluster_uid=cluster_uid, connect=connect, accounts=accounts
    )
    return Rooms(
        rooms=(AccountRoom(), SpiffeRoom(), IstioRoom(), OutboundRoom(), RbacRoom(), VaultRoom()),
        backends={Kind.VAULT_ROLE: vault},
        class_rooms=(MeshInstalled(mesh_installed), vault),
        grant_room=GrantPolicies(),
    )
