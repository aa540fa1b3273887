// The native Verilator harness: drives clock and reset of `bench` until it is done, hands out its memories, records waveforms.
// Loaded by Python through ctypes (sim/native/harness.py); every function takes the handle of sim_create.
#include <cstdint>
#include <cstring>
#include <memory>

#include "Vbench.h"
#include "verilated.h"
#include "verilated_syms.h"
#if VM_TRACE_FST
#include "verilated_fst_c.h"
using Trace = VerilatedFstC;
#else
#include "verilated_vcd_c.h"
using Trace = VerilatedVcdC;
#endif

namespace {
struct Sim {
    VerilatedContext context;
    std::unique_ptr<Vbench> top;
    uint64_t clocks = 0;
    uint64_t trace_from = 0, trace_to = 0;
    std::unique_ptr<Trace> trace;
    void dump(uint64_t half) {
        if (trace && clocks >= trace_from && clocks < trace_to) trace->dump(10 * clocks + 5 * half);
    }
    void step() {
        top->clk = 1;
        top->eval();
        dump(0);
        top->clk = 0;
        top->eval();
        dump(1);
        ++clocks;
        context.time(10 * clocks);
    }
};
}  // namespace

extern "C" {

Sim* sim_create(int argc, const char** argv) {
    auto* sim = new Sim;
    sim->context.fatalOnError(false);
    sim->context.traceEverOn(true);
    sim->context.commandArgs(argc, argv);
    sim->top = std::make_unique<Vbench>(&sim->context, "TOP");
    sim->top->clk = 0;
    sim->top->rst = 1;
    sim->top->eval();  // runs the initial blocks, so that the back door can write after it
    return sim;
}

// Address of a public variable; `rows` is its number of elements and `bytes` the size of one. Null if there is no such variable.
void* sim_memory(Sim* sim, const char* scope, const char* name, uint64_t* rows, uint64_t* bytes) {
    const VerilatedScope* found = sim->context.scopeFind(scope);
    VerilatedVar* var = found ? found->varFind(name) : nullptr;
    if (!var) return nullptr;
    *bytes = var->entSize();
    *rows = var->totalSize() / var->entSize();
    return var->datap();
}

int sim_trace(Sim* sim, const char* path, uint64_t from, uint64_t to) {
    sim->trace = std::make_unique<Trace>();
    sim->top->trace(sim->trace.get(), 99);
    sim->trace->open(path);
    sim->trace_from = from;
    sim->trace_to = to;
    return sim->trace->isOpen();
}

// Ends the recording; the file is complete afterwards.
void sim_trace_stop(Sim* sim) {
    sim->trace_to = 0;
    if (sim->trace) sim->trace->close();
}

// Runs at most `clocks` clocks, or until `done`; returns how many it ran. The first four clocks of a simulation are its reset.
uint64_t sim_run(Sim* sim, uint64_t clocks) {
    const uint64_t begin = sim->clocks;
    while (sim->clocks - begin < clocks && !sim->top->done && !sim->context.gotFinish()) {
        sim->step();
        if (sim->clocks == 4) sim->top->rst = 0;
    }
    return sim->clocks - begin;
}

int sim_done(Sim* sim) { return sim->top->done; }

// The outputs of the bench: timed_out, refused, logged, violations.
uint32_t sim_output(Sim* sim, int number) {
    switch (number) {
        case 0: return sim->top->timed_out;
        case 1: return sim->top->refused;
        case 2: return sim->top->logged;
        default: return sim->top->violations;
    }
}

void sim_destroy(Sim* sim) {
    if (sim->trace) sim->trace->close();
    sim->top->final();
    delete sim;
}
}
