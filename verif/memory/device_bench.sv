// Plays command traces to the device model, many in one run, without Python in the loop. Top of both simulators' runs (sim/bench/main.sv,
// sim/native), hence its name and ports.
//
// script[n] is {time[31:0], 7'd0, kind[1:0], value[14:0], bank[1:0], group[1:0], column bus, operation[2:0]} in order of time; kind 0 a
// command, 1 the end of a trace (at this time it is judged and the device reset), 2 once more from the start of the script, +loops=N times in all, 3 done.
// results[n] is {violations[31:0], broken[31:0]} of the n-th trace.
// Plusargs: +script=FILE and +results=FILE, for simulators without a back door.
module bench (
    input clk, rst,
    output reg done, output timed_out, output [31:0] refused, output [31:0] logged, output [31:0] violations
);
    parameter ROWS = 64;
    parameter PAGES = 1024;
    parameter MASK_BG0 = 0, MASK_BG1 = 0, MASK_BA0 = 0, MASK_BA1 = 0;
    reg [63:0] script [0:1048575] /* verilator public_flat_rw */;
    reg [63:0] results [0:65535] /* verilator public_flat_rw */;
    reg [8*256-1:0] file;
    integer loops, again;

    reg [19:0] index;
    reg [31:0] traces;
    reg [31:0] clock;                     // the device's clock that the present outputs are for
    reg        device_reset, enable, closing;
    reg [2:0]  row_operation, column_operation;
    reg [1:0]  row_group, row_bank, column_group, column_bank;
    reg [14:0] row_row;
    reg [4:0]  column_column;
    reg [255:0] write_data;
    wire [31:0] broken;

    assign timed_out = 0;
    assign refused = 0;
    assign logged = traces;

    hbm_device #(
        .ROWS(ROWS), .PAGES(PAGES), .MASK_BG0(MASK_BG0), .MASK_BG1(MASK_BG1), .MASK_BA0(MASK_BA0), .MASK_BA1(MASK_BA1)
    ) device (
        .clk(clk), .rst(device_reset), .enable(enable), .finished(done),
        .row_operation(row_operation), .row_group(row_group), .row_bank(row_bank), .row_row(row_row),
        .column_operation(column_operation), .column_group(column_group), .column_bank(column_bank), .column_column(column_column),
        .write_data(write_data), .write_check(write_data[31:0]), .write_mask(32'd0),
        .read_data(), .read_check(), .read_valid(), .violations(violations), .first_violation(), .broken(broken), .flips()
    );

    task play;
        if (script[index][24:23] == 0 && script[index][63:32] == clock) begin
            if (script[index][3]) begin
                column_operation <= script[index][2:0];
                column_group <= script[index][5:4];
                column_bank <= script[index][7:6];
                column_column <= script[index][12:8];
            end else begin
                row_operation <= script[index][2:0];
                row_group <= script[index][5:4];
                row_bank <= script[index][7:6];
                row_row <= script[index][22:8];
            end
            index = index + 1;
        end
    endtask

    initial begin
        done = 0; closing = 0; device_reset = 1; index = 0; clock = 0; traces = 0; again = 0; enable = 1; row_operation = 0; column_operation = 0;
        if (!$value$plusargs("loops=%d", loops)) loops = 1;
        if ($value$plusargs("script=%s", file)) $readmemh(file, script);
    end

    always @(posedge clk)
        if (!rst && !done) begin
            row_operation <= 0;
            column_operation <= 0;
            write_data <= {8{clock * 32'h9e3779b9}};
            device_reset <= 0;
            enable <= 1;
            if (closing) begin
                results[traces] = {violations, broken};
                traces = traces + 1;
                device_reset <= 1;
                closing = 0;
                clock = 0;
                index = index + 1;
            end else if (script[index][24:23] == 1 && script[index][63:32] == clock) begin
                enable <= 0;
                closing = 1;
            end else if (script[index][24:23] == 3) begin
                if ($value$plusargs("results=%s", file)) $writememh(file, results, 0, traces - 1);
                done <= 1;
            end else begin
                if (script[index][24:23] == 2 && script[index][63:32] == clock) begin
                    again = again + 1;
                    index = again < loops ? 0 : index + 1;
                    clock = 0;
                end
                play;
                play;
                clock = clock + 1;
            end
        end
endmodule
