"""The instruction set: every instruction, engine command, register, status code and event, as Amaranth structs and enums.

RTL, golden model, compiler and waveforms read this file and nothing else. Encodings are ours (the real chip's are not public).

A *program* is a list of 64-bit :class:`Instruction` s per SIP, run by its sequencer. The sequencer keeps one *command
register file* per engine: 32-bit words that `SET` and `SETR` write one at a time and that keep their values, so that a loop
changes only what moves. `RUN` copies the register file into the engine's queue, together with the events that the
command waits for and those that it signals. Each command struct below is the layout of such a register file: every member is
exactly one 32-bit word, and its position is the `field` number of `SET`.

Addresses inside a command are byte addresses in L1 unless a `Space` says otherwise. Strides are signed bytes. Sizes are
unsigned, 1 to 65535 unless said otherwise.
"""

from amaranth import signed
from amaranth.lib import data, enum

from rtl.config import ISA_VERSION
from rtl.formats import Format

__all__ = [
    "COMMANDS",
    "COUNTER_BASE",
    "ISA_VERSION",
    "MEMORY_BASE",
    "MEMORY_BYTES",
    "WINDOW_ACCESS_BASE",
    "WINDOW_BASE",
    "Activity",
    "AlignMode",
    "Cause",
    "Completion",
    "DataCommand",
    "DataInterior",
    "DataMode",
    "DataOp",
    "Engine",
    "ErrorRecord",
    "HostRegister",
    "Instruction",
    "Interrupt",
    "MemoryControl",
    "MemoryRegister",
    "MemoryService",
    "MemoryStatus",
    "MicroOp",
    "Opcode",
    "RunOperand",
    "Space",
    "Status",
    "TensorCommand",
    "TensorMode",
    "VectorCommand",
    "VectorMode",
    "VectorOp",
    "VectorSource",
    "Window",
    "counter_address",
    "memory_address",
    "window_access_address",
    "window_address",
    "word_index",
    "words_of",
]


# Sequencer


class Opcode(enum.Enum, shape=6):
    """What an instruction does. 0 is undefined on purpose: running into cleared memory is an error and not a NOP."""

    #: Waits until every engine of the SIP is done, then ends this SIP's part of the job.
    END = 1
    #: command[engine].word[field] = imm
    SET = 2
    #: command[engine].word[field] = r[rs]; then r[rs] += imm (an address register that steps).
    SETR = 3
    #: Queues the command of `engine`; `imm` is a `RunOperand`. With `reg` = 1 the signals go to SIP `field`, else to this SIP.
    RUN = 4
    #: r[rd] = imm
    LOAD = 5
    #: r[rd] = r[rs] + (reg ? r[field] : imm), modulo 2^32
    ADD = 6
    #: r[rd] = r[rs] - (reg ? r[field] : imm), modulo 2^32
    SUB = 7
    #: r[rd] = the lesser of r[rs] and (reg ? r[field] : imm), as signed numbers
    MIN = 8
    #: r[rd] = the greater of r[rs] and (reg ? r[field] : imm), as signed numbers
    MAX = 9
    #: r[rd] = r[rs] << (imm mod 32)
    SHL = 10
    #: r[rd] = r[rs] >> (imm mod 32), logical
    SHR = 11
    #: Runs the next `field` instructions, which end with ENDLOOP, (reg ? r[rs] : imm) times; 0 times skips them.
    LOOP = 12
    #: Ends the body of the innermost LOOP.
    ENDLOOP = 13
    #: The sequencer itself waits until every event of imm[15:0] is above zero, then takes one from each.
    WAIT = 14
    #: Adds one to every event of imm[31:16], on SIP `field` if `reg` = 1, else on this SIP.
    SIGNAL = 15
    #: Waits until the queues and the engines of imm[3:0] (a mask by `Engine`) are empty and idle.
    FENCE = 16


class Engine(enum.Enum, shape=2):
    """The engines of a SIP. SEQUENCER stands only in records and activity. The cluster's own sequencer has DATA alone."""

    TENSOR = 0
    VECTOR = 1
    DATA = 2
    SEQUENCER = 3


