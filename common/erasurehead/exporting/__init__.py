"""A model as a file for other libraries. Each format is one file and one line here."""

from erasurehead.exporting.base import Export
from erasurehead.exporting.sklearn import SklearnExport
from erasurehead.registry import Registry

EXPORTS: Registry[Export] = Registry(
    "export format", {kind.name: kind for kind in (SklearnExport,)}
)
