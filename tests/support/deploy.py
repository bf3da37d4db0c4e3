"""A plan -> the real thing on the lab, made with openstacksdk resource by resource; no Pulumi, and no code of `toolkit.verify`.

What the tests of verify need deployed. It makes what the provider of Pulumi would make, one after the
other, in the order of the plan; servers are asked for first and waited for at the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import openstack.connection
import openstack.exceptions

Made = dict[str, Any]


class Deployment:
    """Every object that was made, by logical name, so that it can be changed by hand and taken away again."""

    def __init__(self, cloud: openstack.connection.Connection, config: Mapping[str, Any]) -> None:
        self.cloud = cloud
        self.config = config
        self.made: dict[str, Made] = {}
        self.undo: list[Callable[[], object]] = []

    def apply(self, plan: Mapping[str, Any], stacks: set[str] | None = None) -> None:
        for stack in plan["stacks"]:
            if stacks is None or stack["name"] in stacks:
                for each in _by_need(stack["resources"]):
                    props = self.value(each["props"])
                    maker = getattr(self, "make_" + each["type"].split(".", 1)[1].replace(".", "_").lower())  # fmt: skip
                    self.made[each["name"]] = maker(props)

    def destroy(self) -> None:
        """Take away what was made, the last first; an object that is gone already is gone."""
        for undo in reversed(self.undo):
            for _ in range(60):
                try:
                    undo()
                    break
                except openstack.exceptions.NotFoundException:
                    break
                except (openstack.exceptions.ConflictException, openstack.exceptions.BadRequestException):  # fmt: skip
                    time.sleep(1)
        self.undo.clear()

    # ------------------------------------------------------------------------------- values

    def value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.value(each) for each in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            held: Any = self.made[value["$ref"]]
            if value["attr"] == "all_fixed_ips[0]":
                return held["fixed_ips"][0]["ip_address"]
            return held[value["attr"]]
        if "$config" in value:
            return self.config.get(value["$config"], value.get("default"))
        if "$lookup" in value:
            args = self.value(value["args"])
            kind = value["$lookup"].rsplit("_", 1)[-1]
            if kind == "network":
                return self.cloud.network.find_network(args["name"], ignore_missing=False).id
            return self.cloud.image.find_image(args["name"], ignore_missing=False).id
        return {key: self.value(each) for key, each in value.items()}

    def _tagged(self, api: Any, kind: str, props: dict[str, Any], **renamed: Any) -> Made:
        tags = props.pop("tags", [])
        held = getattr(api, f"create_{kind}")(**props, **renamed)
        if tags:
            self.cloud.network.set_tags(held, tags)
        self.undo.append(lambda: getattr(api, f"delete_{kind}")(held, ignore_missing=False))
        return {**held.to_dict(), "id": held.id}

    # ------------------------------------------------------------------------------ network

    def make_networking_network(self, p: dict[str, Any]) -> Made:
        return self._tagged(self.cloud.network, "network", p)

    def make_networking_subnet(self, p: dict[str, Any]) -> Made:
        return self._tagged(self.cloud.network, "subnet", p)

    def make_networking_router(self, p: dict[str, Any]) -> Made:
        gateway = p.pop("external_network_id", None)
        more = {"external_gateway_info": {"network_id": gateway}} if gateway else {}
        return self._tagged(self.cloud.network, "router", p, **more)

    def make_networking_routerinterface(self, p: dict[str, Any]) -> Made:
        router = p.pop("router_id")
        self.cloud.network.add_interface_to_router(router, **p)
        self.undo.append(lambda: self.cloud.network.remove_interface_from_router(router, **p))
        return {"id": "", **p}

    def make_networking_routerroute(self, p: dict[str, Any]) -> Made:
        route = {"destination": p["destination_cidr"], "nexthop": p["next_hop"]}
        self.cloud.network.add_extra_routes_to_router(p["router_id"], {"router": {"routes": [route]}})  # fmt: skip
        self.undo.append(lambda: self.cloud.network.remove_extra_routes_from_router(p["router_id"], {"router": {"routes": [route]}}))  # fmt: skip
        return {"id": ""}

    def make_networking_secgroup(self, p: dict[str, Any]) -> Made:
        if p.pop("delete_default_rules", False):
            made = self._tagged(self.cloud.network, "security_group", p)
            for rule in made["security_group_rules"]:
                self.cloud.network.delete_security_group_rule(rule["id"])
            return made
        return self._tagged(self.cloud.network, "security_group", p)

    def make_networking_secgrouprule(self, p: dict[str, Any]) -> Made:
        p["ether_type"] = p.pop("ethertype")
        return self._tagged(self.cloud.network, "security_group_rule", p)

    def make_networking_port(self, p: dict[str, Any]) -> Made:
        groups = p.pop("security_group_ids", None)
        if p.pop("no_security_groups", False) or p.get("port_security_enabled") is False:
            groups = []
        p["is_port_security_enabled"] = p.pop("port_security_enabled", True)
        return self._tagged(self.cloud.network, "port", p, **({} if groups is None else {"security_groups": groups}))  # fmt: skip

    def make_networking_floatingip(self, p: dict[str, Any]) -> Made:
        network = self.cloud.network.find_network(p.pop("pool"), ignore_missing=False).id
        made = self._tagged(self.cloud.network, "ip", p, floating_network_id=network)
        return {**made, "address": made["floating_ip_address"]}

    def make_networking_floatingipassociate(self, p: dict[str, Any]) -> Made:
        ip = self.cloud.network.find_ip(p["floating_ip"], ignore_missing=False)
        more = {"fixed_ip_address": p["fixed_ip"]} if "fixed_ip" in p else {}
        self.cloud.network.update_ip(ip, port_id=p["port_id"], **more)
        self.undo.append(lambda: self.cloud.network.update_ip(ip, port_id=None))
        return {"id": ip.id}

    # ------------------------------------------------------------------------------ compute

    def make_compute_keypair(self, p: dict[str, Any]) -> Made:
        held = self.cloud.compute.create_keypair(**p)
        self.undo.append(lambda: self.cloud.compute.delete_keypair(held, ignore_missing=False))
        return {"id": held.name, "name": held.name}

    def make_compute_servergroup(self, p: dict[str, Any]) -> Made:
        held = self.cloud.compute.create_server_group(name=p["name"], policies=[p["policies"]])
        self.undo.append(lambda: self.cloud.compute.delete_server_group(held, ignore_missing=False))
        return {"id": held.id}

    def make_compute_instance(self, p: dict[str, Any]) -> Made:
        asked: dict[str, Any] = {
            "name": p["name"], "flavor_id": self.cloud.compute.find_flavor(p["flavor_name"], ignore_missing=False).id,
            "networks": p["networks"], "metadata": p.get("metadata", {}), "key_name": p.get("key_pair"),
        }  # fmt: skip
        if "image_id" in p:
            asked["image_id"] = p["image_id"]
        if "block_devices" in p:
            asked["block_device_mapping_v2"] = p["block_devices"]
        if "scheduler_hints" in p:
            asked["scheduler_hints"] = {"group": p["scheduler_hints"][0]["group"]}
        held = self.cloud.compute.create_server(**asked)

        def gone() -> None:
            self.cloud.compute.delete_server(held, ignore_missing=False)
            self.cloud.compute.wait_for_delete(held, wait=120, interval=1)

        self.undo.append(gone)
        return {"id": held.id, "name": p["name"]}

    def make_compute_volumeattach(self, p: dict[str, Any]) -> Made:
        server = self.cloud.compute.wait_for_server(
            self.cloud.compute.get_server(p["instance_id"]), wait=300, interval=1
        )
        volume = self.cloud.block_storage.get_volume(p["volume_id"])
        self.cloud.block_storage.wait_for_status(volume, "available", interval=1, wait=60)
        held = self.cloud.compute.create_volume_attachment(server, volume_id=p["volume_id"])

        def gone() -> None:
            self.cloud.compute.delete_volume_attachment(server, p["volume_id"], ignore_missing=False)  # fmt: skip
            self.cloud.block_storage.wait_for_status(self.cloud.block_storage.get_volume(p["volume_id"]), "available", interval=1, wait=60)  # fmt: skip

        self.undo.append(gone)
        return {"id": held.id}

    def make_blockstorage_volume(self, p: dict[str, Any]) -> Made:
        held = self.cloud.block_storage.create_volume(**p)
        self.undo.append(lambda: self.cloud.block_storage.delete_volume(held, ignore_missing=False))
        return {"id": held.id}

    # -------------------------------------------------------------- objects, secrets, names

    def make_objectstorage_container(self, p: dict[str, Any]) -> Made:
        head = {f"X-Container-Meta-{k}": str(v) for k, v in p.get("metadata", {}).items()}
        if p.get("versioning"):
            head["X-Versions-Enabled"] = "true"
        if p.get("container_read"):
            head["X-Container-Read"] = p["container_read"]
        self.cloud.object_store.put(f"/{p['name']}", headers=head).raise_for_status()
        self.undo.append(lambda: self.cloud.object_store.delete_container(p["name"], ignore_missing=False))  # fmt: skip
        return {"id": p["name"]}

    def make_keymanager_secretv1(self, p: dict[str, Any]) -> Made:
        metadata = p.pop("metadata")
        held = self.cloud.key_manager.create_secret(**p)
        self.cloud.key_manager.put(f"/secrets/{held.secret_id}/metadata", json={"metadata": metadata}).raise_for_status()  # fmt: skip
        self.undo.append(lambda: self.cloud.key_manager.delete_secret(held.secret_id, ignore_missing=False))  # fmt: skip
        return {"id": held.secret_id, "secret_ref": held.secret_ref}

    def make_dns_zone(self, p: dict[str, Any]) -> Made:
        held = self.cloud.dns.create_zone(**p)
        self.undo.append(lambda: self.cloud.dns.delete_zone(held, ignore_missing=False))
        return {"id": held.id}

    def make_dns_recordset(self, p: dict[str, Any]) -> Made:
        held = self.cloud.dns.create_recordset(p.pop("zone_id"), **p)
        return {"id": held.id}

    # ------------------------------------------------------------------------------ balancer

    def _settled(self, made: Any) -> None:
        for _ in range(120):
            held = self.cloud.load_balancer.get_load_balancer(made)
            if held.provisioning_status == "ACTIVE":
                return
            time.sleep(0.5)
        raise AssertionError(f"{held.name}: {held.provisioning_status}")

    def _balanced(self, kind: str, p: dict[str, Any], *path: str) -> Made:
        api = self.cloud.load_balancer
        held = getattr(api, f"create_{kind}")(*path, **p)
        self._settle_all()
        return {**held.to_dict(), "id": held.id}

    def _settle_all(self) -> None:
        for each in self.made.values():
            if each.get("vip_port_id"):
                self._settled(each["id"])

    def make_loadbalancer_loadbalancer(self, p: dict[str, Any]) -> Made:
        held = self.cloud.load_balancer.create_load_balancer(**p)
        self._settled(held.id)

        def gone() -> None:
            self._settled(held.id)
            self.cloud.load_balancer.delete_load_balancer(held, cascade=True, ignore_missing=False)
            for _ in range(60):
                if self.cloud.load_balancer.find_load_balancer(held.id) is None:
                    return
                time.sleep(0.5)

        self.undo.append(gone)
        return {**held.to_dict(), "id": held.id}

    def make_loadbalancer_pool(self, p: dict[str, Any]) -> Made:
        p["lb_algorithm"] = p.pop("lb_method")
        if "persistence" in p:
            p["session_persistence"] = p.pop("persistence")
        return self._balanced("pool", p)

    def make_loadbalancer_listener(self, p: dict[str, Any]) -> Made:
        return self._balanced("listener", p)

    def make_loadbalancer_member(self, p: dict[str, Any]) -> Made:
        return self._balanced("member", p, p.pop("pool_id"))

    def make_loadbalancer_monitor(self, p: dict[str, Any]) -> Made:
        return self._balanced("health_monitor", p)

    def make_loadbalancer_l7policyv2(self, p: dict[str, Any]) -> Made:
        # the SDK leaves redirect_http_code out
        answer = self.cloud.load_balancer.post("/lbaas/l7policies", json={"l7policy": p})
        openstack.exceptions.raise_from_response(answer)
        self._settle_all()
        return dict(answer.json()["l7policy"])

    def make_loadbalancer_l7rulev2(self, p: dict[str, Any]) -> Made:
        p["rule_value"] = p.pop("value")
        return self._balanced("l7_rule", p, p.pop("l7policy_id"))


def _by_need(resources: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Resources of one stack so that each comes after what it refers to or depends on."""
    names = {each["name"]: each for each in resources}
    done: set[str] = set()

    def refs(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for each in value.values():
                yield from refs(each)
        elif isinstance(value, list):
            for each in value:
                yield from refs(each)

    def visit(each: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if each["name"] in done:
            return
        done.add(each["name"])
        for name in (*refs(each["props"]), *each.get("depends_on", ())):
            if name in names:
                yield from visit(names[name])
        yield each

    for each in resources:
        yield from visit(each)
