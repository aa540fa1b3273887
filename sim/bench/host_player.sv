// The host of a simulation, as hardware: runs a script of register accesses on AXI4-Lite, so that every simulator sees the same
// clocks and no program is in the loop. Never synthesised.
//
// A script row is {operation, address, data}; what an operation logs goes to the next row of `log`.
//   0 END   ends the run
//   1 WRITE writes `data` to register `address`; logs nothing, but a response other than OKAY counts in `refused`
//   2 READ  logs register `address`
//   3 WAIT  waits for the interrupt and logs the clocks that it took; after `data` clocks ends the run with `timed_out`
//   4 IDLE  lets `data` clocks pass
module host_player #(
    parameter integer DEPTH = 65536
) (
    input clk, rst,
    input interrupt,
    output reg [15:0] axi__awaddr, output reg axi__awvalid, input axi__awready,
    output reg [31:0] axi__wdata, output [3:0] axi__wstrb, output reg axi__wvalid, input axi__wready,
    input [1:0] axi__bresp, input axi__bvalid, output axi__bready,
    output reg [15:0] axi__araddr, output reg axi__arvalid, input axi__arready,
    input [31:0] axi__rdata, input [1:0] axi__rresp, input axi__rvalid, output axi__rready,
    output reg done, output reg timed_out, output reg [31:0] refused, output reg [31:0] logged
);
  localparam [31:0] OP_END = 0, OP_WRITE = 1, OP_READ = 2, OP_WAIT = 3;
  localparam [1:0] FETCH = 0, ACCESS = 1, WAITING = 2;

  reg [95:0] script [0:DEPTH-1]  /*verilator public_flat_rw*/;
  reg [31:0] log [0:DEPTH-1]  /*verilator public_flat_rw*/;
  reg [2047:0] file;
  integer i;
  initial begin
    for (i = 0; i < DEPTH; i = i + 1) begin
      script[i] = 96'd0;
      log[i] = 32'd0;
    end
    if ($value$plusargs("script=%s", file)) $readmemh(file, script);
  end

  reg [31:0] pc;
  reg [31:0] waited;
  reg [1:0] state;
  wire [95:0] row = script[pc];
  wire [31:0] operation = row[95:64], address = row[63:32], data = row[31:0];

  assign axi__wstrb = 4'hF;
  assign axi__bready = 1'b1;
  assign axi__rready = 1'b1;

  always @(posedge clk) begin
    if (axi__awvalid && axi__awready) axi__awvalid <= 1'b0;
    if (axi__wvalid && axi__wready) axi__wvalid <= 1'b0;
    if (axi__arvalid && axi__arready) axi__arvalid <= 1'b0;
    case (state)
      FETCH: if (!done) begin
        waited <= 32'd0;
        pc <= pc + 1;
        case (operation)
          OP_END: begin
            done <= 1'b1;
            pc <= pc;
          end
          OP_WRITE: begin
            axi__awaddr <= address[15:0];
            axi__wdata <= data;
            axi__awvalid <= 1'b1;
            axi__wvalid <= 1'b1;
            state <= ACCESS;
          end
          OP_READ: begin
            axi__araddr <= address[15:0];
            axi__arvalid <= 1'b1;
            state <= ACCESS;
          end
          default: begin
            pc <= pc;
            state <= WAITING;
          end
        endcase
      end
      ACCESS: begin
        if (axi__bvalid || axi__rvalid) state <= FETCH;
        if ((axi__bvalid && axi__bresp != 2'd0) || (axi__rvalid && axi__rresp != 2'd0)) refused <= refused + 1;
        if (axi__rvalid) begin
          log[logged] <= axi__rdata;
          logged <= logged + 1;
        end
      end
      default: begin
        waited <= waited + 1;
        if (operation == OP_WAIT && interrupt) begin
          log[logged] <= waited;
          logged <= logged + 1;
          pc <= pc + 1;
          state <= FETCH;
        end else if (waited >= data) begin
          pc <= pc + 1;
          state <= FETCH;
          if (operation == OP_WAIT) begin
            timed_out <= 1'b1;
            done <= 1'b1;
          end
        end
      end
    endcase
    if (rst) begin
      axi__awvalid <= 1'b0;
      axi__wvalid <= 1'b0;
      axi__arvalid <= 1'b0;
      axi__awaddr <= 16'd0;
      axi__wdata <= 32'd0;
      axi__araddr <= 16'd0;
      pc <= 32'd0;
      waited <= 32'd0;
      state <= FETCH;
      done <= 1'b0;
      timed_out <= 1'b0;
      refused <= 32'd0;
      logged <= 32'd0;
    end
  end

  // `+log=F` writes the log to F at the end of a run.
  always @(posedge done)
    if ($value$plusargs("log=%s", file) && logged != 0) $writememh(file, log, 0, logged - 1);
endmodule
