// The data of a pseudo-channel, with 32 check bits beside each atom (32 bytes, byte 0 in bits 7:0); it knows nothing of their code.
//
// Atom n lies at byte address 32 * n of the channel: the device has undone the controller's address map, so a back door needs no map.
// Storage is given out in pages of 32 atoms (1 KiB) when they are first written: page[n] is 0, or 1 + the place in the pool of PAGES.
// What was never written reads as zeros. A write that finds the pool empty is lost, and `exhausted` for a clock.
// Plusargs, FILE.<CHANNEL> each: +memory=FILE loads lines "@atom check and data" (hexadecimal, 8 + 64 digits). +dump=FILE writes atoms
// +dump_first to +dump_last as such numbers when `finished` rises. +hbm_flips=FILE inverts stored bits: lines "clock atom bit"
// (decimal, clocks since the reset in ascending order; bits 0 to 255 are data, 256 to 287 check bits).
// +hbm_read_flips=N inverts, in one read of N on average, one bit of one 64-bit word and its check bits on its way out, or
// +hbm_read_flip_bits=2 of them, in +hbm_read_flip_most=N reads at the most (0: any number); +hbm_seed=N chooses which. Never synthesised.

/* verilator lint_off DECLFILENAME */
/* verilator lint_off BLKSEQ */
/* verilator lint_off WIDTHEXPAND */
/* verilator lint_off WIDTHTRUNC */
/* verilator lint_off UNUSEDSIGNAL */
module hbm_storage #(
    parameter CHANNEL = 0,
    parameter ROWS = 32768,
    parameter PAGES = 65536
) (
    input             clk,
    input             rst,
    input             enable,
    input             finished,
    input             fetch,              // an atom to read; it is on the outputs in the next clock
    input      [31:0] fetch_atom,
    input             store,              // an atom to write, with the data of this clock
    input      [31:0] store_atom,
    input      [255:0] write_data,
    input      [31:0] write_check,
    input      [31:0] write_mask,
    output reg [255:0] read_data,
    output reg [31:0] read_check,
    output reg        read_valid,
    output reg        exhausted,
    output reg [31:0] flips
);
    localparam TABLE = 16 * ROWS;

    reg [31:0]  page [0:TABLE-1] /* verilator public_flat_rw */;
    reg [31:0]  pages_used /* verilator public_flat_rw */;
    reg [255:0] mem [0:32*PAGES-1] /* verilator public_flat_rw */;
    reg [31:0]  check [0:32*PAGES-1] /* verilator public_flat_rw */;

    integer i;
    integer file, flip_file, status;
    integer dump_first, dump_last;
    reg [8*512-1:0] path, flip_path;
    reg [31:0]  number;
    reg [287:0] value;
    reg         lost;
    reg [31:0]  place;
    reg [63:0]  now, flip_clock, random;
    reg [31:0]  flip_atom, flip_bit, flip_rate, flip_bits, flip_most;
    reg [31:0]  flip_word, first_bit, second_bit;

    // `place` of an atom in the pool, which gives it a page if it has none.
    task reserve(input [31:0] atom);
        begin
            lost = atom >= 32 * TABLE;
            if (!lost && page[atom >> 5] == 0) begin
                lost = pages_used == PAGES;
                if (!lost) begin
                    for (i = 0; i < 32; i = i + 1) begin
                        mem[32 * pages_used + i] = 256'd0;
                        check[32 * pages_used + i] = 32'd0;
                    end
                    pages_used = pages_used + 1;
                    page[atom >> 5] = pages_used;
                end
            end
            place = lost ? 0 : 32 * (page[atom >> 5] - 1) + atom[4:0];
        end
    endtask

    function [287:0] peek(input [31:0] atom);
        if (atom >= 32 * TABLE || page[atom >> 5] == 0) peek = 288'd0;
        else peek = {check[32 * (page[atom >> 5] - 1) + atom[4:0]], mem[32 * (page[atom >> 5] - 1) + atom[4:0]]};
    endfunction

    task next_flip;
        begin
            flip_clock = 64'hffffffffffffffff;
            if (flip_file != 0)
                if ($fscanf(flip_file, "%d %d %d\n", flip_clock, flip_atom, flip_bit) != 3) flip_clock = 64'hffffffffffffffff;
        end
    endtask

    task open_flips;
        begin
            flip_file = 0;
            if ($value$plusargs("hbm_flips=%s", flip_path)) begin
                $sformat(flip_path, "%0s.%0d", flip_path, CHANNEL);
                flip_file = $fopen(flip_path, "r");
                if (flip_file == 0) begin
                    $display("HBM device: cannot read %0s", flip_path);
                    $finish;
                end
            end
            next_flip;
        end
    endtask

    task load;
        begin
            $sformat(path, "%0s.%0d", path, CHANNEL);
            file = $fopen(path, "r");
            status = 2;
            if (file == 0) status = 0;
            while (status == 2) begin
                status = $fscanf(file, "@%h %h\n", number, value);
                if (status == 2) begin
                    reserve(number);
                    if (lost) status = 3;
                    else {check[place], mem[place]} = value;
                end
            end
            if (file == 0 || status == 3 || !$feof(file)) begin
                $display("HBM device: cannot load %0s", path);
                $finish;
            end
            if (file != 0) $fclose(file);
        end
    endtask

    initial begin
        pages_used = 0; exhausted = 0; flips = 0; now = 0;
        read_data = 0; read_check = 0; read_valid = 0;
        for (i = 0; i < TABLE; i = i + 1) page[i] = 0;
        if ($value$plusargs("memory=%s", path)) load;
        if (!$value$plusargs("hbm_read_flips=%d", flip_rate)) flip_rate = 0;
        if (!$value$plusargs("hbm_read_flip_bits=%d", flip_bits)) flip_bits = 1;
        if (!$value$plusargs("hbm_read_flip_most=%d", flip_most)) flip_most = 0;
        if (!$value$plusargs("hbm_seed=%d", random)) random = 1;
        random = (random + 1 + CHANNEL) * 64'h9e3779b97f4a7c15;
        open_flips;
    end

    task write;
        begin
            reserve(store_atom);
            if (!lost) begin
                for (i = 0; i < 4; i = i + 1)
                    if (write_mask[8*i +: 8] != 8'hff) check[place][8*i +: 8] = write_check[8*i +: 8];
                if (write_mask == 0) mem[place] = write_data;
                else for (i = 0; i < 32; i = i + 1) if (!write_mask[i]) mem[place][8*i +: 8] = write_data[8*i +: 8];
            end
        end
    endtask

    // Inverts a stored bit.
    task flip;
        begin
            reserve(flip_atom);
            if (!lost && flip_bit < 288) begin
                if (flip_bit < 256) mem[place][flip_bit[7:0]] = ~mem[place][flip_bit[7:0]];
                else check[place][flip_bit[4:0]] = ~check[place][flip_bit[4:0]];
                flips = flips + 1;
            end
        end
    endtask

    task invert(input [31:0] bit_of_word);
        begin
            if (bit_of_word < 64) value[64 * flip_word + bit_of_word] = ~value[64 * flip_word + bit_of_word];
            else value[256 + 8 * flip_word + bit_of_word - 64] = ~value[256 + 8 * flip_word + bit_of_word - 64];
            flips = flips + 1;
        end
    endtask

    // Perhaps a fault on the way out: xorshift64 decides.
    task disturb;
        begin
            random = random ^ (random << 13);
            random = random ^ (random >> 7);
            random = random ^ (random << 17);
            if (random[63:32] % flip_rate == 0) begin
                flip_word = random[1:0];
                first_bit = random[15:2] % 72;
                second_bit = (first_bit + 1 + random[31:16] % 71) % 72;
                invert(first_bit);
                if (flip_bits > 1) invert(second_bit);
            end
        end
    endtask

    always @(posedge clk)
        if (rst) begin
            if (now != 0) begin
                if (flip_file != 0) $fclose(flip_file);
                open_flips;
            end
            now = 0;
            flips = 0;
            exhausted <= 0;
            read_valid <= 0;
        end else if (enable) begin
            while (now >= flip_clock) begin
                flip;
                next_flip;
            end
            lost = 0;
            if (store) write;
            exhausted <= lost;
            read_valid <= fetch;
            if (fetch) begin
                value = peek(fetch_atom);
                if (flip_rate != 0 && (flip_most == 0 || flips < flip_most)) disturb;
                read_data <= value[255:0];
                read_check <= value[287:256];
            end
            now = now + 1;
        end

    always @(posedge finished)
        if ($value$plusargs("dump=%s", path) && $value$plusargs("dump_first=%d", dump_first)
            && $value$plusargs("dump_last=%d", dump_last)) begin
            $sformat(path, "%0s.%0d", path, CHANNEL);
            file = $fopen(path, "w");
            for (number = dump_first; number <= dump_last; number = number + 1) $fdisplay(file, "%072h", peek(number));
            $fclose(file);
        end
endmodule
