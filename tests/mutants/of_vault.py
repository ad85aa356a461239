"""Invariant 5, and what of invariants 3, 6 and 8 happens in Vault."""

from mutants.model import Mutant

DESIRED = "operator/agent_identity/providers/vault/desired.py"
ROLES = "operator/agent_identity/providers/vault/roles.py"
HOMES = "operator/agent_identity/providers/vault/homes.py"
OF_CLASS = "operator/agent_identity/providers/vault/of_class.py"
ROOM = "tests/unit/providers/test_vault_room.py"
GUARDS = "tests/unit/engine/test_vault_guards.py"
NAMES = "tests/unit/core/test_names.py"
WHOLE = f"{ROOM}::test_the_payload_is_always_whole"
EXACT = f"{ROOM}::test_it_names_one_account_one_namespace_and_an_audience"
PUT_BACK = f"{GUARDS}::test_whatever_is_changed_in_a_role_is_put_back"
NOT_OURS = f"{GUARDS}::test_an_entity_that_is_not_only_ours_stays"

VAULT = (
    Mutant(
        "audience-missing",
        5,
        "A role names the audience.",
        DESIRED,
        '        "audience": vault.agent_auth.audience,\n',
        "",
        (WHOLE,),
    ),
    Mutant(
        "empty-fields-left-out",
        5,
        "A field is written though it is empty: Vault keeps what an update leaves out.",
        DESIRED,
        '        "token_bound_cidrs": [],\n',
        "",
        (WHOLE,),
    ),
    Mutant(
        "alias-by-name",
        5,
        "The alias is the account's UID: an account that is made anew inherits nothing.",
        DESIRED,
        '"alias_name_source": "serviceaccount_uid"',
        '"alias_name_source": "serviceaccount_name"',
        (EXACT,),
    ),
    Mutant(
        "batch-tokens",
        5,
        "Tokens are service tokens: batch tokens can't be ended.",
        DESIRED,
        '"token_type": "service"',
        '"token_type": "batch"',
        (EXACT,),
    ),
    Mutant(
        "default-policy",
        5,
        "Tokens don't carry the policy `default`.",
        DESIRED,
        '"token_no_default_policy": True',
        '"token_no_default_policy": False',
        (EXACT,),
    ),
    Mutant(
        "any-namespace",
        5,
        "A role names one namespace.",
        DESIRED,
        '"bound_service_account_namespaces": [identity.key.namespace]',
        '"bound_service_account_namespaces": ["*"]',
        (EXACT,),
    ),
    Mutant(
        "any-account",
        5,
        "A role names one account.",
        DESIRED,
        '"bound_service_account_names": [identity.account]',
        '"bound_service_account_names": ["*"]',
        (EXACT,),
    ),
    Mutant(
        "tampering-unseen",
        5,
        "Every field of a role is compared with what it is to be.",
        ROLES,
        "    return {name: payload.get(name) for name in names}\n",
        "    wanted = {'audience': 'vault', 'alias_name_source': 'serviceaccount_uid'}\n"
        "    return {name: wanted.get(name, payload.get(name)) for name in names}\n",
        (f"{PUT_BACK}[audience]", f"{PUT_BACK}[alias_name_source]"),
    ),
    Mutant(
        "cidrs-unseen",
        5,
        "Fields that are to be empty are compared too.",
        ROLES,
        '"token_num_uses", "token_bound_cidrs"',
        '"token_num_uses"',
        (f"{PUT_BACK}[token_bound_cidrs]",),
    ),
    Mutant(
        "marker-anybody",
        5,
        "Nobody can log in as the marker of our prefix.",
        HOMES,
        '"bound_service_account_namespaces": ["_cluster_"]',
        '"bound_service_account_namespaces": ["*"]',
        (f"{GUARDS}::test_nobody_can_log_in_as_the_marker",),
    ),
    Mutant(
        "narrowing-keeps-tokens",
        6,
        "Narrower policies end the tokens that were issued.",
        ROLES,
        '        if set(before) - set(payload["token_policies"]):\n',
        "        if False:\n",
        (f"{GUARDS}::test_narrower_policies_end_the_tokens_after_the_role_is_narrow",),
    ),
    Mutant(
        "tokens-ended-before-role",
        6,
        "The role is narrow before tokens end, else the next login is a wide one.",
        ROLES,
        """        await self.write(home, role, payload)
        # Issued tokens keep the policies that they were issued with.
        if set(before) - set(payload["token_policies"]):
            await self.forget(home, self.account_of(role), role)
""",
        """        if set(before) - set(payload["token_policies"]):
            await self.forget(home, self.account_of(role), role)
        await self.write(home, role, payload)
""",
        (f"{GUARDS}::test_narrower_policies_end_the_tokens_after_the_role_is_narrow",),
    ),
    Mutant(
        "widening-ends-tokens",
        11,
        "Wider policies end no token: nothing was taken away.",
        ROLES,
        '        if set(before) - set(payload["token_policies"]):\n',
        "        if True:\n",
        (f"{GUARDS}::test_wider_policies_end_no_token",),
    ),
    Mutant(
        "role-gone-tokens-live",
        8,
        "A role that goes takes its tokens with it.",
        ROLES,
        "        await self.forget(home, self.account_of(role), role)\n"
        "        home.place.lose(role)\n",
        "        home.place.lose(role)\n",
        (f"{GUARDS}::test_a_role_that_is_not_asked_for_any_more_takes_its_tokens_with_it",),
    ),
    Mutant(
        "tokens-ended-before-role-goes",
        8,
        "The role goes before its tokens, else the next login makes new ones.",
        ROLES,
        """        await home.vault.delete(home.role_path(role))
        await self.forget(home, self.account_of(role), role)
""",
        """        await self.forget(home, self.account_of(role), role)
        await home.vault.delete(home.role_path(role))
""",
        (f"{GUARDS}::test_a_role_that_is_not_asked_for_any_more_takes_its_tokens_with_it",),
    ),
    Mutant(
        "entity-of-several-deleted",
        8,
        "An entity that somebody else has an alias of stays.",
        ROLES,
        "    if len(aliases) != 1:\n",
        "    if not aliases:\n",
        (f"{NOT_OURS}[_another_alias]",),
    ),
    Mutant(
        "entity-of-another-mount-deleted",
        8,
        "An entity of another auth mount stays.",
        ROLES,
        'alias.get("mount_accessor") == accessor\n        and ',
        "",
        (f"{NOT_OURS}[_another_mount]",),
    ),
    Mutant(
        "entity-of-another-account-deleted",
        8,
        "An entity whose login was another account's stays.",
        ROLES,
        """
        and (metadata.get("service_account_namespace"), metadata.get("service_account_name"))
        == owner
""",
        "\n",
        (f"{NOT_OURS}[_another_account]", f"{NOT_OURS}[_another_namespace]"),
    ),
    Mutant(
        "marker-not-looked-at",
        8,
        "A prefix that another cluster's marker is in is left alone.",
        HOMES,
        'elif marker.get("bound_service_account_names") != [uid]:',
        "elif False:",
        (f"{GUARDS}::test_a_prefix_that_another_cluster_has_is_left_alone",),
    ),
    Mutant(
        "sweep-without-asking",
        8,
        "A role that an identity wants is not swept.",
        OF_CLASS,
        "if owner is None or await wanted(partial(self._homes.may_be_at, home), Key(*owner)):",
        "if owner is None:",
        (f"{GUARDS}::test_only_what_nobody_wants_and_is_ours_is_swept",),
    ),
    Mutant(
        "nothing-swept",
        8,
        "A role under our prefix that nobody wants is swept.",
        OF_CLASS,
        "return Report(self.condition, problem=await self._sweep(home, wanted))",
        "return Report(self.condition)",
        (f"{GUARDS}::test_only_what_nobody_wants_and_is_ours_is_swept",),
    ),
    Mutant(
        "sweep-of-every-cluster",
        8,
        "A role under another cluster's prefix is nobody's.",
        "operator/agent_identity/core/names.py",
        "if len(parts) != 3 or parts[0] != cluster or not parts[1] or not parts[2]:",
        "if len(parts) != 3 or not parts[1] or not parts[2]:",
        (
            f"{GUARDS}::test_only_what_nobody_wants_and_is_ours_is_swept",
            "tests/unit/core/test_names.py::test_the_marker_and_other_clusters_roles_are_nobodys",
        ),
    ),
    Mutant(
        "stalled-one-wants",
        8,
        "A role that its identity may not have any more is swept.",
        "operator/agent_identity/reconcile/world.py",
        "if here and judge(facts).standing is Standing.GRANTED:",
        "if here:",
        (f"{GUARDS}::test_a_role_of_one_that_is_stalled_is_swept",),
    ),
    Mutant(
        "stale-list-believed",
        8,
        "A role that was made while the list was on its way is not forgotten.",
        HOMES,
        "place.roles = (ours - gone) | since | place.left",
        "place.roles = (ours - gone) | place.left",
        (f"{GUARDS}::test_a_role_made_while_the_list_was_on_its_way_is_not_forgotten",),
    ),
    Mutant(
        "other-classes-policies-deleted",
        3,
        "Of the policies in Vault, only the class's own are taken away.",
        OF_CLASS,
        "if name.startswith(prefix) and name not in keep:",
        'if name.startswith("agentid_") and name not in keep:',
        (f"{GUARDS}::test_a_policy_is_put_back_and_one_that_the_class_drops_goes",),
    ),
    Mutant(
        "dropped-policy-stays",
        7,
        "A policy that a class has no more is taken away.",
        OF_CLASS,
        "        await self._remove_policies(agent_class, home, keep=set(policies))\n",
        "",
        (f"{GUARDS}::test_a_policy_is_put_back_and_one_that_the_class_drops_goes",),
    ),
    Mutant(
        "policy-drift-unseen",
        11,
        "A policy that was changed behind our back is put back.",
        OF_CLASS,
        'if there is None or there.get("policy") != text:',
        "if there is None:",
        (f"{GUARDS}::test_a_policy_is_put_back_and_one_that_the_class_drops_goes",),
    ),
    Mutant(
        "policy-written-each-time",
        11,
        "A policy that is as it is to be is not written.",
        OF_CLASS,
        'if there is None or there.get("policy") != text:',
        "if True:",
        ("tests/unit/engine/test_rest_guards.py::test_at_rest_nothing_is_written",),
    ),
)
