"""Timing sets against tables computed by hand, and what is refused."""

import dataclasses
from decimal import Decimal

import pytest

from rtl.memory.timing import TimingError, TimingSet

#: In clocks, from the data sheets' ns at 0.625 ns by hand.
TABLES = {
    "P3200": dict(RL=23, WL=8, tRCDRD=23, tRCDWR=20, tRP=23, tRAS=55, tRC=78, tRRD_S=7, tRRD_L=7, tCCD_S=2, tCCD_L=4, tFAW=24, tWR=26,
                  tRTP=8, tWTR_S=10, tWTR_L=13, tRTW_GAP=2, tREFI=6240, tRFC=560, tREFIsb=390, tRFCsb=256, tRREFD=13),
    "D3200": dict(RL=28, WL=12, tRCDRD=20, tRCDWR=10, tRP=23, tRAS=45, tRC=68, tRRD_S=7, tRRD_L=10, tCCD_S=2, tCCD_L=4, tFAW=26, tWR=23,
                  tRTP=8, tWTR_S=7, tWTR_L=15, tRTW_GAP=2, tREFI=6240, tRFC=352, tREFIsb=390, tRFCsb=154, tRREFD=13),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables(name):
    timing = TimingSet.load(name)
    assert {key: getattr(timing, key) for key in TimingSet.parameters()} == TABLES[name]
    assert float(timing.tCK) == 0.625
    assert timing.read_to_write == {"P3200": 19, "D3200": 20}[name]


def test_sets():
    assert TimingSet.names() == ("D3200", "F3200", "P3200")
    for name in TimingSet.names():
        assert TimingSet.load(name).name == name
    assert TimingSet.load("F3200").tFAW > 4 * TimingSet.load("F3200").tRRD_S


def parsed(name: str = "P3200") -> dict:
    return {"name": "X", "tCK": Decimal("0.625"), "nCK": dict(TABLES[name]), "ns": {}}


@pytest.mark.parametrize("ns, clocks", [
    ("8", 13), ("8.125", 13), ("8.1250001", 14), ("0.0001", 1), ("15", 24), ("14.375", 23), ("14.376", 24),
])
def test_rounding(ns, clocks):
    data = parsed()
    del data["nCK"]["tFAW"]
    data["ns"]["tFAW"] = Decimal(ns)
    assert TimingSet.from_dict(data, source="X").tFAW == clocks


def test_rounding_takes_floats_as_written():
    """0.1 is not a binary fraction: 0.7 / 0.1 must be 7 clocks, not 8."""
    data = parsed()
    data["tCK"] = 0.1
    del data["nCK"]["tRTP"]
    data["ns"]["tRTP"] = 0.7
    assert TimingSet.from_dict(data, source="X").tRTP == 7


@pytest.mark.parametrize("change, message", [
    (lambda d: d["nCK"].pop("tWR"), "tWR is missing"),
    (lambda d: d["nCK"].update(tXP=3), "[nCK] tXP is not a timing parameter"),
    (lambda d: d["ns"].update(tWR=16), "tWR stands in both [nCK] and [ns]"),
    (lambda d: d["nCK"].update(tWR=0), "[nCK] tWR = 0 is not a positive number of clocks"),
    (lambda d: d["nCK"].update(tWR=Decimal("2.5")), "[nCK] tWR = 2.5 is not a positive number of clocks"),
    (lambda d: d["nCK"].update(tWR=True), "[nCK] tWR = True is not a positive number of clocks"),
    (lambda d: (d["nCK"].pop("tWR"), d["ns"].update(tWR=-1)), "[ns] tWR = -1 is not a positive time"),
    (lambda d: d.pop("name"), "name is missing"),
    (lambda d: d.update(tCK=0), "tCK = 0 is not a positive time in ns"),
    (lambda d: d.update(tck=1), "'tck' is none of name, tCK, nCK, ns"),
    (lambda d: d.update(ns=3), "ns is not a table"),
])
def test_bad_files(change, message):
    data = parsed()
    change(data)
    with pytest.raises(TimingError) as error:
        TimingSet.from_dict(data, source="X")
    assert str(error.value) == f"timing set X: {message}"


@pytest.mark.parametrize("changes, message", [
    (dict(tRC=77), "tRC = 77 is less than tRAS + tRP = 78"),
    (dict(tRAS=22, tRCDWR=2), "tRAS = 22 is less than tRCDRD = 23"),
    (dict(tRRD_L=6), "tRRD_L = 6 is less than tRRD_S = 7"),
    (dict(tCCD_S=1), "tCCD_S = 1 is less than the 2 clocks of a burst"),
    (dict(tWTR_L=9), "tWTR_L = 9 is less than tWTR_S = 10"),
    (dict(WL=27), "WL = 27 is too long for RL + 2 + tRTW_GAP = 27"),
    (dict(RL=61), "RL = 61 and WL = 8 must not exceed 60"),
    (dict(tREFIsb=391), "16 tREFIsb = 6256 exceeds tREFI = 6240: refresh by bank would fall behind"),
    (dict(tRFCsb=561), "tRFC = 560 is less than tRFCsb = 561"),
    (dict(tRREFD=390, tRFCsb=500), "a round of 15 tRREFD + tRFCsb = 6350 exceeds 16 tREFIsb = 6240"),
])
def test_contradictions(changes, message):
    with pytest.raises(TimingError) as error:
        dataclasses.replace(TimingSet.load("P3200"), **changes)
    assert str(error.value) == f"timing set P3200: {message}"


def test_load(tmp_path):
    with pytest.raises(TimingError, match=r"timing set 'P6400' is not one of D3200, F3200, P3200, and not a \.toml file"):
        TimingSet.load("P6400")
    with pytest.raises(TimingError, match="No such file"):
        TimingSet.load(tmp_path / "none.toml")
    path = tmp_path / "mine.toml"
    path.write_text("tCK = \n")
    with pytest.raises(TimingError, match=r"timing set .*mine\.toml: "):
        TimingSet.load(path)
    table = "\n".join(f"{key} = {value}" for key, value in TABLES["D3200"].items() if key != "tRP")
    path.write_text(f'name = "mine"\ntCK = 0.625\n[nCK]\n{table}\n[ns]\ntRP = 14.1\n')
    assert TimingSet.load(str(path)) == dataclasses.replace(TimingSet.load("D3200"), name="mine")
