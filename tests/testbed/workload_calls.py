"""One call of one caller, and what became of it.

A refusal is only what a sidecar says or does to refuse. Whatever else goes wrong is raised: a test
bed that is broken must not look like a policy that holds.
"""

import http.client
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Protocol

import h2.connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, TrailersReceived

from testbed.certificates import KeyPair
from testbed.workload import HTTP_PORT, PROTOCOLS
from testbed.workload_certificates import MeshAuthority

SECONDS = 10
# What Envoy's RBAC filter answers (envoy/source/extensions/filters/http/rbac).
DENIAL = "RBAC: access denied"
# As a sidecar says that it speaks mTLS of the mesh, where a server takes plaintext too.
ALPN = {
    "HTTP": ["istio-http/1.1", "istio", "http/1.1"],
    "GRPC": ["istio-h2", "istio", "h2"],
    "TCP": ["istio"],
}
CLOSED = (ssl.SSLError, ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected)
STREAM = 1
EMPTY_MESSAGE = bytes(5)
GRPC_OK, GRPC_PERMISSION_DENIED = "0", "7"


class Verdict(Enum):
    """LET_IN: the server answered. DENIED: the sidecar knew the caller and refused the call.
    CUT_OFF: the sidecar refused the connection, before there was a call."""

    LET_IN = "let in"
    DENIED = "denied"
    CUT_OFF = "cut off"


class Outcome(NamedTuple):
    """peer: whom the server was told that it talks to, as a SPIFFE ID; path: what it was asked for.
    Both are empty when it wasn't reached, and with TCP."""

    verdict: Verdict
    peer: str = ""
    path: str = ""


class Callee(Protocol):
    """A Workload, or what is known of one in another process."""

    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def ip(self) -> str: ...
    @property
    def spiffe_id(self) -> str: ...
    @property
    def istiod(self) -> MeshAuthority: ...


class Mode(Enum):
    """How a caller connects."""

    MTLS = "mTLS"
    NO_CERTIFICATE = "TLS without a certificate"
    PLAINTEXT = "plaintext"


@dataclass(frozen=True)
class Caller:
    """files: certificate and key, with mode MTLS only."""

    name: str
    mode: Mode
    files: tuple[Path, Path] | None = None

    @classmethod
    def with_certificate(cls, name: str, pair: KeyPair, directory: Path) -> "Caller":
        directory.mkdir(parents=True, exist_ok=True)
        return cls(name, Mode.MTLS, pair.write(directory, name.replace("/", "_")))

    def __str__(self) -> str:
        return self.name


def call(caller: Caller, server: Callee, method: str, path: str, port: int = HTTP_PORT) -> Outcome:
    """method and path: of HTTP; a gRPC call is a POST; a TCP connection has neither."""
    try:
        with _connect(caller, server, port) as connection:
            return _speak(connection, server, method, path, port)
    except ssl.SSLCertVerificationError:
        # Ours to refuse, and no sidecar's.
        raise
    except CLOSED:
        return Outcome(Verdict.CUT_OFF)


@contextmanager
def connected(
    caller: Caller, server: Callee, port: int = HTTP_PORT
) -> Iterator[Callable[[str, str], Outcome]]:
    """To call by method and path on one connection, again and again; CUT_OFF once it has ended."""
    with _connect(caller, server, port) as connection:

        def again(method: str, path: str) -> Outcome:
            # HTTP closes it here when the server says that it is going to.
            if connection.fileno() < 0:
                return Outcome(Verdict.CUT_OFF)
            try:
                return _speak(connection, server, method, path, port)
            except CLOSED:
                return Outcome(Verdict.CUT_OFF)

        yield again


def _speak(connection: socket.socket, server: Callee, method: str, path: str, port: int) -> Outcome:
    protocol = PROTOCOLS[port]
    if protocol == "TCP":
        return _call_tcp(connection)
    if protocol == "HTTP":
        return _call_http(connection, server, method, path)
    if method != "POST":
        raise ValueError("a gRPC call is a POST")
    return _call_grpc(connection, server, path)


