"""What is personal of a holder is in no repr."""

from relayd.core.holder import Holder, SignIn


def test_no_repr_has_a_hash_or_an_address() -> None:
    holder = Holder("acct_1", "$argon2id$canary", 1, 1, 1)
    sign_in = SignIn("sign_1", "acct_1", 1, "signed_in", "password", "curl", "192.0.2.7")
    assert "canary" not in repr(holder) and "192.0.2.7" not in repr(sign_in)
