"""ACM certificate -> issued anew: neither AWS's private key nor its renewal can be taken along."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.intents.entry import Certificate
from toolkit.outcomes import Disposition, Finding, Loss, Outcome, Task, text
from toolkit.rule import Detail, Fetch, Rule, fields, noise

if TYPE_CHECKING:
    from toolkit.estate.model import Resource
    from toolkit.translate import Context


def translate(source: Resource, ctx: Context) -> Iterator[Outcome]:
    """Used ones are issued anew into the secret store, before the switch."""
    held = source.record.get("Certificate") or {}
    names = tuple(
        sorted({held.get("DomainName") or source.name, *held.get("SubjectAlternativeNames", [])})
    )
    listeners = ctx.estate.having("aws.elbv2.listener", _certificates, source.id)
    used = bool(held.get("InUseBy")) or bool(listeners)
    if not used:
        yield Disposition(
            "retire", text("Nothing uses the certificate of {names}.", names=", ".join(names))
        )
        return
    yield Certificate(origin=source.key, name=held.get("DomainName") or source.name, names=names)
    kind = held.get("Type", "AMAZON_ISSUED")
    if kind == "IMPORTED":
        yield Loss(
            "Certificate.Type",
            "It was imported: whoever imported it still has the key and can put it into the new store.",
        )
    else:
        yield Finding(
            "certificate-stays",
            "warning",
            text(
                "The private key of {names} cannot be exported: a new certificate is issued before the switch.",
                names=", ".join(names),
            ),
        )
        methods = sorted(
            {o.get("ValidationMethod", "") for o in held.get("DomainValidationOptions", [])} - {""}
        )
        file = shlex.quote(names[0].replace("*", "_") if names else source.name)
        domains = " ".join(f"--domains {shlex.quote(name)}" for name in names)
        yield Task(
            "certificate",
            text("Issue a certificate for {name} by ACME", name=names[0] if names else source.name),
            "Where validation is by DNS the records must be writable at the new DNS first.",
            lead_days=7,
            role="network",
            settings=(
                (text("names"), ", ".join(names)),
                (text("validated at AWS by"), ", ".join(methods) or "DNS"),
            ),
            command=f'lego --accept-tos --email "${{ACME_EMAIL:?}}" --dns "${{DNS_PROVIDER:?}}" {domains} run',
            check=f"openssl x509 -in .lego/certificates/{file}.crt -noout -enddate -ext subjectAltName",
            expected="The certificate names all of these and ends in the future.",
            undo="None needed: nothing serves it yet, and it ends by itself.",
            gives=f"openssl pkcs12 -export -inkey .lego/certificates/{file}.key -in .lego/certificates/{file}.crt -passout pass: | base64 --wrap=0",
            minutes=20,
        )
    if held.get("CertificateAuthorityArn"):
        yield Loss(
            "Certificate.CertificateAuthorityArn",
            "The private authority stays in AWS: build one of your own (step-ca) and spread its root.",
            "major",
        )


def _certificates(listener: Resource) -> Iterator[object]:
    for each in listener.record.get("Certificates", []):
        yield each.get("CertificateArn")


RULE = Rule(
    type="aws.acm.certificate",
    title="ACM certificate",
    service="acm",
    fetch=Fetch(
        "acm",
        "list_certificates",
        "CertificateSummaryList[]",
        id="CertificateArn",
        name="DomainName",
        arn="CertificateArn",
        tags="Tags",
        details=(
            Detail(
                "describe_certificate",
                {"CertificateArn": "CertificateArn"},
                into="Certificate",
                path="Certificate",
            ),
            Detail(
                "list_tags_for_certificate",
                {"CertificateArn": "CertificateArn"},
                into="Tags",
                path="Tags[]",
            ),
        ),
    ),
    translate=translate,
    carried=fields(
        "Certificate.DomainName Certificate.SubjectAlternativeNames Certificate.InUseBy Certificate.Type Certificate.DomainValidationOptions.ValidationMethod Certificate.CertificateAuthorityArn"
    ),
    lost={
        "Certificate.Options.Export": "Exporting by ACM ends.",
        "Tags": "The new certificate carries no tags.",
    },
    noise=noise(
        id="CertificateArn Certificate.CertificateArn Certificate.Serial Certificate.AcmeEndpointArn Certificate.AcmeAccountId",
        timestamp="NotBefore NotAfter CreatedAt IssuedAt ImportedAt RevokedAt Certificate.CreatedAt Certificate.IssuedAt Certificate.ImportedAt Certificate.RevokedAt Certificate.NotBefore Certificate.NotAfter",
        internal="Certificate.KeyAlgorithm Certificate.SignatureAlgorithm Certificate.KeyUsages Certificate.ExtendedKeyUsages Certificate.Options Certificate.ManagedBy Certificate.CertificateKeyPairOrigin Certificate.CertificateUsage Certificate.RootHierarchyType KeyAlgorithm KeyUsages ExtendedKeyUsages ExportOption ManagedBy CertificateKeyPairOrigin CertificateUsage RootHierarchyType Certificate.UpdateSummary",
        derived="DomainName SubjectAlternativeNameSummaries HasAdditionalSubjectAlternativeNames Status Type InUse Exported RenewalEligibility Certificate.Status Certificate.Subject Certificate.Issuer Certificate.RevocationReason Certificate.FailureReason Certificate.RenewalSummary Certificate.RenewalEligibility Certificate.DomainValidationOptions",
    ),
)
