"""Ansible's linear strategy over Mitogen: one interpreter a host instead of one a task, which halves a scenario's time.

Users' runs and the end-to-end tests are plain Ansible. Mitogen's own strategy pins each run to the same processors; scenarios run
side by side, so that is left to the kernel here.
"""

import ansible_mitogen.affinity
import ansible_mitogen.strategy
from ansible.plugins.strategy.linear import StrategyModule as Linear

ansible_mitogen.affinity.policy = ansible_mitogen.affinity.Policy()


class StrategyModule(ansible_mitogen.strategy.StrategyMixin, Linear):
    """The name is what Ansible's plugin loader looks for."""
