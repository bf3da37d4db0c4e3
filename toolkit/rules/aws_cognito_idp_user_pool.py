"""Cognito user pool -> Keycloak; passwords cannot be exported, and that shapes the whole move."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Finding, Loss, Move, Outcome, Task, text
from toolkit.rule import Detail, Fetch, Rule, fields, noise
from toolkit.rules._services import way_out

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Users travel, passwords do not."""
    pool = source.record.get("Pool") or {}
    mfa = pool.get("MfaConfiguration")
    clients = [each.get("ClientName", "") for each in source.record.get("Clients", [])]
    yield way_out(
        ctx,
        "cognito",
        text(
            "A pool with {clients} clients, MFA on."
            if mfa == "ON"
            else "A pool with {clients} clients, MFA optional."
            if mfa == "OPTIONAL"
            else "A pool with {clients} clients, MFA off.",
            clients=len(clients),
        ),
    )
    yield Move("identity", text("the accounts of {name}", name=source.name))
    yield Finding(
        "passwords-stay",
        "warning",
        text(
            "The passwords of {name} cannot be exported: people sign in once through the old pool, or set a new one.",
            name=source.name,
        ),
    )
    yield Loss(
        "Pool.Policies",
        "Passwords stay behind; plan a migration at sign-in while AWS still answers, or a reset.",
        "major",
    )
    hooks = sorted(pool.get("LambdaConfig") or {})
    if hooks:
        yield Loss(
            "Pool.LambdaConfig",
            text("The hooks {hooks} become Keycloak's own extensions.", hooks=", ".join(hooks)),
            "major",
        )
    if clients:
        named = sorted(clients)
        yield Task(
            "oidc-clients",
            text("Create the clients of {name} in Keycloak", name=source.name),
            "Client ids, secrets and the issuer all change; so does the `sub` of each user.",
            lead_days=5,
            role="security",
            settings=(
                (text("clients"), ", ".join(named)),
                (
                    text("redirect addresses"),
                    text("as in the pool's app clients; set each in Keycloak"),
                ),
            ),
            command=" &&\n".join(
                f'kcadm.sh create clients -r "${{REALM:?}}" -s {shlex.quote(f"clientId={each}")} -s enabled=true -s publicClient=false'
                for each in named
            ),
            check=" &&\n".join(
                f'kcadm.sh get clients -r "${{REALM:?}}" -q {shlex.quote(f"clientId={each}")} --fields clientId,enabled'
                for each in named
            ),
            expected="Each client is there; its secret went to its owner through the secret store, and one person has signed in through it.",
            undo="Delete the clients in Keycloak; the pool still serves everybody.",
            minutes=15 * len(named),
            basis="15 minutes per client, estimated",
        )


RULE = Rule(
    type="aws.cognito_idp.user_pool",
    title="Cognito user pool",
    service="cognito",
    tier=2,
    fetch=Fetch(
        "cognito-idp",
        "list_user_pools",
        "UserPools[]",
        id="Id",
        name="Name",
        arn="Pool.Arn",
        tags="Pool.UserPoolTags",
        params={"MaxResults": 60},
        details=(
            Detail("describe_user_pool", {"UserPoolId": "Id"}, into="Pool", path="UserPool"),
            Detail(
                "list_user_pool_clients",
                {"UserPoolId": "Id"},
                into="Clients",
                path="UserPoolClients[]",
                constants={"MaxResults": 60},
            ),
        ),
    ),
    translate=translate,
    carried=fields("Pool Clients"),
    noise=noise(
        id="Id",
        timestamp="LastModifiedDate CreationDate",
        derived="Name LambdaConfig Status ReplicaRegions",
    ),
    volatile=fields("Pool.EstimatedNumberOfUsers"),
)
