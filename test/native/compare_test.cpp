// Two devices op by op: an error is found in the op that makes it, and nowhere else.
#include "tiny_model.h"
#include "tools/compare.h"
#include "tools/tensors.h"

using namespace sdgen;
using namespace sdgen::tools;
using namespace sdgen_test;

namespace {

std::string saved(const TinyFile& file, const std::string& name) {
  const std::string path = scratch(name);
  write_safetensors(path, file.tensors, file.metadata);
  return path;
}

std::shared_ptr<const WeightStore> unet_inputs() {
  const auto made = [](uint64_t seed, std::vector<int64_t> shape, int64_t count) { return f32("", std::move(shape), Numbers(seed).values(count)); };
  NamedTensor x = made(1, {2, 4, 6, 4}, 192), ctx = made(2, {2, 8, 32}, 512);
  x.name = "unet.x";
  ctx.name = "unet.ctx";
  return open_safetensors_bytes(safetensors_bytes({x, ctx}, {}), "inputs");
}

Comparison compare(const std::string& first, const std::string& second, const std::string& precision, double tolerance) {
  OpenModel a = open_model({.path = first, .threads = 1});
  OpenModel b = open_model({.path = second, .device = "cpu", .precision = precision, .threads = 2});
  return compare_models(a, b, first_run(a, "unet", *unet_inputs()), tolerance, nullptr);
}

bool has_bf16() {
  const auto infos = device_infos();
  return std::any_of(infos.begin(), infos.end(), [](const DeviceInfo& device) {
    return device.name == "cpu" && std::count(device.precisions.begin(), device.precisions.end(), "bf16") > 0;
  });
}

std::vector<std::string> differing(const Comparison& comparison) {
  std::vector<std::string> weights;
  for (const ComparedOp& op : comparison.ops) {
    if (op.differs) weights.push_back(op.weight);
  }
  return weights;
}

}  // namespace

TEST(compare_finds_equal_bytes_on_reference_and_cpu) {
  const std::string path = saved(TinyFile(), "compare.safetensors");
  const Comparison comparison = compare(path, path, "fp32", 0);
  CHECK_MSG(comparison.ops.size() > 100, comparison.ops.size() << " ops");
  CHECK(!differs(comparison));
  CHECK(std::all_of(comparison.ops.begin(), comparison.ops.end(), [](const ComparedOp& op) { return op.same_bytes; }));
}

TEST(compare_names_the_op_whose_weight_is_wrong_and_no_other) {
  // One whose output has a halo on the cpu, one before a residual, one near the end.
  for (const char* name : {"unet.input_blocks.1.0.in_layers.0.weight", "unet.middle_block.0.out_layers.3.weight", "unet.out.2.weight"}) {
    TinyFile wrong;
    wrong.plant(name, 3);
    const std::string right = saved(TinyFile(), "compare.safetensors"), other = saved(wrong, "compare-wrong.safetensors");
    const std::vector<std::string> exact = differing(compare(right, other, "fp32", 0));
    CHECK_MSG(exact == std::vector<std::string>{name}, name << ": " << exact.size() << " differ");
    if (!has_bf16()) continue;
    const std::vector<std::string> fast = differing(compare(right, other, "bf16", 0.02));
    CHECK_MSG(fast == std::vector<std::string>{name}, name << " at bf16: " << fast.size() << " differ");
  }
}

TEST(compare_measures_the_rounding_of_bf16) {
  if (!has_bf16()) return;
  const std::string path = saved(TinyFile(), "compare.safetensors");
  const Comparison comparison = compare(path, path, "bf16", 0.02);
  double largest = 0;
  for (const ComparedOp& op : comparison.ops) largest = std::max(largest, op.error);
  CHECK_MSG(largest > 1e-3 && largest < 0.02, largest);
  CHECK(!differs(comparison));
  const std::string text = comparison_text(comparison);
  CHECK_MSG(text.find("no op's error is beyond 0.02") != std::string::npos, text);
}

TEST(compare_makes_its_own_inputs) {
  const std::string path = saved(TinyFile(), "compare.safetensors");
  for (const char* part : {"text", "unet", "vae-decode"}) {
    const Comparison comparison = compare_devices({.open = {.path = path, .threads = 1}, .part = part});
    CHECK_MSG(!comparison.ops.empty() && !differs(comparison), comparison_text(comparison));
    CHECK_MSG(comparison.title == std::string(part) + ", reference fp32 against cpu fp32", comparison.title);
  }
  std::string what;
  CHECK_THROWS(compare_devices({.open = {.path = path}, .part = "vae-encode"}), ErrorCode::kModelFormat, what);
  CHECK_THROWS(compare_devices({.open = {.path = path}, .part = "lungs"}), ErrorCode::kInvalidArgument, what);
  CHECK_MSG(what.find("lungs") != std::string::npos, what);
}
