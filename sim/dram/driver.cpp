// Drives the AXI port of `dram` (sim/dram/system.py) with a request trace, times every access, and checks every byte that comes back.
// Loaded by Python through ctypes (sim/dram/simulation.py); every function but the first takes the handle of dram_create.
//
// Offers: in the order of the trace, at most one a clock, on AR or AW; the next request is offered once the one before was taken. The
// bytes of a write follow its address on W from the next clock on, without bubbles. Identifiers go round in each direction.
// Scoreboard: each write has bytes of its own, made of its number. A read may return what a write left whose address was taken before the
// read's last beat, unless another write certainly replaced it: one that was taken after the former had settled, and had settled itself
// before the read's address was taken. A write settles with its response, or with the end of a read that saw it.
#include <algorithm>
#include <cinttypes>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "Vdram.h"
#include "verilated.h"
#include "verilated_syms.h"

namespace {

constexpr uint32_t ATOM = 32;
constexpr uint32_t NEVER = ~0u;
constexpr uint64_t INITIAL = 1ull << 40;  // numbers from here on stand for the initial contents of an atom

uint64_t mix(uint64_t x) {  // splitmix64's finaliser
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

constexpr uint64_t MASK = 0x5bd1e995a3c59ac3ull, FACTOR = 0x9e3779b97f4a7c15ull, INVERSE = 0xf1de83e19937733dull;
static_assert(FACTOR * INVERSE == 1, "the first word of an atom names its write");

void fill(uint64_t number, uint64_t* words) {
    words[0] = (number ^ MASK) * FACTOR;
    for (uint64_t k = 1; k < 4; ++k) words[k] = mix(words[0] + k);
}

bool filled(const uint64_t* words, uint64_t number) {
    uint64_t expected[4];
    fill(number, expected);
    return !std::memcmp(words, expected, ATOM);
}

struct Random {
    uint64_t state;
    uint32_t next() { return mix(state += FACTOR) >> 32; }
};

// Of one direction: its requests in order, which identifier waits for which of them, and the back-pressure of its responses.
struct Direction {
    std::vector<uint32_t> request;  // request of each access, in the order of acceptance
    std::vector<uint64_t> next;     // by identifier: the access that its next response belongs to
    std::vector<uint32_t> beat;
    uint64_t done = 0;
    Random random{0};
    uint32_t pause = 0;
    uint32_t stall = 0;             // share of clocks without `ready`, of 65536
    bool ready() {
        if (!stall) return true;
        if (pause) return --pause, false;
        const uint32_t draw = random.next();
        if (!(draw >> 20)) pause = 200;  // and now and then for long
        return (draw & 0xffff) >= stall;
    }
};

enum Error { MISMATCH, CONTENTS, RESPONSE, PROTOCOL, ERRORS };

struct Window {
    uint64_t begin, clocks, memory_begin, memory_clocks, reads, writes, bus_reads, bus_writes, bank_refreshes, all_refreshes, since_reset;
};

struct Sim {
    VerilatedContext context;
    std::unique_ptr<Vdram> top;
    uint64_t clock = 0, memory_clock = 0, bank_refreshes = 0, all_refreshes = 0;

    // The trace, and what is noted of it: clocks of acceptance, first and last beat; 0 where there was none.
    uint64_t count = 0, index = 0, limit = 0, patience = 0;
    const uint8_t* write = nullptr;
    const uint32_t* atom = nullptr;
    uint32_t *accepted = nullptr, *first = nullptr, *last = nullptr;
    uint64_t in_flight = 0, most = 0, quiet = 0, drained = 0, settle = 0;

    Direction reads, writes;
    std::vector<uint64_t> read_data;  // by identifier, 4 words each
    uint64_t write_sent = 0;          // writes whose beats have all gone out
    uint32_t write_beat = 0;
    uint64_t write_words[4];

    // Histories by atom, newest first; a node is a write, numbered by its request + 1.
    uint32_t* head = nullptr;
    std::vector<uint32_t> older, settled;
    uint64_t oldest_read = 0;
    // The device's storage (sim/hbm/storage.sv): place + 1 in the pool of each page of 32 atoms, and the pool.
    uint32_t *page = nullptr, *used = nullptr, *check = nullptr;
    uint64_t* memory = nullptr;

    Window window{};
    bool started = false, open = false;
    uint32_t causes_at = 0;  // where the controller counts what the data bus did, by cause
    std::vector<uint32_t> causes;
    size_t cause = ~size_t(0);  // the one that is being read
    bool offered = false;  // and not taken yet: an offer is not taken back
    uint64_t errors[ERRORS] = {};
    std::string log;

    static constexpr uint32_t bus = sizeof(Vdram::axi___05Frdata);
    static constexpr uint32_t beats = ATOM / bus;

    ~Sim() { std::free(head); }

    void report(Error kind, const char* format, ...) {
        if (errors[kind]++ >= 5) return;
        char text[400];
        va_list arguments;
        va_start(arguments, format);
        std::vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        log += text;
        log += '\n';
    }

    // Behind the window, a clock for each: the data of a read follow in the next clock.
    void read_causes() {
        if (cause > causes.size()) return;
        if (cause) causes[cause - 1] = top->registers___05Fread___05Fdata;
        top->registers___05Fread___05Fvalid = cause < causes.size();
        top->registers___05Fread___05Faddress = (causes_at >> 2) + cause;
        ++cause;
    }

    // The edge that ends a clock. Inputs have been set and outputs been looked at before.
    void edge() {
        read_causes();
        if (top->enable && !top->rst) {
            ++memory_clock;
            bank_refreshes += top->row_operation == 4;
            all_refreshes += top->row_operation == 5;
            if (open) {
                ++window.memory_clocks;
                window.bus_reads += top->column_operation == 1 || top->column_operation == 2;
                window.bus_writes += top->column_operation == 3 || top->column_operation == 4;
            }
        }
        top->clk = 1;
        top->eval();
        top->clk = 0;
        ++clock;
    }

    void idle() {
        top->axi___05Farvalid = top->axi___05Fawvalid = top->axi___05Fwvalid = 0;
        top->axi___05Frready = top->axi___05Fbready = 1;
        top->eval();
        edge();
    }

    void close() {
        open = false;
        cause = 0;
        window.clocks = clock - window.begin;
        window.reads = reads.done;
        window.writes = writes.done;
        window.bank_refreshes = bank_refreshes;
        window.all_refreshes = all_refreshes;
        window.since_reset = memory_clock;
    }

    // Which bytes these are, for people.
    std::string name(const uint64_t* words) const {
        const uint64_t number = (words[0] * INVERSE) ^ MASK;
        char text[100];
        if (!filled(words, number))
            std::snprintf(text, sizeof text, "bytes that nobody wrote, %016" PRIx64 " ...", words[0]);
        else if (number >= INITIAL)
            std::snprintf(text, sizeof text, "the initial contents of 0x%" PRIx64, (number - INITIAL) * ATOM);
        else
            std::snprintf(text, sizeof text, "what request %" PRIu64 " wrote to 0x%" PRIx64, number + 1, uint64_t(atom[number]) * ATOM);
        return text;
    }

    // Whether an access to atom `a` that was accepted at clock `begin` may find these bytes; the write that left them settles.
    bool legal(uint32_t a, uint64_t begin, const uint64_t* words) {
        uint64_t cover = 0;  // acceptance of the latest write that had settled before
        for (uint32_t node = head[a]; node; node = older[node]) {
            const uint32_t request = node - 1;
            if (settled[node] >= cover && filled(words, request)) {
                if (clock < settled[node]) settled[node] = clock;
                return true;
            }
            if (settled[node] < begin && accepted[request] > cover) cover = accepted[request];
        }
        return !cover && filled(words, INITIAL + a);
    }

    void remember(uint32_t request) {
        const uint32_t node = request + 1;
        older[node] = head[atom[request]];
        head[atom[request]] = node;
        // Nodes that no read still under way may see go: the list stays as short as what is in flight.
        while (oldest_read < reads.request.size() && last[reads.request[oldest_read]]) ++oldest_read;
        const uint64_t begin = oldest_read < reads.request.size() ? accepted[reads.request[oldest_read]] : clock;
        uint64_t cover = 0;
        for (uint32_t *link = &older[node], next; (next = *link);) {
            if (settled[next] < cover) {
                *link = older[next];
                continue;
            }
            if (settled[next] < begin && accepted[next - 1] > cover) cover = accepted[next - 1];
            link = &older[next];
        }
    }

    void take_read() {
        const uint32_t id = top->axi___05Frid;
        Direction& r = reads;
        if (id >= r.next.size() || r.next[id] >= r.request.size())
            return report(PROTOCOL, "clock %" PRIu64 ": read data with identifier %u, which nobody waits for", clock, id);
        const uint32_t request = r.request[r.next[id]];
        if (top->axi___05Frresp) report(RESPONSE, "request %u, read of 0x%" PRIx64 ": response %u", request + 1,
                                        uint64_t(atom[request]) * ATOM, top->axi___05Frresp);
        if (!r.beat[id]) first[request] = clock;
        std::memcpy(reinterpret_cast<uint8_t*>(&read_data[4 * id]) + bus * r.beat[id], &top->axi___05Frdata, bus);
        const bool end = ++r.beat[id] == beats;
        if (top->axi___05Frlast != end)
            report(PROTOCOL, "request %u: beat %u of %u has last = %u", request + 1, r.beat[id], beats, top->axi___05Frlast);
        if (!end) return;
        r.beat[id] = 0;
        r.next[id] += r.next.size();
        last[request] = clock;
        ++r.done;
        --in_flight;
        const uint64_t* words = &read_data[4 * id];
        if (!legal(atom[request], accepted[request], words))
            report(MISMATCH, "request %u, read of 0x%" PRIx64 ", returned %s", request + 1, uint64_t(atom[request]) * ATOM,
                   name(words).c_str());
    }

    void take_response() {
        const uint32_t id = top->axi___05Fbid;
        Direction& w = writes;
        if (id >= w.next.size() || w.next[id] >= write_sent)
            return report(PROTOCOL, "clock %" PRIu64 ": a write response with identifier %u, which nobody waits for", clock, id);
        const uint32_t request = w.request[w.next[id]];
        if (top->axi___05Fbresp) report(RESPONSE, "request %u, write of 0x%" PRIx64 ": response %u", request + 1,
                                        uint64_t(atom[request]) * ATOM, top->axi___05Fbresp);
        w.next[id] += w.next.size();
        last[request] = clock;
        if (clock < settled[request + 1]) settled[request + 1] = clock;
        ++w.done;
        --in_flight;
    }

    uint64_t place(uint32_t a) const { return 32ull * (page[a >> 5] - 1) + (a & 31); }

    // One clock: inputs, outputs, edge.
    void step(bool stopped) {
        const bool offer = !stopped && index < count && in_flight < most;
        const bool offer_read = offer && !write[index], offer_write = offer && write[index];
        top->axi___05Farvalid = offer_read;
        top->axi___05Fawvalid = offer_write;
        if (offer) {
            if (!started) {
                started = open = true;
                window.begin = clock;
                window.memory_begin = memory_clock;
            }
            auto& direction = offer_read ? reads : writes;
            auto& address = offer_read ? top->axi___05Faraddr : top->axi___05Fawaddr;
            auto& id = offer_read ? top->axi___05Farid : top->axi___05Fawid;
            address = atom[index] * ATOM;
            id = direction.request.size() % direction.next.size();
        }
        const bool sends = write_sent < writes.request.size();
        top->axi___05Fwvalid = sends;
        if (sends) {
            if (!write_beat) fill(writes.request[write_sent], write_words);
            std::memcpy(&top->axi___05Fwdata, reinterpret_cast<uint8_t*>(write_words) + bus * write_beat, bus);
            top->axi___05Fwlast = write_beat == beats - 1;
        }
        top->axi___05Frready = reads.ready();
        top->axi___05Fbready = writes.ready();
        top->eval();

        bool moved = false;
        if (sends && top->axi___05Fwready) {
            moved = true;
            if (++write_beat == beats) write_beat = 0;
        }
        const bool sent = moved && !write_beat;
        offered = offer;
        if (offer && (offer_read ? top->axi___05Farready : top->axi___05Fawready)) {
            moved = true;
            (offer_read ? reads : writes).request.push_back(index);
            accepted[index] = clock;
            if (offer_write) remember(index);
            ++in_flight;
            ++index;
            offered = false;
        }
        if (top->axi___05Frvalid && top->axi___05Frready) moved = true, take_read();
        if (top->axi___05Fbvalid && top->axi___05Fbready) moved = true, take_response();
        if (sent) ++write_sent;  // a response may come from the next clock on
        quiet = moved ? 0 : quiet + 1;
        edge();
        if (open && (clock - window.begin == limit || (!in_flight && index == count))) close();
    }

    // 0: goes on, 1: the end, 2: nothing has moved for too long.
    int run(uint64_t clocks) {
        for (uint64_t k = 0; k < clocks; ++k) {
            const bool stopped = started && !open && !offered;
            if (stopped && !in_flight) {
                // What the controller still holds reaches the device.
                drained = top->column_operation ? 0 : drained + 1;
                if (drained > settle) return 1;
                idle();
                continue;
            }
            step(stopped);
            if (quiet > patience) return 2;
        }
        return 0;
    }
};

}  // namespace

extern "C" {

Sim* dram_create(int argc, const char** argv, uint64_t identifiers, uint64_t stall, uint64_t seed) {
    auto* sim = new Sim;
    sim->context.fatalOnError(false);
    sim->context.commandArgs(argc, argv);
    sim->top = std::make_unique<Vdram>(&sim->context, "TOP");
    for (auto* direction : {&sim->reads, &sim->writes}) {
        for (uint64_t id = 0; id < identifiers; ++id) direction->next.push_back(id);
        direction->beat.assign(identifiers, 0);
        direction->stall = stall;
        direction->random.state = mix(2 * seed + (direction == &sim->reads));
    }
    sim->read_data.assign(4 * identifiers, 0);
    auto& top = *sim->top;
    top.clk = 0;
    top.rst = 1;
    top.axi___05Farlen = top.axi___05Fawlen = Sim::beats - 1;
    top.axi___05Farsize = top.axi___05Fawsize = __builtin_ctz(Sim::bus);
    top.axi___05Farburst = top.axi___05Fawburst = 1;
    std::memset(&top.axi___05Fwstrb, 0xff, sizeof top.axi___05Fwstrb);
    top.axi___05Fwstrb &= (1ull << Sim::bus) - 1;
    top.eval();  // runs the initial blocks, so that the back door can write after it
    for (int k = 0; k < 4; ++k) sim->idle();
    top.rst = 0;
    return sim;
}

// Address of the device's public array `name`, with its rows and the bytes of one; null if there is none.
void* dram_memory(Sim* sim, const char* scope, const char* name, uint64_t* rows, uint64_t* bytes) {
    const VerilatedScope* found = sim->context.scopeFind(scope);
    VerilatedVar* var = found ? found->varFind(name) : nullptr;
    if (!var) return nullptr;
    *bytes = var->entSize();
    *rows = var->totalSize() / var->entSize();
    return var->datap();
}

// Steps until the controller is ready; 0 if it is not within `clocks`.
int dram_wait(Sim* sim, uint64_t clocks) {
    while (!sim->top->ready && clocks--) sim->idle();
    return sim->top->ready;
}

// A write to a register of the controller, by byte address; 1 if it is refused.
int dram_write(Sim* sim, uint32_t address, uint32_t value) {
    auto& top = *sim->top;
    top.registers___05Fwrite___05Fvalid = 1;
    top.registers___05Fwrite___05Faddress = address >> 2;
    top.registers___05Fwrite___05Fdata = value;
    top.registers___05Fwrite___05Fstrobe = 15;
    top.eval();
    const int error = top.registers___05Fwrite___05Ferror;
    sim->idle();
    top.registers___05Fwrite___05Fvalid = 0;
    return error;
}

// The initial contents of atoms, four words each.
void dram_contents(uint64_t count, const uint32_t* atom, uint64_t* words) {
    for (uint64_t k = 0; k < count; ++k) fill(INITIAL + atom[k], words + 4 * k);
}

// Puts atoms with their check bits into the device. It has room for all: a page for each of the channel.
void dram_store(Sim* sim, uint32_t* page, uint32_t* used, uint64_t* memory, uint32_t* check, uint64_t count, const uint32_t* atom,
                const uint64_t* words, const uint32_t* bits) {
    sim->page = page;
    sim->used = used;
    sim->memory = memory;
    sim->check = check;
    for (uint64_t k = 0; k < count; ++k) {
        auto& place = page[atom[k] >> 5];
        if (!place) place = ++*used;
        std::memcpy(memory + 4 * sim->place(atom[k]), words + 4 * k, ATOM);
        check[sim->place(atom[k])] = bits[k];
    }
}

// Takes a trace of `count` requests, whose arrays the caller keeps, on a channel of `atoms`; each atom of it has its initial contents.
// `limit` clocks are measured, or the whole trace; `most` requests are in flight; nothing may rest for more than `patience` clocks;
// at the end the device must see no column command for `settle` clocks.
void dram_load(Sim* sim, uint64_t atoms, uint64_t count, const uint8_t* write, const uint32_t* atom, uint32_t* accepted,
               uint32_t* first, uint32_t* last, uint64_t limit, uint64_t most, uint64_t patience, uint64_t settle, uint32_t causes_at,
               uint64_t causes) {
    sim->causes_at = causes_at;
    sim->causes.assign(causes, 0);
    sim->count = count;
    sim->write = write;
    sim->atom = atom;
    sim->accepted = accepted;
    sim->first = first;
    sim->last = last;
    sim->limit = limit;
    sim->most = most;
    sim->patience = patience;
    sim->settle = settle;
    sim->head = static_cast<uint32_t*>(std::calloc(atoms, sizeof(uint32_t)));
    sim->older.assign(count + 1, 0);
    sim->settled.assign(count + 1, NEVER);
}

int dram_run(Sim* sim, uint64_t clocks) { return sim->run(clocks); }

// Compares what the device holds at the end with what the writes may have left.
void dram_compare(Sim* sim) {
    for (uint64_t k = 0; k < sim->count; ++k) {
        const uint32_t a = sim->atom[k];
        if (sim->write[k] && sim->head[a] != k + 1) continue;  // once an atom
        if (!sim->write[k] && (sim->head[a] || !sim->accepted[k])) continue;
        const uint64_t* words = sim->memory + 4 * sim->place(a);
        if (!sim->legal(a, sim->clock, words))
            sim->report(CONTENTS, "at the end 0x%" PRIx64 " holds %s", uint64_t(a) * ATOM, sim->name(words).c_str());
    }
}

void dram_result(Sim* sim, uint64_t* window, uint64_t* errors, uint64_t* state, uint32_t* causes) {
    std::copy(sim->causes.begin(), sim->causes.end(), causes);
    std::memcpy(window, &sim->window, sizeof sim->window);
    std::memcpy(errors, sim->errors, sizeof sim->errors);
    state[0] = sim->clock;
    state[1] = sim->index;
    state[2] = sim->in_flight;
    state[3] = sim->top->violations;
    state[4] = sim->top->first_violation;
    state[5] = sim->memory_clock;
}

const char* dram_log(Sim* sim) { return sim->log.c_str(); }

// The command trace is complete afterwards.
void dram_destroy(Sim* sim) {
    sim->top->final();
    delete sim;
}
}
