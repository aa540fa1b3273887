// Device model of one HBM2e pseudo-channel: banks, data, and a checker of every timing and state rule. Never synthesised.
//
// Storage: mem[n] is the atom (32 bytes, byte 0 in bits 7:0) at byte address 32 * n of the channel; STORED_ROWS rows are kept, each
// 16 KiB of consecutive addresses. The device undoes the controller's address map, so a back door needs no map.
// Time: a clock is a rising edge with `enable` high. A command is on the bus in its clock; ACT takes two. Write data are sampled WL
// clocks after the command, read data are valid RL + 2 clocks after it.
// Violations are printed as "HBM VIOLATION <rule> ..." (the first 20) and counted, since the last reset; `first_violation` is a code below.
// Plusargs: +hbm_trace=FILE writes the command trace (since the last reset), channels above 0 append ".<CHANNEL>"
// to the name. +memory=FILE reads `mem` from FILE.<CHANNEL> by $readmemh; +dump=FILE writes its rows +dump_first to +dump_last to
// FILE.<CHANNEL> when `finished` rises.

/* verilator lint_off DECLFILENAME */
/* verilator lint_off BLKSEQ */
/* verilator lint_off WIDTHEXPAND */
/* verilator lint_off WIDTHTRUNC */
/* verilator lint_off UNUSEDSIGNAL */
/* verilator lint_off UNUSEDPARAM */
module hbm_device #(
    parameter CHANNEL = 0,
    parameter ROWS = 32768,
    parameter STORED_ROWS = ROWS,
    // Row bits that the controller XORs into bg[0], bg[1], ba[0], ba[1].
    parameter MASK_BG0 = 0, parameter MASK_BG1 = 0, parameter MASK_BA0 = 0, parameter MASK_BA1 = 0,
    // Timing in clocks.
    parameter RL = 23, parameter WL = 8,
    parameter tRCDRD = 23, parameter tRCDWR = 20, parameter tRP = 23, parameter tRAS = 55, parameter tRC = 78,
    parameter tRRD_S = 7, parameter tRRD_L = 7, parameter tCCD_S = 2, parameter tCCD_L = 4, parameter tFAW = 24,
    parameter tWR = 26, parameter tRTP = 8, parameter tWTR_S = 10, parameter tWTR_L = 13, parameter tRTW_GAP = 2,
    parameter tREFI = 6240, parameter tRFC = 560, parameter tREFIsb = 390, parameter tRFCsb = 256, parameter tRREFD = 13
) (
    input             clk,
    input             rst,
    input             enable,
    input             finished,           // the end of a run: `+dump` writes the data now
    input      [2:0]  row_operation,      // 0 NOP, 1 ACT, 2 PRE, 3 PREA, 4 REFSB, 5 REFAB, 6 MRS
    input      [1:0]  row_group,
    input      [1:0]  row_bank,
    input      [14:0] row_row,
    input      [2:0]  column_operation,   // 0 NOP, 1 RD, 2 RDA, 3 WR, 4 WRA
    input      [1:0]  column_group,
    input      [1:0]  column_bank,
    input      [4:0]  column_column,
    input      [255:0] write_data,
    input      [31:0] write_check,
    input      [31:0] write_mask,         // 1: the byte keeps its value
    output reg [255:0] read_data,
    output reg [31:0] read_check,
    output reg        read_valid,
    output reg [31:0] violations,
    output reg [7:0]  first_violation
);
    localparam ATOMS = STORED_ROWS * 512;
    localparam POSTPONED = 8;             // refreshes of a bank that may be owed, or done in advance

    // Codes of `first_violation`.
    localparam V_tRCDRD = 1, V_tRCDWR = 2, V_tRP = 3, V_tRAS = 4, V_tRC = 5, V_tRRD_S = 6, V_tRRD_L = 7, V_tFAW = 8,
               V_tCCD_S = 9, V_tCCD_L = 10, V_tWTR_S = 11, V_tWTR_L = 12, V_tRTW = 13, V_tWR = 14, V_tRTP = 15,
               V_tRFC = 16, V_tRFCsb = 17, V_tRREFD = 18, V_tREFI = 19,
               V_ROUND = 20, V_ROW_BUS = 21, V_OPEN = 22, V_CLOSED = 23, V_RANGE = 24, V_MODE = 25, V_COMMAND = 26;

    reg [255:0] mem [0:ATOMS-1] /* verilator public_flat_rw */;
    reg [31:0] checks [0:ATOMS-1] /* verilator public_flat_rw */;

    integer nRL, nWL, ntRCDRD, ntRCDWR, ntRP, ntRAS, ntRC, ntRRD_S, ntRRD_L, ntCCD_S, ntCCD_L, ntFAW, ntWR, ntRTP, ntWTR_S, ntWTR_L, ntRTW_GAP, ntREFI, ntRFC, ntREFIsb, ntRFCsb, ntRREFD;
    // Times of past events. The clock starts at EPOCH, so that "never" (0) is long enough ago for every rule.
    localparam [63:0] EPOCH = 64'd1048576;
    reg [63:0] now;
    reg [15:0] open;
    reg [14:0] row [0:15];
    reg [63:0] activated [0:15];          // second clock of the ACT
    reg [63:0] precharged [0:15];
    reg [63:0] was_read [0:15];
    reg [63:0] was_written [0:15];
    reg [63:0] refreshed [0:15];
    reg [63:0] group_activated [0:3];     // ACT's second clock, or REFSB
    reg [63:0] group_read [0:3];
    reg [63:0] group_written [0:3];
    reg [63:0] last_activated, last_read, last_written, last_refsb, last_refab;
    reg [63:0] window [0:3];              // the last four activates
    reg [1:0]  oldest;
    reg [15:0] round;                     // banks refreshed in this round
    reg signed [7:0] owed [0:15];
    reg [31:0] interval;
    reg        second;                    // this is an ACT's second clock

    // Commands whose data are still to come: one bit for each clock, and the atoms in order.
    reg [63:0] read_due, write_due;
    reg [31:0] read_atom [0:63];
    reg [31:0] write_atom [0:63];
    reg [5:0]  read_head, read_tail, write_head, write_tail;

    integer i;
    integer trace;
    reg [3:0]  b;
    reg [1:0]  g;
    reg [63:0] e;
    reg [63:0] p;
    reg [255:0] word;
    reg [8*512-1:0] path;

    task clear;
        begin
            now = EPOCH;
            open = 0; round = 0; interval = 0; second = 0; oldest = 0;
            read_due = 0; write_due = 0; read_head = 0; read_tail = 0; write_head = 0; write_tail = 0;
            last_activated = 0; last_read = 0; last_written = 0; last_refsb = 0; last_refab = 0;
            for (i = 0; i < 16; i = i + 1) begin
                row[i] = 0; activated[i] = 0; precharged[i] = 0; was_read[i] = 0; was_written[i] = 0; refreshed[i] = 0; owed[i] = 0;
            end
            for (i = 0; i < 4; i = i + 1) begin
                group_activated[i] = 0; group_read[i] = 0; group_written[i] = 0; window[i] = 0;
            end
        end
    endtask

    initial begin
        if (!$value$plusargs("hbm_RL=%d", nRL)) nRL = RL;
        if (!$value$plusargs("hbm_WL=%d", nWL)) nWL = WL;
        if (!$value$plusargs("hbm_tRCDRD=%d", ntRCDRD)) ntRCDRD = tRCDRD;
        if (!$value$plusargs("hbm_tRCDWR=%d", ntRCDWR)) ntRCDWR = tRCDWR;
        if (!$value$plusargs("hbm_tRP=%d", ntRP)) ntRP = tRP;
        if (!$value$plusargs("hbm_tRAS=%d", ntRAS)) ntRAS = tRAS;
        if (!$value$plusargs("hbm_tRC=%d", ntRC)) ntRC = tRC;
        if (!$value$plusargs("hbm_tRRD_S=%d", ntRRD_S)) ntRRD_S = tRRD_S;
        if (!$value$plusargs("hbm_tRRD_L=%d", ntRRD_L)) ntRRD_L = tRRD_L;
        if (!$value$plusargs("hbm_tCCD_S=%d", ntCCD_S)) ntCCD_S = tCCD_S;
        if (!$value$plusargs("hbm_tCCD_L=%d", ntCCD_L)) ntCCD_L = tCCD_L;
        if (!$value$plusargs("hbm_tFAW=%d", ntFAW)) ntFAW = tFAW;
        if (!$value$plusargs("hbm_tWR=%d", ntWR)) ntWR = tWR;
        if (!$value$plusargs("hbm_tRTP=%d", ntRTP)) ntRTP = tRTP;
        if (!$value$plusargs("hbm_tWTR_S=%d", ntWTR_S)) ntWTR_S = tWTR_S;
        if (!$value$plusargs("hbm_tWTR_L=%d", ntWTR_L)) ntWTR_L = tWTR_L;
        if (!$value$plusargs("hbm_tRTW_GAP=%d", ntRTW_GAP)) ntRTW_GAP = tRTW_GAP;
        if (!$value$plusargs("hbm_tREFI=%d", ntREFI)) ntREFI = tREFI;
        if (!$value$plusargs("hbm_tRFC=%d", ntRFC)) ntRFC = tRFC;
        if (!$value$plusargs("hbm_tRFCsb=%d", ntRFCsb)) ntRFCsb = tRFCsb;
        if (!$value$plusargs("hbm_tRREFD=%d", ntRREFD)) ntRREFD = tRREFD;
        clear;
        read_data = 0; read_valid = 0; violations = 0; first_violation = 0; trace = 0;
        if (nRL > 60 || nWL > 60) $display("HBM device: nRL and nWL must not exceed 60");
        for (i = 0; i < ATOMS; i = i + 1) begin mem[i] = 256'd0; checks[i] = 0; end
        if ($value$plusargs("memory=%s", path)) begin
            $sformat(path, "%0s.%0d", path, CHANNEL);
            $readmemh(path, mem);
        end
        if ($value$plusargs("hbm_trace=%s", path)) begin
            if (CHANNEL != 0) $sformat(path, "%0s.%0d", path, CHANNEL);
            trace = $fopen(path, "w");
        end
    end

    task violate(input [7:0] code, input [8*8-1:0] rule);
        begin
            if (violations == 0) first_violation = code;
            if (violations < 20)
                $display("HBM VIOLATION %0s at %0d: row %0d column %0d bank %0d", rule, now - EPOCH, row_operation, column_operation, b);
            violations = violations + 1;
        end
    endtask

    // The bank's row is open and its column can be accessed; data follow.
    function [31:0] atom(input [3:0] bank, input [14:0] r, input [4:0] column);
        reg [3:0] plain;
        begin
            plain = bank ^ {^(r & MASK_BA1), ^(r & MASK_BA0), ^(r & MASK_BG1), ^(r & MASK_BG0)};
            atom = {8'd0, r, plain[3:2], column[4:1], plain[1:0], column[0]};
        end
    endfunction

    // Rules of a command that counts as an activate, at time `e`.
    task check_activate;
        begin
            if (open[b]) violate(V_OPEN, "OPEN");
            if (e < activated[b] + ntRC) violate(V_tRC, "tRC");
            if (e < precharged[b] + ntRP) violate(V_tRP, "tRP");
            if (e < last_refab + ntRFC) violate(V_tRFC, "tRFC");
            if (e < refreshed[b] + ntRFCsb) violate(V_tRFCsb, "tRFCsb");
            else if (e < last_refsb + ntRREFD) violate(V_tRREFD, "tRREFD");
            if (e < group_activated[g] + ntRRD_L && e >= activated[b] + ntRC) violate(V_tRRD_L, "tRRD_L");
            else if (e < last_activated + ntRRD_S && e >= activated[b] + ntRC) violate(V_tRRD_S, "tRRD_S");
            if (e < window[oldest] + ntFAW) violate(V_tFAW, "tFAW");
            last_activated = e;
            group_activated[g] = e;
            window[oldest] = e;
            oldest = oldest + 2'd1;
        end
    endtask

    task precharge;
        begin
            if (open[b]) begin
                if (now < activated[b] + ntRAS) violate(V_tRAS, "tRAS");
                if (now < was_read[b] + ntRTP) violate(V_tRTP, "tRTP");
                if (now < was_written[b] + nWL + 2 + ntWR) violate(V_tWR, "tWR");
                open[b] = 0;
                precharged[b] = now;
            end
        end
    endtask

    // A command that needs every bank closed and at rest.
    task check_idle(input [7:0] code, input [8*8-1:0] rule);
        begin
            if (open != 0) violate(code, rule);
            for (i = 0; i < 16; i = i + 1) begin
                b = i;
                if (now < precharged[i] + ntRP) violate(V_tRP, "tRP");
                if (now < activated[i] + ntRC) violate(V_tRC, "tRC");
                if (now < refreshed[i] + ntRFCsb) violate(V_tRFCsb, "tRFCsb");
            end
            if (now < last_refab + ntRFC) violate(V_tRFC, "tRFC");
        end
    endtask

    task refresh_bank;
        begin
            e = now;
            check_activate;
            if (round[b]) violate(V_ROUND, "ROUND");
            if (round == 0 && now < last_refsb + ntRFCsb && now >= refreshed[b] + ntRFCsb) violate(V_tRFCsb, "tRFCsb");
            round[b] = 1;
            if (round == 16'hffff) round = 0;
            refreshed[b] = now;
            last_refsb = now;
            if (owed[b] > -POSTPONED) owed[b] = owed[b] - 8'sd1;
        end
    endtask

    task row_command;
        begin
            b = {row_bank, row_group};
            g = row_group;
            if (second) violate(V_ROW_BUS, "ROW_BUS");
            case (row_operation)
                3'd1: begin
                    e = now + 1;
                    check_activate;
                    if (row_row >= ROWS) violate(V_RANGE, "RANGE");
                    open[b] = 1;
                    row[b] = row_row;
                    activated[b] = e;
                end
                3'd2: precharge;
                3'd3: for (i = 0; i < 16; i = i + 1) begin b = i; precharge; end
                3'd4: refresh_bank;
                3'd5: begin
                    check_idle(V_OPEN, "OPEN");
                    round = 0;
                    last_refab = now;
                    for (i = 0; i < 16; i = i + 1) if (owed[i] > -POSTPONED) owed[i] = owed[i] - 8'sd1;
                end
                3'd6: begin
                    check_idle(V_MODE, "MODE");
                    if (row_bank == 0 && row_row != nRL || row_bank == 1 && row_row != nWL || row_bank > 1) violate(V_MODE, "MODE");
                end
                default: violate(V_COMMAND, "COMMAND");
            endcase
            if (trace != 0) case (row_operation)
                3'd1: $fwrite(trace, "%0d ACT %0d %0d %0d -\n", now - EPOCH, row_group, row_bank, row_row);
                3'd2: $fwrite(trace, "%0d PRE %0d %0d - -\n", now - EPOCH, row_group, row_bank);
                3'd3: $fwrite(trace, "%0d PREA - - - -\n", now - EPOCH);
                3'd4: $fwrite(trace, "%0d REFSB %0d %0d - -\n", now - EPOCH, row_group, row_bank);
                3'd5: $fwrite(trace, "%0d REFAB - - - -\n", now - EPOCH);
                3'd6: $fwrite(trace, "%0d MRS - %0d %0d -\n", now - EPOCH, row_bank, row_row);
                default: ;
            endcase
        end
    endtask

    task column_command;
        begin
            b = {column_bank, column_group};
            g = column_group;
            if (column_operation > 4) violate(V_COMMAND, "COMMAND");
            else if (!open[b]) violate(V_CLOSED, "CLOSED");
            else begin
                p = last_read > last_written ? last_read : last_written;
                e = group_read[g] > group_written[g] ? group_read[g] : group_written[g];
                if (now < e + ntCCD_L) violate(V_tCCD_L, "tCCD_L");
                else if (now < p + ntCCD_S) violate(V_tCCD_S, "tCCD_S");
                if (column_operation < 3) begin
                    if (now < activated[b] + ntRCDRD) violate(V_tRCDRD, "tRCDRD");
                    if (now < group_written[g] + nWL + 2 + ntWTR_L) violate(V_tWTR_L, "tWTR_L");
                    else if (now < last_written + nWL + 2 + ntWTR_S) violate(V_tWTR_S, "tWTR_S");
                    last_read = now;
                    group_read[g] = now;
                    was_read[b] = now;
                    read_due[nRL + 1] = 1;
                    read_atom[read_tail] = atom(b, row[b], column_column);
                    read_tail = read_tail + 6'd1;
                    p = now + ntRTP;
                end else begin
                    if (now < activated[b] + ntRCDWR) violate(V_tRCDWR, "tRCDWR");
                    if (now < last_read + nRL + 2 + ntRTW_GAP - nWL) violate(V_tRTW, "tRTW");
                    last_written = now;
                    group_written[g] = now;
                    was_written[b] = now;
                    write_due[nWL] = 1;
                    write_atom[write_tail] = atom(b, row[b], column_column);
                    write_tail = write_tail + 6'd1;
                    p = now + nWL + 2 + ntWR;
                end
                if (column_operation == 2 || column_operation == 4) begin
                    // Auto-precharge: the bank closes by itself as soon as the rules of a PRE allow it.
                    if (p < activated[b] + ntRAS) p = activated[b] + ntRAS;
                    if (p < was_read[b] + ntRTP) p = was_read[b] + ntRTP;
                    if (p < was_written[b] + nWL + 2 + ntWR) p = was_written[b] + nWL + 2 + ntWR;
                    open[b] = 0;
                    precharged[b] = p;
                end
            end
            if (trace != 0) case (column_operation)
                3'd1: $fwrite(trace, "%0d RD %0d %0d - %0d\n", now - EPOCH, column_group, column_bank, column_column);
                3'd2: $fwrite(trace, "%0d RDA %0d %0d - %0d\n", now - EPOCH, column_group, column_bank, column_column);
                3'd3: $fwrite(trace, "%0d WR %0d %0d - %0d\n", now - EPOCH, column_group, column_bank, column_column);
                3'd4: $fwrite(trace, "%0d WRA %0d %0d - %0d\n", now - EPOCH, column_group, column_bank, column_column);
                default: ;
            endcase
        end
    endtask

    task take_write;
        begin
            if (write_atom[write_head] >= ATOMS) violate(V_RANGE, "RANGE");
            else if (write_mask == 0) begin
                mem[write_atom[write_head]] = write_data;
                checks[write_atom[write_head]] = write_check;
            end else begin
                for (i = 0; i < 4; i = i + 1)
                    if (write_mask[8*i +: 8] != 8'hff) checks[write_atom[write_head]][8*i +: 8] = write_check[8*i +: 8];
                word = mem[write_atom[write_head]];
                for (i = 0; i < 32; i = i + 1) if (!write_mask[i]) word[8*i +: 8] = write_data[8*i +: 8];
                mem[write_atom[write_head]] = word;
            end
            write_head = write_head + 6'd1;
        end
    endtask

    task count_refresh;
        begin
            interval = interval + 1;
            if (interval == ntREFI) begin
                interval = 0;
                for (i = 0; i < 16; i = i + 1) begin
                    b = i;
                    owed[i] = owed[i] + 8'sd1;
                    if (owed[i] > POSTPONED) begin
                        violate(V_tREFI, "tREFI");
                        owed[i] = POSTPONED;
                    end
                end
            end
        end
    endtask

    always @(posedge clk)
        if (rst) begin
            if (trace != 0 && now != EPOCH) begin
                $fclose(trace);
                trace = $fopen(path, "w");
            end
            clear;
            violations = 0;
            first_violation = 0;
            read_valid <= 0;
        end else if (enable) begin
            if (column_operation != 0) column_command;
            if (row_operation != 0) row_command;
            second = row_operation == 1;
            if (write_due[0]) take_write;
            write_due = write_due >> 1;
            read_valid <= read_due[0];
            if (read_due[0]) begin
                if (read_atom[read_head] >= ATOMS) begin
                    violate(V_RANGE, "RANGE");
                    read_data <= 0;
                end else begin
                    read_data <= mem[read_atom[read_head]];
                    read_check <= checks[read_atom[read_head]];
                end
                read_head = read_head + 6'd1;
            end
            read_due = read_due >> 1;
            count_refresh;
            now = now + 1;
        end

`ifdef VERILATOR
    final if (trace != 0) $fclose(trace);
`endif

    reg [2047:0] dump_path, dump_file;
    integer dump_first, dump_last;
    always @(posedge finished)
        if ($value$plusargs("dump=%s", dump_path) && $value$plusargs("dump_first=%d", dump_first)
            && $value$plusargs("dump_last=%d", dump_last)) begin
            $sformat(dump_file, "%0s.%0d", dump_path, CHANNEL);
            $writememh(dump_file, mem, dump_first, dump_last);
        end
endmodule
