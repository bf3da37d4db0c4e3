"""Listener -> Octavia listener; TLS ends at the balancer with a certificate from the secret store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.entry import Listener
from toolkit.outcomes import Loss, Option, Outcome, text
from toolkit.rule import Fetch, Lost, Rule, fields, noise
from toolkit.rules._balancers import action, allowed, listener_name

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Port and protocol with the default action; rules are resources of their own."""
    record = source.record
    balancer = ctx.key("aws.elbv2.load_balancer", record.get("LoadBalancerArn"), source)
    if balancer is None:
        yield Loss("LoadBalancerArn", "Its load balancer was not read.", "blocker")
        return
    said = record.get("Protocol", "HTTP")
    protocol = {
        "HTTP": "HTTP",
        "HTTPS": "TERMINATED_HTTPS",
        "TLS": "TERMINATED_HTTPS",
        "TCP": "TCP",
        "UDP": "UDP",
        "TCP_UDP": "TCP",
    }.get(said)
    if protocol is None:
        yield Loss(
            "Protocol", text("{protocol} listeners have no successor.", protocol=said), "blocker"
        )
        return
    if said == "TCP_UDP":
        yield Loss("Protocol", "Its UDP half needs a listener of its own.", "major")
    if said == "TLS" and ctx.decide(
        source.key, "tls", text("Where does TLS of port {port} end?", port=record.get("Port", 0)),
        (Option("balancer", "At the balancer", "Members get plain HTTP and headers."), Option("members", "At the members", "The balancer passes bytes on; certificates are on each member.")),
        "balancer", "It ends at the balancer today.",
    ) == "members":  # fmt: skip
        protocol = "TCP"
    held, losses = action(ctx, source, record.get("DefaultActions", []), "DefaultActions")
    yield from losses
    certificates = [
        ctx.key("aws.acm.certificate", each.get("CertificateArn"), source)
        for each in record.get("Certificates", [])
    ]
    held_by = ctx.estate.by_key[balancer]
    may, shut = allowed(
        ctx,
        held_by,
        held_by.record.get("SecurityGroups", []),
        [
            key
            for each in held_by.record.get("AvailabilityZones", [])
            if (key := ctx.key("aws.ec2.subnet", each.get("SubnetId"), held_by))
        ],
        "udp" if protocol == "UDP" else "tcp",
        record.get("Port", 80),
    )
    yield from (Loss("LoadBalancerArn", each.reason, each.severity) for each in shut)
    yield Listener(
        origin=source.key, name=listener_name(ctx, source), balancer=balancer, protocol=protocol, port=record.get("Port", 80), allowed=may, certificate=next((each for each in certificates if each), ""), **held,  # type: ignore[arg-type]
    )  # fmt: skip
    if record.get("SslPolicy"):
        yield Loss(
            "SslPolicy",
            text(
                "{policy} becomes the balancer's own set of ciphers; compare them.",
                policy=record["SslPolicy"],
            ),
        )
    if (record.get("MutualAuthentication") or {}).get("Mode") not in (None, "off"):
        yield Loss(
            "MutualAuthentication.Mode", "Client certificates have to be set up anew.", "major"
        )


RULE = Rule(
    type="aws.elbv2.listener",
    title="Listener",
    service="elb",
    fetch=Fetch(
        "elbv2",
        "describe_listeners",
        "Listeners[]",
        id="ListenerArn",
        name="{Protocol} {Port}",
        arn="ListenerArn",
        each="aws.elbv2.load_balancer",
        each_params={"LoadBalancerArn": "LoadBalancerArn"},
    ),
    translate=translate,
    carried=fields(
        "DefaultActions.Type DefaultActions.TargetGroupArn DefaultActions.ForwardConfig.TargetGroups.TargetGroupArn DefaultActions.ForwardConfig.TargetGroups.Weight DefaultActions.RedirectConfig.Protocol DefaultActions.RedirectConfig.Host DefaultActions.RedirectConfig.Path DefaultActions.RedirectConfig.StatusCode DefaultActions.RedirectConfig.Port DefaultActions.RedirectConfig.Query DefaultActions.FixedResponseConfig.StatusCode DefaultActions.FixedResponseConfig.MessageBody LoadBalancerArn Port Protocol Certificates.CertificateArn SslPolicy MutualAuthentication.Mode"
    ),
    lost={
        "DefaultActions.AuthenticateOidcConfig": Lost(
            "Sign-in in front of the application has to be a proxy's (oauth2-proxy) or its own.",
            "major",
        ),
        "DefaultActions.AuthenticateCognitoConfig": Lost(
            "Sign-in in front of the application has to be a proxy's (oauth2-proxy) or its own.",
            "major",
        ),
        "DefaultActions.JwtValidationConfig": Lost(
            "Checking of tokens has to be the application's.", "major"
        ),
        "DefaultActions.ForwardConfig.TargetGroupStickinessConfig.Enabled": "Sticking to one of several groups is not carried.",
        "AlpnPolicy": "Which protocols are offered in TLS is set anew.",
        "MutualAuthentication.TrustStoreArn": Lost(
            "Client certificates have to be set up anew.", "major"
        ),
    },
    noise=noise(
        id="ListenerArn",
        derived="DefaultActions.Order",
        internal="Certificates.IsDefault MutualAuthentication DefaultActions.FixedResponseConfig.ContentType DefaultActions.ForwardConfig",
    ),
)
