"""Object storage: S3 and a local directory behind one protocol."""

from pagemill.objects.opening import open_objects
from pagemill.objects.store import ObjectMissing, ObjectStore, StoredObject

__all__ = ["ObjectMissing", "ObjectStore", "StoredObject", "open_objects"]