class Instruction(data.Struct):
    """One 64-bit instruction, little-endian in memory, at an address that is a multiple of 8."""

    imm: 32
    #: Word number (SET, SETR), second register (ALU with `reg`), body length (LOOP), target SIP (RUN, SIGNAL with `reg`).
    field: 12
    reg: 1
    rs: 5
    rd: 5
    engine: Engine
    reserved: 1
    opcode: Opcode


class RunOperand(data.Struct):
    """`imm` of RUN: bit e of `wait` takes one from event e before the command starts, bit e of `signal` adds one when it is done."""

    wait: 16
    signal: 16


class Space(enum.Enum, shape=2):
    """Where an address of a data-engine command points. L1 is the SIP's own."""

    L1 = 0
    L2 = 1
    L3 = 2


class Status(enum.Enum, shape=8):
    """How an instruction, a command or a job ended. All but OK stop the program; the chip takes the next job."""

    OK = 0
    #: An opcode, a micro-operation or a data-engine operation that is not defined.
    UNDEFINED_OPCODE = 1
    #: An engine that this sequencer doesn't have.
    UNDEFINED_ENGINE = 2
    #: A command word, register or event that doesn't exist.
    UNDEFINED_FIELD = 3
    #: LOOP nested deeper than the hardware's stack, or ENDLOOP without LOOP.
    LOOP_DEPTH = 4
    #: The image doesn't start with the magic number.
    BAD_MAGIC = 5
    #: The image is for another version of the instruction set.
    BAD_VERSION = 6
    #: The image was compiled for another configuration.
    BAD_FINGERPRINT = 7
    #: The image has no entry for this SIP, or its entry is misaligned.
    BAD_ENTRY = 8
    #: The image, the arguments or an instruction could not be read.
    FETCH_BUS = 9
    #: An event was signalled beyond 255.
    EVENT_OVERFLOW = 10
    #: Nothing in the SIP moved for WATCHDOG cycles.
    WATCHDOG = 11
    #: A format, mode or operation that this configuration lacks.
    UNSUPPORTED = 12
    #: A size of zero, or beyond what the field allows.
    SIZE = 13
    #: A base or a stride that isn't a multiple of the element.
    ALIGNMENT = 14
    #: An access outside L1, L2, L3 or the partition's window; the record has the address.
    ADDRESS = 15
    #: The fabric answered with an error; the record has the address.
    BUS = 16
    #: Another SIP of the same job failed.
    ABORTED = 17
    #: A doorbell for more jobs than are queued.
    DOORBELL_EMPTY = 18
    #: A job pushed into a full queue.
    QUEUE_FULL = 19
    #: A job with no SIP, a SIP that doesn't exist, too many arguments or a partition that doesn't exist.
    BAD_JOB = 20
    #: A host access to an undefined register.
    BAD_REGISTER = 21
    #: An index of a gather outside the source; the record has the address of the first such index.
    INDEX = 22


class Cause(enum.Enum, shape=3):
    """What an engine did with a cycle. Each cycle has exactly one cause, so they add up to the total."""

    #: No command.
    IDLE = 0
    #: Useful work.
    BUSY = 1
    #: An operand from L1 (or, in the vector engine, from the tensor core) is not there yet.
    OPERAND = 2
    #: L2, L3 or the fabric.
    MEMORY = 3
    #: A command waits for an event.
    EVENT = 4
    #: Accumulator rows are still in the pipeline, or wait to be drained.
    ACCUMULATOR = 5
    #: A row of zeros passed by without entering the array (`skip_zero`).
    SKIPPED = 6


class Activity(data.Struct):
    """What an engine does in this cycle, for counters, timelines and tables per layer. `tag` is the command's; `read` and
    `write` are bytes that cross the fabric from and to L3 in this cycle (data engines only)."""

    cause: Cause
    tag: 16
    read: 6
    write: 6


class Completion(data.Struct):
    """End of a command; `address` is the first address that failed, where the status has one."""

    status: Status
    address: 32


# Tensor core


class AlignMode(enum.Enum, shape=2):
    """Alignment and rounding of the four-product sum: the chip's own, or the compatibility mode (F and toward zero)."""

    OWN = 0
    RZ23 = 1
    RZ24 = 2
    RZ25 = 3


