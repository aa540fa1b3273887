// Streams operations through a unit of sim/numerics/units.py: one a clock in, the results a fixed number of clocks later.
// Loaded by Python through ctypes (sim/numerics/native.py).
#include <cstdint>
#include <cstring>
#include <memory>

#include "Vunit.h"
#include "verilated.h"

namespace {
struct Unit {
    VerilatedContext context;
    std::unique_ptr<Vunit> top;
    void step() {
        top->clk = 1;
        top->eval();
        top->clk = 0;
        top->eval();
    }
};
}  // namespace

extern "C" {

Unit* unit_create() {
    auto* unit = new Unit;
    unit->top = std::make_unique<Vunit>(&unit->context, "TOP");
    unit->top->clk = 0;
    unit->top->rst = 1;
    unit->top->eval();
    for (int i = 0; i < 4; ++i) unit->step();
    unit->top->rst = 0;
    return unit;
}

// `words` 32-bit words an operation, a result word each. The pipeline is empty before and after.
void unit_stream(Unit* unit, uint32_t mode, uint32_t latency, uint64_t words, const uint32_t* operands, uint32_t* results, uint64_t count) {
    unit->top->mode = mode;
    for (uint64_t clock = 0; clock + 1 < count + latency; ++clock) {
        if (clock < count) std::memcpy(&unit->top->operands[0], operands + clock * words, words * sizeof(uint32_t));
        unit->step();
        if (clock + 1 >= latency) results[clock + 1 - latency] = unit->top->result;
    }
}

void unit_destroy(Unit* unit) {
    unit->top->final();
    delete unit;
}
}
