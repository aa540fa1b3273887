// Watches one engine's `activity` and writes one record for each command: when it began and ended, its cycles by cause and its bytes from
// and to L3. The records feed tables by layer and the timeline. Never synthesised.
//
// A new record begins when the tag changes, when an idle engine starts, and where waiting for an event begins or ends. Row of `records`, 32 bit each from the lowest: first cycle,
// last cycle, {lane, tag}, busy, operand, memory, event, accumulator, skipped, bytes read, bytes written.
module activity_probe #(
    parameter integer LANE = 0,
    parameter integer DEPTH = 16384
) (
    input clk, rst,
    input finished,
    input [30:0] activity
);
  // Fields of rtl.isa.Activity: cause 3, tag 16, read 6, write 6 bits from the lowest.
  wire [2:0] cause = activity[2:0];
  wire [15:0] tag = activity[18:3];
  wire [5:0] read = activity[24:19];
  wire [5:0] write = activity[30:25];

  reg [351:0] records [0:DEPTH-1]  /*verilator public_flat_rw*/;
  reg [31:0] count  /*verilator public_flat_rw*/;
  reg [31:0] now;
  reg open, in_wait;
  reg [31:0] first, busy, operand, memory, waiting, accumulator, skipped, got, put;
  reg [15:0] current;
  integer i;
  initial begin
    count = 0;
    for (i = 0; i < DEPTH; i = i + 1) records[i] = 352'd0;
  end

  wire idle = cause == 3'd0;
  wire in_event = cause == 3'd4;
  wire close = open && (idle || tag != current || in_event != in_wait);
  always @(posedge clk) begin
    now <= now + 1;
    if (close) begin
      if (count < DEPTH)
        records[count] <= {put, got, skipped, accumulator, waiting, memory, operand, busy, LANE[15:0], current, now - 32'd1, first};
      count <= count + 1;
    end
    if (idle) open <= 1'b0;
    else if (!open || close) begin
      open <= 1'b1;
      first <= now;
      current <= tag;
      in_wait <= in_event;
      busy <= {31'd0, cause == 3'd1};
      operand <= {31'd0, cause == 3'd2};
      memory <= {31'd0, cause == 3'd3};
      waiting <= {31'd0, cause == 3'd4};
      accumulator <= {31'd0, cause == 3'd5};
      skipped <= {31'd0, cause == 3'd6};
      got <= {26'd0, read};
      put <= {26'd0, write};
    end else begin
      case (cause)
        3'd1: busy <= busy + 1;
        3'd2: operand <= operand + 1;
        3'd3: memory <= memory + 1;
        3'd4: waiting <= waiting + 1;
        3'd5: accumulator <= accumulator + 1;
        default: skipped <= skipped + 1;
      endcase
      got <= got + {26'd0, read};
      put <= put + {26'd0, write};
    end
    if (rst) begin
      now <= 0; open <= 0; in_wait <= 0; first <= 0; current <= 0; count <= 0;
      busy <= 0; operand <= 0; memory <= 0; waiting <= 0; accumulator <= 0; skipped <= 0; got <= 0; put <= 0;
    end
  end

  // `+records=F` appends to F at the end of a run: the records of all lanes lie in one file.
  reg [2047:0] file;
  integer handle, row;
  always @(posedge finished)
    if ($value$plusargs("records=%s", file)) begin
      handle = $fopen(file, "a");
      for (row = 0; row < count && row < DEPTH; row = row + 1) $fdisplay(handle, "%h", records[row]);
      $fclose(handle);
    end
endmodule
