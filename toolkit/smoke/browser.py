"""A headless Chromium for what only a browser does: one sign-on through several pages, media of a conference."""

from __future__ import annotations

import contextlib
import shutil
from types import TracebackType
from typing import Any

from toolkit.smoke.check import NotRun, Trial

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
COUNT = """(() => {
  const Real = window.RTCPeerConnection;
  window.smokeConnections = [];
  window.RTCPeerConnection = function (...words) {
    const made = new Real(...words);
    window.smokeConnections.push(made);
    return made;
  };
  window.RTCPeerConnection.prototype = Real.prototype;
  Object.setPrototypeOf(window.RTCPeerConnection, Real);
})();"""
"""Keeps every connection that a page makes, so that its numbers can be read whatever the page is made of."""
SUM = """async () => {
  let bytes = 0;
  for (const each of window.smokeConnections || [])
    for (const held of (await each.getStats()).values())
      if (held.type === 'inbound-rtp') bytes += held.bytesReceived || 0;
  return bytes;
}"""


class Chromium:
    """Use it in `with`. Raises NotRun where there is no Chromium or no playwright (an extra: `pip install playwright`)."""

    def __init__(self, trial: Trial, *, fake_media: bool = False) -> None:
        self.trial = trial
        self.arguments = ["--no-sandbox", "--disable-dev-shm-usage", f"--host-resolver-rules={rules(trial)}"]  # fmt: skip
        if fake_media:
            self.arguments += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]  # fmt: skip

    def __enter__(self) -> Chromium:
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        if program is None:
            raise NotRun("Chromium is not installed here")
        try:
            from playwright.sync_api import sync_playwright
        except ImportError:
            raise NotRun("playwright is not installed here") from None
        self.stack = contextlib.ExitStack()
        try:
            driver = self.stack.enter_context(sync_playwright())
            running = driver.chromium.launch(executable_path=program, args=self.arguments)
            self.running = running
            self.stack.callback(running.close)
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:  # fmt: skip
        self.stack.close()

    def person(self) -> Any:
        """A page of somebody with no cookies yet. A private CA was looked at by the checks of TLS: Chromium does not know it."""
        context = self.running.new_context(ignore_https_errors=bool(self.trial.settings.ca_file))
        context.set_default_timeout(min(30, self.trial.web.seconds / 3) * 1000)
        page = context.new_page()
        page.add_init_script(COUNT)
        return page


def rules(trial: Trial) -> str:
    """Names that the settings lead elsewhere, as Chromium takes them."""
    return ",".join(f"MAP {name} {to}" for name, to in trial.settings.connect.items())


def received(page: Any) -> int:
    """Bytes of sound and pictures that all connections of a page received so far."""
    return int(page.evaluate(SUM))
