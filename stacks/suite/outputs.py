"""What an inventory needs: hosts with their addresses and roles, volumes by id."""

import pulumi
import settings
from backup import container
from servers import addresses, hosts
from storage import attachments, volumes

pulumi.export(
    "hosts",
    {
        host["name"]: {
            "id": hosts[host["name"]].id,
            "address": host["address"],
            "floating_address": addresses[host["public"]].address if host.get("public") else "",
            "flavor": host["flavor"],
            "roles": host["roles"],
        }
        for host in settings.hosts
    },
)
pulumi.export(
    "volumes",
    {
        volume["name"]: {
            "id": volumes[volume["name"]].id,
            "host": volume["host"],
            "gb": volume["gb"],
            "mount": volume["mount"],
            "device": attachments[volume["name"]].device,
        }
        for volume in settings.volumes
    },
)
pulumi.export("addresses", {name: held.address for name, held in addresses.items()})
pulumi.export("backup_container", container.name if container is not None else "")
