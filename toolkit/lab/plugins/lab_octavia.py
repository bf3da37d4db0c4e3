# mypy: ignore-errors
"""Octavia's network driver -> VIPs that are real Neutron ports; the amphorae behind them do not exist.

Runs in Debian's Python with Octavia's packages, not in this package's environment. Octavia's own `noop` provider
never reports a status, so its balancers stay PENDING_CREATE; the amphora provider with no-op drivers becomes ACTIVE.
"""

from neutronclient.common import exceptions as neutron
from octavia.network import base
from octavia.network.drivers.neutron import allowed_address_pairs
from octavia.network.drivers.noop_driver import driver as noop

REAL = frozenset(
    [
        "allocate_vip",
        "get_network",
        "get_subnet",
        "get_port",
        "get_network_by_name",
        "get_subnet_by_name",
        "get_port_by_name",
        "get_port_by_net_id",
        "get_security_group",
        "get_qos_policy",
        "apply_qos_on_port",
        "get_network_ip_availability",
        "qos_enabled",
    ]
)


class LabNetworkDriver(noop.NoopNetworkDriver):
    """Neutron's answers for what users see; the no-op driver's for the networks and ports of amphorae."""

    def __init__(self):
        super().__init__()
        self._real = allowed_address_pairs.AllowedAddressPairsDriver()

    def __getattribute__(self, name):
        held = super().__getattribute__(name)
        if name not in REAL:
            return held
        real = getattr(super().__getattribute__("_real"), name)
        if not callable(real):
            return real

        def call(*args, **kwargs):
            try:
                return real(*args, **kwargs)
            except (base.NetworkNotFound, base.PortNotFound, base.SubnetNotFound):
                if name == "allocate_vip":
                    raise
                return held(*args, **kwargs)

        return call

    def deallocate_vip(self, vip):
        """Delete the port of the VIP, unless the user made it."""
        try:
            if self._real.get_port(vip.port_id).device_owner == allowed_address_pairs.OCTAVIA_OWNER:
                self._real.neutron_client.delete_port(vip.port_id)
        except (base.PortNotFound, neutron.PortNotFoundClient):
            pass
