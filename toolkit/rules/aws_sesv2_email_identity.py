"""SES identity -> a relay of one's own or of the provider; reputation starts anew."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.outcomes import Loss, Outcome, Task, text
from toolkit.rule import Detail, Fetch, Rule, fields, noise
from toolkit.rules._services import way_out

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """New keys, new records, a slow start."""
    held = source.record.get("Identity") or {}
    domain = shlex.quote(source.name.rpartition("@")[2])
    yield way_out(ctx, "ses", text("Sends as {name}.", name=source.name))
    yield Task(
        "mail-records",
        text("Publish SPF, DKIM and DMARC of the new relay for {name}", name=source.name),
        "DKIM keys of SES stay with SES; mail without a valid signature is refused or filtered.",
        lead_days=21,
        role="network",
        check="\n".join(
            (
                f"dig +short TXT {domain}",
                f"dig +short TXT _dmarc.{domain}",
                f'dig +short TXT "${{DKIM_SELECTOR:?}}"._domainkey.{domain}',
            )
        ),
        expected="The first answer names the new relay beside SES, the second the policy, the third the new key.",
        undo="Remove the new key and relay from the records; those of SES were not touched.",
        minutes=30,
    )
    yield Loss(
        "Identity.DkimAttributes",
        "DKIM keys stay with SES, and so does the reputation of its addresses: publish new keys, and warm the new relay up over weeks.",
        "major",
    )
    if (held.get("MailFromAttributes") or {}).get("MailFromDomain"):
        yield Task(
            "mail-from",
            text(
                "Move the MAIL FROM domain {domain}",
                domain=held["MailFromAttributes"]["MailFromDomain"],
            ),
            "Its MX and SPF name SES.",
            lead_days=7,
            role="network",
            check="\n".join(f"dig +short {kind} {shlex.quote(held['MailFromAttributes']['MailFromDomain'])}" for kind in ("MX", "TXT")),
            expected="Both answers name the new relay, and a message that it sent has passed SPF.",
            undo="Put the records of SES back.",
            minutes=20,
        )  # fmt: skip


RULE = Rule(
    type="aws.sesv2.email_identity",
    title="SES identity",
    service="ses",
    tier=2,
    fetch=Fetch(
        "sesv2",
        "list_email_identities",
        "EmailIdentities[]",
        id="IdentityName",
        arn="arn:{partition}:ses:{region}:{account}:identity/{id}",
        tags="Identity.Tags",
        details=(Detail("get_email_identity", {"EmailIdentity": "IdentityName"}, into="Identity"),),
    ),
    translate=translate,
    carried=fields("Identity IdentityName"),
    noise=noise(derived="IdentityType SendingEnabled VerificationStatus"),
)
