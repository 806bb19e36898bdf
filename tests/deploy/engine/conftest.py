"""The engine's fixtures, for every test of this directory."""

from __future__ import annotations

from tests.support.engine_project import engine, project

__all__ = ["engine", "project"]