class TensorMode(data.Struct):
    a_format: Format  #: FP32, TF32, FP16, BF16, INT8, or UINT8 (A unsigned, B signed). B has the same width.
    d_format: Format  #: FP32, FP16 or BF16 from floating point, INT32 from INT8. Conversion as in `docs/numerics.md`.
    align: AlignMode
    accumulate: 1  #: The first `c` of every result is the C operand (FP32 or INT32 in L1) and not +0.
    to_vector: 1  #: Rows of 32-bit results go to the vector engine instead of L1, N tile by N tile, row by row.
    transpose_a: 1  #: A is stored channel by channel: the elements of a row of `ow` lie side by side.
    transpose_b: 1  #: B is stored column by column: the elements along K lie side by side.
    skip_zero: 1  #: Rows of A that are all zeros in a pass don't enter the array where no bit can change; `Cause.SKIPPED` counts them.
    reserved: 19


class TensorCommand(data.Struct):
    """D[m, n] = sum over k of A[m, k] * B[k, n] (+ C[m, n]).

    m = (oh, ow) and k = (kh, kw, channel), so a convolution needs no im2col and a plain product is oh = kh = kw = 1.

    - A element: a_base + oh * a_oh + ow * a_ow + kh * a_kh + kw * a_kw + channel * element size, but every group of lanes
      starts a_c byte after the one before (a_c = lanes * element size where channels are dense).
    - B element: b_base + k * b_k + n * element size, k counted linearly over (kh, kw, channel).
    - C element: c_base + oh * c_oh + ow * c_ow + n * 4 (strides of 0 broadcast a row, such as a bias).
    - D element: d_base + oh * d_oh + ow * d_ow + n * element size of `d_format`.

    With `transpose_a`, the A element is at a_base + oh * a_oh + ow * element size + kh * a_kh + kw * a_kw + channel * a_c; `a_ow` is
    not used. With `transpose_b`, the B element is at b_base + n * b_k + k * element size.

    Each tap (kh, kw) starts a new group. The command is repeated `batch` times, with the bases stepped by `*_batch`.
    Consecutive commands overlap, but a command that reads what an earlier one writes sees it: the hardware compares their boxes of bytes.
    """

    mode: TensorMode
    tag: 32
    kh: 32
    kw: 32
    channels: 32
    ow: 32
    oh: 32
    n: 32
    a_base: 32
    a_c: signed(32)
    a_kw: signed(32)
    a_kh: signed(32)
    a_ow: signed(32)
    a_oh: signed(32)
    b_base: 32
    b_k: signed(32)
    c_base: 32
    c_ow: signed(32)
    c_oh: signed(32)
    d_base: 32
    d_ow: signed(32)
    d_oh: signed(32)
    batch: 32
    a_batch: signed(32)
    b_batch: signed(32)
    c_batch: signed(32)
    d_batch: signed(32)


# Vector engine


class VectorOp(enum.Enum, shape=6):
    """Operation of one micro-operation on 32-bit lanes: `dst = a op b`. F* are FP32 (nearest even, NaN canonical), I* are INT32."""

    NOP = 0
    MOV = 1  #: dst = a
    FADD = 2
    FSUB = 3
    FMUL = 4
    FMA = 5  #: dst = a * b + dst, one rounding
    FMAX = 6  #: the greater; -0 < +0; a NaN operand gives the NaN
    FMIN = 7
    IADD = 8  #: modulo 2^32
    ISUB = 9
    IADDS = 10  #: saturating
    IMUL = 11  #: low 32 bits
    IMAX = 12
    IMIN = 13
    SHL = 14  #: a << (b mod 32)
    SHR = 15  #: a >> (b mod 32), arithmetic
    ITOF = 16  #: FP32 of the integer a, nearest even
    FTOI = 17  #: integer of a, nearest even, saturating, NaN gives 0
    #: `tflite-double` scaling of a by the multiplier b[31:0], without zero point and clamp; the shift (signed) is the low byte of dst.
    REQD = 18
    #: `tflite-single` scaling, operands as for REQD.
    REQS = 19


