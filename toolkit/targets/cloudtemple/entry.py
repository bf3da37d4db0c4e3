"""Balancers, certificates and DNS -> servers and hosts of one's own: Cloud Temple sells none of them yet."""

from __future__ import annotations

from toolkit.targets.openstack.entry import REALISE

__all__ = ["REALISE"]
