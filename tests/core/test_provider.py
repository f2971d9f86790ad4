"""Providers: the dialect that an api speaks, and no secret in a repr."""

from relayd.core.provider import Address, Provider


def provider(api: str) -> Provider:
    address = Address("https", "api.example.org", 443, "/v1")
    return Provider("p", api, address, ("sk-secret",),  # type: ignore[arg-type]
                    proxy="socks5://u:pw@h:1")


def test_azure_speaks_openai() -> None:
    assert provider("azure").dialect == "openai"
    assert [provider(api).dialect for api in ("openai", "anthropic", "gemini")] == [
        "openai", "anthropic", "gemini"]


def test_no_secret_in_a_repr() -> None:
    shown = repr(provider("openai"))
    assert "sk-secret" not in shown and "pw" not in shown
