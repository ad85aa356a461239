"""What a grant gives, what an agent asks for, and what is left of both."""

import pytest
from opened import Opened, Opener

from agent_identity.cli.graph import ANYBODY, Edge, Graph, NodeKind, State, node_of
from agent_identity.cli.graph_page import as_page
from agent_identity.core.resource import Key

ASKING = node_of(NodeKind.AGENT, Key("agents", "billing"), account="billing", others="Nobody else.")
SILENT = node_of(NodeKind.AGENT, Key("agents", "silent"), account="silent", others="Nobody else.")
EVERYBODY = node_of(NodeKind.GROUP, Key("agents", "*"))
ORDERS = node_of(
    NodeKind.GRANT, Key("shop", "orders"), guards="pods labelled app=orders", others="Nobody else."
)
LAX = node_of(NodeKind.GRANT, Key("shop", "lax"), others="Anybody: enforcement is Shadow.")
NOWHERE = node_of(NodeKind.GRANT, Key("shop", "nowhere"), trouble="there is no such grant")
READ, ALL = ("rule read", "GET /v1/orders on port 8080"), ("rule all", "anything on port 9000")
ASKED = "spec.outbound, rule read"
EDGES = (
    Edge(ORDERS.id, ASKING.id, *READ, State.IN_FORCE),
    Edge(ORDERS.id, EVERYBODY.id, *READ, State.NOT_ASKED, "those that ask are drawn"),
    Edge(ORDERS.id, SILENT.id, *ALL, State.NOT_ASKED),
    Edge(NOWHERE.id, ASKING.id, ASKED, "", State.NOT_GRANTED, "there is no such grant"),
    Edge(LAX.id, ANYBODY.id, "", "anything", State.SHADOW, "Anybody: enforcement is Shadow."),
)
NODES = (ANYBODY, ASKING, SILENT, EVERYBODY, ORDERS, LAX, NOWHERE)


@pytest.fixture
def shop(opener: Opener) -> Opened:
    file = opener.directory / "page.html"
    file.write_text(as_page(Graph("cluster", tuple(sorted(NODES)), tuple(sorted(EDGES)))))
    return opener.open(file)


def test_an_agent_has_what_is_given_and_asked_for(shop: Opened) -> None:
    shop.go("#agents/billing")
    (orders,) = shop.section("It may call")
    assert orders.startswith("grant shop/orders a service that a grant guards")
    assert orders.endswith("in force: GET /v1/orders on port 8080 by rule read")
    (nowhere,) = shop.section("It asks for, and is not granted")
    assert nowhere.startswith("grant shop/nowhere")
    assert nowhere.endswith("not granted: by spec.outbound, rule read there is no such grant")
    assert shop.section("It is named by, but may not call") == []
    assert shop.page.get_by_text("1 other", exact=True).is_visible()


def test_an_agent_that_does_not_ask_has_nothing(shop: Opened) -> None:
    shop.go("#agents/silent")
    assert shop.section("It may call") == []
    (orders,) = shop.section("It is named by, but may not call")
    assert "not asked for: anything on port 9000 by rule all" in orders
    assert "not asked for: GET /v1/orders on port 8080 by rule read, for every agent" in orders


def test_a_service_has_its_callers(shop: Opened) -> None:
    shop.page.get_by_label("Find an agent").fill("app=orders")
    shop.page.locator("#found a").click()
    shop.tells_of("grant shop/orders")
    assert shop.page.get_by_text("pods labelled app=orders").is_visible()
    assert len(shop.section("May call it")) == 1
    assert len(shop.section("Named as callers, but not let in")) == 2


def test_what_is_not_granted_is_found_in_one_step(shop: Opened) -> None:
    option = "where something asked for is not granted"
    shop.page.get_by_label("Show", exact=True).select_option(label=option)
    assert shop.found() == ["agents/billing", "grant shop/nowhere (not there)"]
    shop.go("#AgentAccessGrant:shop/nowhere")
    assert len(shop.section("Asks to call it, and is not granted")) == 1
