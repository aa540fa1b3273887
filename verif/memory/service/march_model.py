"""What a march test must find, worked out from the stuck cells alone."""

from verif.memory.ecc.code import Word, check_of

__all__ = ["expect"]

#: Words that the test writes, each also inverted; all zeros last.
_PATTERNS = (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F, 0x1C3B1C3B1C3B1C3B, 0)
#: March C-: of each element that reads, whether it expects the word inverted.
_READS = (False, True, False, True, False)


def expect(stuck: dict[tuple[int, int], tuple[Word, Word]], atoms: range) -> tuple[int, set[int]]:
    """(number of reads that find an atom wrong, atoms of which one is the first to be found)."""
    count, first = 0, set()
    for pattern in _PATTERNS:
        for inverted in _READS:
            word = pattern ^ ((1 << 64) - 1 if inverted else 0)
            wrong = {
                atom for (atom, _), ((data_mask, check_mask), (data, check)) in stuck.items()
                if atom in atoms and ((word ^ data) & data_mask or (check_of(word) ^ check) & check_mask)
            }
            count += len(wrong)
            first = first or wrong
    return count, first
