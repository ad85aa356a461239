"""The walls that the API server is (policies and rights of the chart), and every row of the attack
matrix: with its guard taken out, the attack works."""

from mutants.model import Mutant

TEMPLATES = "charts/agent-identity/templates"
TIDY = "can still tidy up.\n  - name: asks-for-something\n    expression: "
USE = f"{TEMPLATES}/admission-use.yaml"
OWNED = f"{TEMPLATES}/admission-owned.yaml"
PODS = f"{TEMPLATES}/admission-pods.yaml"
ITSELF = f"{TEMPLATES}/admission-operator.yaml"
RBAC = f"{TEMPLATES}/rbac.yaml"
CRDS = "charts/agent-identity/files/crds"
IDENTITY_CRD = f"{CRDS}/agentidentities.agentidentity.dev.yaml"
CLASS_CRD = f"{CRDS}/agentidentityclasses.agentidentity.dev.yaml"
CHECKS = "operator/agent_identity/core/checks.py"
IDENTITY = "operator/agent_identity/core/identity.py"
ISTIO = "operator/agent_identity/providers/istio/desired.py"
VAULT = "operator/agent_identity/providers/vault/desired.py"
ADMISSION = "tests/cluster/test_admission.py"
ATTACKS = "tests/cluster/test_attacks.py"
CVES = "tests/cluster/test_cve_regressions.py"
STOLEN = f"{ATTACKS}::test_a01_the_operators_token_is_no_key_to_the_cluster"
MOVED = f"{ATTACKS}::test_a01_no_grant_is_moved_to_another_workload"
LASTING = f"{ATTACKS}::test_a01_nothing_lasts_that_is_made_for_nobody"
LATER = f"{ATTACKS}::test_a01_what_is_made_is_not_made_to_last_later"
TAMPERING = f"{ADMISSION}::test_an_administrator_of_the_namespace_tampers_in_vain"
HALF = f"{ADMISSION}::test_a_pod_is_no_half_an_agent"
HALVED = f"{ADMISSION}::test_an_account_that_is_marked_by_halves_is_in_no_other_pods_way"

_WHO_USES = "      variables.classes.name(variables.class).check('use').allowed()\n"
_USED_HERE = (
    "variables.classes.namespace(request.namespace).name(variables.class).check('use').allowed()"
)
_IS_ACCOUNT = (
    "(object.spec.?serviceAccountName.orValue('default') == params.metadata.name)\n      !="
)

CLASS_USE = (
    Mutant(
        "use-not-asked-for",
        17,
        "Who writes an identity needs `use` on its class.",
        USE,
        _WHO_USES,
        f"      true || {_WHO_USES.strip()}\n",
        (
            f"{ADMISSION}::test_without_use_it_is_refused_and_says_whom_to_ask",
            f"{ADMISSION}::test_use_of_one_class_is_not_use_of_another",
            f"{ADMISSION}::test_a_class_that_is_not_named_is_the_default_one",
            f"{CVES}::test_cve_2026_22039_the_author_is_asked_for_and_not_the_operator",
        ),
    ),
    Mutant(
        "use-everywhere-or-nowhere",
        17,
        "A RoleBinding gives `use` in its namespace.",
        USE,
        _USED_HERE,
        "false",
        (f"{ADMISSION}::test_use_in_one_namespace_is_no_use_in_another",),
    ),
    Mutant(
        "accounts-made-for-anybody",
        17,
        "Who writes an identity may make accounts.",
        USE,
        "namespace(request.namespace).check('create').allowed()",
        "namespace(request.namespace).check('create').allowed() || true",
        (f"{ADMISSION}::test_who_may_not_make_accounts_has_none_made",),
    ),
    Mutant(
        "change-not-asked-about",
        17,
        "Changing a spec takes `use` too.",
        USE,
        f"{TIDY}request.operation == 'CREATE' || object.spec != oldObject.spec",
        f"{TIDY}request.operation == 'CREATE'",
        (
            f"{ADMISSION}::test_a_spec_is_not_changed_without_use",
            f"{ADMISSION}::test_moving_to_a_class_takes_use_of_the_new_one_only",
        ),
    ),
    Mutant(
        "every-change-asked-about",
        17,
        "What is no change of the spec takes no `use`.",
        USE,
        f"{TIDY}request.operation == 'CREATE' || object.spec != oldObject.spec",
        f"{TIDY}request.operation == 'CREATE' || !request.userInfo.username.endsWith('-operator')",
        (f"{ADMISSION}::test_labels_and_annotations_may_be_changed_without_use",),
    ),
)

