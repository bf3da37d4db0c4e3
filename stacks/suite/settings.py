"""What `repatria suite plan` writes into Pulumi.<client>.yaml, read once."""

import pulumi

_config = pulumi.Config("suite")

client = _config.require("client")
image = _config.require("image")
key = _config.get("key") or ""
"""A public SSH key; without one, `key-name` names a key pair that the project has."""
key_name = _config.get("key-name") or ""
cidr = _config.require("cidr")
gateway = _config.require("gateway")
pool = _config.require_object("pool")
external_network = _config.require("external-network")
floating_pool = _config.require("floating-pool")
volume_zone = _config.get("volume-zone") or None
hosts = _config.require_object("hosts")
volumes = _config.require_object("volumes")
ports = _config.require_object("ports")
operators = _config.require_object("operators")
zone = _config.get("zone") or ""
"""The zone at the target that gets the records; nothing where it is held elsewhere."""
records = _config.get_object("records") or []
backup = _config.get_object("backup") or {}
"""Container, region and entry of clouds.yaml of the second place; nothing where it is made by hand."""
