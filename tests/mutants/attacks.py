"""The tables of attacks and of published weaknesses in `tests/README.md`: what each is, and the
tests that make it. A row without a test, or a test without a row, can't be written."""

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mutants.workspace import MutantError

CLUSTER = Path(__file__).resolve().parents[1] / "cluster"


class Row(NamedTuple):
    """prefix: of its tests' names. what: is tried, or went wrong. guard: what is in the way."""

    prefix: str
    shown: str
    what: str
    guard: str


def _attack(number: int, what: str, guard: str) -> Row:
    return Row(f"test_a{number:02}_", f"A{number}", what, guard)


def _cve(number: str, product: str, what: str, guard: str) -> Row:
    return Row(f"test_{number.lower().replace('-', '_')}_", f"{number} ({product})", what, guard)


ATTACKS = (
    _attack(
        1,
        "Rights beyond the class; and everything that a stolen operator's token could be used for",
        "the class's lists; `bind` by name; no secrets, tokens, impersonation; what it writes is"
        " its own, by policy",
    ),
    _attack(2, "An account that is there is taken over", "nothing is adopted"),
    _attack(
        3, "Objects in others' namespaces, or the mesh's root", "written where the identity is"
    ),
    _attack(4, "Others' pods selected, or made an agent's", "a fixed selector; pods policy"),
    _attack(5, "Another team's path in Vault", "names that the class lists, and no paths"),
    _attack(6, "A Vault role for every account", "exact names, UID alias, audience"),
    _attack(7, "Another team's cloud role", "listed annotation keys; the role trusts one `sub`"),
    _attack(8, "Another workload's SPIFFE ID", "computed from namespace and account, for ever"),
    _attack(10, "Made anew to inherit", "everything hangs on UIDs"),
    _attack(11, "Text that becomes code", "structures that are serialised; narrow character sets"),
    _attack(12, "An address in a spec", "addresses are the class's; https and a host"),
    _attack(13, "A forged status", "nothing is decided by it"),
    _attack(14, "An annotation that hides a change", "desired is compared with what is there"),
    _attack(15, "The finalizer is taken off", "policy; and what is left is swept"),
    _attack(17, "A flood", "namespaces take turns; bounded workers"),
    _attack(18, "Secrets read through the operator", "it has no right on Secrets"),
    _attack(19, "Tokens made through the operator", "it has no right on tokens"),
    _attack(
        20, "Admission is off, or can't answer", "checked again at reconcile; failurePolicy Fail"
    ),
)
WEAKNESSES = (
    _cve("CVE-2026-22822", "external-secrets", "templates read others' Secrets", "no templates"),
    _cve("CVE-2026-42875", "external-secrets", "a reference with a namespace", "no such field"),
    _cve("CVE-2026-42876", "external-secrets", "a Secret gets an account's token", "policy"),
    _cve("CVE-2026-34984", "external-secrets", "names resolved from templates", "plain hosts"),
    _cve("CVE-2026-26287", "external-secrets", "acted before the label was checked", "check first"),
    _cve("CVE-2026-22872", "Capsule", "raw items became cluster objects", "no free-form objects"),
    _cve("CVE-2026-10059", "cluster-curator", "an admin mints a token", "policy on TokenRequests"),
    _cve("CVE-2026-73269", "cluster-curator", "a name brought a binding", "names carry nothing"),
    _cve(
        "CVE-2026-105312",
        "streams console-operator",
        "a tenant's image ran with a ClusterRole",
        "RoleBindings only; whoever makes the pods is the agent",
    ),
    _cve("CVE-2026-22039", "Kyverno", "the controller's right was checked", "the author's `use`"),
    _cve("CVE-2026-100706", "Kyverno", "percent-encoded paths", "one spelling of a path"),
    _cve("CVE-2026-110720", "consul-k8s", "bindings across namespaces", "namespace, name and UID"),
    _cve("CVE-2026-22728", "sealed-secrets", "an annotation widened", "annotations decide nothing"),
    _cve("CVE-2025-55190", "Argo CD", "credentials in an API", "none is shown anywhere"),
    _cve("CVE-2026-61682", "kcp", "believed X-Remote headers", "no webhook; three pages to read"),
    _cve("CVE-2026-40109", "Flux", "audience not checked", "the role's audience"),
    _cve("CVE-2026-96615", "NGINX Gateway Fabric", "impersonation", "no such right"),
    _cve("CVE-2026-89322", "Vault", "names not canonical", "lower case; nothing is denied by name"),
    _cve("CVE-2026-40264", "OpenBao", "revoked by accessor", "no policy for it; never shown"),
    _cve("CVE-2026-39350", "Istio", "dots as any character", "exact principals; no dots"),
    _cve("CVE-2021-31920", "Istio", "paths in other spellings", "allow-lists only"),
    _cve("ISTIO-SECURITY-2021-004", "Istio", "principals in plaintext", "STRICT first"),
    _cve("CVE-2026-31837", "Istio", "keys and headers of tenants", "certificates alone tell who"),
)


def attack_tables() -> str:
    """Both tables."""
    return "\n".join(
        (
            _table("Attack", ATTACKS, "test_attacks.py", "test_a"),
            _table("Weakness elsewhere", WEAKNESSES, "test_cve_regressions.py", "test_"),
        )
    )


def _table(head: str, rows: Iterable[Row], file: str, prefix: str) -> str:
    left = [name for name in _tests(file) if name.startswith(prefix)]
    text = f"| {head} | What is tried | Guard | Tests in `cluster/{file}` |\n|---|---|---|---|\n"
    for row in rows:
        tests = [name for name in left if name.startswith(row.prefix)]
        if not tests:
            raise MutantError(f"{row.shown} has no test in {file}")
        left = [name for name in left if name not in tests]
        shown = "<br>".join(f"`{name}`" for name in tests)
        text += f"| {row.shown} | {row.what} | {row.guard} | {shown} |\n"
    if left:
        raise MutantError(f"{file}: {left} are of no row")
    return text


def _tests(file: str) -> list[str]:
    tree = ast.parse((CLUSTER / file).read_text())
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [name for name in functions if name.startswith("test_")]
