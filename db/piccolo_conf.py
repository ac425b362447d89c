"""Piccolo's configuration, for its command line and for ``db.migrate`` alone."""

from __future__ import annotations

import os

from piccolo.conf.apps import AppRegistry
from piccolo.engine.postgres import PostgresEngine

DB = PostgresEngine(config={"dsn": os.environ.get("PAGEMILL_DATABASE_URL", "")}, extensions=())
APP_REGISTRY = AppRegistry(apps=["db.piccolo_app"])
