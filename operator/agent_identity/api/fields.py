"""The strings that our kinds are made of, each with the character set that its rule allows.

Two readers share each pattern: the API server (Go's RE2) and pydantic (Rust's regex); neither knows
look-around, and in both `$` is the end of the text and not of a line.
"""

from typing import Annotated, Any

from pydantic import Field

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
# A path segment that begins with at most one dot, so that `.` and `..` can't be written.
_SEGMENT = r"\.?[A-Za-z0-9_~:@-][A-Za-z0-9._~:@-]*"
_TEMPLATE = r"\{\*\}"
HTTP_PATH = rf"^((/{_SEGMENT})*(/|/\*)?|(/({_SEGMENT}|{_TEMPLATE}))*(/\{{\*\*\}})?)$"
_VAULT_LITERAL = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
_VAULT_SEGMENT = rf"({_VAULT_LITERAL}|\{{cluster\}}|\{{namespace\}}|\{{serviceAccount\}})"
# The first segment is a mount: a placeholder there would let a namespace called `sys` reach it.
VAULT_PATH = rf"^{_VAULT_LITERAL}(/{_VAULT_SEGMENT})*(/\*|/)?$"
VAULT_NAME = r"^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$"
VAULT_MOUNT = (
    r"^[a-zA-Z0-9]([a-zA-Z0-9_-]*[a-zA-Z0-9])?(/[a-zA-Z0-9]([a-zA-Z0-9_-]*[a-zA-Z0-9])?)*$"
)
ANNOTATION_KEY = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
)
CLUSTER_ROLE = r"^[a-zA-Z0-9]([a-zA-Z0-9:._-]*[a-zA-Z0-9])?$"
_HOST_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
HTTPS_ADDRESS = rf"^https://{_HOST_LABEL}(\.{_HOST_LABEL})*(:[0-9]{{1,5}})?$"
PEM = r"^[\t\n\r -~]*-----BEGIN CERTIFICATE-----[\t\n\r -~]+-----END CERTIFICATE-----[\t\n\r -~]*$"
GRPC_SERVICE = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$"
GRPC_METHOD = r"^([A-Za-z_][A-Za-z0-9_]*|\*)$"
AUDIENCE = r"^[A-Za-z0-9]([A-Za-z0-9:/._-]*[A-Za-z0-9/])?$"

DnsLabel = Annotated[str, Field(pattern=DNS_LABEL, min_length=1, max_length=63)]
ClusterRoleName = Annotated[str, Field(pattern=CLUSTER_ROLE, min_length=1, max_length=128)]
AnnotationKey = Annotated[str, Field(pattern=ANNOTATION_KEY, min_length=1, max_length=253)]
AnnotationValue = Annotated[str, Field(max_length=2048)]
LabelKey = Annotated[str, Field(pattern=ANNOTATION_KEY, min_length=1, max_length=317)]
LabelValue = Annotated[
    str, Field(pattern=r"^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$", max_length=63)
]
Port = Annotated[int, Field(ge=1, le=65535)]
HttpPath = Annotated[str, Field(pattern=HTTP_PATH, min_length=1, max_length=256)]
GrpcService = Annotated[str, Field(pattern=GRPC_SERVICE, min_length=1, max_length=256)]
GrpcMethod = Annotated[str, Field(pattern=GRPC_METHOD, min_length=1, max_length=128)]
VaultPath = Annotated[str, Field(pattern=VAULT_PATH, min_length=1, max_length=256)]
VaultName = Annotated[str, Field(pattern=VAULT_NAME, min_length=1, max_length=128)]
VaultMount = Annotated[str, Field(pattern=VAULT_MOUNT, min_length=1, max_length=128)]
Audience = Annotated[str, Field(pattern=AUDIENCE, min_length=1, max_length=253)]
Seconds = Annotated[int, Field(ge=60, le=86400)]


def map_by(*keys: str) -> dict[str, Any]:
    """A list that the API server keeps unique by these fields."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


def as_set() -> dict[str, Any]:
    """A list whose items the API server keeps unique."""
    return {"x-kubernetes-list-type": "set"}


def rule(cel: str, message: str, **more: Any) -> dict[str, Any]:
    """One CEL rule (Kubernetes, CustomResourceDefinitions, "Validation rules")."""
    return {"rule": cel, "message": message, **more}


def rules(*items: dict[str, Any]) -> dict[str, Any]:
    """CEL rules as the extension that a schema carries them in."""
    return {"x-kubernetes-validations": list(items)}