OBJECTS = (
    Mutant(
        "owned-objects-unguarded",
        17,
        "Nobody else writes what carries the operator's label, puts it on or takes it off.",
        OWNED,
        "matchLabels: {app.kubernetes.io/managed-by: agent-identity-operator}",
        "matchLabels: {app.kubernetes.io/managed-by: nobody}",
        (TAMPERING, f"{ADMISSION}::test_what_is_owed_to_vault_is_nobodys_to_strike"),
    ),
    Mutant(
        "owned-objects-deleted",
        17,
        "Nobody else deletes it.",
        OWNED,
        "      operations: [CREATE, UPDATE, DELETE]\n      # A ConfigMap",
        "      operations: [CREATE, UPDATE]\n      # A ConfigMap",
        (f"{TAMPERING}[_delete-ServiceAccount]", f"{TAMPERING}[_delete_all-ServiceAccount]"),
    ),
    Mutant(
        "owner-forged",
        17,
        "Nobody else makes an AgentIdentity the owner of such an object.",
        OWNED,
        "o.apiVersion.startsWith('agentidentity.dev/')",
        "o.apiVersion.startsWith('nobody/')",
        (f"{ADMISSION}::test_an_owner_of_our_kind_is_not_forged",),
    ),
    Mutant(
        "finalizer-taken-off",
        17,
        "Only the operator takes its finalizer off.",
        OWNED,
        "!('agentidentity.dev/cleanup' in variables.before) ||",
        "true || !('agentidentity.dev/cleanup' in variables.before) ||",
        (
            f"{ADMISSION}::test_only_the_operator_takes_its_finalizer_off",
            f"{ATTACKS}::test_a15_a_finalizer_taken_off_leaves_nothing_in_vault",
        ),
    ),
    Mutant(
        "orphaning-finalizer",
        17,
        "Nobody asks by a finalizer for an identity's objects to be orphaned.",
        OWNED,
        "!('orphan' in variables.after) ||",
        "true || !('orphan' in variables.after) ||",
        (f"{ADMISSION}::test_the_finalizer_that_orphans_is_not_set",),
    ),
    Mutant(
        "orphaning-deletion",
        17,
        "No deletion orphans an identity's objects.",
        OWNED,
        "request.operation != 'DELETE'\n",
        "true || request.operation != 'DELETE'\n",
        (f"{ADMISSION}::test_nothing_is_orphaned",),
    ),
    Mutant(
        "token-in-a-secret",
        17,
        "No Secret gets an agent's token.",
        OWNED,
        "object.?type.orValue('') == 'kubernetes.io/service-account-token'",
        "object.?type.orValue('') == 'none'",
        (
            f"{ADMISSION}::test_an_agents_token_is_not_written_into_a_secret",
            f"{CVES}::test_cve_2026_42876_no_token_of_an_account_by_a_secret",
        ),
    ),
    Mutant(
        "collector-not-let-through",
        17,
        "The garbage collector is in nobody's way, and nobody in its.",
        OWNED,
        '  "system:serviceaccount:kube-system:generic-garbage-collector"\n',
        "",
        (f"{ADMISSION}::test_the_garbage_collector_collects",),
    ),
    Mutant(
        "nobody-exempt",
        17,
        "Who is named in the values is exempt, and nobody else.",
        OWNED,
        '  "system:kube-controller-manager") .exemptUsers }}',
        '  "system:kube-controller-manager") list }}',
        (f"{ADMISSION}::test_a_user_who_is_named_may_write_what_is_owned",),
    ),
    Mutant(
        "no-group-exempt",
        17,
        "Groups that are named are exempt, and break-glass is one.",
        USE,
        ".exists(g, g in {{ index . 1 | toJson }})",
        ".exists(g, false)",
        (
            f"{ADMISSION}::test_a_group_that_is_named_may_write_what_is_owned",
            f"{ADMISSION}::test_break_glass_gets_a_token_and_others_do_not",
        ),
    ),
)

