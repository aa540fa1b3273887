// Streams the operations of a file through a unit of sim/numerics/units.py: a line each in, a line each out.
module main;
  parameter WIDTH = 32;
  parameter LATENCY = 1;
  reg clk = 0, rst = 1;
  reg [31:0] mode;
  reg [WIDTH-1:0] operands = 0, next;
  wire [31:0] result;
  reg [8*1023:1] source_name, target_name;
  integer source, target, found, taken, given, i;

  unit dut (.clk(clk), .rst(rst), .mode(mode), .operands(operands), .result(result));

  task step;
    begin
      #5 clk = 1;
      #5 clk = 0;
    end
  endtask

  initial begin
    found = $value$plusargs("mode=%h", mode) + $value$plusargs("source=%s", source_name) + $value$plusargs("target=%s", target_name);
    source = $fopen(source_name, "r");
    target = $fopen(target_name, "w");
    for (i = 0; i < 4; i = i + 1) step;
    rst = 0;
    taken = 0;
    given = 0;
    found = $fscanf(source, "%h\n", next);
    for (i = 1; found == 1 || given < taken; i = i + 1) begin
      if (found == 1) begin
        operands = next;
        taken = taken + 1;
      end
      step;
      if (i >= LATENCY) begin
        $fwrite(target, "%h\n", result);
        given = given + 1;
      end
      if (found == 1) found = $fscanf(source, "%h\n", next);
    end
    $fclose(target);
    $finish;
  end
endmodule
