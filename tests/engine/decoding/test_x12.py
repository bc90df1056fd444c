from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.decoding import x12
from engine.failures import Failure, Refusal

Decode = Callable[..., Any]
Refused = Callable[..., Failure]


def interchange(
    *sets: Sequence[str],
    element: str = "*",
    repetition: str = "^",
    component: str = ">",
    end: str = "~",
    between: str = "",
    version: str = "00501",
) -> str:
    """An interchange of one group; each set is its segments without ST and SE, written with `*`."""
    isa = f"ISA*00*{' ' * 10}*00*{' ' * 10}*ZZ*{'WHOUSE7':15}*ZZ*{'TIFFIN':15}*260105*1200*"
    isa += f"{repetition}*{version}*000000907*0*P*"
    lines = ["GS*IB*WHOUSE7*TIFFIN*20260105*1200*41*X*005010"]
    for n, segments in enumerate(sets, start=1):
        code, *body = segments
        lines += [f"ST*{code}*{n:04d}", *body, f"SE*{len(body) + 2}*{n:04d}"]
    lines += [f"GE*{len(sets)}*41", "IEA*1*000000907"]
    rest = (end + between).join(lines).replace("*", element)
    return isa.replace("*", element) + component + end + between + rest + end


ADVICE = (
    "846",
    "BIA*00*SI*2041*20260105",
    "N1*WH*North*92*WH001",
    "LIN*1*UP*012345678905*VN*TEA-250",
    "QTY*33*120*EA",
    "QTY*QA*110*EA",
    "LIN**SK*RICE-5",
    "QTY*33*-2.500*KG",
    "CTT*2",
)
LIN = {"loops": {"LIN": {}}, "summary": ["CTT"], "qualifiers": {"LIN": ["UP", "EN", "VN", "SK"]}}


def _x12(**options: Any) -> dict[str, Any]:
    return {"x12": options}


def _set(document: Any, n: int = 0) -> Any:
    return document["GS"][0]["ST"][n]


def test_segments_are_lists_of_elements_named_as_the_standard_does(decoded: Decode) -> None:
    document = decoded(interchange(ADVICE).encode(), accept="x12")
    assert document["ISA"]["ISA06"] == "WHOUSE7"
    assert document["ISA"]["ISA13"] == "000000907"
    assert document["GS"][0]["GS06"] == "41"
    assert _set(document)["ST01"] == "846"
    assert _set(document)["BIA"] == [{"BIA01": "00", "BIA02": "SI", "BIA03": "2041", "BIA04": "20260105"}]
    assert [one["QTY02"] for one in _set(document)["QTY"]] == ["120", "110", "-2.500"]


def test_an_empty_element_is_absent(decoded: Decode) -> None:
    document = decoded(interchange(("846", "LIN**SK*A", "QTY*33**EA*")).encode(), accept="x12")
    assert _set(document)["LIN"] == [{"LIN02": "SK", "LIN03": "A"}]
    assert _set(document)["QTY"] == [{"QTY01": "33", "QTY03": "EA"}]


def test_a_declared_loop_holds_its_segments(decoded: Decode) -> None:
    first, second = _set(decoded(interchange(ADVICE).encode(), accept=_x12(**LIN)))["LIN"]
    assert first["by"] == {"UP": "012345678905", "VN": "TEA-250"}
    assert first["QTY"] == [
        {"QTY01": "33", "QTY02": "120", "QTY03": "EA"},
        {"QTY01": "QA", "QTY02": "110", "QTY03": "EA"},
    ]
    assert second == {
        "LIN02": "SK",
        "LIN03": "RICE-5",
        "by": {"SK": "RICE-5"},
        "QTY": [{"QTY01": "33", "QTY02": "-2.500", "QTY03": "KG"}],
    }


def test_a_qualifier_is_found_without_a_line_number(decoded: Decode) -> None:
    document = decoded(interchange(("846", "LIN*UP*012345678905*SK*A", "QTY*33*1*EA")).encode(), accept=_x12(**LIN))
    assert _set(document)["LIN"][0]["by"] == {"UP": "012345678905", "SK": "A"}


def test_summary_segments_end_all_loops(decoded: Decode) -> None:
    made = _set(decoded(interchange(ADVICE).encode(), accept=_x12(**LIN)))
    assert made["CTT"] == [{"CTT01": "2"}]
    assert "CTT" not in made["LIN"][1]


