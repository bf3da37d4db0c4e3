"""What can go wrong -> a message and a hint; only these reach the user without a traceback."""

from __future__ import annotations


class ToolkitError(Exception):
    """An expected failure: exit code 1, `error:` and `hint:` on stderr."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(ToolkitError):
    """`repatria.toml`, `decisions.yaml` or `names.yaml` says something that cannot be followed."""


class FileError(ToolkitError):
    """A stage file is missing, damaged, edited by hand or of a newer schema."""


class StaleError(ToolkitError):
    """A stage file was made from something that has changed since."""


class AwsError(ToolkitError):
    """AWS could not be read at all: no credentials, an expired token, no endpoint."""


class CatalogError(ToolkitError):
    """The catalogue has no such cloud, region or fact."""


class InternalError(ToolkitError):
    """A law of the house was broken (a sum that does not agree): exit code 70, please report."""


class TargetError(ToolkitError):
    """The target cloud does not do what is asked: credentials, region, quota, an API that fails."""


class EngineError(ToolkitError):
    """The Pulumi engine is missing, cannot open its state, or ended without an answer."""
