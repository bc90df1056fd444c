"""Feeds of every format, and an interchange, for tests of variants."""

from __future__ import annotations

import json
from typing import Any

from engine.interpreter import Interpreter
from engine.model import Feed
from flows.providers import load_text
from schemas import canon

_FILE = """\
spec: tiffin/v1
provider: corner
title: Corner Till
family: erp
revision: 1
evidence: official
defaults: {{currency: INR, unit: each}}
auth: {{scheme: token, header: X-Key, secret: key}}
feeds:
  stock:
    accept: {accept}
    unwrap: {unwrap}
    gzip: {gzip}
    let: {{arrived: $request.received_at}}
    idempotency: {idempotency}
    commands: {{levels: {{command: UpdateStockLevel, each: {each}, fields: {{variant_id: id, quantity: qty}}}}}}
"""

X12 = b"""\
ISA*00*          *00*          *ZZ*WHOUSE7        *ZZ*SHOP           *260105*1200*U*00401*000000907*0*P*>~
GS*IB*WHOUSE7*SHOP*20260105*1200*41*X*004010~
ST*846*0001~
LIN*1*TEA*TEA~
QTY*33*5~
LIN*2*RICE*RICE~
QTY*33*9~
CTT*2~
SE*7*0001~
GE*1*41~
IEA*1*000000907~
"""


_LAST = {"payload_hash": {"against": "last"}}


def interpreter_of(
    accept: Any = "json",
    unwrap: tuple[str, ...] = (),
    each: str = "items",
    *,
    gzip: bool = False,
    idempotency: Any = _LAST,
) -> Interpreter:
    """A provider with one feed, stock."""
    said = {"accept": accept, "unwrap": list(unwrap), "each": each, "gzip": gzip, "idempotency": idempotency}
    text = _FILE.format(**{name: json.dumps(value) for name, value in said.items()})
    return load_text(text, canon()).interpreter


def feed_of(accept: Any, unwrap: tuple[str, ...] = (), *, gzip: bool = False) -> Feed:
    return interpreter_of(accept, unwrap, gzip=gzip).feeds["stock"].feed
