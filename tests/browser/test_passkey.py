"""Passkeys in a real browser, with an authenticator that the browser itself plays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.test_first_call import PASSWORD, fill_in, mailed_link
from tests.browser.visitor import Visitor
from tests.fakes.house import House

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAME = "thumb"


@pytest.fixture(scope="module")
def signed_up(chromium: Browser, house: House) -> str:
    """The address of somebody who has an account and is signed out."""
    with Visitor(chromium, house) as visitor:
        visitor.go("/sign-up")
        fill_in(visitor, NAME)
        visitor.page.wait_for_load_state()
        visitor.go(mailed_link(house, f"{NAME}@example.org"))
        visitor.page.locator("main form button").first.click()
        visitor.expect(visitor.page).to_have_url(house.origin + "/start")
    return f"{NAME}@example.org"


def test_U2_added_and_signed_in_with(chromium: Browser, house: House, signed_up: str) -> None:
    # a site is known by a name: an address of this machine is no passkey's
    origin = house.origin.replace("127.0.0.1", "localhost")
    with Visitor(chromium, house) as visitor:
        page = visitor.page
        session = page.context.new_cdp_session(page)
        session.send("WebAuthn.enable")
        session.send("WebAuthn.addVirtualAuthenticator", {"options": {
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": True,
            "hasUserVerification": True, "isUserVerified": True,
            "automaticPresenceSimulation": True}})
        page.goto(origin + "/sign-in")
        page.get_by_label("E-mail address or username").fill(signed_up)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        visitor.press("Sign in")
        visitor.expect(page).to_have_url(origin + "/overview")

        page.goto(origin + "/settings/passkeys/new")
        page.get_by_label("What to call it").fill("this browser")
        visitor.shoot("passkey new")
        visitor.press("Add a passkey")
        visitor.expect(page).to_have_url(origin + "/settings/factors")
        visitor.expect(page.get_by_text("this browser")).to_be_visible()
        visitor.shoot("factors with a passkey")

        page.get_by_role("button", name="Sign out").click()
        visitor.expect(page).to_have_url(origin + "/sign-in")
        visitor.press("Sign in with a passkey")
        visitor.expect(page).to_have_url(origin + "/overview")
        assert visitor.faults == [] and visitor.hosts == {origin}


def test_without_an_authenticator_it_says_so(chromium: Browser, house: House) -> None:
    with Visitor(chromium, house) as visitor:
        page = visitor.page
        page.goto(house.origin + "/sign-in")  # by an address: no passkey can be asked for
        visitor.press("Sign in with a passkey")
        visitor.expect(page.get_by_text("could not be used").first).to_be_visible()


def test_without_script_there_is_no_button_that_does_nothing(
        chromium: Browser, house: House) -> None:
    with Visitor(chromium, house, script=False) as visitor:
        visitor.go("/sign-in")
        assert not visitor.page.get_by_text("Sign in with a passkey").is_visible()
