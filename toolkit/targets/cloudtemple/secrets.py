"""Secrets and keys -> a store of one's own: Cloud Temple's provider creates neither."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from toolkit.intents.secrets import Key, Secret
from toolkit.targets.openstack.secrets import key, secret

if TYPE_CHECKING:
    from toolkit.intents import Intent
    from toolkit.targets import Realise

REALISE: Mapping[type[Intent], Realise] = {Secret: secret, Key: key}