AGENT_PODS = (
    Mutant(
        "label-without-account",
        17,
        "A pod with an agent's label has its account.",
        PODS,
        _IS_ACCOUNT,
        _IS_ACCOUNT.replace("!=", "&& !"),
        (f"{HALF}[-agent]", f"{HALF}[default-agent]"),
    ),
    Mutant(
        "account-without-label",
        17,
        "A pod with an agent's account has its label.",
        PODS,
        _IS_ACCOUNT,
        f"!{_IS_ACCOUNT.replace('!=', '&& ')}",
        (f"{HALF}[agent-]", f"{HALF}[agent-nobody]", f"{HALF}[agent-of-alice]"),
    ),
    Mutant(
        "relabelled-later",
        17,
        "A running pod becomes no agent, and no agent something else.",
        PODS,
        "operations: [CREATE, UPDATE]\n      resources: [pods]",
        "operations: [CREATE]\n      resources: [pods]",
        (
            f"{ADMISSION}::test_a_pod_is_not_relabelled_into_or_out_of_an_agent",
            f"{ATTACKS}::test_a04_policies_select_the_agents_own_pods_only",
        ),
    ),
    Mutant(
        "relabelled-by-its-status",
        17,
        "Nobody does it by a pod's status either.",
        PODS,
        "operations: [UPDATE], resources: [pods/status]",
        "operations: [CREATE], resources: [pods/status]",
        (f"{ADMISSION}::test_no_status_relabels_a_pod_into_or_out_of_an_agent",),
    ),
    Mutant(
        "relabelled-by-its-binding",
        17,
        "Nor by what binds it to a node.",
        PODS,
        "operations: [CREATE], resources: [pods/binding, bindings]",
        "operations: [UPDATE], resources: [pods/binding, bindings]",
        (f"{ADMISSION}::test_no_binding_relabels_a_pod_into_or_out_of_an_agent",),
    ),
    Mutant(
        "status-of-agents-refused",
        17,
        "What changes no agent's label is no status's to answer for.",
        PODS,
        "  - name: becomes-another\n    expression: >-\n      request.operation == 'CREATE'\n",
        "  - name: becomes-another\n    expression: >-\n      true\n",
        (
            f"{ADMISSION}::test_a_kubelet_tells_of_its_agents_pods",
            f"{ADMISSION}::test_no_status_relabels_a_pod_into_or_out_of_an_agent",
        ),
    ),
    Mutant(
        "unlabelled-like-the-unlabelled",
        17,
        "An account that is marked by halves is in no other pod's way.",
        PODS,
        ".orValue('none!'))",
        ".orValue('none?'))",
        (f"{HALVED}[no label]",),
    ),
    Mutant(
        "early-pods-stuck",
        17,
        "A pod from before may lose its finalizers.",
        PODS,
        "  - name: becomes-so\n    expression: >-\n      request.operation == 'CREATE'\n",
        "  - name: becomes-so\n    expression: >-\n      true\n",
        (f"{ADMISSION}::test_a_pod_from_before_may_end_and_lose_its_finalizers",),
    ),
    Mutant(
        "tokens-for-people",
        17,
        "People get no token of an agent.",
        PODS,
        "expression: request.name == params.metadata.name",
        "expression: request.name == params.metadata.name && false",
        (
            f"{ADMISSION}::test_people_get_no_token_of_an_agent",
            f"{ADMISSION}::test_break_glass_gets_a_token_and_others_do_not",
            f"{CVES}::test_cve_2026_10059_an_administrator_of_a_namespace_mints_no_agents_token",
        ),
    ),
    Mutant(
        "no-tokens-for-kubelets",
        17,
        "A kubelet gets it for a pod.",
        PODS,
        "!('system:nodes' in request.userInfo.?groups.orValue([])",
        "!('nobody' in request.userInfo.?groups.orValue([])",
        (f"{ADMISSION}::test_a_kubelet_gets_it_for_a_pod_of_its_node",),
    ),
)

