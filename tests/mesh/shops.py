"""The objects of the grants' matrix: services that are no agents, and agents that call them."""

from fleet import account, agent, agents_of, grpc_rule, http_rule, inbound, tcp_rule
from fleet import namespace as named
from fleet import service_account as of_account
from oracle import Peer

from testbed.tenant import Manifest, class_manifest, grant_manifest, identity_manifest
from testbed.workload import GRPC_PORT, HTTP_PORT, SECOND_HTTP_PORT, TCP_PORT

SHOP, DESK, LAB, OUTSIDE, STREET = "shop", "desk", "lab", "outside", "street"
CLASS = "desks"


def asks(grant: str, *rules: str, namespace: str = SHOP) -> Manifest:
    """An entry of an agent's outbound."""
    return {"namespace": namespace, "grant": grant, "rules": list(rules)}


def alive() -> list[Manifest]:
    """Lets a prober in at every port."""
    prober = [account(STREET, "prober")]
    return [
        http_rule("alive", prober, [HTTP_PORT, SECOND_HTTP_PORT], ["GET"], ["/alive"]),
        grpc_rule("alive-grpc", prober, [GRPC_PORT], ["probe.v1.Alive"], ["Check"]),
        tcp_rule("alive-tcp", prober, [TCP_PORT]),
    ]


NAMESPACES = [
    named(SHOP),
    named(DESK, agents="allowed"),
    named(LAB, agents="allowed"),
    named(OUTSIDE),
    named(STREET),
]
ACCOUNTS = [
    *(of_account(SHOP, name) for name in ("orders", "stock", "books", "archive", "open")),
    of_account(DESK, "site"),
    *(of_account(STREET, name) for name in ("till", "auditor", "prober")),
    # Of the same name as an agent, and none.
    of_account(STREET, "buyer"),
]
CLASSES = [class_manifest(CLASS, None)]

READ = http_rule(
    "read",
    [
        agent("buyer", DESK),
        agent("silent", DESK),
        agent("double", DESK),
        agent("lost", DESK),
        agent("stranger", OUTSIDE),
        agents_of(LAB),
        account(STREET, "till"),
        # An agent's own account is no other workload's.
        account(DESK, "silent"),
    ],
    [HTTP_PORT, SECOND_HTTP_PORT],
    ["GET", "HEAD"],
    ["/v1/orders", "/v1/orders/{*}", "/docs/*", "/files/{*}/parts/{**}"],
)
WRITE = http_rule(
    "write",
    [agent("buyer", DESK), agent("clerk", DESK), account(DESK, "clerk-account")],
    [HTTP_PORT],
    ["POST", "PUT"],
    ["/v1/orders"],
)
ORDERS = [
    READ,
    WRITE,
    grpc_rule(
        "calls",
        [agent("buyer", DESK), agents_of(DESK)],
        [GRPC_PORT],
        ["shop.v1.Orders"],
        ["Get", "List"],
    ),
    grpc_rule("admin", [account(STREET, "auditor")], [GRPC_PORT], ["shop.v1.Admin"], ["*"]),
    tcp_rule("stream", [agents_of(LAB), account(STREET, "till")], [TCP_PORT]),
    tcp_rule("raw", [account(STREET, "auditor")], [SECOND_HTTP_PORT]),
]
AUDIT = http_rule(
    "audit", [agent("clerk", DESK), account(STREET, "auditor")], [HTTP_PORT], ["GET"], ["/audit"]
)
COUNT = http_rule("count", [agent("buyer", DESK)], [HTTP_PORT], ["GET"], ["/count"])
VISIT = http_rule("visit", [account(STREET, "till")], [HTTP_PORT], ["GET"], ["/visit"])
ASK = http_rule(
    "ask", [agent("buyer"), account(DESK, "clerk-account")], [HTTP_PORT], ["GET"], ["/ask"]
)

CLOSED = grant_manifest(SHOP, "archive", VISIT)
OPENED = grant_manifest(SHOP, "lobby", VISIT, onDelete="Open")
STALLED = grant_manifest(DESK, "desk", VISIT, *alive())
GRANTS = [
    grant_manifest(SHOP, "orders", *ORDERS),
    grant_manifest(SHOP, "more", AUDIT, *alive(), selector={"matchLabels": {"app": "orders"}}),
    grant_manifest(
        SHOP, "stock", COUNT, *alive(), selector={"matchLabels": {"app": "stock", "tier": "front"}}
    ),
    grant_manifest(SHOP, "books"),
    grant_manifest(SHOP, "draft", VISIT, enforcement="Shadow"),
    CLOSED,
    OPENED,
    STALLED,
]
# An agent's pod that the grant `desk` selects as well.
KEEPER = identity_manifest(DESK, "keeper", className=CLASS, inbound=inbound(ASK, *alive()))
AGENTS = [
    KEEPER,
    identity_manifest(
        DESK,
        "buyer",
        className=CLASS,
        outbound=[asks("orders", "read", "write"), asks("stock", "count"), asks("books", "all")],
    ),
    identity_manifest(
        DESK,
        "clerk",
        className=CLASS,
        serviceAccount={"name": "clerk-account"},
        outbound=[asks("orders", "write", "calls"), asks("more", "audit")],
    ),
    identity_manifest(DESK, "silent", className=CLASS),
    # It asks for what nobody gives it.
    identity_manifest(
        DESK,
        "eager",
        className=CLASS,
        outbound=[asks("orders", "read", "admin"), asks("nothing", "all"), asks("desk", "visit")],
    ),
    identity_manifest(LAB, "reader", className=CLASS, outbound=[asks("orders", "read")]),
    identity_manifest(LAB, "tailer", className=CLASS, outbound=[asks("orders", "stream")]),
]
# They are named and ask, and may be no agents: of a namespace that the class is not for, without a
# class, with another one's account.
STALLED_AGENTS = [
    identity_manifest(OUTSIDE, "stranger", className=CLASS, outbound=[asks("orders", "read")]),
    identity_manifest(DESK, "lost", className="no-such", outbound=[asks("orders", "read")]),
    identity_manifest(
        DESK,
        "double",
        className=CLASS,
        serviceAccount={"name": "clerk-account"},
        outbound=[asks("orders", "read")],
    ),
]
CALLERS = [
    Peer(DESK, "buyer"),
    Peer(DESK, "clerk-account"),
    Peer(DESK, "silent"),
    Peer(DESK, "eager"),
    Peer(LAB, "reader"),
    Peer(LAB, "tailer"),
    Peer(STREET, "till"),
    Peer(STREET, "auditor"),
    Peer(STREET, "buyer"),
    Peer(STREET, "prober"),
]
# Accounts that nobody makes, since those who would have them may be no agents.
NOWHERE = [Peer(OUTSIDE, "stranger"), Peer(DESK, "lost")]
