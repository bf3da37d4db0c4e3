"""One network of 24 bits behind a router; hosts have fixed addresses, DHCP gives out the last few."""

import pulumi_openstack as openstack
import settings

network = openstack.networking.Network(
    "suite", name=f"{settings.client}-suite", admin_state_up=True
)

subnet = openstack.networking.Subnet(
    "suite",
    name=f"{settings.client}-suite",
    network_id=network.id,
    cidr=settings.cidr,
    ip_version=4,
    gateway_ip=settings.gateway,
    enable_dhcp=True,
    allocation_pools=[{"start": settings.pool[0], "end": settings.pool[1]}],
)

router = openstack.networking.Router(
    "suite",
    name=f"{settings.client}-suite",
    admin_state_up=True,
    external_network_id=openstack.networking.get_network(
        name=settings.external_network, external=True
    ).id,
)

way_out = openstack.networking.RouterInterface("suite", router_id=router.id, subnet_id=subnet.id)
