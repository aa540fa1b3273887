// An AXI4 memory without any contention: takes a burst each clock, answers the first beat of a read LATENCY clocks later and then one
// beat a clock. It stands for a memory channel where a run is about the compute side alone. Never synthesised.
// Bursts are INCR of full-width aligned beats, as the fabric makes them.
module ideal_memory #(
    parameter integer DATA_BYTES = 16,
    parameter integer ID_BITS = 6,
    parameter integer ROWS = 1024,
    parameter integer LATENCY = 20,
    parameter integer INDEX = 0
) (
    input clk, rst,
    input finished,
    input [ID_BITS-1:0] axi__arid, input [31:0] axi__araddr, input [7:0] axi__arlen, input [2:0] axi__arsize, input [1:0] axi__arburst,
    input axi__arvalid, output axi__arready,
    output reg [ID_BITS-1:0] axi__rid, output reg [8*DATA_BYTES-1:0] axi__rdata, output [1:0] axi__rresp, output reg axi__rlast,
    output reg axi__rvalid, input axi__rready,
    input [ID_BITS-1:0] axi__awid, input [31:0] axi__awaddr, input [7:0] axi__awlen, input [2:0] axi__awsize, input [1:0] axi__awburst,
    input axi__awvalid, output axi__awready,
    input [8*DATA_BYTES-1:0] axi__wdata, input [DATA_BYTES-1:0] axi__wstrb, input axi__wlast, input axi__wvalid, output axi__wready,
    output reg [ID_BITS-1:0] axi__bid, output [1:0] axi__bresp, output reg axi__bvalid, input axi__bready
);
  localparam integer SHIFT = $clog2(DATA_BYTES);
  localparam integer BITS = $clog2(ROWS);

  reg [8*DATA_BYTES-1:0] mem [0:ROWS-1]  /*verilator public_flat_rw*/;

  // The back door of simulators without one: `+memory=F` reads F.INDEX at the start, `+dump=F` writes F.INDEX at the end.
  reg [2047:0] file, name;
  integer i, dump_first, dump_last;
  initial begin
    for (i = 0; i < ROWS; i = i + 1) mem[i] = 0;
    if ($value$plusargs("memory=%s", file)) begin
      $sformat(name, "%0s.%0d", file, INDEX);
      $readmemh(name, mem);
    end
  end
  always @(posedge finished)
    if ($value$plusargs("dump=%s", file) && $value$plusargs("dump_first=%d", dump_first)
        && $value$plusargs("dump_last=%d", dump_last)) begin
      $sformat(name, "%0s.%0d", file, INDEX);
      $writememh(name, mem, dump_first, dump_last);
    end

  // Reads: bursts wait in a ring of 16 with the clock at which each may start.
  reg [ID_BITS+31+8+32:0] queue [0:15];
  reg [3:0] head, tail;
  reg [4:0] level;
  reg [31:0] now;
  reg [7:0] beat;
  wire [ID_BITS-1:0] q_id = queue[head][72+:ID_BITS];
  wire [31:0] q_address = queue[head][71:40];
  wire [7:0] q_len = queue[head][39:32];
  wire [31:0] q_time = queue[head][31:0];
  wire may_send = !axi__rvalid || axi__rready;
  wire send = may_send && level != 0 && (beat != 0 || $signed(now - q_time) >= 0);
  wire take = axi__arvalid && axi__arready;
  wire pop = send && beat == q_len;
  wire [31:0] row = (q_address >> SHIFT) + {24'd0, beat};
  assign axi__arready = level < 16;
  assign axi__rresp = 2'd0;
  initial for (i = 0; i < 16; i = i + 1) queue[i] = 0;
  always @(posedge clk) begin
    now <= now + 1;
    if (take) begin
      queue[tail] <= {1'b0, axi__arid, axi__araddr, axi__arlen, now + LATENCY[31:0]};
      tail <= tail + 1;
    end
    if (pop) head <= head + 1;
    level <= level + {4'd0, take} - {4'd0, pop};
    if (may_send) axi__rvalid <= send;
    if (send) begin
      axi__rid <= q_id;
      axi__rdata <= mem[row[BITS-1:0]];
      axi__rlast <= beat == q_len;
      beat <= beat == q_len ? 8'd0 : beat + 8'd1;
    end
    if (rst) begin
      now <= 0; head <= 0; tail <= 0; level <= 0; beat <= 0;
      axi__rvalid <= 0; axi__rid <= 0; axi__rdata <= 0; axi__rlast <= 0;
    end
  end

  // Writes: one burst at a time, a beat each clock; the response leaves with the last beat.
  reg busy;
  reg [ID_BITS-1:0] w_id;
  reg [31:0] w_row;
  wire [DATA_BYTES-1:0] strobe = axi__wstrb;
  wire [BITS-1:0] w_index = w_row[BITS-1:0];
  assign axi__awready = !busy;
  assign axi__wready = busy && (!axi__bvalid || axi__bready);
  assign axi__bresp = 2'd0;
  integer lane;
  always @(posedge clk) begin
    if (axi__bvalid && axi__bready) axi__bvalid <= 0;
    if (axi__awvalid && axi__awready) begin
      busy <= 1;
      w_id <= axi__awid;
      w_row <= axi__awaddr >> SHIFT;
    end
    if (axi__wvalid && axi__wready) begin
      for (lane = 0; lane < DATA_BYTES; lane = lane + 1)
        if (strobe[lane]) mem[w_index][8*lane+:8] <= axi__wdata[8*lane+:8];
      w_row <= w_row + 1;
      if (axi__wlast) begin
        busy <= 0;
        axi__bvalid <= 1;
        axi__bid <= w_id;
      end
    end
    if (rst) begin
      busy <= 0; w_id <= 0; w_row <= 0; axi__bvalid <= 0; axi__bid <= 0;
    end
  end
endmodule
