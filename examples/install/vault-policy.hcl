# What the operator may do in Vault. CLUSTER stands for the operator's cluster name.

# The agents' roles, and the marker that says whose prefix this is.
path "auth/kubernetes/role/CLUSTER_*" {
  capabilities = ["create", "read", "update", "delete"]
}
path "auth/kubernetes/role" {
  capabilities = ["list", "read"]
}

# Policies that classes spell out as rules. Not needed where classes only name policies of yours.
path "sys/policies/acl/agentid_CLUSTER_*" {
  capabilities = ["create", "read", "update", "delete"]
}
path "sys/policies/acl" {
  capabilities = ["list", "read"]
}

# The auth mount's accessor: templated policies and entity aliases are keyed by it.
path "sys/auth" {
  capabilities = ["read"]
}

# An agent's tokens end with its entity; a token outlives the account that it was issued to.
path "identity/lookup/entity" {
  capabilities = ["create", "update"]
}
path "identity/entity/id/*" {
  capabilities = ["read", "delete"]
}
