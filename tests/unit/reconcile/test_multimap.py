"""An index does what a mapping to sets does, and keeps nothing for what is gone."""

from hypothesis import given
from hypothesis import strategies as st

from agent_identity.reconcile.multimap import Multimap

# Few values of most keys, and of one of them many.
CHANGES = st.lists(
    st.tuples(st.booleans(), st.sampled_from("aaabc"), st.integers(0, 11)), max_size=60
)


@given(CHANGES)
def test_an_index_is_a_mapping_to_sets(changes: list[tuple[bool, str, int]]) -> None:
    index: Multimap[str, int] = Multimap()
    sets: dict[str, set[int]] = {}
    for add, key, value in changes:
        (index.add if add else index.discard)(key, value)
        members = sets.setdefault(key, set())
        (members.add if add else members.discard)(value)
        for known in "abc":
            assert set(index.of(known)) == sets.get(known, set())
        assert [k for k in "abc" if k in index] == [k for k in "abc" if sets.get(k)]
