"""Answers in the shape of AWS's own for what moto lacks: WorkMail, Resource Explorer, and what a backup plan selects."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

SERVICES = ("workmail", "resource-explorer-2")
_MAIN = "111122223333"

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def answer(service: str, operation: str, region: str) -> dict[str, Any] | None:
    """The recorded answer of an operation, or None where there is none."""
    if service == "workmail" and operation == "ListOrganizations":
        held = [
            {
                "OrganizationId": "m-5f1c0a7d2b3e4c6f8a9b0c1d2e3f4a5b",
                "Alias": "lumiere",
                "DefaultMailDomain": "lumiere.example",
                "State": "Active",
            }
        ]
        return {"OrganizationSummaries": held if region == "eu-west-1" else []}
    if service == "resource-explorer-2" and operation == "Search":
        kinds = [
            ("appstream:fleet", "fleet/tills", 1),
            ("glue:job", "job/nightly-sales", 3),
            ("quicksight:dashboard", "dashboard/revenue", 2),
        ]
        resources = [
            {
                "Arn": f"arn:aws:{kind.split(':')[0]}:{region}:{_MAIN}:{name}-{n}",
                "OwningAccountId": _MAIN,
                "Region": region,
                "ResourceType": kind,
                "Service": kind.split(":")[0],
            }
            for kind, name, count in kinds
            for n in range(count)
        ]
        return {
            "Resources": resources if region == "eu-central-1" else [],
            "Count": {"Complete": True, "TotalResources": len(resources)},
            "ViewArn": "",
        }
    return None


def with_recorded(inner: Wsgi, owner: str = "") -> Wsgi:
    """A WSGI application that answers the recorded services and hands everything else on.

    The access key `owner` speaks for the main account, an assumed role's for the role's account
    (without one every key is moto's default account, and gets what is recorded); queues are asked at AWS's own host name, so that their URLs read as AWS's do.
    """

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        parts = environ.get("HTTP_AUTHORIZATION", "").split("Credential=", 1)[-1].split("/")
        service, region = (parts[3], parts[2]) if len(parts) > 3 else ("", "")
        mine = parts[0] == owner or not owner
        if service == "backup" and environ.get("PATH_INFO", "").rstrip("/").endswith("/selections"):
            body = json.dumps({"BackupSelectionsList": []}).encode()
            start_response(
                "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
            )
            return [body]
        if service in SERVICES:
            target = environ.get("HTTP_X_AMZ_TARGET", "").rsplit(".", 1)[-1] or environ.get(
                "PATH_INFO", ""
            ).strip("/")
            held = answer(service, target, region if mine else "")
            body = json.dumps(
                held
                if held is not None
                else {"__type": "UnknownOperationException", "message": "not recorded"}
            ).encode()
            start_response(
                "200 OK" if held is not None else "501 Not Implemented",
                [
                    ("Content-Type", "application/x-amz-json-1.1"),
                    ("Content-Length", str(len(body))),
                ],
            )
            return [body]
        if owner and mine:
            environ["HTTP_X_MOTO_ACCOUNT_ID"] = _MAIN
        if service == "sqs":
            environ["HTTP_HOST"] = f"sqs.{region}.amazonaws.com"
            environ["wsgi.url_scheme"] = "https"
        return inner(environ, start_response)

    return app


@contextmanager
def accounts(ids: Iterable[str]) -> Iterator[None]:
    """Accounts that are made while the block runs get these ids, in order."""
    from moto.organizations import utils

    made, before = iter(ids), utils.make_random_account_id
    utils.make_random_account_id = lambda: next(made)
    try:
        yield
    finally:
        utils.make_random_account_id = before