class VectorSource(enum.Enum, shape=4):
    """Operand of a micro-operation: a vector register, a per-column parameter, one of the command's scalars, or zero."""

    V0 = 0
    V1 = 1
    V2 = 2
    V3 = 3
    P0 = 4
    P1 = 5
    P2 = 6
    P3 = 7
    S0 = 8
    S1 = 9
    ZERO = 10


class MicroOp(data.Struct):
    """One step of the micro-program, 16 bits, two to a command word (the lower half first)."""

    op: VectorOp
    dst: 2  #: V0 to V3
    a: VectorSource
    b: VectorSource


class VectorMode(data.Struct):
    x_format: Format  #: FP32, FP16, BF16, TF32 load as FP32; INT8, UINT8, INT32 load as INT32
    y_format: Format
    z_format: Format  #: a floating format stores V0 as FP32, rounded; an integer format stores V0 as INT32, saturated to it
    y_enable: 1
    from_tensor: 1  #: x comes from the tensor core (32-bit results); x's address words are not used
    params: 3  #: how many of P0 to P3 are loaded
    ops: 4  #: micro-operations to run after the taps, 0 to 8
    reduce: VectorOp  #: with kh * kw > 1: V0 = V0 reduce x for every tap after the first (FADD, FMAX, FMIN, IADD, IMAX or IMIN)
    reserved: 8


class VectorCommand(data.Struct):
    """Elementwise work on a tensor of oh x ow rows of n columns, with an optional reduction over kh x kw taps.

    For each column tile of `pe_columns` columns (outermost), each row (oh, ow) and each column c: V0 = x(first tap) reduced with
    the other taps, V1 = y (if enabled), then the micro-program, then z = V0. V2 and V3 start undefined: the micro-program
    writes them before it reads them. The registers of one element never reach another.

    - x: x_base + oh * x_oh + ow * x_ow + kh * x_kh + kw * x_kw + c * element size
    - y: y_base + oh * y_oh + ow * y_ow + c * element size (strides of 0 broadcast a row)
    - z: z_base + oh * z_oh + ow * z_ow + c * element size
    - P_i: the 32-bit word at p_base + i * p_stride + c * 4
    """

    mode: VectorMode
    tag: 32
    n: 32
    ow: 32
    oh: 32
    kw: 32
    kh: 32
    x_base: 32
    x_kw: signed(32)
    x_kh: signed(32)
    x_ow: signed(32)
    x_oh: signed(32)
    y_base: 32
    y_ow: signed(32)
    y_oh: signed(32)
    z_base: 32
    z_ow: signed(32)
    z_oh: signed(32)
    p_base: 32
    p_stride: signed(32)
    s0: 32
    s1: 32
    ops01: 32
    ops23: 32
    ops45: 32
    ops67: 32


# Data engine


class DataOp(enum.Enum, shape=4):
    """Where a destination element comes from. What else happens to it on the way is said by the members of `DataMode`."""

    COPY = 1  #: the source element at the same index
    FILL = 2  #: `fill`; the source is not read
    SLICE = 3  #: the source element at the index's coordinates; where one lies outside the source, or in a gap, `fill`


class DataMode(data.Struct):
    op: DataOp  #: what the command does
    element: 2  #: log2 of an element's bytes, 0 to 2, on both sides; not used with `convert`
    source: Space  #: where the source lies
    destination: Space  #: where the destination lies
    #: The move is a transposition that runs tile by tile: dimension 0 is dense in the destination, dimension 1 in the source. It changes
    #: speed, never a result.
    tile: 1
    gather: 1  #: SLICE: coordinate 4 comes from a list of int32 in memory
    index: Space  #: of the list; used with `gather`
    share3: 2  #: SLICE: 0, or 1 + the coordinate (0 to 2) that dimension 3 moves instead of its own
    share4: 2  #: the same for dimension 4
    convert: 1  #: Elements change their format on the way, rounded once
    source_format: Format  #: used with `convert`
    destination_format: Format  #: used with `convert`
    reserved: 7  #: 0


class DataInterior(data.Struct):
    """Gaps of two dimensions of a SLICE, `a` the lower one: `count` gaps follow each source element, and index 0 lies `phase` places
    behind an element (phase <= count)."""

    count_a: 8  #: gaps behind each element, dimension `a`
    phase_a: 8  #: places of index 0 behind an element
    count_b: 8  #: the same for dimension `b`
    phase_b: 8  #: the same for dimension `b`