def test_loops_nest(decoded: Decode) -> None:
    body = interchange(
        ("846", "LIN*1*SK*A", "QTY*33*5*EA", "N1*WH*North*92*W1", "QTY*33*7*EA", "N1*WH*South*92*W2", "LIN*2*SK*B")
    )
    loops = {"LIN": {"loops": {"QTY": {"loops": {"N1": {}}}}}}
    first, second = _set(decoded(body.encode(), accept=_x12(loops=loops)))["LIN"]
    assert [(q["QTY02"], q["N1"][0]["N104"]) for q in first["QTY"]] == [("5", "W1"), ("7", "W2")]
    assert "QTY" not in second


def test_a_loop_with_named_segments_ends_at_any_other(decoded: Decode) -> None:
    body = interchange(
        ("944", "W17*F*20260105*R1", "N1*WH*North", "N3*1 Road", "G62*11*20260105", "W07*5*EA*012345678905*VN*T"),
    )
    made = _set(decoded(body.encode(), accept=_x12(loops={"N1": {"segments": ["N3", "N4"]}, "W07": {}})))
    assert made["N1"][0]["N3"] == [{"N301": "1 Road"}]
    assert made["G62"] == [{"G6201": "11", "G6202": "20260105"}]
    assert made["W07"][0]["W0705"] == "T"


def test_a_segment_that_comes_after_its_loop_was_ended_is_refused(refused: Refused) -> None:
    body = interchange(("846", "LIN*1*SK*A", "DTM*036*20260105", "QTY*33*5*EA"))
    failure = refused(body.encode(), accept=_x12(loops={"LIN": {"segments": ["QTY"]}}))
    assert failure.code == "x12_segment_out_of_loop"
    assert failure.facts == {"segment": "QTY", "number": 6}


def test_several_transaction_sets_and_groups_are_read(decoded: Decode) -> None:
    two = interchange(ADVICE, ("947", "W15*20260105*77", "W19*05*-13.000*EA*012345678905*VN*T"))
    document = decoded(two.encode(), accept="x12")
    assert [one["ST01"] for one in document["GS"][0]["ST"]] == ["846", "947"]
    assert _set(document, 1)["W19"][0]["W1902"] == "-13.000"
    group = "GS*IB*A*B*20260105*1200*42*X*005010~ST*846*0001~SE*2*0001~GE*1*42~"
    grown = two.replace("IEA*1*", f"{group}IEA*2*")
    assert [one["GS06"] for one in decoded(grown.encode(), accept="x12")["GS"]] == ["41", "42"]


@pytest.mark.parametrize(
    "written",
    [
        {"element": "|", "component": ":", "end": "\n"},
        {"element": "\x1d", "repetition": "\x1e", "component": "\x1f", "end": "\x1c"},
        {"between": "\n"},
        {"between": "\r\n"},
        {"end": "\r", "between": "\n"},
        {"repetition": "U", "version": "00401"},
    ],
)
def test_separators_are_those_of_the_envelope(decoded: Decode, written: dict[str, str]) -> None:
    plain = _set(decoded(interchange(ADVICE).encode(), accept=_x12(**LIN)))
    assert _set(decoded(interchange(ADVICE, **written).encode(), accept=_x12(**LIN))) == plain


def test_components_stand_beside_the_whole_and_repetitions_are_a_list(decoded: Decode) -> None:
    made = _set(decoded(interchange(("846", "PO4*1>2>>3", "REF*a^b")).encode(), accept="x12"))
    assert made["PO4"] == [{"PO401": "1>2>>3", "PO401_1": "1", "PO401_2": "2", "PO401_4": "3"}]
    assert made["REF"] == [{"REF01": ["a", "b"]}]


GOOD = interchange(ADVICE)


