"""The homes of all classes: one address, one Vault namespace and one mount each.

Two homes may be one place, reached by two addresses: the accessor that Vault gave the mount tells.
Vault can't be watched, so an inventory of the roles under our prefix is kept for each place: listed
when a class is served, and kept up with every write.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent_identity.api.conditions import Reason
from agent_identity.api.v1alpha1 import ClassVault
from agent_identity.clients.vault import Vault
from agent_identity.core.errors import Failed, Invalid, Waiting
from agent_identity.core.identity import AgentClass
from agent_identity.core.names import split_vault_role, vault_home, vault_marker

Connect = Callable[[ClassVault], Vault]
SOON = 0.2


@dataclass(slots=True, eq=False)
class Place:
    """What is known of one mount. at_work: roles that are being written or taken away; left: those
    that could not be swept."""

    accessor: str
    roles: set[str] = field(default_factory=set)
    policies_of: dict[str, tuple[str, ...]] = field(default_factory=dict)
    at_work: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)

    def lose(self, role: str) -> None:
        """It is not there any more."""
        self.roles.discard(role)
        self.left.discard(role)
        self.policies_of.pop(role, None)


@dataclass(slots=True)
class Home:
    """How a place is reached."""

    vault: Vault
    mount: str
    place: Place

    def role_path(self, role: str) -> str:
        return f"auth/{self.mount}/role/{role}"

    def is_at(self, other: "Home") -> bool:
        same = self.place.accessor == other.place.accessor
        return same and self.mount == other.mount


class Homes:
    """Homes by their names; those that were listed are in it.

    cluster_uid: of the kube-system namespace, which tells two clusters of one name apart.
    """

    def __init__(self, cluster: str, cluster_uid: Callable[[], str], connect: Connect) -> None:
        self._cluster = cluster
        self._cluster_uid = cluster_uid
        self._connect = connect
        self._known: dict[str, Home] = {}
        self._clients: dict[str, Vault] = {}
        self._home_of_class: dict[str, str] = {}
        self._held: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def seen(self, name: str) -> Home:
        """One where something was seen. Raises Busy where the last class has left it since."""
        if home := self._known.get(name):
            return home
        detail = f"the Vault at {name.partition('|')[0]} was left meanwhile"
        raise Failed(Reason.BUSY, detail, retry_after=SOON)

    def get(self, name: str) -> Home | None:
        return self._known.get(name)

    def names(self) -> list[str]:
        return sorted(self._known)

    def with_role(self, role: str, *, first: str) -> dict[str, Home]:
        """Every place that has a role, once: as the home `first`, where it is that one too."""
        names = sorted(self._known, key=lambda name: (name == first, name))
        # Of two names of one place the later one stays.
        of_place = {
            id(self._known[n].place): n for n in names if role in self._known[n].place.roles
        }
        return {name: self._known[name] for name in of_place.values()}

    def may_be_at(self, home: Home, name: str) -> bool:
        """Whether the home of this name is at the same place; one that was not reached yet may."""
        known = self._known.get(name)
        return known is None or known.place is home.place

    async def look_up(self, agent_class: AgentClass) -> Home:
        """The class's home, nothing listed yet."""
        vault = self._client(agent_class)
        mount = vault.spec.agent_auth.mount
        mounts = await vault.read("sys/auth") or {}
        if f"{mount}/" not in mounts:
            raise Failed(Reason.REJECTED, f"Vault {vault.spec.address} has no auth/{mount}")
        return Home(vault, mount, Place(str(mounts[f"{mount}/"]["accessor"])))

    async def enter(self, agent_class: AgentClass) -> Home:
        """The class's home with a fresh list of roles; refused where the prefix is not ours. A role
        that others took away stays until it is taken away here: its tokens live on."""
        home = await self.look_up(agent_class)
        await self._claim_prefix(home)
        before = set(self._place_of(home).roles)
        listed = await home.vault.keys(f"auth/{home.mount}/role")
        ours = {r for r in listed if split_vault_role(self._cluster, r)}
        # Another class may have listed the place first, meanwhile.
        home.place = self._place_of(home)
        # What was taken away while the list was on its way may be in it.
        home.place.roles |= ours - (before - home.place.roles)
        self._known[self._home_of_class[agent_class.name]] = home
        return home

    def _place_of(self, home: Home) -> Place:
        """Where others have been already, if it is the same."""
        return next((h.place for h in self._known.values() if h.is_at(home)), home.place)

    def unlisted(self) -> dict[str, str]:
        """Homes that have not been listed → one of their classes, which is held: before a class is,
        nothing is made at its Vault."""
        of_held = {self._home_of_class[name]: name for name in self._held}
        return {home: name for home, name in of_held.items() if home not in self._known}

    def of_class(self, class_name: str) -> str:
        """The home that a class of this name has; empty where it never had one."""
        return self._home_of_class.get(class_name, "")

    def is_last_at(self, place: Place, class_name: str) -> bool:
        """Whether no other class has a home at a place."""
        others = (home for name, home in self._home_of_class.items() if name != class_name)
        return not any(self._known[home].place is place for home in others if home in self._known)

    def leave(self, class_name: str) -> None:
        """The class has nothing there any more."""
        self._clients.pop(class_name, None)
        self._held.discard(class_name)
        name = self._home_of_class.pop(class_name, "")
        if name not in self._home_of_class.values():
            self._known.pop(name, None)

    def _client(self, agent_class: AgentClass) -> Vault:
        spec = agent_class.vault
        if spec is None:
            raise Invalid(Reason.INVALID_SPEC, "the class has no vault")
        self._note_home(agent_class, vault_home(spec))
        known = self._clients.get(agent_class.name)
        if known is None or known.spec.model_copy(update={"policies": None}) != spec.model_copy(
            update={"policies": None}
        ):
            known = self._clients[agent_class.name] = self._connect(spec)
        return known

    def _note_home(self, agent_class: AgentClass, home: str) -> None:
        """A class whose finalizer somebody took off may have roles there still; one that was made
        anew elsewhere has none."""
        name = agent_class.name
        if agent_class.held:
            self._held.add(name)
        elif self.of_class(name) != home:
            self._held.discard(name)
        self._home_of_class[name] = home

    async def _claim_prefix(self, home: Home) -> None:
        path = home.role_path(vault_marker(self._cluster))
        marker = await self._marker(home, path)
        uid = self._cluster_uid()
        if marker is None:
            await home.vault.write(path, shut_role(uid))
        elif marker.get("bound_service_account_names") != [uid]:
            detail = f"{path} of Vault {home.vault.spec.address} belongs to another cluster"
            raise Waiting(Reason.CLUSTER_NAME_TAKEN, detail)

    async def _marker(self, home: Home, path: str) -> Mapping[str, Any] | None:
        """The first path with our name in it: another name's is refused."""
        try:
            return await home.vault.read(path)
        except Failed as failure:
            if failure.reason is not Reason.FORBIDDEN:
                raise
            detail = f"{failure.message} (is clusterName right?)"
            raise Failed(failure.reason, detail) from failure


def shut_role(account: str) -> dict[str, Any]:
    """A role that nobody can log in with: no namespace can have its name."""
    return {
        "bound_service_account_names": [account],
        "bound_service_account_namespaces": ["_nobody_"],
        "bound_service_account_namespace_selector": "",
        "audience": "agentidentity.dev/nobody",
        "token_policies": [],
        "token_no_default_policy": True,
        "token_type": "service",
        "token_ttl": 1,
        "token_max_ttl": 1,
    }
