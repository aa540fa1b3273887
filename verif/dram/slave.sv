// A memory behind the ports of `dram`, one mebibyte, that answers what lies in its first 64 KiB rightly and has a fault of its own for
// each 64 KiB after them: the driver must find every one. Reads of odd KiB are slow, so that they are overtaken and beats interleave.
/* verilator lint_off WIDTHEXPAND */
/* verilator lint_off WIDTHTRUNC */
/* verilator lint_off BLKSEQ */
/* verilator lint_off DECLFILENAME */
module slave_storage;
  reg [31:0] page [0:1023] /* verilator public_flat_rw */;  // every page has its place
  reg [31:0] pages_used /* verilator public_flat_rw */;
  reg [255:0] mem [0:32767] /* verilator public_flat_rw */;
  reg [31:0] check [0:32767] /* verilator public_flat_rw */;
  integer k;
  initial begin
    for (k = 0; k < 1024; k = k + 1) page[k] = k + 1;
    for (k = 0; k < 32768; k = k + 1) begin mem[k] = 0; check[k] = 0; end
    pages_used = 1024;
  end
endmodule

module slave_hbm;
  slave_storage storage ();
endmodule

module slave_device;
  slave_hbm hbm ();
endmodule

module dram (
    input clk, input rst,
    input [5:0] axi__arid, input [31:0] axi__araddr, input [7:0] axi__arlen, input [2:0] axi__arsize, input [1:0] axi__arburst,
    input axi__arvalid, output axi__arready,
    output reg [5:0] axi__rid, output reg [127:0] axi__rdata, output reg [1:0] axi__rresp, output reg axi__rlast, output reg axi__rvalid,
    input axi__rready,
    input [5:0] axi__awid, input [31:0] axi__awaddr, input [7:0] axi__awlen, input [2:0] axi__awsize, input [1:0] axi__awburst,
    input axi__awvalid, output axi__awready,
    input [127:0] axi__wdata, input [15:0] axi__wstrb, input axi__wlast, input axi__wvalid, output axi__wready,
    output reg [5:0] axi__bid, output reg [1:0] axi__bresp, output reg axi__bvalid, input axi__bready,
    input registers__write__valid, input [7:0] registers__write__address, input [31:0] registers__write__data,
    input [3:0] registers__write__strobe, output registers__write__error,
    input registers__read__valid, input [7:0] registers__read__address, output reg [31:0] registers__read__data,
    output ready, output enable, output reg [2:0] row_operation, output reg [2:0] column_operation,
    output reg [31:0] violations, output reg [7:0] first_violation
);
  localparam [3:0] FLIPPED = 1, LOST = 2, STALE = 3, READ_ERROR = 4, WRITE_ERROR = 5, EARLY_LAST = 6, WRONG_ID = 7, TWICE = 8,
                   SILENT = 9, ASTRAY = 10, RULE = 11;

  slave_device device ();

  // Two queues of reads, fast and slow; one of write addresses; one of responses.
  reg [37:0] reads [0:127];
  reg [31:0] due [0:127];
  reg [5:0] head [0:1], tail [0:1];
  reg [255:0] held [0:1];
  reg beat [0:1];
  reg turn, q;
  reg [37:0] writes [0:63];
  reg [5:0] write_head, write_tail;
  reg [127:0] low;
  reg half;
  reg [9:0] responses [0:63];  // identifier, fault
  reg [5:0] response_head, response_tail;
  reg again;
  reg [31:0] now;
  reg late;                     // a write that is stored long after its response
  reg [14:0] late_atom;
  reg [255:0] late_word;
  reg [31:0] late_due;
  reg [37:0] one;
  reg [3:0] fault;
  reg [14:0] atom;
  integer k;

  assign ready = 1;
  assign enable = 1;
  assign registers__write__error = registers__write__address == 65 && registers__write__data == 60;  // a WL that it doesn't take
  assign axi__arready = (tail[0] - head[0] < 30) && (tail[1] - head[1] < 30);
  assign axi__awready = write_tail - write_head < 20 && response_tail - response_head < 20;
  assign axi__wready = write_tail != write_head;

  always @(posedge clk)
    if (rst) begin
      for (k = 0; k < 2; k = k + 1) begin head[k] = 0; tail[k] = 0; beat[k] = 0; end
      turn = 0; write_head = 0; write_tail = 0; half = 0; response_head = 0; response_tail = 0; again = 0; late = 0; now = 0;
      axi__rvalid <= 0; axi__bvalid <= 0; violations <= 0; first_violation <= 0; row_operation <= 0; column_operation <= 0;
    end else begin
      now = now + 1;
      column_operation <= 0;
      registers__read__data <= registers__read__address;
      if (late && now == late_due) begin device.hbm.storage.mem[late_atom] = late_word; late = 0; end

      // Read data: the queues take turns by the beat.
      if (!axi__rvalid || axi__rready) begin
        axi__rvalid <= 0;
        turn = !turn;
        q = (head[turn] != tail[turn] && due[{turn, head[turn]}] <= now) ? turn : !turn;
        if (head[q] != tail[q] && due[{q, head[q]}] <= now) begin
          one = reads[{q, head[q]}];
          fault = one[19:16];
          if (!beat[q]) begin held[q] = device.hbm.storage.mem[one[19:5]]; column_operation <= 1; end
          axi__rvalid <= fault != SILENT;
          axi__rid <= fault == WRONG_ID ? one[37:32] + 6'd1 : one[37:32];
          axi__rresp <= fault == READ_ERROR ? 2 : 0;
          axi__rlast <= fault == EARLY_LAST ? !beat[q] : beat[q];
          axi__rdata <= held[q][128 * beat[q] +: 128] ^ (fault == FLIPPED && beat[q] ? 128'h1 << 77 : 128'h0);
          if (beat[q]) head[q] = head[q] + 6'd1;
          beat[q] = !beat[q];
        end
      end
      if (axi__arvalid && axi__arready) begin
        q = axi__araddr[10];
        reads[{q, tail[q]}] = {axi__arid, axi__araddr};
        due[{q, tail[q]}] = now + (q ? 90 : 20);
        tail[q] = tail[q] + 6'd1;
      end

      // Responses of writes.
      if (!axi__bvalid || axi__bready) begin
        axi__bvalid <= 0;
        if (response_head != response_tail) begin
          fault = responses[response_head][3:0];
          axi__bvalid <= 1;
          axi__bid <= responses[response_head][9:4];
          axi__bresp <= fault == WRITE_ERROR ? 2 : 0;
          again = fault == TWICE && !again;
          if (!again) response_head = response_head + 6'd1;
        end
      end

      // Write data.
      if (axi__wvalid && axi__wready) begin
        if (!half) low = axi__wdata;
        else begin
          one = writes[write_head];
          fault = one[19:16];
          atom = fault == ASTRAY ? one[19:5] ^ 15'd1 : one[19:5];
          if (fault == RULE) begin violations <= violations + 1; first_violation <= 8; end
          if (fault == STALE) begin
            if (late) device.hbm.storage.mem[late_atom] = late_word;
            late = 1; late_atom = atom; late_word = {axi__wdata, low}; late_due = now + 300;
          end else if (fault != LOST) device.hbm.storage.mem[atom] = {axi__wdata, low};
          column_operation <= 3;
          responses[response_tail] = {one[37:32], fault};
          response_tail = response_tail + 6'd1;
          write_head = write_head + 6'd1;
        end
        half = !half;
      end
      if (axi__awvalid && axi__awready) begin
        writes[write_tail] = {axi__awid, axi__awaddr};
        write_tail = write_tail + 6'd1;
      end
    end
endmodule
