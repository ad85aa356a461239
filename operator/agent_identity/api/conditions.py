"""Every condition type and reason that our status can show, each with what to do about it.

The README's tables are generated from these. A reason is a promise: alerts and scripts match on it.
"""

from enum import StrEnum

from agent_identity.api.described import Described


class ConditionType(Described):
    """What a condition tells about. Members carry what the README says of them."""

    READY = (
        "Ready",
        "All that the operator brings about is in place, for this generation; see OutboundReady.",
    )
    RECONCILING = "Reconciling", "Work goes on or is waited for; True only while Ready is not."
    STALLED = "Stalled", "Nothing will change before somebody changes something."
    SERVICE_ACCOUNT = "ServiceAccountReady", "The agent's ServiceAccount is there and is ours."
    INBOUND = (
        "InboundReady",
        "STRICT mTLS and the policy stand, or Shadow is asked for. Absent without mesh.",
    )
    OUTBOUND = (
        "OutboundReady",
        "All that spec.outbound asks for is in force. Holds nothing back. Absent without entries.",
    )
    RBAC = "RBACReady", "The bindings are there. Absent when spec.rbac is."
    VAULT = "VaultReady", "The Vault role is there; on a class, login works and policies stand."
    MESH = "MeshReady", "On a class: the mesh's CRDs are installed. Absent with mesh type None."
    POLICY = (
        "PolicyReady",
        "On a grant: its policy stands and lets in who may call, or Shadow is asked for.",
    )
    SELECTOR = (
        "SelectorReady",
        "On a grant: no other policy lets anybody in to the same workload. Holds nothing back.",
    )


class Reason(Described):
    """Why a condition is what it is; `about` says what to do."""

    # In force.
    IN_PLACE = "InPlace", "Nothing."
    SHADOW = (
        "Shadow",
        "Nothing is enforced: read status.wouldWrite; set enforcement to Enforce when right.",
    )
    CALLERS_MISSING = (
        "CallersMissing",
        "Nothing, if the callers that are named are yet to come or to ask; else mend the rules.",
    )
    NOT_GRANTED = (
        "NotGranted",
        "Ask the service's owner for a grant that names this agent, or take the entry out.",
    )
    GRANT_NOT_READY = (
        "GrantNotReady",
        "Ask the grant's owner: it is in Shadow, stalls, or its policy does not stand yet.",
    )
    OVERLAP = (
        "Overlap",
        "Read status.others: whom another ALLOW policy lets in is let in beside this grant's.",
    )
    NOT_STALLED = "NotStalled", "Nothing."
    DONE = "Done", "Nothing."
    # The author must act (Stalled).
    INVALID_SPEC = "InvalidSpec", "Mend the field that the message names."
    NAMESPACE_NOT_ALLOWED = (
        "NamespaceNotAllowed",
        "Ask the platform team to label the namespace, or choose another class.",
    )
    MESH_ROOT_NAMESPACE = (
        "MeshRootNamespace",
        "Move the agent: policies in the mesh's root namespace apply to the whole mesh.",
    )
    NOT_IN_CLASS = "NotInClass", "Ask only for what the class lists (the message names it)."
    ENFORCEMENT_BELOW_CLASS = (
        "EnforcementBelowClass",
        "Set inbound.enforcement to Enforce, or ask for minimumEnforcement Shadow in the class.",
    )
    NO_MESH = "NoMesh", "Remove inbound, or use a class that has a mesh: nobody would enforce it."
    ACCOUNT_TAKEN = (
        "AccountTaken",
        "Choose another serviceAccount.name, or delete the identity that holds this one.",
    )
    FOREIGN_OBJECT = (
        "ForeignObject",
        "Delete or rename the object that the message names; the operator never adopts one.",
    )
    ACCOUNT_IN_BINDING = (
        "AccountInBinding",
        "Choose another serviceAccount.name, or remove the bindings that name this one.",
    )
    FOREIGN_POLICY = (
        "ForeignPolicy",
        "Remove or narrow the policy that the message names: it lets in more than ours.",
    )
    AGENT_SELECTED = (
        "AgentSelected",
        "Let the grant guard no agent: choose another selector or other targetRefs.",
    )
    CLUSTER_NAME_TAKEN = (
        "ClusterNameTaken",
        "Two clusters use one cluster name at this Vault mount: give this operator another name.",
    )
    # Somebody else is due (Waiting).
    WAYPOINT_MISSING = (
        "WaypointMissing",
        "Name the waypoint in the class; have 1 to 16 Services that select the agent's label.",
    )
    CLASS_NOT_FOUND = "ClassNotFound", "Create the class, or mend spec.className."
    CLASS_DELETING = "ClassDeleting", "The class is being deleted: choose another one."
    CLASS_INVALID = "ClassInvalid", "The platform team must mend the class; its status says how."
    ACCOUNT_BUSY = "AccountBusy", "Wait: the identity that held this account is being deleted."
    MESH_NOT_INSTALLED = "MeshNotInstalled", "Install Istio's CRDs, or use a class without mesh."
    MTLS_FIRST = (
        "MTLSFirst",
        "Wait: rights are given once the account, mTLS and the policy stand.",
    )
    DELETING = "Deleting", "Wait: the identity is being taken away."
    # Something failed and is retried (Failed).
    UNREACHABLE = "Unreachable", "Look at the backend that the message names: it does not answer."
    SEALED = "Sealed", "Unseal Vault."
    FORBIDDEN = "Forbidden", "Give the operator the right that the message names."
    LOGIN_REFUSED = (
        "LoginRefused",
        "Mend the operator's login role in Vault, or login in the class.",
    )
    REJECTED = "Rejected", "The backend refused the object; the message says why."
    THROTTLED = "Throttled", "Nothing, if it passes: the backend asks for patience."
    BUSY = "Busy", "Nothing: this backend is at its limit, the work is queued again."


class EventReason(StrEnum):
    """Reasons of Kubernetes Events that are not a condition's reason."""

    REPAIRED = "Repaired"
    RECOVERED = "Recovered"
    ABANDONED = "CleanupOwed"
