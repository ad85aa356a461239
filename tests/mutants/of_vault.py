"""Invariant 5, and what of invariants 3, 6 and 8 happens in Vault."""

from mutants.model import Mutant

DESIRED = "operator/agent_identity/providers/vault/desired.py"
ROLES = "operator/agent_identity/providers/vault/roles.py"
HOMES = "operator/agent_identity/providers/vault/homes.py"
OF_CLASS = "operator/agent_identity/providers/vault/of_class.py"
BACKEND = "operator/agent_identity/providers/vault/backend.py"
CLASSES = "operator/agent_identity/reconcile/classes.py"
ROOM = "tests/unit/providers/test_vault_room.py"
GUARDS = "tests/unit/engine/test_vault_guards.py"
NAMES = "tests/unit/core/test_names.py"
WHOLE = f"{ROOM}::test_the_payload_is_always_whole"
EXACT = f"{ROOM}::test_it_names_one_account_one_namespace_and_an_audience"
PUT_BACK = f"{GUARDS}::test_whatever_is_changed_in_a_role_is_put_back"
UNREACHED = f"{GUARDS}::test_while_one_address_was_never_reached_its_identities_keep_their_roles"
UNENDED = f"{GUARDS}::test_tokens_that_could_not_be_ended_are_not_forgotten"
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
        '"bound_service_account_namespaces": ["_nobody_"]',
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
        """            await self.write(home, role, _unended(payload))
            await self.forget(home, self.account_of(role), role)
""",
        """            await self.forget(home, self.account_of(role), role)
            await self.write(home, role, _unended(payload))
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
        "            await self.forget(home, account, role)\n",
        "",
        (f"{GUARDS}::test_a_role_that_is_not_asked_for_any_more_takes_its_tokens_with_it",),
    ),
    Mutant(
        "tokens-ended-before-role-is-shut",
        8,
        "The role is shut before its tokens end, else the next login makes new ones.",
        ROLES,
        """            await self.write(home, role, shut_role(_UNENDED))
            await self.forget(home, account, role)
""",
        """            await self.forget(home, account, role)
            await self.write(home, role, shut_role(_UNENDED))
""",
        (f"{GUARDS}::test_a_role_that_is_not_asked_for_any_more_takes_its_tokens_with_it",),
    ),
    Mutant(
        "role-gone-before-its-tokens",
        8,
        "A role is there until its tokens have ended, else nobody would try again.",
        ROLES,
        """            await self.write(home, role, shut_role(_UNENDED))
            await self.forget(home, account, role)
        await home.vault.delete(home.role_path(role))
""",
        """            await self.write(home, role, shut_role(_UNENDED))
        await home.vault.delete(home.role_path(role))
        await self.forget(home, account, role)
