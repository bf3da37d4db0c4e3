"""Records of the services where the zone is at the target; the zone itself exists and is only looked up."""

import pulumi_openstack as openstack
import settings
from servers import addresses

if settings.zone:
    found = openstack.dns.get_dns_zone(name=f"{settings.zone}.")
    for record in settings.records:
        openstack.dns.RecordSet(
            record["name"],
            zone_id=found.id,
            name=f"{record['name']}.{settings.zone}.",
            type="A",
            ttl=record["ttl"],
            records=[addresses[record["address"]].address],
        )
