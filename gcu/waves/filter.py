"""Reads hexadecimal values from standard input, a line each, and writes what they mean: what GTKWave asks of a filter.

    python -m gcu.waves.filter fp16x8+1
"""

import sys

from gcu.waves.readings import from_name

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    try:
        (name,) = arguments
        reading = from_name(name)
    except (ValueError, KeyError):
        print("a filter takes the name of one reading, such as fp16x8+1", file=sys.stderr)
        return 2
    for line in sys.stdin:
        text = line.strip()
        try:
            print(reading.text(int(text, 16)), flush=True)
        except ValueError:  # unknown bits
            print(text, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
