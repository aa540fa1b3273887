// Clock and reset for simulators that are not driven from outside. `+limit=N` ends a run after N clocks, `+waves=F` records it until
// the host has logged `+waves_until=N` values.
`timescale 1ns / 1ps
module main;
  reg clk = 1'b0, rst = 1'b1;
  wire done, timed_out;
  wire [31:0] refused, logged, violations;
  integer limit, cycles, last_value;
  reg recording;
  reg [2047:0] file;

  bench bench (
      .clk(clk), .rst(rst), .done(done), .timed_out(timed_out), .refused(refused), .logged(logged), .violations(violations)
  );

  initial begin
    if (!$value$plusargs("limit=%d", limit)) limit = 10000000;
    if (!$value$plusargs("waves_until=%d", last_value)) last_value = 2147483647;
    recording = 1'b0;
    if ($value$plusargs("waves=%s", file)) begin
      recording = 1'b1;
      $dumpfile(file);
      $dumpvars(0, bench);
    end
    cycles = 0;
    while (done !== 1'b1 && cycles < limit) begin
      #5 clk = 1'b1;
      #5 clk = 1'b0;
      cycles = cycles + 1;
      if (cycles == 4) rst = 1'b0;
      if (recording && cycles > 4 && logged >= last_value) begin
        recording = 1'b0;
        $dumpoff;
      end
    end
    $display("minigcu: %0d clocks, done %0d, timed_out %0d, refused %0d, logged %0d, violations %0d",
             cycles, done, timed_out, refused, logged, violations);
    $finish;
  end
endmodule
