"""What a feed's `accept` may say: the formats of a body, each with what its decoder has to know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, Tag, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from engine.model_base import Node, Whole, lenient, shape

FormatName = Literal["json", "ndjson", "form", "csv", "tsv", "xml", "x12", "xlsx", "none"]


class Headed(Node):
    """Where a table names its columns."""

    skip_rows: Whole = Field(0, ge=0, le=1000, description="Rows above the header, such as a title.")
    header_rows: Whole = Field(
        1,
        ge=0,
        le=10,
        description="Rows of the header. Of several, each column's cells are joined from top to bottom; an empty "
        "cell above the last row takes the one at its left, as merged cells are exported. 0 wants `columns`.",
    )
    join: str = Field(" ", description="Between the joined cells of a column.")
    names_from: Whole | None = Field(
        None, ge=1, description="The one header row that names the columns, counted from 1, instead of joining."
    )
    columns: tuple[str, ...] | None = Field(
        None, min_length=1, description="The columns' names in order, instead of those of the header."
    )

    @model_validator(mode="after")
    def _named(self, info: ValidationInfo) -> Headed:
        if lenient(info):
            return self
        if self.header_rows == 0 and self.columns is None:
            raise PydanticCustomError("header_unnamed", "without header rows the columns must be named")
        if self.names_from is not None and (self.names_from > self.header_rows or self.columns is not None):
            raise PydanticCustomError("header_unnamed", "names_from is the number of one of the header rows")
        if self.columns is not None and len(set(self.columns)) < len(self.columns):
            raise PydanticCustomError("header_unnamed", "every column wants a name of its own")
        return self


class DelimitedOptions(Headed):
    """How a table of text is written."""

    quote: Literal["double", "single", "none"] = Field(
        "double", description="What encloses cells that hold separators or line breaks; none: nothing does."
    )
    ragged: Literal["reject", "fill"] = Field(
        "reject",
        description="reject: every row has as many cells as the header; fill: rows may end early (their last columns "
        "are then absent), blank rows are passed over, and blank cells beyond the header too.",
    )
    charset: str | None = Field(None, description="What the bytes are in where Content-Type says nothing; else UTF-8.")


class CsvOptions(DelimitedOptions):
    """How a CSV table is written."""

    separator: str = Field(
        ",", pattern=r'^[^\r\n"\'\x00]$', description="Between two cells: one character, such as ; or |."
    )


class TsvOptions(DelimitedOptions):
    """How a table separated by tabs is written."""


class XlsxOptions(Headed):
    """Which sheet of a workbook is read, and where it names its columns."""

    sheet: str | Whole = Field(1, description="The sheet's name, or its number from 1.")


class XmlOptions(Node):
    """How elements become objects."""

    namespaces: dict[str, str | tuple[str, ...]] = Field(
        default_factory=dict,
        description="Prefixes of this file and the namespaces (URIs) that they stand for, whatever prefix the sender "
        'uses. "" gives the elements of a namespace no prefix. Elements of other namespaces are keyed {URI}name.',
    )
    lists: tuple[str, ...] = Field(
        (), description="Elements that are always lists, also of one: a name, or the end of a dotted path."
    )
    objects: tuple[str, ...] = Field(
        (), description="Elements that are always objects, also where they hold text alone: a name or a path's end."
    )
    text: str = Field("#text", min_length=1, description="The key of text beside attributes or elements.")
    envelope: str | None = Field(
        None, description="soap: the document is what the SOAP Body holds; or a dotted path to what it is."
    )


class LoopOptions(Node):
    """A group of segments that its first one opens."""

    segments: tuple[str, ...] | None = Field(
        None, description="The segments that belong to it; any other ends it. Default: all, until another loop begins."
    )
    loops: dict[str, LoopOptions] = Field(default_factory=dict, description="The loops within, by their first segment.")


class X12Options(Node):
    """How segments are grouped."""

    loops: dict[str, LoopOptions] = Field(
        default_factory=dict, description="Loops of a transaction set, by the segment that opens them."
    )
    summary: tuple[str, ...] = Field((), description="Segments that end all loops, such as CTT.")
    qualifiers: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="By segment, the qualifiers whose next element is their value: LIN.by.UP is then what follows UP.",
    )


class CsvBody(Node):
    """A CSV table that needs explaining."""

    csv: CsvOptions = Field(description="How it is written.")


class TsvBody(Node):
    """A table separated by tabs that needs explaining."""

    tsv: TsvOptions = Field(description="How it is written.")


class XmlBody(Node):
    """An XML document that needs explaining."""

    xml: XmlOptions = Field(description="How elements become objects.")


class X12Body(Node):
    """An X12 interchange that needs explaining."""

    x12: X12Options = Field(description="How segments are grouped.")


class XlsxBody(Node):
    """A workbook that needs explaining."""

    xlsx: XlsxOptions = Field(description="Which sheet is read, and how.")


Options = CsvOptions | TsvOptions | XmlOptions | X12Options | XlsxOptions

Accept = Annotated[
    Annotated[FormatName, Tag("<name>")]
    | Annotated[CsvBody, Tag("<csv>")]
    | Annotated[TsvBody, Tag("<tsv>")]
    | Annotated[XmlBody, Tag("<xml>")]
    | Annotated[X12Body, Tag("<x12>")]
    | Annotated[XlsxBody, Tag("<xlsx>")],
    shape("csv", "tsv", "xml", "x12", "xlsx", text="name", otherwise="csv"),
]
"""A format by its name, or a format with what there is to say about it."""


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


AcceptList = Annotated[
    tuple[Accept, ...],
    Field(min_length=1),
    BeforeValidator(_listed, json_schema_input_type=Accept | tuple[Accept, ...]),
]

_DEFAULTS: Mapping[str, Options] = {
    "csv": CsvOptions.model_validate({}),
    "tsv": TsvOptions.model_validate({}),
    "xml": XmlOptions.model_validate({}),
    "x12": X12Options.model_validate({}),
    "xlsx": XlsxOptions.model_validate({}),
}


def by_name(accept: tuple[Any, ...]) -> dict[str, Options | None]:
    """What a feed accepts: each format's options, in order; None for the formats that have none."""
    found: dict[str, Options | None] = {}
    for one in accept:
        if isinstance(one, Node):
            name = next(iter(type(one).model_fields))
            found[name] = getattr(one, name)
        else:
            found[one] = _DEFAULTS.get(one)
    return found
