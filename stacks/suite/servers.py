"""Hosts: another flavor is a resize in place; a new image or key of the same name replaces none of them."""

import pulumi
import pulumi_openstack as openstack
import settings
from network import network, subnet, way_out
from security import groups

if settings.key:
    key_name = openstack.compute.Keypair(
        "operator", name=f"{settings.client}-operator", public_key=settings.key
    ).name
else:
    key_name = settings.key_name or None

ports = {
    host["name"]: openstack.networking.Port(
        host["name"],
        name=f"{settings.client}-{host['name']}",
        network_id=network.id,
        admin_state_up=True,
        fixed_ips=[{"subnet_id": subnet.id, "ip_address": host["address"]}],
        security_group_ids=[groups[host["kind"]].id],
    )
    for host in settings.hosts
}


def system_disk(host):
    """Where the flavor has no disk, the system starts from a volume."""
    if not host.get("system-gb"):
        return {"image_name": settings.image}
    image = openstack.images.get_image(name=settings.image, most_recent=True)
    return {
        "block_devices": [
            {
                "uuid": image.id,
                "source_type": "image",
                "destination_type": "volume",
                "volume_size": host["system-gb"],
                "boot_index": 0,
                "delete_on_termination": True,
            }
        ]
    }


hosts = {
    host["name"]: openstack.compute.Instance(
        host["name"],
        name=f"{settings.client}-{host['name']}",
        flavor_name=host["flavor"],
        key_pair=key_name,
        config_drive=True,
        networks=[{"port": ports[host["name"]].id}],
        metadata={"client": settings.client, "roles": ",".join(host["roles"])},
        **system_disk(host),
        opts=pulumi.ResourceOptions(
            depends_on=[way_out],
            # either would replace the host, and with it what is not on a volume
            ignore_changes=["imageName", "imageId", "keyPair", "blockDevices"],
        ),
    )
    for host in settings.hosts
}

addresses = {
    host["public"]: openstack.networking.FloatingIp(
        host["public"],
        pool=settings.floating_pool,
        description=f"{settings.client} {host['public']}",
        opts=pulumi.ResourceOptions(protect=True),  # the records of the client's zone name it
    )
    for host in settings.hosts
    if host.get("public")
}

for host in settings.hosts:
    if host.get("public"):
        openstack.networking.FloatingIpAssociate(
            host["public"],
            floating_ip=addresses[host["public"]].address,
            port_id=ports[host["name"]].id,
            opts=pulumi.ResourceOptions(depends_on=[way_out]),
        )