def _connect(caller: Caller, server: Callee, port: int) -> socket.socket:
    # Outside of what `call` takes for a refusal: nobody may listen there yet.
    try:
        plain = socket.create_connection((server.ip, port), SECONDS)
    except OSError as error:
        raise RuntimeError(f"{server.name}:{port} can't be reached") from error
    # A call is a few small writes, which would wait for one another.
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if caller.mode is Mode.PLAINTEXT:
        return plain
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=server.istiod.root)
    context.set_alpn_protocols(ALPN[PROTOCOLS[port]])
    if caller.files:
        context.load_cert_chain(*caller.files)
    with plain:
        connection = context.wrap_socket(plain)
    _check_server(connection, server)
    return connection


def _check_server(connection: ssl.SSLSocket, server: Callee) -> None:
    names = (connection.getpeercert() or {}).get("subjectAltName", ())
    if ("URI", server.spiffe_id) not in names:
        connection.close()
        raise RuntimeError(f"{server.name} has a certificate of {names}, not of {server.spiffe_id}")


def _call_http(connection: socket.socket, server: Callee, method: str, path: str) -> Outcome:
    channel = http.client.HTTPConnection(server.ip, timeout=SECONDS)
    channel.sock = connection
    channel.request(method, path, headers={"Host": f"{server.name}.{server.namespace}"})
    response = channel.getresponse()
    text = response.read().decode()
    if response.status == http.HTTPStatus.OK:
        return _let_in(text)
    if response.status == http.HTTPStatus.FORBIDDEN and (text == DENIAL or method == "HEAD"):
        return Outcome(Verdict.DENIED)
    raise RuntimeError(f"{method} {path} of {server.name}: {response.status} {text}")


def _call_tcp(connection: socket.socket) -> Outcome:
    """A refused certificate is an alert, which raises; a policy closes and says nothing. Of a plain
    connection nobody can tell which it was."""
    connection.sendall(b"hello\n")
    if connection.recv(1000):
        return Outcome(Verdict.LET_IN)
    had_handshake = isinstance(connection, ssl.SSLSocket)
    return Outcome(Verdict.DENIED if had_handshake else Verdict.CUT_OFF)


def _call_grpc(connection: socket.socket, server: Callee, path: str) -> Outcome:
    """An empty message for whatever is answered; status and text are the trailers'
    (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)."""
    client = h2.connection.H2Connection()
    client.initiate_connection()
    client.send_headers(STREAM, _grpc_headers(server, path))
    client.send_data(STREAM, EMPTY_MESSAGE, end_stream=True)
    connection.sendall(client.data_to_send())
    headers, body = _read_stream(connection, client)
    status, text = headers.get("grpc-status"), headers.get("grpc-message", "")
    if status == GRPC_OK:
        return _let_in(body[len(EMPTY_MESSAGE) :].decode())
    if status == GRPC_PERMISSION_DENIED and text == DENIAL:
        return Outcome(Verdict.DENIED)
    raise RuntimeError(f"{path} of {server.name}: {headers} {body.decode(errors='replace')}")


def _grpc_headers(server: Callee, path: str) -> list[tuple[str, str]]:
    return [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", f"{server.name}.{server.namespace}"),
        (":path", path),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]


def _read_stream(
    connection: socket.socket, client: h2.connection.H2Connection
) -> tuple[dict[str, str], bytes]:
    """Headers and trailers together, and the body."""
    headers: dict[str, str] = {}
    body = b""
    while True:
        for event in client.receive_data(_received(connection)):
            if isinstance(event, ResponseReceived | TrailersReceived):
                headers |= {_text(name): _text(value) for name, value in event.headers or ()}
            elif isinstance(event, DataReceived):
                body += event.data or b""
            elif isinstance(event, StreamEnded):
                return headers, body
        connection.sendall(client.data_to_send())


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionResetError("closed without an answer")
    return data


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()


def _let_in(answer: str) -> Outcome:
    """The caller's URI stands in x-forwarded-client-cert as Envoy writes it. A HEAD has no body."""
    told = json.loads(answer or "{}")
    parts = told.get("peer", "").split(",")[-1].split(";")
    uris = [part.removeprefix("URI=") for part in parts if part.startswith("URI=")]
    return Outcome(Verdict.LET_IN, "".join(uris), told.get("path", ""))