OPERATOR_ITSELF = (
    Mutant(
        "operator-touches-others",
        17,
        "The operator's token touches nothing that is not labelled as its own.",
        ITSELF,
        "      [object, oldObject].all(o, o == null\n",
        "      [object, oldObject].all(o, true || o == null\n",
        (
            f"{STOLEN}[delete-account]",
            f"{STOLEN}[delete-binding]",
            f"{STOLEN}[replace-foreign-policy]",
        ),
    ),
    Mutant(
        "operator-makes-for-nobody",
        17,
        "The operator's token makes nothing without an owner.",
        ITSELF,
        "  - expression: variables.kept || variables.owned || variables.left_shut\n",
        "  - expression: 'true'\n",
        (f"{STOLEN}[create-account-of-nobody]",),
    ),
    Mutant(
        "operator-makes-for-two",
        17,
        "Nor with a second one, which the garbage collector would find.",
        ITSELF,
        "      object.metadata.?ownerReferences.orValue([]).size() == 1\n"
        "      && object.metadata.ownerReferences.all(o,",
        "      object.metadata.?ownerReferences.orValue([]).exists_one(o,",
        (
            f"{LASTING}[create-policy-of-no-grant-with-one-owner-more]",
            f"{LASTING}[create-policy-of-no-identity-with-one-owner-more]",
        ),
    ),
    Mutant(
        "operator-adds-an-owner-later",
        17,
        "Nor does it give one to what is there.",
        ITSELF,
        "\n      && object.metadata.?ownerReferences == oldObject.metadata.?ownerReferences)",
        ")",
        (
            f"{LATER}[AuthorizationPolicy-one-owner-more]",
            f"{LATER}[RoleBinding-one-owner-more]",
            f"{LATER}[ServiceAccount-one-owner-more]",
        ),
    ),
    Mutant(
        "operator-makes-for-a-version-to-come",
        17,
        "The owner is of a version that the garbage collector can look up.",
        ITSELF,
        "      && o.apiVersion == 'agentidentity.dev/v1alpha1'\n",
        "      && o.apiVersion.startsWith('agentidentity.dev/')\n",
        (
            f"{LASTING}[create-policy-of-no-grant-of-a-version-to-come]",
            f"{LASTING}[create-policy-of-no-identity-of-a-version-to-come]",
        ),
    ),
    Mutant(
        "operator-makes-what-nobody-controls",
        17,
        "The owner controls it, so that the operator itself sees whose it is.",
        ITSELF,
        "o.?controller.orValue(false)",
        "true",
        (f"{LASTING}[create-policy-of-no-grant-that-nobody-controls]",),
    ),
    Mutant(
        "operator-holds-what-is-collected",
        17,
        "The operator's token puts no finalizer on what it makes, but its own on accounts.",
        ITSELF,
        "      request.operation == 'DELETE' || object.metadata.?finalizers",
        "      true || object.metadata.?finalizers",
        (
            f"{LASTING}[create-policy-of-no-grant-with-a-finalizer]",
            f"{LATER}[RoleBinding-a-finalizer]",
            f"{LATER}[ServiceAccount-a-finalizer]",
        ),
    ),
    Mutant(
        "operator-opens-the-mesh",
        17,
        "The operator's token lets nobody in by what counts in every namespace.",
        ITSELF,
        "      || request.namespace != {{ $.Values.meshRootNamespace | toJson }}\n",
        "      || true\n",
        (f"{MOVED}[create-policy-for-the-mesh]",),
    ),
    Mutant(
        "operator-opens-services-at-a-waypoint",
        17,
        "The operator's token opens no Service at a waypoint that does not lead to the agent.",
        ITSELF,
        "exists(t, t.name == params.metadata.name)\n",
        "exists(t, false)\n",
        (f"{ATTACKS}::test_a01_at_a_waypoint_no_service_of_others_is_opened",),
    ),
    Mutant(
        "operator-binds-strangers",
        17,
        "The operator's token binds accounts of the binding's namespace only.",
        ITSELF,
        "variables.kept || request.kind.kind != 'RoleBinding'\n",
        "true || request.kind.kind != 'RoleBinding'\n",
        (
            f"{STOLEN}[create-binding-for-another-namespace]",
            f"{STOLEN}[create-binding-for-a-user]",
            f"{STOLEN}[replace-our-binding]",
        ),
    ),
    Mutant(
        "operator-opens-workloads",
        17,
        "The operator's token writes policies for the pods of one agent only.",
        ITSELF,
        "variables.kept || request.kind.group != 'security.istio.io' || variables.of_grant\n",
        "true || request.kind.group != 'security.istio.io' || variables.of_grant\n",
        (f"{STOLEN}[create-mesh-wide-permissive]", f"{STOLEN}[create-open-workload]"),
    ),
    Mutant(
        "operator-switches-mtls-off",
        17,
        "The operator's token switches mTLS off for nobody.",
        ITSELF,
        "variables.kept || request.kind.kind != 'PeerAuthentication'\n",
        "true || request.kind.kind != 'PeerAuthentication'\n",
        (f"{STOLEN}[create-permissive-for-an-agent]", f"{STOLEN}[create-open-port]"),
    ),
    Mutant(
        "operator-changes-classes",
        17,
        "The operator's token changes no spec of a class.",
        ITSELF,
        "  - expression: object.spec == oldObject.spec\n",
        "  - expression: object.spec == oldObject.spec || true\n",
        (f"{STOLEN}[patch-class]",),
    ),
    Mutant(
        "operator-has-ours-collected",
        17,
        "The operator's token gives no identity, grant or class to an owner that is not there.",
        ITSELF,
        "      object.metadata.?ownerReferences == oldObject.metadata.?ownerReferences\n"
        "      && object.metadata.?labels",
        "      object.metadata.?labels",
        (
            f"{STOLEN}[patch-identity-to-be-collected]",
            f"{STOLEN}[patch-grant-to-be-collected]",
            f"{STOLEN}[patch-class-to-be-collected]",
        ),
    ),
    Mutant(
        "operator-marks-ours",
        17,
        "It changes no label and no annotation of theirs.",
        ITSELF,
        "      && object.metadata.?labels == oldObject.metadata.?labels\n"
        "      && object.metadata.?annotations == oldObject.metadata.?annotations\n"
        "    reason: Forbidden\n    message: the operator changes no owners",
        "    reason: Forbidden\n    message: the operator changes no owners",
        (f"{STOLEN}[patch-identity-labels]", f"{STOLEN}[patch-grant-annotations]"),
    ),
    Mutant(
        "operator-holds-ours",
        17,
        "Of finalizers it sets its own only.",
        ITSELF,
        "      object.metadata.?finalizers.orValue([]).all(f, f == 'agentidentity.dev/cleanup'\n",
        "      object.metadata.?finalizers.orValue([]).all(f, true\n",
        (f"{STOLEN}[patch-identity-to-be-orphaned]", f"{STOLEN}[patch-class-to-be-held]"),
    ),
    Mutant(
        "operator-binds-any-role",
        15,
        "The operator's token binds no ClusterRole that is not named.",
        RBAC,
        "  resourceNames: {{ toJson .Values.boundClusterRoles }}\n",
        "",
        (
            f"{STOLEN}[create-binding-to-cluster-admin]",
            f"{STOLEN}[create-binding-to-unlisted]",
            f"{STOLEN}[create-binding-in-kube-system]",
        ),
    ),
    Mutant(
        "operator-reads-secrets",
        15,
        "The operator's token reads no Secret.",
        RBAC,
        "  resources: [namespaces]\n",
        "  resources: [namespaces, secrets]\n",
        (
            f"{STOLEN}[list-all-secrets]",
            f"{ATTACKS}::test_a18_no_secret_is_read_through_the_operator",
        ),
    ),
    Mutant(
        "operator-makes-tokens",
        15,
        "The operator's token makes no account's token.",
        RBAC,
        "  resources: [serviceaccounts]\n",
        "  resources: [serviceaccounts, serviceaccounts/token]\n",
        (
            f"{STOLEN}[create-token-of-kube-system-namespace-controller]",
            f"{ATTACKS}::test_a19_no_token_is_made_through_the_operator",
        ),
    ),
    Mutant(
        "operator-impersonates",
        15,
        "The operator's token is nobody else.",
        RBAC,
        "  resources: [namespaces]\n  verbs: [get, list, watch]\n",
        "  resources: [namespaces, users, groups, serviceaccounts]\n"
        "  verbs: [get, list, watch, impersonate]\n",
        (
            f"{STOLEN}[impersonate-user]",
            f"{STOLEN}[impersonate-masters]",
            f"{CVES}::test_cve_2026_96615_the_operator_is_nobody_else",
        ),
    ),
)

