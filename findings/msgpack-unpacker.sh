#!/usr/bin/env bash
# One would guess: a streaming decoder that refuses a message either skips the whole of it or goes on
#   refusing, so that an application which catches the error, as for a bad line of JSON, loses one
#   message.
# What happens: the Unpacker goes on in the middle of the refused message. Each piece that follows is
#   handed out as if it were a message of its own, and even a piece of a key (a byte of text as a
#   number), until the pieces end and real messages come again. No second error says so.
# Version: msgpack 1.2.4 (its C extension), Python 3.11. unpackb has nothing left to go on with.
# Source: the package's own README says that an Unpacker which stopped with an exception "cannot be
#   reused"; neither an error nor the iterator enforces it. Pure Python (msgpack/fallback.py) goes on
#   in the middle as well, but not with the same pieces.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check msgpack==1.2.4
"$dir/venv/bin/python" -I - <<'PY'
import sys

import msgpack

# A map with a number for a key is valid msgpack; unpackers refuse it unless they are told otherwise.
sent = [
    {"kind": "greeting"},
    {1: "text", "last words": {"kind": "farewell"}},
    {"kind": "question"},
]
stream = msgpack.Unpacker()
for message in sent:
    stream.feed(msgpack.packb(message))

received = []
while True:
    try:
        received.append(next(stream))
    except StopIteration:
        break
    except ValueError as error:
        received.append(f"refused: {error}")
for message in received:
    print(message)
if {"kind": "farewell"} not in received:
    sys.exit("this has changed: a piece of a refused message is no longer handed out as a message")
if received[-1] != {"kind": "question"}:
    sys.exit("this has changed: an Unpacker that has refused a message no longer goes on")
PY
