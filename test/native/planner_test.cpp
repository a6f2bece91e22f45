// The memory planner on random programs and on the real ones.
#include <algorithm>

#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"
#include "op_bench.h"
#include "tiny_configs.h"

using namespace sdgen_test;
using sdgen::Program;
using sdgen::Value;
using sdgen::ValueId;
using sdgen::ValueKind;

namespace {

constexpr double kSlack = 1.2;

/// Lives, found anew: the node that writes a value and the last that reads it.
struct Life {
  int first = -1, last = -1;
};
std::vector<Life> lives_of(const Program& program) {
  std::vector<Life> lives(program.values.size());
  for (int n = 0; n < static_cast<int>(program.nodes.size()); ++n) {
    const sdgen::Node& node = program.nodes[static_cast<size_t>(n)];
    for (const ValueId id : node.inputs) lives[static_cast<size_t>(id)].last = n;
    Life& out = lives[static_cast<size_t>(node.output)];
    CHECK(out.first == -1);
    out.first = out.last = n;
  }
  return lives;
}

int64_t most_alive(const Program& program, const std::vector<Life>& lives) {
  int64_t most = 0;
  for (int n = 0; n < static_cast<int>(program.nodes.size()); ++n) {
    int64_t alive = 0;
    for (size_t i = 0; i < lives.size(); ++i) {
      const bool here = lives[i].first >= 0 && lives[i].first <= n && n <= lives[i].last;
      if (here && program.values[i].kind == ValueKind::kIntermediate) alive += program.values[i].bytes();
    }
    most = std::max(most, alive);
  }
  return most;
}

/// Why two values must not share memory: both live while some node runs (it reads one and writes the other, say).
std::string first_overlap(const Program& program, const std::vector<Life>& lives) {
  for (size_t i = 0; i < lives.size(); ++i) {
    const Value& a = program.values[i];
    if (a.offset < 0) continue;
    for (size_t j = i + 1; j < lives.size(); ++j) {
      const Value& b = program.values[j];
      if (b.offset < 0 || lives[i].first > lives[j].last || lives[j].first > lives[i].last) continue;
      if (a.offset < b.offset + b.bytes() && b.offset < a.offset + a.bytes()) {
        return "values " + std::to_string(i) + " and " + std::to_string(j) + " share memory";
      }
    }
  }
  return {};
}

void check_plan(const Program& program, const std::string& what) {
  const std::vector<Life> lives = lives_of(program);
  for (size_t i = 0; i < program.values.size(); ++i) {
    const Value& value = program.values[i];
    if (value.kind != ValueKind::kIntermediate) {
      CHECK_MSG(value.offset == -1, what << ": '" << value.name << "' is bound and has a place in the arena");
      continue;
    }
    CHECK_MSG(value.offset >= 0 && value.offset % 64 == 0 && value.offset + value.bytes() <= program.arena_bytes,
              what << ": value " << i << " lies at " << value.offset << " of " << program.arena_bytes);
    CHECK(value.first == lives[i].first && value.last == lives[i].last);
  }
  const std::string overlap = first_overlap(program, lives);
  CHECK_MSG(overlap.empty(), what << ": " << overlap);
  CHECK_MSG(program.live_bytes == most_alive(program, lives), what << ": live " << program.live_bytes);
  CHECK_MSG(program.arena_bytes >= program.live_bytes, what << ": the arena is smaller than what lives in it");
  CHECK_MSG(static_cast<double>(program.arena_bytes) <= kSlack * static_cast<double>(program.live_bytes),
            what << ": arena " << program.arena_bytes << " bytes for " << program.live_bytes << " live ones, "
                 << static_cast<double>(program.arena_bytes) / static_cast<double>(program.live_bytes) << " times");
}

/// Adds, scales, concatenations and linears over a pool of values, some of which are read again much later.
Program random_program(uint64_t seed) {
  Bench bench(seed);
  sdgen::Builder& b = bench.builder;
  std::vector<ValueId> pool = {bench.input({1, 3, 5, 32}), bench.input({1, 3, 5, 32})};
  const auto pick = [&] {
    const int64_t recent = std::min<int64_t>(static_cast<int64_t>(pool.size()), bench.numbers.below(4) == 0 ? 12 : 3);
    return pool[pool.size() - 1 - static_cast<size_t>(bench.numbers.below(recent))];
  };
  const int64_t count = 5 + bench.numbers.below(60);
  for (int64_t i = 0; i < count; ++i) {
    const ValueId x = pick(), y = pick();
    switch (bench.numbers.below(4)) {
      case 0: pool.push_back(b.shape(x) == b.shape(y) ? b.add(x, y) : b.scale(x, 0.5f)); break;
      case 1:
        pool.push_back(b.shape(x).channels() + b.shape(y).channels() < 600 ? b.concat(x, y)
                                                                           : b.linear("w" + std::to_string(i), x, 16));
        break;
      case 2: pool.push_back(b.linear("w" + std::to_string(i), x, 16 * (1 + bench.numbers.below(8)))); break;
      default: pool.push_back(b.scale(x, 1.5f)); break;
    }
  }
  return bench.finish(b.scale(pool.back(), 1.0f)).program;
}

void check_model(const std::string& name, const sdgen::ModelConfig& config,
                 const std::vector<std::array<int64_t, 3>>& sizes) {
  for (const int64_t chunks : {1, 2, 5}) {
    for (const int skip : {1, 2}) check_plan(build_clip_text(config.text, chunks, skip), name + " text");
  }
  for (const auto& [batch, height, width] : sizes) {
    const std::string size =
        " batch " + std::to_string(batch) + " " + std::to_string(height) + "x" + std::to_string(width);
    for (const int64_t chunks : {1, 3}) {
      const Program unet = build_unet(config.unet, {batch, height, width, chunks * config.text.positions});
      check_plan(unet, name + " unet" + size);
    }
    check_plan(build_vae_decoder(config.vae, batch, height, width), name + " vae" + size);
  }
}

}  // namespace

TEST(planner_keeps_living_values_apart_in_random_programs) {
  int64_t nodes = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const Program program = random_program(seed);
    nodes += static_cast<int64_t>(program.nodes.size());
    check_plan(program, "random program " + std::to_string(seed));
  }
  CHECK(nodes > 5000);
}

TEST(planner_on_tiny_models) {
  check_model("tiny", tiny_config(), {{1, 1, 1}, {1, 8, 8}, {2, 8, 8}, {3, 5, 7}, {1, 16, 24}});
}

TEST(planner_on_models_of_the_size_of_sd1) {
  check_model("sd1", sd1_config(),
              {{1, 8, 8}, {2, 16, 16}, {1, 64, 64}, {2, 64, 64}, {8, 64, 64}, {2, 96, 64}, {2, 65, 43}, {2, 128, 128}});
}

TEST(planner_gives_marked_values_no_place) {
  const Program program = build_unet(tiny_config().unet, {1, 8, 8, 8}, true);
  CHECK(program.outputs.size() > 5);
  check_plan(program, "tiny unet with marks");
}

TEST(planner_checks_see_an_overlap) {
  Program program = build_unet(tiny_config().unet, {1, 8, 8, 8});
  const std::vector<Life> lives = lives_of(program);
  CHECK(first_overlap(program, lives).empty());
  const auto at = std::find_if(program.nodes.begin(), program.nodes.end(), [&](const sdgen::Node& node) {
    return program.value(node.output).offset >= 0 && program.value(node.inputs[0]).offset >= 0;
  });
  program.values[static_cast<size_t>(at->output)].offset = program.value(at->inputs[0]).offset;
  CHECK(!first_overlap(program, lives).empty());
}
