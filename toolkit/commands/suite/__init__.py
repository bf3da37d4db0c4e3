"""The office suite of a client: one group, a module for each topic."""

from __future__ import annotations

import click


@click.group()
def suite() -> None:
    """The office suite of a client (Nextcloud, Jitsi, Matrix): sized, installed, backed up, tried, written down.

    \b
    Usual order: suite init, suite plan, suite artefacts fetch, suite apply, suite smoke.
    suite lint looks for hosts outside the client's own in any files.
    """


from toolkit.commands.suite import artefacts, deploy, plans, smoke  # noqa: E402 - they add to the group

__all__ = ["artefacts", "deploy", "plans", "smoke", "suite"]
