// Plays requests into a scheduler with its device, in order, and compares what comes back with a model of the bytes.
// Loaded by Python through ctypes (verif/memory/schedule/player.py).
#include <cstdint>
#include <cstring>
#include <memory>
#include <unordered_map>
#include <vector>

#include "Vbench.h"
#include "verilated.h"

namespace {

// Fields of fetched: valid, tag (11), atom (ATOM_BITS), data (256), check (32).
// Fields of coded_request: write, urgent, atom (ATOM_BITS), tag (11), data (256), strobe (32), check (32).
constexpr int TAGS = 2048;

struct Atom {
    uint32_t words[9] = {};  // data, check
};

struct Pending {
    bool live = false, urgent = false;
    Atom expected;
    uint32_t atom = 0;
    uint64_t since = 0;
};

// When the oldest and the newest write of an atom were accepted that wait for one WR.
struct Waiting {
    uint64_t oldest, newest;
};

// Clocks from acceptance until a write is merged or in the pool, and from leaving it until its WR is on the bus; with some to spare.
constexpr uint64_t PIPE = 8;

template <typename W>
void put(W& wide, int place, uint64_t value, int width) {
    for (int done = 0; done < width;) {
        int word = (place + done) / 32, bit = (place + done) % 32;
        int part = 32 - bit < width - done ? 32 - bit : width - done;
        uint32_t mask = part == 32 ? ~0u : ((1u << part) - 1);
        wide[word] = (wide[word] & ~(mask << bit)) | ((uint32_t(value >> done) & mask) << bit);
        done += part;
    }
}

template <typename W>
uint64_t get(const W& wide, int place, int width) {
    // Up to 32 bits, which lie in two words at most.
    int word = place / 32, bit = place % 32;
    uint64_t both = wide[word];
    if (bit + width > 32) both |= uint64_t(wide[word + 1]) << 32;
    return both >> bit & ((1ull << width) - 1);
}

struct Sim {
    VerilatedContext context;
    std::unique_ptr<Vbench> top;
    int atom_bits = 0;
    uint32_t masks[4];
    uint64_t clock = 0, accepted = 0, returned = 0, mismatches = 0, column_commands = 0;
    uint64_t longest_read = 0, longest_write = 0, highest_owed = 0, reads[2] = {}, waits[2] = {};
    uint64_t causes[10] = {};
    uint64_t number = 0;
    std::unordered_map<uint32_t, Atom> memory;
    std::unordered_map<uint32_t, Waiting> written;  // atoms with writes that have not gone out
    std::vector<Pending> pending = std::vector<Pending>(TAGS);
    int next_tag = 0;
    uint32_t rows[16] = {};
    uint64_t row_clock = 0, first_row = ~0ull, first_column = ~0ull;

    void edge() {
        top->clk = 1;
        top->eval();
        top->clk = 0;
        top->eval();
        context.timeInc(10);
        ++clock;
    }
    uint32_t hash(uint32_t row) const {
        uint32_t value = 0;
        for (int bit = 0; bit < 4; ++bit) value |= uint32_t(__builtin_parity(row & masks[bit])) << bit;
        return value;
    }
    void watch() {
        uint32_t row = top->row_bus, column = top->column_bus;
        uint32_t bank = row >> 3 & 15;
        if ((row & 7) == 1) {
            rows[bank] = row >> 7;
            if (first_row == ~0ull) first_row = clock;
        }
        if (column & 7) {
            ++column_commands;
            if (first_column == ~0ull) first_column = clock;
            bank = column >> 3 & 15;
            uint32_t place = column >> 7 & 31, plain = bank ^ hash(rows[bank]);
            uint32_t atom = rows[bank] << 9 | (plain >> 2) << 7 | (place >> 1) << 3 | (plain & 3) << 1 | (place & 1);
            if ((column & 7) == 3) {
                auto found = written.find(atom);
                if (!memory.count(atom)) ++mismatches;  // a write that nobody asked for
                if (found != written.end()) {
                    if (clock - found->second.oldest > longest_write) longest_write = clock - found->second.oldest;
                    // A write that has just been accepted may have come too late for this WR.
                    if (found->second.newest + PIPE <= clock) written.erase(found);
                    else found->second.oldest = found->second.newest;
                }
            }
        }
        ++causes[top->cause < 10 ? top->cause : 9];
        int owed = int(top->owed << 20) >> 20;
        if (owed > int(highest_owed)) highest_owed = owed;
        if (get(top->fetched, 0, 1)) {
            auto& slot = pending[get(top->fetched, 1, 11)];
            bool same = slot.live && get(top->fetched, 12, atom_bits) == slot.atom;
            for (int word = 0; word < 9; ++word)
                same = same && uint32_t(get(top->fetched, 12 + atom_bits + 32 * word, 32)) == slot.expected.words[word];
            if (!same) ++mismatches;
            ++reads[slot.urgent];
            waits[slot.urgent] += clock - slot.since;
            if (clock - slot.since > longest_read) longest_read = clock - slot.since;
            slot.live = false;
            ++returned;
        }
    }
};

uint32_t mix(uint64_t value) {
    value *= 0x9E3779B97F4A7C15ull;
    return uint32_t(value >> 29);
}

}  // namespace

