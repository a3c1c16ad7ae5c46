"""Shapes of the format: small bounded types, and the one way a JSON object becomes a value of a dataclass.

pydantic does the checking, strictly: no coercion, no unknown field, every string and number bounded.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from agent.errors import FormatError
from agent.evidence.encoding import MAX_SAFE_INTEGER, Json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    T = TypeVar("T", bound=DataclassInstance)
else:
    T = TypeVar("T")

STRICT: Final = ConfigDict(extra="forbid")
# Strictness stands on each number and flag below, not here: a whole-shape strict mode would refuse nested JSON objects.

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}\z")]
"""SHA-256, lower-case hex."""
Name = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}\z")]
"""A device, dock, officer, section or matter id."""
Word = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}\z")]
"""A name from this program, such as a part."""
RecordingId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}\z")]
FormatVersion = Annotated[int, Field(strict=True, ge=1, le=1)]
Flag = Annotated[bool, Field(strict=True)]
Text = Annotated[str, Field(max_length=500)]
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]\z")]
"""An Ed25519 public key, base64url: the last letter carries four bits of it, and two that are zero."""
_WHOLE_BYTES = r"^([A-Za-z0-9_-]{4})*([A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?\z"
Base64url = Annotated[str, Field(pattern=_WHOLE_BYTES, max_length=8192)]
"""Bytes in base64url, without left-over bits."""
KeyName = Annotated[str, Field(pattern=r"^[^\s+\x00-\x1f\x7f]{1,128}\z")]
"""The name of a key in signature lines (C2SP signed-note): no spaces, no plus sign."""
HashName = Literal["sha-256", "sha-512"]
"""What a timestamp authority is asked over."""
Recipient = Annotated[str, Field(pattern=r"^age1[a-z0-9]{58}\z")]
Count = Annotated[int, Field(strict=True, ge=0, le=MAX_SAFE_INTEGER)]
Micros = Annotated[int, Field(strict=True, ge=0, le=MAX_SAFE_INTEGER)]
"""Microseconds: of UTC since 1970, of the monotonic clock since boot, or a length; the field's name says which."""


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def load_shape(kind: type[T], value: Json) -> T:
    """Builds a ``kind`` from JSON data; raises FormatError naming the field, what stood there and what is allowed."""
    try:
        loaded: T = _adapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        found = repr(first.get("input"))[:80]
        raise FormatError(f"{kind.__name__}: {place}: {first['msg']} (found {found})") from error
    return loaded


def dump_shape(value: DataclassInstance) -> dict[str, Json]:
    """The JSON object of a shape, fields in the order of their definition. Checks it as strictly as reading would."""
    dumped = asdict(value)
    load_shape(type(value), dumped)
    return dumped
