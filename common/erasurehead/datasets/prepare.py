"""`erasurehead prepare`: from a source to a store, unless that very store is there already."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from erasurehead.datasets.amazon import Amazon
from erasurehead.datasets.covertype import Covertype
from erasurehead.datasets.flights import Flights
from erasurehead.datasets.kc_housing import KcHousing
from erasurehead.datasets.manifest import MANIFEST, MEANING, Provenance
from erasurehead.datasets.npy import Npy
from erasurehead.datasets.preset import Preset
from erasurehead.datasets.store import Store, StoreExistsError, write_store
from erasurehead.datasets.svmlight import SvmLight
from erasurehead.datasets.synthetic import Synthetic
from erasurehead.datasets.table import TablePreset
from erasurehead.errors import DataError, UsageError
from erasurehead.process.ahead import meanwhile
from erasurehead.registry import Registry, Spec

PRESETS: Registry[Preset] = Registry(
    "data set",
    {
        kind.name: kind
        for kind in (
            Flights,
            Amazon,
            Covertype,
            KcHousing,
            TablePreset,
            SvmLight,
            Npy,
            Synthetic,
        )
    },
    example="--option {option}=...",
)


@dataclass(frozen=True)
class PreparedStore:
    """A store that is ready.

    Attributes
    ----------
    reused: it was there before.
    seconds: that it took.
    assumed: what was taken for granted, in sentences.
    """

    path: Path
    store: Store
    reused: bool
    seconds: float
    assumed: tuple[str, ...] = ()


def prepare(
    name: str,
    *,
    source: Path | Sequence[Path] | None,
    out: Path,
    download: bool = False,
    options: dict[str, str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> PreparedStore:
    """Prepare a data set into the store `out`.

    A store there that was made from the same source with the same encoding and options is kept,
    also one that another process has finished meanwhile. `source` may be several files of one
    table; `progress` is told how many rows of a table have been read.

    Raises
    ------
    UsageError: an unknown name or option, a missing source, or `out` is something else.
    DataError: the source is not what it should be.
    """
    begun = time.monotonic()
    sources = [source] if isinstance(source, Path) else list(source or ())
    first = sources[0] if sources else None
    preset = PRESETS.build(Spec(name, options or {}), first, download)
    if len(sources) > 1:
        preset.add_sources(sources[1:])
    preset.scratch = next(p for p in out.absolute().parents if p.is_dir())
    if progress is not None:
        preset.progress = progress
    if out.exists():
        return _kept(out, preset, preset.provenance(), begun)
    # The source's digest is computed by another thread, for it takes as long as reading it.
    with meanwhile(preset.provenance) as coming:
        encoded = preset.encode()
        provenance = coming.result()
    meaning = {} if encoded.encoding is None else {MEANING: encoded.encoding.meaning}
    made = replace(provenance, notes={**preset.notes, **meaning})
    try:
        store = write_store(
            out,
            name,
            encoded.target,
            encoded.train,
            encoded.test,
            made,
            encoded.classes,
            encoded.encoding,
        )
    except StoreExistsError:
        return _kept(out, preset, provenance, begun)
    return PreparedStore(out, store, False, time.monotonic() - begun, tuple(preset.assumed))


def _kept(out: Path, preset: Preset, wanted: Provenance, begun: float) -> PreparedStore:
    """Return the store that is at `out`, if it is the one that is wanted."""
    store = _existing(out)
    held = store.manifest.provenance
    if _same(held, wanted):
        assumed: tuple[str, ...] = ()
    elif _same_in_an_older_encoding(held, wanted, preset):
        assumed = (
            f"{out} was prepared by an earlier version, which did not look at its source as closely"
            " as this one; remove it to have it prepared again",
        )
    else:
        raise UsageError(
            f"{out} holds another store ({store.manifest.name}, encoding {held.encoding}, source"
            f" {held.source_sha256:.12}); remove it or name another directory with --out"
        )
    return PreparedStore(out, store, True, time.monotonic() - begun, assumed)


def _existing(out: Path) -> Store:
    if not (out / MANIFEST).exists():
        raise UsageError(f"{out} exists and is not a store; name another directory with --out")
    try:
        return Store.open(out)
    except DataError as error:
        raise DataError(f"{error} (remove {out} first)") from None


def _same(held: Provenance, wanted: Provenance) -> bool:
    """Compare what the rows depend on: not a file's name, nor what encoding found out."""
    return (held.source_sha256, held.encoding, held.options) == (
        wanted.source_sha256,
        wanted.encoding,
        wanted.options,
    )


def _same_in_an_older_encoding(held: Provenance, wanted: Provenance, preset: Preset) -> bool:
    """Tell whether an earlier version made a store of what is wanted; its options were fewer."""
    if held.encoding not in preset.older:
        return False
    defaults = {
        name: str(parameter.default)
        for name, parameter in PRESETS.options(preset.name).items()
        if name in wanted.options
    }
    as_today = replace(held, encoding=wanted.encoding, options={**defaults, **held.options})
    return _same(as_today, wanted)
