# mypy: ignore-errors
"""Cinder's driver that keeps nothing -> volumes from an image too, which servers without a local disk boot from.

Runs in Debian's Python with Cinder's packages, not in this package's environment. Cinder's own copies the image to a
device that does not exist, so that each such volume becomes `error`.
"""

from cinder.tests.fake_driver import FakeLoggingVolumeDriver


class LabVolumeDriver(FakeLoggingVolumeDriver):
    """Volumes are entries; one of an image is said to be cloned from it by the storage."""

    def clone_image(self, context, volume, image_location, image_meta, image_service):  # noqa: ARG002
        return {}, True

    def extend_volume(self, volume, new_size):
        """A larger entry; what a box has of it is grown by whoever follows Nova."""