class DataCommand(data.Struct):
    """Moves a tensor of rank 5, in one pass. Dimension 0 is the innermost; dimensions that aren't needed have size 1.

    For every index i with 0 <= i[d] < size[d], the destination element at

        dst_base + sum of i[d] * dst_stride[d]

    becomes

    - COPY: the source element at src_base + sum of i[d] * src_stride[d].
    - FILL: `fill`.
    - SLICE: the source element at src_base + sum of j[k] * src_stride[k], or `fill`. The source is a tensor with `extent[k]` elements
      along coordinate k, the first one of all at `src_base`. Dimension d moves coordinate own(d), which is d, or for dimension 3 and 4 with
      `share3`, `share4` not 0, that number - 1; with p[d] = phase[d] + i[d] and c[d] = count[d] + 1 of `DataInterior`,

          j[k] = offset[k] + sum over the dimensions d with own(d) = k of floor(p[d] / c[d]) * step[d].

      The element is `fill`, and the source isn't read for it, where p[d] mod c[d] is not 0 for any d, or j[k] lies outside
      0 <= j[k] < extent[k] for any coordinate that a dimension owns. With `gather`, j[4] is the int32 at index_base + 4 * i[4].

    Without `convert` an element is 2^element bytes and moves as it is. With it, the source element is one of `source_format`, and the
    destination element its value in `destination_format`, rounded once as in `docs/numerics.md`; saturating between integers; FP32 to
    FP32 passes every bit, any other conversion makes NaN the canonical one. `fill` is an element of the destination, in its low bits.

    Strides are signed bytes, of the source for coordinate k in SLICE and for dimension d in COPY. Addresses in L2 and L3 are byte addresses
    from the start of that space. What a command doesn't use may hold anything: see `docs/data_engine.md`, which also has the rules that a
    command must keep, in their order. The order of the element moves inside one command is not defined, so its source, its list and
    its destination don't overlap.
    """

    mode: DataMode
    tag: 32  #: Its low 16 bits name the command in waveforms and error records
    src_base: 32  #: address of the source's first element
    dst_base: 32  #: address of the destination's element 0
    size0: 32  #: elements of the destination along each dimension
    size1: 32
    size2: 32
    size3: 32
    size4: 32
    src_stride0: signed(32)  #: bytes; of the coordinate in SLICE, else of the dimension
    src_stride1: signed(32)
    src_stride2: signed(32)
    src_stride3: signed(32)
    src_stride4: signed(32)
    dst_stride0: signed(32)  #: bytes
    dst_stride1: signed(32)
    dst_stride2: signed(32)
    dst_stride3: signed(32)
    dst_stride4: signed(32)
    fill: 32  #: FILL and SLICE: an element of the destination
    offset0: signed(32)  #: SLICE: the coordinate of index 0
    offset1: signed(32)
    offset2: signed(32)
    offset3: signed(32)
    offset4: signed(32)
    step0: signed(32)  #: SLICE: what a dimension adds to its coordinate
    step1: signed(32)
    step2: signed(32)
    step3: signed(32)
    step4: signed(32)
    extent0: 32  #: SLICE: elements of the source along each coordinate
    extent1: 32
    extent2: 32
    extent3: 32
    extent4: 32
    index_base: 32  #: `gather`: address of the list
    interior01: DataInterior
    interior23: DataInterior
    interior4: DataInterior


#: The command register file of each engine.
COMMANDS = {Engine.TENSOR: TensorCommand, Engine.VECTOR: VectorCommand, Engine.DATA: DataCommand}


def words_of(command) -> list[str]:
    """Names of the 32-bit words of a command struct, in order of their `field` numbers."""
    layout = data.Layout.cast(command)
    names = [name for name, _ in layout]
    for number, (name, field) in enumerate(layout):
        assert field.offset == 32 * number and field.width == 32, f"{command.__name__}.{name} is not one word"
    return names


def word_index(command, name: str) -> int:
    """The `field` number of the word `name`."""
    return words_of(command).index(name)


# Host


