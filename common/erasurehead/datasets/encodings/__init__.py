"""What preparing decided, as one value that a store and a model keep, so that nobody guesses again.

A store has it as ``encoding.json`` (`Store.encoding`), a model as the same text.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

from erasurehead.datasets.encodings.npy import NpyEncoding
from erasurehead.datasets.encodings.svmlight import SvmlightEncoding
from erasurehead.datasets.encodings.table import TableEncoding
from erasurehead.errors import DataError

Encoding = TableEncoding | SvmlightEncoding | NpyEncoding


def encoding_text(encoding: Encoding) -> str:
    """Return the encoding as one line of JSON."""
    return json.dumps(asdict(encoding), ensure_ascii=False, allow_nan=False) + "\n"


def parse_encoding(text: str | bytes, location: object) -> Encoding:
    """Read what `encoding_text` wrote; `location` names it in messages.

    Raises
    ------
    DataError: the text is no encoding.
    """
    # Not at the top: workers import the store, and have no use for pydantic there.
    from pydantic import Discriminator, TypeAdapter, ValidationError

    adapter = TypeAdapter[Encoding](Annotated[Encoding, Discriminator("kind")])
    try:
        return adapter.validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(
            f"the encoding of {location} is damaged ({where}: {first['msg']}); prepare the data"
            " again"
        ) from None
