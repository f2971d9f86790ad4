"""Merkle trees, against the vectors that Certificate Transparency's implementations share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core import merkle

# the reference entries and roots of github.com/google/certificate-transparency merkle_tree_test
ENTRIES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
    "606162636465666768696a6b6c6d6e6f")]
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def leaves(count: int) -> list[bytes]:
    return [merkle.leaf(b"%d" % index) for index in range(count)]


@pytest.mark.parametrize("count", range(1, 9))
def test_the_reference_roots(count: int) -> None:
    assert merkle.root([merkle.leaf(entry) for entry in ENTRIES[:count]]).hex() == ROOTS[count - 1]


def test_nothing_has_a_root() -> None:
    assert merkle.root([]) == merkle.EMPTY


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33])
def test_every_leaf_has_a_proof(count: int) -> None:
    all_leaves = leaves(count)
    for index, hashed in enumerate(all_leaves):
        steps = merkle.path(all_leaves, index)
        assert merkle.root_of(hashed, index, count, steps) == merkle.root(all_leaves)


@given(st.integers(1, 40), st.data())
def test_a_proof_is_of_one_leaf_at_one_place(count: int, data: st.DataObject) -> None:
    all_leaves = leaves(count)
    index = data.draw(st.integers(0, count - 1))
    other = data.draw(st.integers(0, count - 1))
    steps, root = merkle.path(all_leaves, index), merkle.root(all_leaves)
    if other != index:
        assert merkle.root_of(all_leaves[other], index, count, steps) != root
        assert merkle.root_of(all_leaves[index], other, count, steps) != root
    assert merkle.root_of(merkle.leaf(b"x"), index, count, steps) != root
    for at in range(len(steps)):
        assert merkle.root_of(all_leaves[index], index, count, steps[:at]) is None
        bent = [*steps[:at], bytes(32), *steps[at + 1:]]
        assert merkle.root_of(all_leaves[index], index, count, bent) != root
    assert merkle.root_of(all_leaves[index], index, count, [*steps, bytes(32)]) is None


def test_places_that_are_not() -> None:
    with pytest.raises(AssertionError):
        merkle.path(leaves(3), 3)
    assert merkle.root_of(bytes(32), 3, 3, []) is None
    assert merkle.root_of(bytes(32), -1, 3, []) is None
    # a tree of one leaf has no other place
    assert merkle.root_of(bytes(32), 0, 1, []) == bytes(32)
    assert merkle.root_of(bytes(32), 1, 1, []) is merkle.root_of(bytes(32), -1, 1, []) is None
    assert merkle.root_of(bytes(32), 0, 0, []) is None
