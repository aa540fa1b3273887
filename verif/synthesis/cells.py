"""A library of few cells with delays that a reader can add up: slope 1 ns per pF, no influence of slews."""

__all__ = ["library_text"]

#: Three loads, since ABC takes the slope from all points but the last.
_TABLE = 'index_1 ("0.01, 1"); index_2 ("0.0, 0.5, 1"); values ("{0}, {1}, {2}", "{0}, {1}, {2}");'


def _tables(names: list[str], delay: float, slope: float) -> str:
    return " ".join(f"{name} (grid) {{ {_TABLE.format(delay, delay + slope / 2, delay + slope)} }}" for name in names)


def _timing(source: str, sense: str, delay: float, kind: str = "combinational") -> str:
    tables = _tables(["cell_rise", "cell_fall"], delay, 1.0) + _tables(["rise_transition", "fall_transition"], 0.02, 1.0)
    return f'timing () {{ related_pin : "{source}"; timing_sense : {sense}; timing_type : {kind}; {tables} }}'


def _gate(name: str, area: float, inputs: str, function: str, sense: str, delay: float) -> str:
    pins = "".join(f'pin ({pin}) {{ direction : "input"; capacitance : 0.002; }}' for pin in inputs)
    timings = "".join(_timing(pin, sense, delay) for pin in inputs)
    output = f'pin (Y) {{ direction : "output"; function : "{function}"; max_capacitance : 1; {timings} }}'
    return f"cell ({name}) {{ area : {area}; {pins} {output} }}"


def library_text() -> str:
    cells = [
        _gate("inv", 2, "A", "!A", "negative_unate", 0.1), _gate("buf", 3, "A", "A", "positive_unate", 0.15),
        # The larger one stands first: the equivalent is the smallest with the function, whatever its name.
        _gate("strong", 9, "AB", "(!A)+(B')", "negative_unate", 0.2), _gate("and_not", 4, "AB", "!(A*B)", "negative_unate", 0.2),
        _gate("either", 5, "AB", "!(A+B)", "negative_unate", 0.3),
    ]
    clock = 'pin (CK) { direction : "input"; clock : true; capacitance : 0.002; }'
    setup = _tables(["rise_constraint", "fall_constraint"], 0.05, 0.0)
    timing = f'timing () {{ related_pin : "CK"; timing_type : setup_rising; {setup} }}'
    data = f'pin (D) {{ direction : "input"; capacitance : 0.002; {timing} }}'
    output = f'pin (Q) {{ direction : "output"; function : "IQ"; max_capacitance : 1; {_timing("CK", "non_unate", 0.4, "rising_edge")} }}'
    cells.append(f'cell (flop) {{ area : 20; ff (IQ, IQN) {{ clocked_on : "CK"; next_state : "D"; }} {clock} {data} {output} }}')
    return (
        '/* test */ library (tests) { time_unit : "1ns"; capacitive_load_unit (1, pf); '
        "lu_table_template (grid) { variable_1 : input_net_transition; variable_2 : total_output_net_capacitance; "
        'index_1 ("0.01, 1"); index_2 ("0.0, 0.5, 1"); } ' + "\n".join(cells) + " }\n"
    )
