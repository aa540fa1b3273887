// Device model of one HBM2e pseudo-channel: banks, data, and a checker of every timing and state rule. Never synthesised.
//
// Time: a clock is a rising edge with `enable` high. A command is on the bus in its clock; ACT takes two. Write data are sampled WL
// clocks after the command, read data are valid RL + 2 clocks after it.
// Timing: the parameters are defaults; `+hbm_tRCDRD=23` and so on (`hbm_` and the parameter's name) override them at run time.
// Violations are counted since the last reset, a rule once a clock; `broken` has a bit for each rule and `first_violation` the first one's
// code, see V_ below. The first 20 are printed as "HBM VIOLATION <rule> at <clock>: ...".
// Plusargs: +hbm_trace=FILE writes the command trace (since the last reset), channels above 0 append ".<CHANNEL>" to the name. Those of
// the data are in `hbm_storage`.

/* verilator lint_off DECLFILENAME */
/* verilator lint_off BLKSEQ */
/* verilator lint_off WIDTHEXPAND */
/* verilator lint_off WIDTHTRUNC */
/* verilator lint_off UNUSEDSIGNAL */
module hbm_device #(
    parameter CHANNEL = 0,
    parameter ROWS = 32768,
    parameter PAGES = 65536,              // KiB of storage, see `hbm_storage`
    // Row bits that the controller XORs into bg[0], bg[1], ba[0], ba[1].
    parameter MASK_BG0 = 0, parameter MASK_BG1 = 0, parameter MASK_BA0 = 0, parameter MASK_BA1 = 0,
    // Timing in clocks. tREFIsb is a pace that a controller keeps, no rule.
    parameter RL = 23, parameter WL = 8,
    parameter tRCDRD = 23, parameter tRCDWR = 20, parameter tRP = 23, parameter tRAS = 55, parameter tRC = 78,
    parameter tRRD_S = 7, parameter tRRD_L = 7, parameter tCCD_S = 2, parameter tCCD_L = 4, parameter tFAW = 24,
    parameter tWR = 26, parameter tRTP = 8, parameter tWTR_S = 10, parameter tWTR_L = 13, parameter tRTW_GAP = 2,
    parameter tREFI = 6240, parameter tRFC = 560, parameter tRFCsb = 256, parameter tRREFD = 13
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
    output     [255:0] read_data,
    output     [31:0] read_check,
    output            read_valid,
    output reg [31:0] violations,
    output reg [7:0]  first_violation,
    output reg [31:0] broken,             // the rules, bit = code
    output     [31:0] flips               // faults injected into read data and storage
);
    localparam POSTPONED = 8;             // refreshes of a bank that may be owed, or done in advance
    localparam PRINTED = 20;

    // Codes of the rules.
    localparam V_tRCDRD = 1, V_tRCDWR = 2, V_tRP = 3, V_tRAS = 4, V_tRC = 5, V_tRRD_S = 6, V_tRRD_L = 7, V_tFAW = 8,
               V_tCCD_S = 9, V_tCCD_L = 10, V_tWTR_S = 11, V_tWTR_L = 12, V_tRTW = 13, V_tWR = 14, V_tRTP = 15,
               V_tRFC = 16, V_tRFCsb = 17, V_tRREFD = 18, V_tREFI = 19,
               V_ROUND = 20, V_ROW_BUS = 21, V_OPEN = 22, V_CLOSED = 23, V_RANGE = 24, V_MODE = 25, V_COMMAND = 26,
               V_DATA_BUS = 27, V_STORAGE = 28;

    // Timing of this run.
    reg [63:0] nRL, nWL, nRCDRD, nRCDWR, nRP, nRAS, nRC, nRRD_S, nRRD_L, nCCD_S, nCCD_L, nFAW, nWR, nRTP, nWTR_S, nWTR_L, nRTW_GAP,
               nREFI, nRFC, nRFCsb, nRREFD;
    reg [63:0] write_to_precharge, write_to_read_S, write_to_read_L, read_to_write;
    reg        impossible;                // a timing that the model can't keep

    // Times of past events. The clock starts at EPOCH, so that "never" (0) is long enough ago for every rule.
    localparam [63:0] EPOCH = 64'd1048576;
    reg [63:0] now;
    reg [15:0] open;
    reg [14:0] row [0:15];
    reg [63:0] activated [0:15];          // second clock of the ACT
    reg [63:0] precharged [0:15];         // start of the precharge, which may lie ahead
    reg [63:0] was_read [0:15];
    reg [63:0] was_written [0:15];
    reg [63:0] refreshed [0:15];          // by REFSB
    reg [63:0] group_read [0:3];
    reg [63:0] group_written [0:3];
    reg [63:0] last_read, last_refab;
    reg [63:0] window [0:3];              // the last four activates, REFSB included
    reg [1:0]  oldest;
    reg [15:0] round;                     // banks refreshed in this round
    reg [63:0] round_end;                 // of the last complete one
    reg signed [7:0] owed [0:15];
    reg [63:0] interval;
    reg        second;                    // this is an ACT's second clock
    reg [63:0] data_bus;                  // clocks from now on in which it has an owner

    // Commands whose data are still to come: one bit for each clock, and the atoms in order.
    reg [63:0] read_due, write_due;
    reg [31:0] read_atom [0:63];
    reg [31:0] write_atom [0:63];
    reg [5:0]  read_head, read_tail, write_head, write_tail;

    // Rules broken in this clock, and what is said of each.
    reg [31:0] bad;
    reg [63:0] later [0:31];
    reg [63:0] earlier [0:31];
    reg [63:0] distance [0:31];
    reg [3:0]  culprit [0:31];
    reg [3:0]  command [0:31];            // 0 none, row operation, 8 + column operation

    integer i;
    integer trace;
    reg [3:0]  b;
    reg [1:0]  g;
    reg [3:0]  c;
    reg [63:0] e;                         // the present command's time
    reg [63:0] near, far, previous;
    reg [8*512-1:0] path;

    // To the storage, one clock ahead of the data.
    reg        fetch, store;
    reg [31:0] fetch_atom, store_atom;
    wire       exhausted;

    hbm_storage #(.CHANNEL(CHANNEL), .ROWS(ROWS), .PAGES(PAGES)) storage (
        .clk(clk), .rst(rst), .enable(enable), .finished(finished),
        .fetch(fetch), .fetch_atom(fetch_atom), .store(store), .store_atom(store_atom),
        .write_data(write_data), .write_check(write_check), .write_mask(write_mask),
        .read_data(read_data), .read_check(read_check), .read_valid(read_valid), .exhausted(exhausted), .flips(flips)
    );

    task clear;
        begin
            now = EPOCH;
            open = 0; round = 0; round_end = 0; interval = 0; second = 0; oldest = 0; data_bus = 0; bad = 0;
            read_due = 0; write_due = 0; read_head = 0; read_tail = 0; write_head = 0; write_tail = 0;
            last_read = 0; last_refab = 0;
            for (i = 0; i < 16; i = i + 1) begin
                row[i] = 0; activated[i] = 0; precharged[i] = 0; was_read[i] = 0; was_written[i] = 0; refreshed[i] = 0; owed[i] = 0;
            end
            for (i = 0; i < 4; i = i + 1) begin
                group_read[i] = 0; group_written[i] = 0; window[i] = 0;
            end
            violations = 0; first_violation = 0; broken = 0;
        end
    endtask

    task load_timing;
        begin
            if (!$value$plusargs("hbm_RL=%d", nRL)) nRL = RL;
            if (!$value$plusargs("hbm_WL=%d", nWL)) nWL = WL;
            if (!$value$plusargs("hbm_tRCDRD=%d", nRCDRD)) nRCDRD = tRCDRD;
            if (!$value$plusargs("hbm_tRCDWR=%d", nRCDWR)) nRCDWR = tRCDWR;
            if (!$value$plusargs("hbm_tRP=%d", nRP)) nRP = tRP;
            if (!$value$plusargs("hbm_tRAS=%d", nRAS)) nRAS = tRAS;
            if (!$value$plusargs("hbm_tRC=%d", nRC)) nRC = tRC;
            if (!$value$plusargs("hbm_tRRD_S=%d", nRRD_S)) nRRD_S = tRRD_S;
            if (!$value$plusargs("hbm_tRRD_L=%d", nRRD_L)) nRRD_L = tRRD_L;
            if (!$value$plusargs("hbm_tCCD_S=%d", nCCD_S)) nCCD_S = tCCD_S;
            if (!$value$plusargs("hbm_tCCD_L=%d", nCCD_L)) nCCD_L = tCCD_L;
            if (!$value$plusargs("hbm_tFAW=%d", nFAW)) nFAW = tFAW;
            if (!$value$plusargs("hbm_tWR=%d", nWR)) nWR = tWR;
            if (!$value$plusargs("hbm_tRTP=%d", nRTP)) nRTP = tRTP;
            if (!$value$plusargs("hbm_tWTR_S=%d", nWTR_S)) nWTR_S = tWTR_S;
            if (!$value$plusargs("hbm_tWTR_L=%d", nWTR_L)) nWTR_L = tWTR_L;
            if (!$value$plusargs("hbm_tRTW_GAP=%d", nRTW_GAP)) nRTW_GAP = tRTW_GAP;
            if (!$value$plusargs("hbm_tREFI=%d", nREFI)) nREFI = tREFI;
            if (!$value$plusargs("hbm_tRFC=%d", nRFC)) nRFC = tRFC;
            if (!$value$plusargs("hbm_tRFCsb=%d", nRFCsb)) nRFCsb = tRFCsb;
            if (!$value$plusargs("hbm_tRREFD=%d", nRREFD)) nRREFD = tRREFD;
            write_to_precharge = nWL + 2 + nWR;
            write_to_read_S = nWL + 2 + nWTR_S;
            write_to_read_L = nWL + 2 + nWTR_L;
            read_to_write = nRL + 2 + nRTW_GAP - nWL;
            impossible = nRL == 0 || nWL == 0 || nRL > 60 || nWL > 60 || nRL + 2 + nRTW_GAP <= nWL || nREFI == 0;
            if (impossible) $display("HBM device: RL and WL must be 1 to 60, WL less than RL + 2 + tRTW_GAP, tREFI at least 1");
        end
    endtask

    initial begin
        clear;
        load_timing;
        fetch = 0; store = 0; fetch_atom = 0; store_atom = 0; trace = 0;
        if ($value$plusargs("hbm_trace=%s", path)) begin
            if (CHANNEL != 0) $sformat(path, "%0s.%0d", path, CHANNEL);
            trace = $fopen(path, "w");
            if (trace == 0) $display("HBM device: cannot write %0s", path);
        end
    end

    // A broken rule of state.
    task violate(input [4:0] code);
        begin
            bad[code] = 1;
            later[code] = 0;
            culprit[code] = b;
            command[code] = c;
        end
    endtask

    // `at` must come `clocks` after `since`.
    task need(input [4:0] code, input [63:0] at, input [63:0] since, input [63:0] clocks);
        if (at < since + clocks) begin
            bad[code] = 1;
            later[code] = at;
            earlier[code] = since;
            distance[code] = clocks;
            culprit[code] = b;
            command[code] = c;
        end
    endtask

    function [8*8-1:0] rule_name(input [4:0] code);
        case (code)
            V_tRCDRD: rule_name = "tRCDRD"; V_tRCDWR: rule_name = "tRCDWR"; V_tRP: rule_name = "tRP"; V_tRAS: rule_name = "tRAS";
            V_tRC: rule_name = "tRC"; V_tRRD_S: rule_name = "tRRD_S"; V_tRRD_L: rule_name = "tRRD_L"; V_tFAW: rule_name = "tFAW";
            V_tCCD_S: rule_name = "tCCD_S"; V_tCCD_L: rule_name = "tCCD_L"; V_tWTR_S: rule_name = "tWTR_S"; V_tWTR_L: rule_name = "tWTR_L";
            V_tRTW: rule_name = "tRTW"; V_tWR: rule_name = "tWR"; V_tRTP: rule_name = "tRTP"; V_tRFC: rule_name = "tRFC";
            V_tRFCsb: rule_name = "tRFCsb"; V_tRREFD: rule_name = "tRREFD"; V_tREFI: rule_name = "tREFI"; V_ROUND: rule_name = "ROUND";
            V_ROW_BUS: rule_name = "ROW_BUS"; V_OPEN: rule_name = "OPEN"; V_CLOSED: rule_name = "CLOSED"; V_RANGE: rule_name = "RANGE";
            V_MODE: rule_name = "MODE"; V_DATA_BUS: rule_name = "DATA_BUS"; V_STORAGE: rule_name = "STORAGE"; default: rule_name = "COMMAND";
        endcase
    endfunction

    function [5*8-1:0] command_name(input [3:0] code);
        case (code)
            4'd1: command_name = "ACT"; 4'd2: command_name = "PRE"; 4'd3: command_name = "PREA"; 4'd4: command_name = "REFSB";
            4'd5: command_name = "REFAB"; 4'd6: command_name = "MRS"; 4'd9: command_name = "RD"; 4'd10: command_name = "RDA";
            4'd11: command_name = "WR"; 4'd12: command_name = "WRA"; default: command_name = "-";
        endcase
    endfunction

    task report;
        begin
            for (i = 1; i < 32; i = i + 1)
                if (bad[i]) begin
                    if (violations == 0) first_violation = i;
                    if (violations < PRINTED) begin
                        if (later[i] == 0)
                            $display("HBM VIOLATION %0s at %0d: %0s of bank %0d", rule_name(i), now - EPOCH, command_name(command[i]), culprit[i]);
                        else
                            $display("HBM VIOLATION %0s at %0d: %0s of bank %0d, %0d clocks after %0d, not %0d", rule_name(i), now - EPOCH,
                                     command_name(command[i]), culprit[i], later[i] - earlier[i], earlier[i] - EPOCH, distance[i]);
                    end
                    violations = violations + 1;
                end
            broken = broken | bad;
            bad = 0;
        end
    endtask

    function [31:0] atom(input [3:0] bank, input [14:0] r, input [4:0] column);
        reg [3:0] plain;
        begin
            plain = bank ^ {^(r & MASK_BA1), ^(r & MASK_BA0), ^(r & MASK_BG1), ^(r & MASK_BG0)};
            atom = {8'd0, r, plain[3:2], column[4:1], plain[1:0], column[0]};
        end
    endfunction

    // Rules of a command that counts as an activate, at time `e`. Between two of one bank tRC and tRFCsb say all.
    task check_activate;
        begin
            if (open[b]) violate(V_OPEN);
            need(V_tRC, e, activated[b], nRC);
            need(V_tRP, e, precharged[b], nRP);
            need(V_tRFC, e, last_refab, nRFC);
            need(V_tRFCsb, e, refreshed[b], nRFCsb);
            near = 0; far = 0; previous = 0;
            for (i = 0; i < 16; i = i + 1)
                if (i != b) begin
                    if (i[1:0] == g) begin
                        if (activated[i] > near) near = activated[i];
                        if (refreshed[i] > near) near = refreshed[i];
                    end else begin
                        if (activated[i] > far) far = activated[i];
                        if (refreshed[i] > far) far = refreshed[i];
                    end
                    if (refreshed[i] > previous) previous = refreshed[i];
                end
            need(V_tRRD_L, e, near, nRRD_L);
            need(V_tRRD_S, e, far, nRRD_S);
            need(V_tRREFD, e, previous, nRREFD);
            need(V_tFAW, e, window[oldest], nFAW);
            window[oldest] = e;
            oldest = oldest + 2'd1;
        end
    endtask

    task precharge;
        if (open[b]) begin
            need(V_tRAS, now, activated[b], nRAS);
            need(V_tRTP, now, was_read[b], nRTP);
            need(V_tWR, now, was_written[b], write_to_precharge);
            open[b] = 0;
            precharged[b] = now;
        end
    endtask

    // The bank closes by itself as soon as the rules of a PRE allow it.
    task auto_precharge;
        begin
            open[b] = 0;
            precharged[b] = activated[b] + nRAS;
            if (precharged[b] < was_read[b] + nRTP) precharged[b] = was_read[b] + nRTP;
            if (precharged[b] < was_written[b] + write_to_precharge) precharged[b] = was_written[b] + write_to_precharge;
        end
    endtask

    // A command that needs every bank closed and at rest.
    task check_idle(input [4:0] code);
        begin
            for (i = 0; i < 16; i = i + 1) begin
                b = i;
                if (open[i]) violate(code);
                need(V_tRP, now, precharged[i], nRP);
                need(V_tRC, now, activated[i], nRC);
                need(V_tRFCsb, now, refreshed[i], nRFCsb);
            end
            need(V_tRFC, now, last_refab, nRFC);
        end
    endtask

    task refresh_bank;
        begin
            e = now;
            check_activate;
            if (round[b]) violate(V_ROUND);
            if (round == 0) need(V_tRFCsb, now, round_end, nRFCsb);
            round[b] = 1;
            if (round == 16'hffff) begin
                round = 0;
                round_end = now;
            end
            refreshed[b] = now;
            if (owed[b] > -POSTPONED) owed[b] = owed[b] - 8'sd1;
        end
    endtask

    task row_command;
        begin
            b = {row_bank, row_group};
            g = row_group;
            c = {1'b0, row_operation};
            if (second) violate(V_ROW_BUS);
            case (row_operation)
                3'd1: begin
                    e = now + 1;
                    check_activate;
                    if (row_row >= ROWS) violate(V_RANGE);
                    open[b] = 1;
                    row[b] = row_row;
                    activated[b] = e;
                end
                3'd2: precharge;
                3'd3: for (i = 0; i < 16; i = i + 1) begin b = i; precharge; end
                3'd4: refresh_bank;
                3'd5: begin
                    check_idle(V_OPEN);
                    round = 0;
                    last_refab = now;
                    for (i = 0; i < 16; i = i + 1) if (owed[i] > -POSTPONED) owed[i] = owed[i] - 8'sd1;
                end
                3'd6: begin
                    check_idle(V_MODE);
                    if (row_bank == 0 && row_row != nRL || row_bank == 1 && row_row != nWL || row_bank > 1) violate(V_MODE);
                end
                default: violate(V_COMMAND);
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

    // Distances between column commands: within the bank group, and to the three others.
    task check_column;
        begin
            near = group_read[g] > group_written[g] ? group_read[g] : group_written[g];
            far = 0; previous = 0;
            for (i = 0; i < 4; i = i + 1)
                if (i != g) begin
                    if (group_read[i] > far) far = group_read[i];
                    if (group_written[i] > far) far = group_written[i];
                    if (group_written[i] > previous) previous = group_written[i];
                end
            need(V_tCCD_L, now, near, nCCD_L);
            need(V_tCCD_S, now, far, nCCD_S);
        end
    endtask

    task claim_data_bus(input [5:0] latency);
        begin
            if (data_bus[latency +: 2] != 0) violate(V_DATA_BUS);
            data_bus[latency +: 2] = 2'b11;
        end
    endtask

    task column_command;
        begin
            b = {column_bank, column_group};
            g = column_group;
            c = {1'b1, column_operation};
            if (column_operation > 4) violate(V_COMMAND);
            else if (!open[b]) violate(V_CLOSED);
            else begin
                check_column;
                if (column_operation < 3) begin
                    need(V_tRCDRD, now, activated[b], nRCDRD);
                    need(V_tWTR_L, now, group_written[g], write_to_read_L);
                    need(V_tWTR_S, now, previous, write_to_read_S);
                    claim_data_bus(nRL);
                    last_read = now;
                    group_read[g] = now;
                    was_read[b] = now;
                    read_due[nRL] = 1;
                    read_atom[read_tail] = atom(b, row[b], column_column);
                    read_tail = read_tail + 6'd1;
                end else begin
                    need(V_tRCDWR, now, activated[b], nRCDWR);
                    need(V_tRTW, now, last_read, read_to_write);
                    claim_data_bus(nWL);
                    group_written[g] = now;
                    was_written[b] = now;
                    write_due[nWL - 1] = 1;
                    write_atom[write_tail] = atom(b, row[b], column_column);
                    write_tail = write_tail + 6'd1;
                end
                if (column_operation == 2 || column_operation == 4) auto_precharge;
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

    task count_refresh;
        begin
            interval = interval + 1;
            if (interval == nREFI) begin
                interval = 0;
                c = 0;
                for (i = 0; i < 16; i = i + 1) begin
                    b = i;
                    owed[i] = owed[i] + 8'sd1;
                    if (owed[i] > POSTPONED) begin
                        violate(V_tREFI);
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
            fetch <= 0;
            store <= 0;
        end else if (enable) begin
            if (impossible && now == EPOCH) begin b = 0; c = 0; violate(V_MODE); end
            if (column_operation != 0) column_command;
            if (row_operation != 0) row_command;
            second = row_operation == 1;
            store <= write_due[0];
            if (write_due[0]) begin
                store_atom <= write_atom[write_head];
                write_head = write_head + 6'd1;
            end
            write_due = write_due >> 1;
            fetch <= read_due[0];
            if (read_due[0]) begin
                fetch_atom <= read_atom[read_head];
                read_head = read_head + 6'd1;
            end
            read_due = read_due >> 1;
            data_bus = data_bus >> 1;
            count_refresh;
            if (exhausted) begin b = 0; c = 0; violate(V_STORAGE); end
            if (bad != 0) report;
            now = now + 1;
        end

`ifdef VERILATOR
    final if (trace != 0) $fclose(trace);
`endif
endmodule