class Window(data.Struct):
    """A range of L3 that a partition may use, and for what. `limit` is the first byte beyond, so that a whole 4 GiB can be said."""

    base: 32
    limit: 33
    read: 1  #: data engines may read it
    write: 1  #: data engines may write it


class ErrorRecord(data.Struct):
    """The first error since the record was cleared: what failed, where, and the command's own words."""

    status: Status
    sip: 8
    engine: Engine
    reserved: 14
    #: The failing address (ADDRESS, BUS, FETCH_BUS, BAD_ENTRY), or 0.
    address: 32
    #: Byte address of the instruction in L3: the failing one, or the RUN of the failing command.
    pc: 32
    #: That instruction.
    command: 64


class HostRegister(enum.IntEnum):
    """Byte addresses of the 32-bit host registers (AXI4-Lite, 16-bit address). R: read, W: write, C: write one to clear."""

    ID = 0x000  #: R 0x5543474D, "MGCU" in memory order
    VERSION = 0x004  #: R version of the instruction set
    FINGERPRINT_LO = 0x008  #: R
    FINGERPRINT_HI = 0x00C  #: R
    BUILD_LO = 0x010  #: R
    BUILD_HI = 0x014  #: R
    SIPS = 0x018  #: R number of SIPs
    MEMORY_BYTES = 0x01C  #: R size of L3 in units of 1 KiB
    JOB_IMAGE = 0x020  #: RW byte address of the image in L3, a multiple of 64
    JOB_ARGS = 0x024  #: RW byte address of the arguments in L3, a multiple of 64
    JOB_ARG_COUNT = 0x028  #: RW 32-bit arguments, 0 to 32; they become r0, r1, ...
    JOB_MASK = 0x02C  #: RW bit per SIP, bit `sips` is the cluster's own sequencer
    JOB_PARTITION = 0x030  #: RW
    JOB_PUSH = 0x034  #: W queues the job of the registers above (any value)
    DOORBELL = 0x038  #: W releases that many queued jobs
    QUEUE = 0x03C  #: R [7:0] jobs queued and not released, [15:8] released and not started
    STATUS = 0x040  #: R [0] a job runs, [1] the memory is ready
    INTERRUPT = 0x044  #: RC `Interrupt` bits
    INTERRUPT_ENABLE = 0x048  #: RW
    JOBS_DONE = 0x04C  #: R jobs ended since reset, good or bad
    JOB_STATUS = 0x050  #: R `Status` of the last job that ended
    JOB_CYCLES = 0x054  #: R from the issue of its first command to the end of its last one
    JOB_TOTAL = 0x058  #: R from its launch to its end
    CYCLE_LO = 0x05C  #: R clocks since reset; reading it latches CYCLE_HI
    CYCLE_HI = 0x060  #: R
    WATCHDOG = 0x064  #: RW cycles without any progress before a SIP gives up
    ERROR_CAUSE = 0x068  #: RC [7:0] status, [15:8] SIP, [17:16] engine; any write clears the record
    ERROR_ADDRESS = 0x06C  #: R
    ERROR_PC = 0x070  #: R
    ERROR_COMMAND_LO = 0x074  #: R
    ERROR_COMMAND_HI = 0x078  #: R
    OVERFLOW = 0x07C  #: RC bit per SIP: the exact sum of an INT8 group and its accumulator left int32; any write clears all bits


class Interrupt(enum.IntEnum):
    """Bit numbers of INTERRUPT and INTERRUPT_ENABLE."""

    JOB_DONE = 0
    ERROR = 1


#: L3 window of each partition: base, then limit (first byte beyond), inclusive of the whole memory after reset.
WINDOW_BASE = 0x100

#: Registers of the memory controllers, `MEMORY_BYTES` for each channel.
MEMORY_BASE = 0x8000
MEMORY_BYTES = 0x400


