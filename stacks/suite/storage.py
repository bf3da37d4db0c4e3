"""Volumes belong to roles: protected, grown while attached; one goes with its role to another host."""

import pulumi
import pulumi_openstack as openstack
import settings
from servers import hosts

volumes = {
    volume["name"]: openstack.blockstorage.Volume(
        volume["name"],
        name=f"{settings.client}-{volume['name']}",
        size=volume["gb"],
        volume_type=volume["type"] or None,
        availability_zone=settings.volume_zone,
        enable_online_resize=True,
        metadata={"client": settings.client, "role": volume["role"]},
        # another class or zone would replace it: that is a move of data, and a person's decision
        opts=pulumi.ResourceOptions(
            protect=True,
            ignore_changes=["volumeType", "availabilityZone"],
            # a host is resized first: Nova attaches its volumes anew, and refuses one that is just being extended
            depends_on=[hosts[volume["host"]]],
        ),
    )
    for volume in settings.volumes
}

attachments = {
    volume["name"]: openstack.compute.VolumeAttach(
        volume["name"],
        instance_id=hosts[volume["host"]].id,
        volume_id=volumes[volume["name"]].id,
        opts=pulumi.ResourceOptions(delete_before_replace=True),
    )
    for volume in settings.volumes
}