MATRIX = (
    Mutant(
        "a02-account-adopted",
        3,
        "An account that is there stalls the identity.",
        CHECKS,
        "    _nothing_is_foreign,  # nothing is adopted\n",
        "",
        (f"{ATTACKS}::test_a02_an_account_that_is_there_is_not_adopted",),
    ),
    Mutant(
        "a03-agents-in-the-root-namespace",
        4,
        "No agent lives in the mesh's root namespace, where its policies would be everybody's.",
        CHECKS,
        "    _not_in_mesh_root,  # a policy there would be everybody's\n",
        "",
        (f"{ATTACKS}::test_a03_in_the_meshs_root_namespace_there_is_no_agent",),
    ),
    Mutant(
        "a04-selector-of-the-tenant",
        4,
        "The selector of a policy is the identity's label.",
        IDENTITY_CRD,
        "          spec:\n            description: What one agent is",
        "          spec:\n            x-kubernetes-preserve-unknown-fields: true\n"
        "            description: What one agent is",
        (
            f"{ATTACKS}::test_a04_policies_select_the_agents_own_pods_only",
            f"{ATTACKS}::test_a08_an_id_is_computed_and_never_given",
            f"{CVES}::test_cve_2026_22872_no_object_of_the_tenants_own_making_is_made",
        ),
    ),
    Mutant(
        "a05-policies-that-the-class-does-not-list",
        4,
        "Vault policies are those that the class lists.",
        CHECKS,
        "    _vault_policies_are_listed,\n",
        "",
        (f"{ATTACKS}::test_a05_no_path_of_anybodys_crosses_into_vault",),
    ),
    Mutant(
        "a06-role-for-every-account",
        5,
        "A Vault role names one account.",
        VAULT,
        '"bound_service_account_names": [identity.account]',
        '"bound_service_account_names": ["*"]',
        (f"{ATTACKS}::test_a06_a_role_is_for_one_account_of_one_namespace",),
    ),
    Mutant(
        "a07-any-annotation",
        4,
        "Annotations of an account are those that the class lists.",
        CHECKS,
        "    _annotations_are_listed,\n",
        "",
        (f"{ATTACKS}::test_a07_an_annotation_that_a_cloud_reads_is_the_classs_to_allow",),
    ),
    Mutant(
        "a08-account-moves",
        4,
        "An identity's account, and so its SPIFFE ID, is for ever.",
        IDENTITY_CRD,
        "oldSelf.metadata.name)'\n          message: 'the account",
        "oldSelf.metadata.name) || true'\n          message: 'the account",
        (f"{ATTACKS}::test_a08_an_id_does_not_move",),
    ),
    Mutant(
        "a10-tokens-outlive-their-identity",
        8,
        "The tokens of an identity that is made anew are dead.",
        "operator/agent_identity/providers/vault/roles.py",
        '{"alias_name": account_uid,',
        '{"alias_name": "/".join(owner),',
        (f"{ATTACKS}::test_a10_one_made_anew_inherits_nothing",),
    ),
    Mutant(
        "a11-roles-of-any-text",
        4,
        "A name is a name, and no text.",
        IDENTITY_CRD,
        "                      pattern: ^[a-zA-Z0-9]([a-zA-Z0-9:._-]*[a-zA-Z0-9])?$\n",
        "",
        (f"{ATTACKS}::test_a11_a_name_is_never_a_text",),
    ),
    Mutant(
        "a12-any-address",
        4,
        "An address is https and a host.",
        CLASS_CRD,
        "pattern: ^https://[a-z0-9]",
        "pattern: ^.*|https://[a-z0-9]",
        (
            f"{ATTACKS}::test_a12_an_address_is_https_and_a_host_and_no_more",
            f"{CVES}::test_cve_2026_34984_no_address_is_put_together_from_a_spec",
        ),
    ),
    Mutant(
        "a17-first-come-first-served",
        10,
        "Of two tenants, the one with less to do does not wait for the other.",
        "operator/agent_identity/reconcile/queue.py",
        "            self._ready[lane] = keys\n",
        "            self._ready[lane] = keys\n"
        "            self._ready.move_to_end(lane, last=False)\n",
        (f"{ATTACKS}::test_a17_a_flood_of_one_tenant_is_not_anothers",),
    ),
    Mutant(
        "a13-forged-status-believed",
        12,
        "A status that says Ready for this generation is not believed.",
        "operator/agent_identity/reconcile/own.py",
        "if canonical(subject.status) == canonical(status):",
        "if canonical(subject.status) == canonical(status) or any(\n"
        '            (c["type"], c["status"]) == ("Ready", "True")\n'
        '            and c["observedGeneration"] == subject.meta.generation\n'
        '            for c in subject.status.get("conditions", ())\n'
        "        ):",
        (f"{ATTACKS}::test_a13_nothing_is_decided_by_a_status",),
    ),
    Mutant(
        "a14-change-not-looked-at",
        11,
        "Every generation of a spec is parsed, whatever its annotations say.",
        IDENTITY,
        "(known.meta.uid, known.meta.generation) == (meta.uid, meta.generation)",
        "known.meta.uid == meta.uid",
        (f"{ATTACKS}::test_a14_no_annotation_hides_a_change",),
    ),
    Mutant(
        "a20-left-to-admission",
        12,
        "Everything is checked again at every reconcile.",
        CHECKS,
        "    _cluster_roles_are_listed,\n",
        "",
        (
            f"{ATTACKS}::test_a20_without_policies_everything_is_checked_again",
            f"{ATTACKS}::test_a01_a_role_that_the_class_does_not_list_is_not_given",
        ),
    ),
    Mutant(
        "a20-fails-open",
        17,
        "A policy that can't be asked refuses.",
        ITSELF,
        "spec:\n  failurePolicy: Fail\n  matchConstraints:\n    resourceRules:\n"
        "    - apiGroups: [agentidentity.dev]",
        "spec:\n  failurePolicy: Ignore\n  matchConstraints:\n    resourceRules:\n"
        "    - apiGroups: [agentidentity.dev]",
        (f"{ATTACKS}::test_a20_a_policy_that_cannot_be_asked_refuses",),
    ),
)