""",
        (f"{UNENDED}[none-tried again]", f"{UNENDED}[none-by a new process]"),
    ),
    Mutant(
        "role-on-its-way-out-left-open",
        8,
        "Nobody logs in by a role that is on its way out.",
        ROLES,
        "            await self.write(home, role, shut_role(_UNENDED))\n",
        "",
        (f"{GUARDS}::test_nobody_can_log_in_by_a_role_that_is_on_its_way_out",),
    ),
    Mutant(
        "narrow-role-tells-of-no-tokens",
        6,
        "Until the tokens of wider policies have ended, the role says that they have not.",
        ROLES,
        "            await self.write(home, role, _unended(payload))\n",
        "            await self.write(home, role, payload)\n",
        (f"{UNENDED}[fewer policies-tried again]", f"{UNENDED}[fewer policies-by a new process]"),
    ),
    Mutant(
        "old-tokens-told-by-the-role-unseen",
        6,
        "What a role says of older tokens is read as more than it gives.",
        ROLES,
        'unended = _UNENDED in (payload.get("bound_service_account_names") or ())',
        "unended = False",
        (f"{UNENDED}[fewer policies-by a new process]",),
    ),
    Mutant(
        "old-tokens-keep-the-agent-out",
        11,
        "While old tokens are ended the agent can log in with what it still has.",
        ROLES,
        'names = [*payload["bound_service_account_names"], _UNENDED]',
        "names = [_UNENDED]",
        (f"{GUARDS}::test_while_old_tokens_end_the_agent_can_log_in_with_what_it_has_now",),
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
        "place.roles = (ours - gone) | since",
        "place.roles = (ours - gone)",
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
    Mutant(
        "gone-role-believed-in",
        8,
        "A role that went while the list was on its way is not taken for one that is there.",
        HOMES,
        "place.roles = (ours - gone) | since",
        "place.roles = ours | since",
        (f"{GUARDS}::test_a_role_that_went_while_the_list_was_on_its_way_is_not_taken_again",),
    ),
    Mutant(
        "unlisted-vault-taken-for-empty",
        12,
        "A withdrawn role may be at a Vault that was not listed since the start.",
        BACKEND,
        'return "", next(iter(self._unlisted(facts).values()), None)',
        'return "", None',
        (f"{GUARDS}::test_a_role_that_may_be_at_a_vault_not_listed_yet_is_not_called_gone",),
    ),
    Mutant(
        "unlisted-vault-owed-nothing",
        8,
        "What may be at such a Vault is owed to it.",
        BACKEND,
        "{*self._homes.with_role(role, first=own), *self._unlisted(facts)}",
        "set(self._homes.with_role(role, first=own))",
        (f"{GUARDS}::test_what_may_be_at_a_vault_not_listed_yet_is_owed",),
    ),
    Mutant(
        "unlisted-vault-concerns-everybody",
        10,
        "Who never had a role waits for no Vault.",
        BACKEND,
        "if facts.identity.vault is not None or not told:",
        "if facts.identity.vault is not None:",
        (f"{GUARDS}::test_who_never_had_a_role_waits_for_no_vault",),
    ),
    Mutant(
        "addresses-are-places",
        10,
        "Of two addresses of one Vault neither takes the other's roles.",
        HOMES,
        "next((h.place for h in self._known.values() if h.is_at(home)), home.place)",
        "home.place",
        (
            f"{GUARDS}::test_of_a_vault_with_two_addresses_neither_class_takes_the_others_roles",
            f"{GUARDS}::test_a_class_that_goes_leaves_the_others_roles_at_the_same_vault",
        ),
    ),
    Mutant(
        "all-vaults-are-one",
        8,
        "What an identity has at one Vault keeps no role of the name at another.",
        HOMES,
        "        return same and self.mount == other.mount\n",
        "        return self.mount == other.mount\n",
        (f"{GUARDS}::test_at_another_vault_a_role_of_the_same_name_goes",),
    ),
    Mutant(
        "unreached-address-is-another-vault",
        10,
        "What an identity wants at an address that was never reached is swept nowhere.",
        HOMES,
        "return known is None or known.place is home.place",
        "return known is not None and known.place is home.place",
        (UNREACHED,),
    ),
    Mutant(
        "role-of-an-unreached-address-taken",
        10,
        "A role that may be the one at an address that was never reached is not taken away.",
        BACKEND,
        "return None if unreached and digest == _due(facts) else _role(ref, digest)",
        "return _role(ref, digest)",
        (UNREACHED,),
    ),
    Mutant(
        "unreached-address-keeps-all",
        7,
        "A role that gives what is not allowed goes, though it may be at an unreached address.",
        BACKEND,
        "return None if unreached and digest == _due(facts) else _role(ref, digest)",
        "return None if unreached else _role(ref, digest)",
        (f"{GUARDS}::test_while_one_address_was_never_reached_a_wider_role_goes",),
    ),
    Mutant(
        "others-address-asked",
        10,
        "An identity's role is taken away by its own class's address.",
        HOMES,
        "key=lambda name: (name == first, name))",
        "key=lambda name: (name != first, name))",
        (f"{GUARDS}::test_an_identity_goes_though_the_others_address_is_down",),
    ),
    Mutant(
        "swept-by-each-class",
        11,
        "A role that one class is sweeping is not swept by another.",
        OF_CLASS,
        "if role in place.roles and role not in place.going:",
        "if role in place.roles:",
        (f"{GUARDS}::test_what_nobody_wants_at_a_vault_with_two_addresses_is_swept_once",),
    ),
    Mutant(
        "one-role-ends-the-sweep",
        10,
        "A role that can't be swept keeps no other there.",
        OF_CLASS,
        "                failures[role] = failure\n",
        ("                failures[role] = failure\n                break\n"),
        (f"{GUARDS}::test_a_role_that_cannot_be_swept_keeps_no_other_there",),
    ),
    Mutant(
        "unswept-first",
        10,
        "What could not be swept comes last: after a failure Vault is left alone for a moment.",
        OF_CLASS,
        "key=lambda role: (role in place.left, role)",
        "key=lambda role: (role,)",
        (f"{GUARDS}::test_what_could_not_be_swept_comes_last_the_next_time",),
    ),
    Mutant(
        "unswept-is-trouble",
        10,
        "A role that can't be swept holds back no identity and no debt.",
        OF_CLASS,
        (
            "        self._troubles.pop(agent_class.name, None)\n"
            "        return Report(self.condition, problem=await self._sweep(home, wanted))\n"
        ),
        (
            "        if left := await self._sweep(home, wanted):\n"
            "            raise left\n"
            "        self._troubles.pop(agent_class.name, None)\n"
            "        return Report(self.condition)\n"
        ),
        (
            f"{GUARDS}::test_a_role_that_cannot_be_swept_holds_no_identity_back",
            f"{GUARDS}::test_a_role_that_cannot_be_swept_keeps_no_debt_from_being_paid",
        ),
    ),
    Mutant(
        "unswept-untold",
        12,
        "A class tells of a role that can't be swept, and tries again.",
        OF_CLASS,
        "        return Report(self.condition, problem=await self._sweep(home, wanted))\n",
        ("        await self._sweep(home, wanted)\n        return Report(self.condition)\n"),
        (f"{GUARDS}::test_a_role_that_cannot_be_swept_keeps_no_other_there",),
    ),
    Mutant(
        "one-debt-keeps-all",
        10,
        "A debt that can't be paid keeps no other from being paid.",
        CLASSES,
        "                unpaid = unpaid or problem\n",
        ("                unpaid = unpaid or problem\n                break\n"),
        (f"{GUARDS}::test_a_debt_that_cannot_be_paid_keeps_no_other_from_being_paid",),
    ),
    Mutant(
        "class-not-held-untold",
        12,
        "What keeps a class from being held is told to its identities.",
        CLASSES,
        (
            "            room.note(agent_class, problem)\n"
            "            return Report(room.condition, problem=problem), None\n"
        ),
        "            return Report(room.condition, problem=problem), None\n",
        (f"{GUARDS}::test_what_keeps_a_class_from_being_held_is_told_to_its_identities",),
    ),
    Mutant(
        "class-not-left-untold",
        12,
        "What keeps a class from being left, be it a debt, is told to its identities.",
        CLASSES,
        "                room.note(agent_class, problem)\n            report",
        "                pass\n            report",
        (f"{GUARDS}::test_while_a_debt_keeps_a_class_from_being_left_its_identities_are_told",),
    ),
    Mutant(
        "class-freed-of-others-finalizers",
        3,
        "A finalizer that somebody put on a class while it was left stays.",
        CLASSES,
        "for f in current.meta.finalizers if",
        "for f in agent_class.meta.finalizers if",
        (f"{GUARDS}::test_a_finalizer_that_came_while_the_class_was_left_stays",),
    ),
    Mutant(
        "gone-class-served",
        8,
        "For a class that is gone nothing is written, and from one made anew nothing is taken.",
        CLASSES,
        "agent_class = await self._as_it_is(known)",
        "agent_class: AgentClass | None = known",
        (
            f"{GUARDS}::test_for_a_class_that_is_gone_nothing_is_written[True]",
            f"{GUARDS}::test_from_a_class_that_was_made_anew_nothing_is_taken",
        ),
    ),
    Mutant(
        "gone-class-held",
        8,
        "A class that goes before it is held has nothing written for it.",
        CLASSES,
        "        if not there:\n",
        "        if False:\n",
        (f"{GUARDS}::test_for_a_class_that_goes_before_it_is_held_nothing_is_written",),
    ),
)
