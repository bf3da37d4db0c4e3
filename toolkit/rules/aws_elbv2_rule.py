"""Listener rule -> L7 policy with its conditions, in the order of priorities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.entry import Route
from toolkit.outcomes import Disposition, Loss, Outcome, text
from toolkit.rule import Fetch, Lost, Rule, fields, noise
from toolkit.rules._balancers import action, listener_name, listener_of

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


_CONFIG = {
    "host-header": "HostHeaderConfig",
    "path-pattern": "PathPatternConfig",
    "http-header": "HttpHeaderConfig",
}


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """The default rule is the listener's own; others become policies."""
    record = source.record
    listener = listener_of(ctx, source)
    if record.get("IsDefault") or record.get("Priority") == "default":
        yield Disposition(
            "absorbed", "The default action of its listener.", into=listener.key if listener else ""
        )
        return
    if listener is None:
        yield Loss("RuleArn", "Its listener was not read.", "blocker")
        return
    conditions: list[tuple[str, str, str, str]] = []
    for each in record.get("Conditions", []):
        kind = each.get("Field", "")
        held = each.get(_CONFIG.get(kind, "")) or {}
        values = held.get("Values") or each.get("Values") or []
        if kind not in _CONFIG or held.get("RegexValues"):
            yield Loss(
                "Conditions.Field",
                text(
                    "Octavia cannot decide by {kind}; without that the rule would match too much, so it is left out.",
                    kind=kind or text("this"),
                ),
                "major",
            )
            return
        what = {"host-header": "HOST_NAME", "path-pattern": "PATH", "http-header": "HEADER"}[kind]
        pattern = "|".join(_regex(value) for value in values)
        if len(values) == 1 and "*" not in values[0] and "?" not in values[0]:
            conditions.append((what, "EQUAL_TO", held.get("HttpHeaderName", ""), values[0]))
        elif (
            len(values) == 1
            and what == "PATH"
            and values[0].endswith("*")
            and "*" not in values[0][:-1]
            and "?" not in values[0]
        ):
            conditions.append((what, "STARTS_WITH", "", values[0][:-1]))
        elif values:
            conditions.append((what, "REGEX", held.get("HttpHeaderName", ""), f"^({pattern})$"))
    said, losses = action(ctx, source, record.get("Actions", []), "Actions")
    yield from losses
    if kinds := sorted({each.get("Type", "") for each in record.get("Transforms", [])} - {""}):
        yield Loss(
            "Transforms.Type",
            text(
                "Rewriting ({kinds}) has to be the application's or a proxy's.",
                kinds=", ".join(kinds),
            ),
            "major",
        )
    if not said or not conditions:
        yield Disposition(
            "refactor",
            "Nothing of it can be said to Octavia.",
            way_out="A proxy behind the balancer",
            work="Write the rule for nginx or HAProxy.",
        )
        return
    yield Route(
        origin=source.key,
        name=f"{listener_name(ctx, listener)}-{record.get('Priority', 1)}",
        listener=listener.key,
        position=int(record.get("Priority") or 1),
        conditions=tuple(conditions),
        **said,
    )


def _regex(value: str) -> str:
    """ALB's `*` and `?` as a regular expression."""
    return "".join(
        {"*": ".*", "?": "."}.get(char, f"\\{char}" if char in ".+()[]{}^$|\\" else char)
        for char in value
    )


RULE = Rule(
    type="aws.elbv2.rule",
    title="Listener rule",
    service="elb",
    fetch=Fetch(
        "elbv2",
        "describe_rules",
        "Rules[]",
        id="RuleArn",
        name="rule {Priority}",
        arn="RuleArn",
        each="aws.elbv2.listener",
        each_params={"ListenerArn": "ListenerArn"},
    ),
    translate=translate,
    carried=fields(
        "Actions.Type Actions.TargetGroupArn Actions.ForwardConfig.TargetGroups.TargetGroupArn Actions.ForwardConfig.TargetGroups.Weight Actions.RedirectConfig.Protocol Actions.RedirectConfig.Host Actions.RedirectConfig.Path Actions.RedirectConfig.StatusCode Actions.RedirectConfig.Port Actions.RedirectConfig.Query Actions.FixedResponseConfig.StatusCode Actions.FixedResponseConfig.MessageBody Priority IsDefault Conditions.Field Conditions.Values Conditions.HostHeaderConfig.Values Conditions.PathPatternConfig.Values Conditions.HttpHeaderConfig.HttpHeaderName Conditions.HttpHeaderConfig.Values "
        "Conditions.HostHeaderConfig.RegexValues Conditions.PathPatternConfig.RegexValues Conditions.HttpHeaderConfig.RegexValues Transforms.Type"
    ),
    lost={
        "Actions.AuthenticateOidcConfig": Lost(
            "Sign-in in front of the application has to be a proxy's (oauth2-proxy) or its own.",
            "major",
        ),
        "Actions.AuthenticateCognitoConfig": Lost(
            "Sign-in in front of the application has to be a proxy's (oauth2-proxy) or its own.",
            "major",
        ),
        "Actions.JwtValidationConfig": Lost(
            "Checking of tokens has to be the application's.", "major"
        ),
        "Actions.ForwardConfig.TargetGroupStickinessConfig.Enabled": "Sticking to one of several groups is not carried.",
        "Conditions.QueryStringConfig": Lost("Octavia cannot decide by the query.", "major"),
        "Conditions.HttpRequestMethodConfig": Lost("Octavia cannot decide by the method.", "major"),
        "Conditions.SourceIpConfig": Lost(
            "Octavia cannot decide by the client's address.", "major"
        ),
        "Conditions.RegexValues": Lost("Regular expressions have to be written anew.", "major"),
        "Transforms": Lost(
            "Rewriting of hosts and paths has to be the application's or a proxy's.", "major"
        ),
    },
    noise=noise(
        id="RuleArn",
        derived="Actions.Order",
        internal="Actions.FixedResponseConfig.ContentType Actions.ForwardConfig",
    ),
    unordered=fields("Conditions"),
)