ELSEWHERE = (
    Mutant(
        "acts-before-it-checks",
        7,
        "Nothing is done for a namespace that the class is not for.",
        CHECKS,
        "    _namespace_is_allowed,  # who may use the class\n",
        "",
        (f"{CVES}::test_cve_2026_26287_the_check_is_before_the_act",),
    ),
    Mutant(
        "right-by-name",
        4,
        "A right is asked for, and never follows from a name.",
        "operator/agent_identity/providers/rbac/desired.py",
        "identity.spec.rbac is None:\n            return ()\n",
        "identity.spec.rbac is None:\n"
        '            mine = identity.key.name == "ticket-reader"\n'
        "            return (_binding(identity, identity.key.name),) if mine else ()\n",
        (f"{CVES}::test_cve_2026_73269_a_name_carries_no_right[ticket-reader]",),
    ),
    Mutant(
        "paths-in-any-spelling",
        4,
        "The API server refuses a path that can be spelt in two ways.",
        IDENTITY_CRD,
        "pattern: ^((/\\.?[A-Za-z0-9_~:@-]",
        "pattern: ^.*|((/\\.?[A-Za-z0-9_~:@-]",
        (
            f"{CVES}::test_cve_2026_100706_a_path_has_one_way_to_be_written",
            f"{CVES}::test_cve_2021_31920_what_is_not_allowed_is_denied_and_nothing_is_by_its_path",
        ),
    ),
    Mutant(
        "namesakes-log-in",
        5,
        "A Vault role names one namespace.",
        VAULT,
        '"bound_service_account_namespaces": [identity.key.namespace]',
        '"bound_service_account_namespaces": ["*"]',
        (f"{CVES}::test_cve_2026_110720_a_namesake_elsewhere_is_somebody_else",),
    ),
    Mutant(
        "tokens-for-others-log-in",
        5,
        "A Vault role names the audience.",
        VAULT,
        '        "audience": vault.agent_auth.audience,\n',
        '        "audience": "",\n',
        (f"{CVES}::test_cve_2026_40109_a_token_for_others_is_no_login",),
    ),
    Mutant(
        "callers-by-account",
        2,
        "Callers are named by their principals, and by nothing that is matched otherwise.",
        "operator/agent_identity/providers/istio/rules.py",
        '[{"source": {"principals": principals}}]',
        '[{"source": {"serviceAccounts": ["a/b"], "principals": principals}}]',
        (f"{CVES}::test_cve_2026_39350_callers_are_exact_principals",),
    ),
    Mutant(
        "mtls-after-the-policy",
        6,
        "mTLS is strict before a policy names anybody.",
        "operator/agent_identity/core/resource.py",
        "    Kind.PEER_AUTHENTICATION: Stage.MTLS,\n",
        "    Kind.PEER_AUTHENTICATION: Stage.GRANT,\n",
        (f"{CVES}::test_istio_security_2021_004_mtls_is_strict_before_anybody_is_named",),
    ),
)

WALLS = (*CLASS_USE, *OBJECTS, *AGENT_PODS, *OPERATOR_ITSELF, *MATRIX, *ELSEWHERE)
