// Whole parts of a model, op by op: each op of the cuda backend is given what the yardstick has computed, so that one run
// names every kernel that is wrong, at the shapes that pictures have. On a card a full-size model at 512×512 against the
// cpu backend; on the emulation a tiny one against reference.
#include <algorithm>
#include <sstream>

#include "base/cpu_info.h"
#include "bench/architectures.h"
#include "bench/loaded.h"
#include "bench/made_weights.h"
#include "bench/picture.h"
#include "cuda_bench.h"
#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"
#include "tiny_configs.h"
#include "tools/compare.h"

using namespace sdgen;
using namespace sdgen_test;

namespace {

constexpr double kHalfTolerance = 0.003;  // of an op's own error, as `debug compare` has it
constexpr size_t kMostNamed = 20;

struct Whole {
  ModelConfig config = on_card() ? bench::architecture("sd1") : tiny_config();
  int64_t side = on_card() ? 64 : 4;  // of a latent
  Program text = build_clip_text(config.text, 2, 1);
  Program unet = build_unet(config.unet, {2, side, side, config.text.positions});
  Program vae = build_vae_decoder(config.vae, 1, side, side);
};

tools::PartRun run_of(const Program& program) {
  tools::PartRun run{program, {}};
  for (const ValueId id : program.inputs) run.uploads[program.value(id).name] = bench::input_bytes(program, id);
  return run;
}

tools::OpenModel model_on(const ModelConfig& config, const std::shared_ptr<const WeightStore>& store, std::unique_ptr<sdgen::Backend> backend) {
  return {config, ModelRunner(store, bench::index_of(*store), std::move(backend))};
}

std::unique_ptr<sdgen::Backend> yardstick() {
  return on_card() ? make_backend("cpu", {.threads = physical_cores()}) : make_reference_backend({1});
}

std::string all_that_differ(const tools::Comparison& comparison) {
  std::ostringstream text;
  size_t named = 0;
  for (const tools::ComparedOp& op : comparison.ops) {
    if (op.differs && named++ < kMostNamed) text << "\n    op " << op.index << " " << op.op << " " << op.weight << " " << op.shape.text() << ": error " << op.error;
  }
  return text.str();
}

void check_part(const Program& program, const ModelConfig& config, const std::string& precision) {
  const auto store = bench::make_weights(program.weights);
  tools::OpenModel first = model_on(config, store, yardstick());
  tools::OpenModel second = model_on(config, store, on_card() ? card_backend(precision, physical_cores()) : emulated_backend(machines()[1], precision));
  tools::Comparison comparison = compare_models(first, second, run_of(program), precision == "fp32" ? 0 : kHalfTolerance, nullptr);
  comparison.title = program.part + " at " + precision;
  std::printf("  %s", tools::comparison_text(comparison).c_str());
  CHECK_MSG(comparison.ops.size() >= program.nodes.size() / 2, comparison.title << ": only " << comparison.ops.size() << " ops compared");
  CHECK_MSG(!tools::differs(comparison), comparison.title << all_that_differ(comparison));
}

}  // namespace

TEST(cuda_whole_unet_in_fp32_op_by_op) {
  const Whole whole;
  check_part(whole.unet, whole.config, "fp32");
}
TEST(cuda_whole_unet_in_fp16_op_by_op) {
  const Whole whole;
  check_part(whole.unet, whole.config, "fp16");
}
TEST(cuda_whole_text_and_decoder_in_fp32_op_by_op) {
  const Whole whole;
  check_part(whole.text, whole.config, "fp32");
  check_part(whole.vae, whole.config, "fp32");
}
TEST(cuda_whole_text_and_decoder_in_fp16_op_by_op) {
  const Whole whole;
  check_part(whole.text, whole.config, "fp16");
  check_part(whole.vae, whole.config, "fp16");
}

// The sampler's loop, guidance, recorded evaluations and the decoder, to the pixels.
TEST(cuda_whole_picture_in_fp32_has_the_yardsticks_pixels) {
  const Whole whole;
  const bench::PictureWork work{.width = 2 * whole.side, .height = 2 * whole.side, .steps = 2, .repeat = 1};
  const auto digest = [&](std::unique_ptr<sdgen::Backend> backend) {
    return bench::time_picture(std::move(backend), whole.config, work, "fp32", [](int) {}).digest;
  };
  CHECK(digest(on_card() ? card_backend("fp32", physical_cores()) : emulated_backend(machines()[0], "fp32")) == digest(yardstick()));
}