class MemoryRegister(enum.IntEnum):
    """Byte offsets of a memory controller's 32-bit registers. R: read, W: write, C: any write clears. Addresses are of 32-byte atoms.

    The registers of timing and of the address map may be written only while the controller is stopped; any other write to them answers with
    an error and has no effect.
    """

    CONTROL = 0x000  #: RW `MemoryControl` bits
    STATUS = 0x004  #: R `MemoryStatus` bits
    HASH0 = 0x010  #: RW row bits whose parity is XORed into bg[0]; HASH1 to HASH3 into bg[1], ba[0], ba[1]
    HASH1 = 0x014  #: RW
    HASH2 = 0x018  #: RW
    HASH3 = 0x01C  #: RW
    CLOSE_AFTER = 0x020  #: RW memory clocks without an access after which an open row is closed; 0: never
    AGE_LIMIT = 0x024  #: RW memory clocks after which a request goes before all that would pass it
    STARVE_LIMIT = 0x028  #: RW requests of the urgent class that may pass a waiting one of the other
    SCRUB_INTERVAL = 0x02C  #: RW memory clocks between two atoms that the scrubber takes
    RANGE_FIRST = 0x030  #: RW first atom of a fill or self-test
    RANGE_LAST = 0x034  #: RW last atom
    SERVICE = 0x038  #: W `MemoryService` starts; refused with an error while one runs
    TEST_ERRORS = 0x03C  #: R reads of the last self-test that found an atom wrong
    TEST_FIRST = 0x040  #: R atom of the first of them
    INJECT_LO = 0x050  #: RW data bits [31:0] to invert
    INJECT_HI = 0x054  #: RW data bits [63:32]
    INJECT_CHECK = 0x058  #: RW [7:0] check bits
    INJECT = 0x05C  #: W [1:0] word: inverts the bits above in this word of the next write
    SINGLE_ERRORS = 0x060  #: RC words that were corrected
    SINGLE_FIRST = 0x064  #: R atom of the first since SINGLE_ERRORS was cleared
    DOUBLE_ERRORS = 0x068  #: RC words that could not be corrected
    DOUBLE_FIRST = 0x06C  #: R
    REFUSED = 0x070  #: RC AXI accesses that were answered with an error of protocol or range
    OWED = 0x074  #: R bank refreshes that are due and not done, signed; negative: done in advance
    BUS = 0x080  #: RC, one word for each `BusCause`: memory clocks; any write to one of them clears all
    TIMING = 0x100  #: RW, one word for each parameter, in the order of `TimingSet.parameters()`; writable while stopped


class MemoryControl(enum.IntEnum):
    """Bit numbers of CONTROL."""

    RUN = 0  #: set: writes the mode registers and serves requests; cleared: finishes what is pending, closes all banks and stops
    ECC = 1  #: check bits are checked; writable while stopped
    REFRESH_ALL = 2  #: all banks are refreshed at once instead of one by one; writable while stopped
    SCRUB = 3  #: reads and corrects atom after atom of the range


class MemoryStatus(enum.IntEnum):
    """Bit numbers of STATUS."""

    READY = 0  #: requests are served
    STOPPED = 1
    SERVICE = 2  #: a fill or a self-test runs
    POISONED = 3  #: an error that could not be corrected was met since DOUBLE_ERRORS was cleared


class MemoryService(enum.IntEnum):
    """What SERVICE starts. Both overwrite RANGE_FIRST to RANGE_LAST."""

    FILL = 1  #: zeros with valid check bits
    TEST = 2  #: a march test; leaves zeros


def memory_address(channel: int, register: MemoryRegister, index: int = 0) -> int:
    """Host address of a memory controller's register; `index` counts words from BUS and TIMING."""
    return MEMORY_BASE + MEMORY_BYTES * channel + register + 4 * index


#: What each partition's data engines may do in its window, a word each: [0] read, [1] write. Both after reset.
WINDOW_ACCESS_BASE = 0x140

#: Cycle counters of the running or last job: one 32-bit word per SIP (the cluster last), engine and cause.
COUNTER_BASE = 0x1000


def window_address(partition: int) -> int:
    """Register of a partition's base; its limit follows 4 byte later."""
    return WINDOW_BASE + 8 * partition


def window_access_address(partition: int) -> int:
    """Register of a partition's permissions."""
    return WINDOW_ACCESS_BASE + 4 * partition


def counter_address(sip: int, engine: Engine, cause: Cause) -> int:
    """Register of one cycle counter."""
    return COUNTER_BASE + 0x80 * sip + 0x20 * engine.value + 4 * cause.value