extern "C" {

Sim* player_create(int argc, const char** argv, int atom_bits, const uint32_t* masks, const uint32_t* timing, int timing_words,
                   int age_limit, int close_after, int refresh_all) {
    auto* sim = new Sim;
    sim->context.fatalOnError(false);
    sim->context.commandArgs(argc, argv);
    sim->top = std::make_unique<Vbench>(&sim->context, "TOP");
    sim->atom_bits = atom_bits;
    std::memcpy(sim->masks, masks, sizeof sim->masks);
    auto& top = *sim->top;
    top.clk = 0;
    top.rst = 1;
    top.step = 1;
    top.run = 0;
    top.requests___05Fvalid = 0;
    top.age_limit = age_limit;
    top.close_after = close_after;
    top.refresh_all = refresh_all;
    for (int word = 0; word < timing_words; ++word) top.timing[word] = timing[word];
    top.eval();
    for (int k = 0; k < 4; ++k) sim->edge();
    top.rst = 0;
    top.eval();
    sim->clock = 0;
    top.run = 1;
    return sim;
}

// Offers requests in order, one a clock as accepted, until all are accepted or `clocks` have passed. Bit 31: a write. Bit 30: of some
// bytes only. Bit 29: urgent. Value 0x3fffffff: a clock without a request. Returns how many were taken.
uint64_t player_play(Sim* sim, const uint32_t* requests, uint64_t count, uint64_t clocks) {
    auto& top = *sim->top;
    uint64_t index = 0;
    bool fresh = true;
    uint32_t bytes = 0, data[9];
    for (uint64_t end = sim->clock + clocks; sim->clock < end && index < count;) {
        uint32_t request = requests[index];
        bool gap = request == 0x3fffffff;
        bool write = request >> 31;
        uint32_t atom = request & 0x1fffffff;
        int base = 2 + sim->atom_bits;
        if (fresh && !gap) {
            int tag = sim->next_tag;
            bytes = write ? (request >> 30 & 1 ? mix(sim->number * 7 + 3) : ~0u) : 0;
            for (int word = 0; word < 9; ++word) data[word] = mix(sim->number * 16 + word);
            ++sim->number;
            auto& payload = top.requests___05Fpayload;
            put(payload, 0, write, 1);
            put(payload, 1, request >> 29 & 1, 1);
            put(payload, 2, atom, sim->atom_bits);
            put(payload, base, tag, 11);
            for (int word = 0; word < 8; ++word) put(payload, base + 11 + 32 * word, data[word], 32);
            put(payload, base + 11 + 256, bytes, 32);
            put(payload, base + 11 + 288, data[8], 32);
            fresh = false;
        }
        top.requests___05Fvalid = !gap && (write || !sim->pending[sim->next_tag].live);
        top.eval();
        sim->watch();
        if (top.requests___05Fvalid && top.requests___05Fready) {
            auto& kept = sim->memory[atom];
            if (write) {
                for (int byte = 0; byte < 32; ++byte)
                    if (bytes >> byte & 1) {
                        uint32_t mask = 0xffu << byte % 4 * 8;
                        kept.words[byte / 4] = (kept.words[byte / 4] & ~mask) | (data[byte / 4] & mask);
                    }
                for (int word = 0; word < 4; ++word)
                    if (bytes >> 8 * word & 0xff) {
                        uint32_t mask = 0xffu << word * 8;
                        kept.words[8] = (kept.words[8] & ~mask) | (data[8] & mask);
                    }
                sim->written.emplace(atom, Waiting{sim->clock, 0}).first->second.newest = sim->clock;
            } else {
                auto& slot = sim->pending[sim->next_tag];
                slot.live = true;
                slot.expected = kept;
                slot.atom = uint32_t(atom);
                slot.since = sim->clock;
                slot.urgent = request >> 29 & 1;
                sim->next_tag = (sim->next_tag + 1) % TAGS;
            }
            ++sim->accepted;
            ++index;
            fresh = true;
        } else if (gap) ++index;
        sim->edge();
    }
    top.requests___05Fvalid = 0;
    return index;
}

// Lets clocks pass without requests; `run` as given. Ends early when stopped.
void player_wait(Sim* sim, uint64_t clocks, int run) {
    sim->top->run = run;
    for (uint64_t k = 0; k < clocks; ++k) {
        sim->top->eval();
        if (!run && sim->top->stopped) break;
        sim->watch();
        sim->edge();
    }
}

uint64_t player_count(Sim* sim, int which) {
    uint64_t live = 0;
    for (auto& slot : sim->pending) live += slot.live;
    uint64_t values[] = {sim->clock, sim->accepted, sim->returned, sim->mismatches, sim->column_commands, sim->longest_read, sim->longest_write,
                         sim->highest_owed, live, sim->top->violations, sim->top->first_violation, sim->top->stopped,
                         uint64_t(int64_t(int(sim->top->owed << 20) >> 20)), sim->first_row, sim->first_column,
                         sim->reads[0], sim->reads[1], sim->waits[0], sim->waits[1]};
    return which < 32 ? values[which] : sim->causes[which - 32];
}

void player_destroy(Sim* sim) {
    sim->top->final();
    delete sim;
}
}