@pytest.mark.parametrize(
    ("body", "code", "segment"),
    [
        ("", "body_empty", None),
        ("GS*IB~", "x12_no_envelope", "ISA"),
        (GOOD[:90], "x12_no_envelope", "ISA"),
        (GOOD.replace("WHOUSE7   ", "WHOUSE7", 1), "x12_no_envelope", "ISA"),
        (interchange(ADVICE, component="*"), "x12_no_envelope", "ISA"),
        (interchange(ADVICE, component="~"), "x12_separators", "ISA"),
        (interchange(ADVICE, end="A"), "x12_separators", "ISA"),
        (GOOD.replace("IEA*1*000000907", "IEA*1*000000908"), "x12_control_number_differs", "IEA"),
        (GOOD.replace("IEA*1*", "IEA*2*"), "x12_count_wrong", "IEA"),
        (GOOD.replace("GE*1*41", "GE*1*42"), "x12_control_number_differs", "GE"),
        (GOOD.replace("GE*1*41", "GE*x*41"), "x12_count_wrong", "GE"),
        (GOOD.replace("SE*10*0001", "SE*9*0001"), "x12_count_wrong", "SE"),
        (GOOD.replace("SE*10*0001", "SE*10*0002"), "x12_control_number_differs", "SE"),
        (GOOD.replace("SE*10*0001", "SE*10"), "x12_control_number_differs", "SE"),
        (GOOD.replace("CTT*2~", ""), "x12_count_wrong", "SE"),
        (GOOD.replace("SE*10*0001~", ""), "x12_segment_misplaced", "GE"),
        (GOOD.replace("GE*1*41~", ""), "x12_segment_misplaced", "IEA"),
        (GOOD.replace("ST*846*0001~", ""), "x12_segment_misplaced", "BIA"),
        (GOOD.replace("IEA*1*000000907~", ""), "x12_envelope_open", "IEA"),
        (GOOD[: GOOD.index("CTT")], "x12_envelope_open", "SE"),
        (GOOD[: GOOD.index("*2~SE")], "x12_segment_unterminated", "CTT"),
        (GOOD + GOOD, "x12_several_interchanges", "ISA"),
        (GOOD.replace("BIA*", "bia*"), "x12_segment_malformed", "bia"),
        (GOOD.replace("BIA*", "*"), "x12_segment_malformed", ""),
        (GOOD.replace("CTT", "~"), "x12_segment_malformed", ""),
        (GOOD.replace("CTT*2", "CTT*\0"), "body_nul", None),
    ],
)  # fmt: skip
def test_a_damaged_envelope_is_refused_and_its_segment_named(
    refused: Refused, body: str, code: str, segment: str | None
) -> None:
    failure = refused(body.encode(), accept="x12")
    assert failure.code == code
    assert failure.facts.get("segment") == segment


def test_a_byte_of_another_charset_is_refused_unless_declared(decoded: Decode, refused: Refused) -> None:
    body = interchange(("846", "N1*WH*Café")).encode("latin-1")
    assert refused(body, accept="x12").code == "body_wrong_charset"
    document = decoded(body, ("Content-Type", "application/edi-x12; charset=iso-8859-1"), accept="x12")
    assert _set(document)["N1"][0]["N102"] == "Café"


def test_the_feeds_limits_bound_the_elements(refused: Refused) -> None:
    assert refused(GOOD.encode(), accept="x12", limits={"values": 30}).code == "body_too_many_values"


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="*^>~"), min_size=1, max_size=6)
SEGMENTS = st.lists(st.tuples(st.sampled_from(["LIN", "QTY", "N1", "REF"]), st.lists(TEXTS, min_size=1, max_size=4)))


@settings(max_examples=100)
@given(written=SEGMENTS)
def test_written_segments_read_as_their_elements(written: list[tuple[str, list[str]]]) -> None:
    body = interchange(("846", *("*".join([name, *elements]) for name, elements in written)))
    expected: dict[str, list[dict[str, str]]] = {}
    for name, elements in written:
        numbered = {f"{name}{n:02d}": text for n, text in enumerate(elements, start=1)}
        expected.setdefault(name, []).append(numbered)
    assert _set(x12.decode(body.encode())) == {"ST01": "846", "ST02": "0001", **expected}


OPTIONS = x12.X12Options.model_validate(LIN)


@settings(max_examples=400, deadline=2000)
@given(data=st.data())
def test_a_changed_interchange_gives_a_document_or_a_refusal(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GOOD)))
    until = data.draw(st.integers(at, min(len(GOOD), at + 20)))
    body = GOOD[:at].encode() + data.draw(st.binary(max_size=8)) + GOOD[until:].encode()
    try:
        document = x12.decode(body, "", OPTIONS)
    except Refusal:
        return
    assert {"ISA", "GS"} <= document.keys()
