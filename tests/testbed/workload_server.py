"""What a workload serves: it answers everything, and tells whom it was told that it talks to.

Run as a program of its own, behind a sidecar, with a port for each protocol. Whether anybody gets
here is the sidecar's to decide.
"""

import argparse
import json
import socketserver
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc

from testbed.ports import LOOPBACK

# How a sidecar tells a server whose certificate it saw.
PEER_HEADER = "x-forwarded-client-cert"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class HttpAnswers(BaseHTTPRequestHandler):
    """Any method and path."""

    protocol_version = "HTTP/1.1"
    # Else the body waits until the headers are acknowledged.
    disable_nagle_algorithm = True

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        told = {"peer": self.headers.get(PEER_HEADER, ""), "path": self.path}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: there would be a line for each call."""


for _method in METHODS:
    setattr(HttpAnswers, f"do_{_method}", HttpAnswers.answer)


class GrpcAnswers(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc ships no types
    """Any service and method."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        def answer(_: bytes, context: grpc.ServicerContext) -> bytes:
            metadata = dict(context.invocation_metadata())
            told = {"peer": metadata.get(PEER_HEADER, ""), "path": details.method}
            return json.dumps(told).encode()

        return grpc.unary_unary_rpc_method_handler(answer)


class TcpAnswers(socketserver.StreamRequestHandler):
    """A line for a line. There is nowhere to tell who called."""

    def handle(self) -> None:
        for _ in self.rfile:
            self.wfile.write(b'{"peer": ""}\n')


def _serve(server: socketserver.BaseServer) -> None:
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for protocol in ("http", "grpc", "tcp"):
        parser.add_argument(f"--{protocol}", type=int, required=True)
    ports = parser.parse_args()
    try:
        server = _serve_all(ports.http, ports.grpc, ports.tcp)
    except (OSError, RuntimeError) as error:
        # As other servers say it, for whoever started this one to try other ports.
        raise SystemExit(f"address already in use? {error}") from error
    server.wait_for_termination()


def _serve_all(http: int, grpc_port: int, tcp: int) -> grpc.Server:
    _serve(ThreadingHTTPServer((LOOPBACK, http), HttpAnswers))
    _serve(socketserver.ThreadingTCPServer((LOOPBACK, tcp), TcpAnswers))
    # Else two servers could share a port, and neither would know.
    options = [("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(8), handlers=[GrpcAnswers()], options=options)
    server.add_insecure_port(f"{LOOPBACK}:{grpc_port}")
    server.start()
    return server


if __name__ == "__main__":
    main()
