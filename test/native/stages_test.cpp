// Hoisting: a program in stages gives the bits of the program in one piece, and runs no more than what changed.
#include <numeric>

#include "bench/made_weights.h"
#include "engine/model_runner.h"
#include "graph/stages.h"
#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"
#include "op_bench.h"
#include "tiny_configs.h"

using namespace sdgen;
using namespace sdgen_test;

namespace {

constexpr UnetShape kShape{2, 3, 5, 8};

Program tiny_unet() { return build_unet(tiny_config().unet, kShape); }

/// The same with no input steady: one stage.
Program restless(Program program) {
  for (Value& value : program.values) value.steady = false;
  return program;
}

struct Runner {
  std::shared_ptr<const WeightStore> store;
  ModelRunner runner;
  explicit Runner(const Program& program)
      : store(bench::make_weights(program.weights)), runner(store, bench::index_of(*store), make_reference_backend({2})) {}
};

Floats numbers(const LoadedProgram& program, const char* name, uint64_t seed) {
  return Numbers(seed).values(program.program().value(program.program().named(name)).shape.elements());
}

void give(LoadedProgram& program, const char* name, const Floats& values) {
  program.upload(name, values.data(), static_cast<int64_t>(values.size() * sizeof(float)));
}

Floats output(Runner& r, const LoadedProgram& program) {
  const VectorView view = program.vector("unet.out");
  Floats values(static_cast<size_t>(view.count));
  r.runner.backend().download(*view.buffer, 0, values.data(), view.count * 4);
  return values;
}

/// Calls of ops in one run.
int64_t run_counted(Runner& r, LoadedProgram& program) {
  std::vector<OpProfile> profile;
  r.runner.run(program, {.profile = &profile});
  return std::accumulate(profile.begin(), profile.end(), int64_t{0}, [](int64_t sum, const OpProfile& row) { return sum + row.calls; });
}

int64_t nodes(const Stage& stage) { return static_cast<int64_t>(stage.program.nodes.size()); }

}  // namespace

TEST(stages_take_the_unet_apart_by_its_steady_inputs) {
  const Program whole = tiny_unet();
  const std::vector<Stage> stages = split_stages(whole);
  CHECK(stages.size() == 3);
  CHECK(stages[0].steady == "t" && stages[1].steady == "ctx" && stages[2].steady.empty());
  CHECK(nodes(stages[0]) + nodes(stages[1]) + nodes(stages[2]) == static_cast<int64_t>(whole.nodes.size()));
  // K and V of the text in each transformer block; the embedding's 4 nodes and a linear for each ResBlock.
  int64_t attentions = 0, res_blocks = 0;
  for (const Node& node : whole.nodes) {
    attentions += std::holds_alternative<AttentionOp>(node.op) ? 1 : 0;
    if (const auto* conv = std::get_if<Conv2dOp>(&node.op)) res_blocks += conv->channel_add ? 1 : 0;
  }
  CHECK(attentions > 0 && nodes(stages[1]) == attentions);  // half of them attend to the text, with two products each
  CHECK(res_blocks > 0 && nodes(stages[0]) == 4 + res_blocks);
  const StageMemory memory = memory_of(stages);
  CHECK(memory.flops == whole.flops);
  CHECK(memory.arena_bytes <= whole.arena_bytes && memory.arena_bytes > 0);
  int64_t bound = 0, ours = 0;
  for (const Value& value : whole.values) bound += value.kind == ValueKind::kIntermediate ? 0 : value.bytes();
  for (ValueId id : stages[2].program.inputs) ours += stages[2].program.value(id).bytes();
  ours += stages[2].program.value(stages[2].program.outputs[0]).bytes() + stages[0].program.value(stages[0].program.inputs[0]).bytes() +
          stages[1].program.value(stages[1].program.inputs[0]).bytes();
  CHECK(memory.bound_bytes == ours && ours > bound);
}

TEST(stages_leave_other_programs_whole) {
  const ModelConfig config = tiny_config();
  for (const Program& program : {build_clip_text(config.text, 1, 1), build_vae_decoder(config.vae, 1, 3, 5), restless(tiny_unet())}) {
    const std::vector<Stage> stages = split_stages(program);
    CHECK(stages.size() == 1 && stages[0].steady.empty());
    CHECK(stages[0].program.nodes.size() == program.nodes.size() && stages[0].program.arena_bytes == program.arena_bytes);
  }
}

TEST(stages_give_the_bits_of_the_whole) {
  Runner r(tiny_unet());
  LoadedProgram staged = r.runner.load(tiny_unet(), nullptr), whole = r.runner.load(restless(tiny_unet()), nullptr);
  // Each input changes by itself, and back: what was kept from before must not show.
  const int steps[][3] = {{1, 1, 1}, {2, 1, 1}, {2, 2, 1}, {2, 2, 2}, {3, 2, 1}, {3, 1, 2}, {1, 1, 1}};
  for (const auto& [x, t, ctx] : steps) {
    for (LoadedProgram* program : {&staged, &whole}) {
      give(*program, "x", numbers(*program, "x", static_cast<uint64_t>(x)));
      give(*program, "t", numbers(*program, "t", static_cast<uint64_t>(10 + t)));
      give(*program, "ctx", numbers(*program, "ctx", static_cast<uint64_t>(20 + ctx)));
      r.runner.run(*program, {});
    }
    CHECK_MSG(same_bits(output(r, staged), output(r, whole)), "x " << x << ", t " << t << ", ctx " << ctx);
  }
}

TEST(stages_run_again_only_when_their_input_changed) {
  Runner r(tiny_unet());
  LoadedProgram program = r.runner.load(tiny_unet(), nullptr);
  const std::vector<Stage> stages = split_stages(tiny_unet());
  const Floats t = numbers(program, "t", 1), ctx = numbers(program, "ctx", 2);
  give(program, "x", numbers(program, "x", 3));
  give(program, "t", t);
  give(program, "ctx", ctx);
  CHECK(run_counted(r, program) == nodes(stages[0]) + nodes(stages[1]) + nodes(stages[2]));
  CHECK(run_counted(r, program) == nodes(stages[2]));
  give(program, "t", t);
  give(program, "ctx", ctx);
  CHECK(run_counted(r, program) == nodes(stages[2]));
  give(program, "t", numbers(program, "t", 4));
  CHECK(run_counted(r, program) == nodes(stages[0]) + nodes(stages[2]));
  give(program, "ctx", numbers(program, "ctx", 5));
  CHECK(run_counted(r, program) == nodes(stages[1]) + nodes(stages[2]));
  CHECK(run_counted(r, program) == nodes(stages[2]));
}

TEST(stages_that_were_cancelled_run_again) {
  Runner r(tiny_unet());
  LoadedProgram program = r.runner.load(tiny_unet(), nullptr);
  for (const char* name : {"x", "t", "ctx"}) give(program, name, numbers(program, name, 7));
  const std::atomic<bool> cancel = true;
  std::string what;
  CHECK_THROWS(r.runner.run(program, {.cancel = &cancel}), ErrorCode::kCancelled, what);
  CHECK(run_counted(r, program) == static_cast<int64_t>(tiny_unet().nodes.size()));
}
