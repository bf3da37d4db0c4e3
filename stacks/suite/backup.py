"""The container of the backups, at a second provider or region."""

import pulumi
import pulumi_openstack as openstack
import settings

container = None
if settings.backup:
    provider = None
    if settings.backup.get("os-cloud"):
        provider = openstack.Provider(
            "backup",
            cloud=settings.backup["os-cloud"],
            region=settings.backup.get("region") or None,
        )
    container = openstack.objectstorage.Container(
        "backup",
        name=settings.backup["container"],
        region=settings.backup.get("region") or None,
        opts=pulumi.ResourceOptions(protect=True, provider=provider),
    )
