"""Calls a pod of the demo over the mesh, once for each caller, and says what became of it.

A caller is NAMESPACE/ACCOUNT, with a certificate that the mesh's CA issues for a token of that
ServiceAccount; or no-certificate, or plaintext. let in: the server answered. denied: the sidecar
refused the request. cut off: it refused the connection.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from demo.mesh import FACTS_FILE
from testbed.certificates import KeyPair
from testbed.workload_calls import Caller, Mode, call
from testbed.workload_certificates import AUDIENCE, issued

WITHOUT_CERTIFICATE = {"no-certificate": Mode.NO_CERTIFICATE, "plaintext": Mode.PLAINTEXT}
# A certificate is good for an hour. As a sidecar does, a caller uses it again, and gets a new one
# in time.
RENEWAL_SECONDS = 1800
COLUMNS = "{:<22} {:<20} {:<8} {}"


@dataclass(frozen=True)
class Authority:
    """The mesh's CA."""

    address: str
    root: str


@dataclass(frozen=True)
class Server:
    """A pod, as the process that runs it wrote it down."""

    namespace: str
    name: str
    ip: str
    spiffe_id: str
    istiod: Authority

    @classmethod
    def read(cls, facts_file: Path, name: str) -> Self:
        facts = json.loads(facts_file.read_text())
        if name not in facts["pods"]:
            raise LookupError(f"no pod {name}; there are {', '.join(facts['pods']) or 'none'}")
        return cls(**facts["pods"][name], istiod=Authority(**facts["authority"]))


def main() -> None:
    asked = _arguments()
    try:
        server = Server.read(asked.directory / FACTS_FILE, asked.server)
        callers = [_caller(name, server.istiod, asked.directory) for name in asked.callers]
        _call(server, callers, asked.method, asked.path)
    except (LookupError, OSError, RuntimeError) as error:
        sys.exit(f"call: {error}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="call", description=__doc__)
    parser.add_argument("directory", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("server", metavar="SERVER", help="NAMESPACE/NAME of a pod")
    parser.add_argument("method", metavar="METHOD")
    parser.add_argument("path", metavar="PATH")
    parser.add_argument("--as", dest="callers", metavar="CALLER", nargs="+", required=True)
    return parser.parse_args()


def _call(server: Server, callers: Sequence[Caller], method: str, path: str) -> None:
    print(COLUMNS.format("CALLER", "REQUEST", "VERDICT", "KNOWN AS"))
    for caller in callers:
        outcome = call(caller, server, method, path)
        told = (caller.name, f"{method} {path}", outcome.verdict.value, outcome.peer)
        print(COLUMNS.format(*told).rstrip())


def _caller(name: str, authority: Authority, directory: Path) -> Caller:
    if name in WITHOUT_CERTIFICATE:
        return Caller(name, WITHOUT_CERTIFICATE[name])
    kept = directory / "certificates"
    file = kept / f"{name.replace('/', '_')}.crt"
    if file.exists() and time.time() - file.stat().st_mtime < RENEWAL_SECONDS:
        return Caller(name, Mode.MTLS, (file, file.with_suffix(".key")))
    return Caller.with_certificate(name, _issued(name, authority), kept)


def _issued(name: str, authority: Authority) -> KeyPair:
    namespace, _, account = name.partition("/")
    of_whom = (account, f"--namespace={namespace}", f"--audience={AUDIENCE}")
    command = ["kubectl", "create", "token", *of_whom]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(f"{' '.join(command)}: {answer.stderr.strip()}")
    return issued(authority, answer.stdout.strip())


if __name__ == "__main__":
    main()
