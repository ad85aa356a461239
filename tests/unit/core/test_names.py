"""Derived names are injective, and tell whose they are."""

from hypothesis import given
from hypothesis import strategies as st

from agent_identity.core import names
from agent_identity.core.resource import Kind, Ref

LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
ROLE = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9:._-]{0,8}[a-zA-Z0-9])?", fullmatch=True)


@given(LABEL, ROLE, LABEL, ROLE)
def test_bindings(name1: str, role1: str, name2: str, role2: str) -> None:
    same = names.binding_name(name1, role1) == names.binding_name(name2, role2)
    assert same == ((name1, role1) == (name2, role2))


@given(LABEL, LABEL, LABEL, LABEL, LABEL)
def test_vault_roles(cluster: str, ns1: str, sa1: str, ns2: str, sa2: str) -> None:
    one, two = names.vault_role(cluster, ns1, sa1), names.vault_role(cluster, ns2, sa2)
    assert (one == two) == ((ns1, sa1) == (ns2, sa2))
    assert names.split_vault_role(cluster, one) == (ns1, sa1)
    assert one != names.vault_marker(cluster)


@given(LABEL, LABEL)
def test_the_marker_and_other_clusters_roles_are_nobodys(cluster: str, other: str) -> None:
    assert names.split_vault_role(cluster, names.vault_marker(cluster)) is None
    if other != cluster:
        assert names.split_vault_role(cluster, names.vault_role(other, "ns", "sa")) is None


@given(LABEL, LABEL, LABEL, LABEL)
def test_vault_policies(class1: str, policy1: str, class2: str, policy2: str) -> None:
    one = names.vault_policy("prod", class1, policy1)
    two = names.vault_policy("prod", class2, policy2)
    assert (one == two) == ((class1, policy1) == (class2, policy2))


@given(LABEL, ROLE)
def test_a_name_tells_its_identity(name: str, role: str) -> None:
    binding = Ref(Kind.ROLE_BINDING, "ns", names.binding_name(name, role))
    policy = Ref(Kind.AUTHORIZATION_POLICY, "ns", names.policy_name(name))
    assert names.identity_named_by(binding) == name
    assert names.identity_named_by(policy) == name
    assert names.identity_named_by(Ref(Kind.SERVICE_ACCOUNT, "ns", name)) == ""
