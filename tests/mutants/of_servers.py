"""Guards that only real servers show: what kopf, the API server and Vault make of our calls."""

from mutants.model import Mutant

VAULT = "operator/agent_identity/providers/vault/backend.py"
DESIRED = "operator/agent_identity/providers/vault/desired.py"
ENGINE = "operator/agent_identity/reconcile/engine.py"
CLASS_CRD = "charts/agent-identity/files/crds/agentidentityclasses.agentidentity.dev.yaml"
SECRETS = "tests/cluster/test_vault.py"
REQUESTS = "tests/cluster/test_requests.py"
DELETION = "tests/cluster/test_deletion.py"
FAULTS = "tests/cluster/test_faults.py"

SERVERS = (
    Mutant(
        "kopf-has-our-finalizer",
        11,
        "kopf takes our finalizer for nobody's, and writes nothing.",
        "operator/agent_identity/handlers.py",
        's.persistence.finalizer = f"{GROUP}/unused"',
        's.persistence.finalizer = f"{GROUP}/cleanup"',
        (f"{REQUESTS}::test_one_new_identity_costs_one_request_per_object",),
    ),
    Mutant(
        "vault-never-looked-at-again",
        11,
        "Vault can't be watched: a drift there is found within a resync period.",
        ENGINE,
        "                self._queue.add(key)\n            await _until",
        "                pass\n            await _until",
        (f"{SECRETS}::test_a_deleted_role_comes_back",),
    ),
    Mutant(
        "any-audience-logs-in",
        5,
        "A token for another audience is no login.",
        DESIRED,
        '        "audience": vault.agent_auth.audience,\n',
        '        "audience": "",\n',
        (f"{SECRETS}::test_another_account_and_another_audience_are_refused",),
    ),
    Mutant(
        "entity-looked-up-by-name",
        8,
        "The tokens of an identity are found by its account's UID, and end with it.",
        "operator/agent_identity/providers/vault/roles.py",
        '{"alias_name": account_uid,',
        '{"alias_name": "/".join(owner),',
        (
            f"{SECRETS}::test_a_deleted_identity_leaves_no_working_token",
            f"{SECRETS}::test_an_account_deleted_by_hand_ends_its_tokens_and_comes_back",
            f"{SECRETS}::test_narrower_policies_end_the_tokens_that_were_issued",
            f"{SECRETS}::test_an_identity_made_anew_inherits_nothing",
        ),
    ),
    Mutant(
        "binding-held-for-ever",
        8,
        "Others' finalizers on a binding do not keep it, nor what it grants.",
        "operator/agent_identity/providers/kube_backend.py",
        '        body["metadata"].pop("finalizers", None)\n',
        "",
        (f"{DELETION}::test_a_binding_with_a_foreign_finalizer_grants_nothing_after_deletion",),
    ),
    Mutant(
        "deletion-waits-for-vault",
        8,
        "A deletion waits for no Vault longer than its deadline.",
        "operator/agent_identity/reconcile/revoke.py",
        "late = left < 0",
        "late = False",
        (f"{DELETION}::test_deletion_ends_without_vault_and_what_is_owed_goes_later[stopped]",),
    ),
    Mutant(
        "debts-not-loaded",
        8,
        "What is owed outlives the operator.",
        ENGINE,
        "        await self._persist(self._ledger.load)\n",
        "",
        (f"{DELETION}::test_what_is_owed_outlives_the_operator",),
    ),
    Mutant(
        "clusters-of-one-name",
        8,
        "Two clusters of one name do not sweep each other's roles.",
        "operator/agent_identity/providers/vault/homes.py",
        'elif marker.get("bound_service_account_names") != [uid]:',
        "elif False:",
        (f"{FAULTS}::test_two_clusters_of_one_name_are_told_apart",),
    ),
    Mutant(
        "pods-not-watched",
        9,
        "While a real pod runs on, the policy stays.",
        "operator/agent_identity/reconcile/informers.py",
        "PODS, parse=parse_pod, changed=world.pod_changed, selector=IDENTITY_LABEL",
        'PODS, parse=parse_pod, changed=world.pod_changed, selector="no=such"',
        (f"{DELETION}::test_a_policy_stays_closed_while_pods_run_on",),
    ),
    Mutant(
        "any-certificate",
        14,
        "Vault's certificate is verified before anything is said to it.",
        "operator/agent_identity/clients/vault.py",
        "        return ssl.create_default_context(cadata=ca_bundle)\n",
        "        return ssl._create_unverified_context()\n",
        (f"{FAULTS}::test_a_wrong_certificate_is_refused",),
    ),
    Mutant(
        "agents-get-sys",
        4,
        "The API server refuses a class that gives agents paths under sys, auth or identity.",
        CLASS_CRD,
        "''^([^/]+/)?(sys|auth|identity|cubbyhole)(/|$)''",
        "''^never$''",
        (
            "tests/cluster/test_guards.py::test_agents_get_nothing_of_vaults_own[sys/policies/acl/x]",
        ),
    ),
    Mutant(
        "accounts-of-any-namespace",
        4,
        "The API server refuses {serviceAccount} without {namespace} before it.",
        CLASS_CRD,
        "''^(.*/)?[{]namespace[}]/(.*/)?[{]serviceAccount[}](/.*)?$''",
        "''.*''",
        ("tests/cluster/test_guards.py::test_an_account_is_named_within_its_namespace",),
    ),
)
