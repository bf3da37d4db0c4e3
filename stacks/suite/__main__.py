"""The program: each topic is a module; overrides.py is the client's own."""

import backup  # noqa: F401
import network  # noqa: F401
import outputs  # noqa: F401
import overrides  # noqa: F401
import records  # noqa: F401
import security  # noqa: F401
import servers  # noqa: F401
import storage  # noqa: F401
