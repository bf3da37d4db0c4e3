# mypy: ignore-errors
# ruff: noqa: ARG002 - the signatures are Manila's
"""Manila's share driver -> shares whose server is a real Neutron port on the customer's network; nobody exports there.

Runs in Debian's Python with Manila's packages, not in this package's environment. Manila's own dummy driver wants an
operator's network besides and takes seconds for each step; this one keeps nothing and refuses what NFS would.
"""

from manila import exception
from manila.share import driver

ENDLESS = 1 << 20
"""GiB that the pool offers, always free: nothing is stored."""


class LabShareDriver(driver.ShareDriver):
    """One share server for each share network, with one address; NFS, admitted by address."""

    def __init__(self, *args, **kwargs):
        super().__init__(True, *args, **kwargs)

    def get_network_allocations_number(self):
        return 1

    def _setup_server(self, network_info, metadata=None):
        return {"ip": network_info[0]["network_allocations"][0]["ip_address"]}

    def _teardown_server(self, server_details, security_services=None):
        """The port goes with Manila's own call to Neutron."""

    def _update_share_stats(self, data=None):
        pool = {
            "pool_name": "lab",
            "total_capacity_gb": ENDLESS,
            "free_capacity_gb": ENDLESS,
            "reserved_percentage": 0,
            "reserved_snapshot_percentage": 0,
            "reserved_share_extend_percentage": 0,
        }
        super()._update_share_stats(
            {"share_backend_name": "lab", "storage_protocol": "NFS", "driver_name": "lab", "snapshot_support": True,
             "create_share_from_snapshot_support": True, "pools": [pool]}
        )  # fmt: skip

    def get_pool(self, share):
        return "lab"

    def _exports(self, share, server):
        if share["share_proto"].upper() != "NFS":
            raise exception.InvalidShare(reason=f"{share['share_proto']} is not offered: NFS is")
        return [
            {
                "path": f"{server['backend_details']['ip']}:/{share['id']}",
                "is_admin_only": False,
                "metadata": {"preferred": True},
            }
        ]

    def create_share(self, context, share, share_server=None):
        return self._exports(share, share_server)

    def create_share_from_snapshot(
        self, context, share, snapshot, share_server=None, parent_share=None
    ):
        return self._exports(share, share_server)

    def delete_share(self, context, share, share_server=None):
        """Nothing was kept."""

    def create_snapshot(self, context, snapshot, share_server=None):
        """Nothing is kept."""

    def delete_snapshot(self, context, snapshot, share_server=None):
        """Nothing was kept."""

    def ensure_share(self, context, share, share_server=None):
        """Nothing is exported."""

    def extend_share(self, share, new_size, share_server=None):
        """The size is Manila's entry."""

    def shrink_share(self, share, new_size, share_server=None):
        """The size is Manila's entry."""

    def update_access(
        self, context, share, access_rules, add_rules, delete_rules, share_server=None
    ):
        for rule in add_rules or access_rules:
            if rule["access_type"] != "ip":
                raise exception.InvalidShareAccess(reason="NFS admits by address only")
