// The bench's own arithmetic: its ops are those of the program, its peaks those of the processor, its JSON is JSON.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "bench/architectures.h"
#include "bench/bench.h"
#include "bench/made_weights.h"
#include "bench/op_shapes.h"
#include "bench/picture.h"
#include "check.h"
#include "models/clip.h"
#include "models/unet.h"
#include "tiny_configs.h"

using namespace sdgen;
using namespace sdgen_test;

TEST(bench_op_shapes_add_up_to_the_program) {
  const Program unet = build_unet(tiny_config().unet, {2, 8, 8, 8});
  double flops = 0, bytes = 0;
  int64_t count = 0;
  for (const bench::OpShape& shape : bench::op_shapes(unet)) {
    CHECK_MSG(shape.program.nodes.size() == 1, shape.text);
    CHECK_MSG(shape.program.arena_bytes == 0, shape.text << ": operands are bound, not in the arena");
    flops += shape.program.flops * static_cast<double>(shape.count);
    bytes += shape.program.nodes[0].bytes * static_cast<double>(shape.count);
    count += shape.count;
  }
  double expected_bytes = 0;
  for (const Node& node : unet.nodes) expected_bytes += node.bytes;
  CHECK(count == static_cast<int64_t>(unet.nodes.size()));
  CHECK(std::fabs(flops - unet.flops) <= 1e-12 * unet.flops);
  CHECK(std::fabs(bytes - expected_bytes) <= 1e-12 * expected_bytes);
}

TEST(bench_ops_count_the_mathematics) {
  CHECK(bench::op_program("linear:7,320,33").flops == 2.0 * 7 * 320 * 33);
  CHECK(bench::op_program("conv2d:2,8,6,5,3").flops == 2.0 * 2 * 8 * 6 * 3 * (5 * 9));
  CHECK(bench::op_program("conv2d:1,8,8,4,3,1").flops == 2.0 * 8 * 8 * 3 * 4);
  CHECK(bench::op_program("conv2d:1,8,8,4,3,3,2").flops == 2.0 * 4 * 4 * 3 * (4 * 9));
  CHECK(bench::op_program("attention:2,10,7,3,5").flops == 2.0 * 2 * 2 * 10 * 7 * 15);
}

TEST(bench_refuses_an_op_it_does_not_know) {
  for (const char* bad : {"", "linear", "linear:", "linear:1,2", "linear:1,2,3,4", "linear:1,2,0", "linear:1,2,x", "linear:1,,3", "linear:1,2,3,",
                          "linear:1,2,99999999999999999999", "pool:1,2,3", "conv2d:1,2,3,4"}) {
    std::string what;
    CHECK_THROWS(bench::op_program(bad), ErrorCode::kInvalidArgument, what);
    CHECK_MSG(what.find("linear:M,K,N") != std::string::npos, bad << ": " << what);
  }
}

TEST(bench_makes_weights_that_read_alike_in_any_pieces) {
  const std::vector<WeightUse> uses{{"first.weight", WeightLayout::kVector, {3}}, {"w.weight", WeightLayout::kLinear, {300, 400}}};
  const auto store = bench::make_weights(uses);
  const TensorInfo& tensor = *store->find("w.weight");
  const std::vector<float> whole = read_all_f32(*store, tensor);
  CHECK(whole.size() == 300 * 400);
  CHECK(std::all_of(whole.begin(), whole.end(), [](float v) { return std::isfinite(v) && std::fabs(v) <= 1.0f; }));
  store->read_f32(tensor, 1000, [&](int64_t first, std::span<const float> values) {
    CHECK(std::equal(values.begin(), values.end(), whole.begin() + first));
  });
  std::vector<float> raw(whole.size());
  store->read_raw(tensor, 0, raw.data(), tensor.bytes);
  CHECK(raw == whole);
  CHECK(store->find("absent") == nullptr);
}

TEST(bench_reports_parts_and_json) {
  bench::Options options;
  options.ops = {"linear:64,64,64", "attention:1,8,8,2,8"};
  options.threads = 1;
  options.repeat = 1;
  const bench::Report report = bench::run_bench(options, nullptr, nullptr);
  CHECK(report.fp32_gflops > 1);
  CHECK(report.copy_gbs > 0.1);
  CHECK(report.shapes.size() >= 2);
  for (const bench::ShapeRow& row : report.shapes) {
    // More than the peak would mean that one of the two is counted wrongly.
    CHECK_MSG(row.op.flops / row.op.seconds * 1e-9 < 1.05 * report.peak(row.precision), row.op.op);
  }
  const JsonValue json = parse_json(report_json(report));
  std::vector<std::string> keys;
  for (const JsonMember& member : *json.as_object()) keys.push_back(member.key);
  CHECK((keys == std::vector<std::string>{"machine", "peak", "parts", "op_shapes", "peak_rss_mib"}));
  CHECK(report_text(report).find("linear:64,64,64") != std::string::npos);
}

TEST(bench_architectures_differ_where_the_families_do) {
  CHECK((bench::architectures() == std::vector<std::string>{"sd1", "sd2"}));
  // OpenCLIP's tower: 23 of 24 layers of width 1024 are computed, against 12 of 768; attention has heads of 64.
  const ModelConfig one = bench::architecture("sd1"), two = bench::architecture("sd2");
  const double text1 = build_clip_text(one.text, 1, 1).flops, text2 = build_clip_text(two.text, 1, *two.text.fixed_skip).flops;
  CHECK(text2 / text1 > 3.3 && text2 / text1 < 3.6);
  CHECK(two.unet.context_width == two.text.width);
  for (size_t i = 0; i < two.unet.levels.size(); ++i) CHECK(two.unet.levels[i].channels == 64 * two.unet.heads.value[i]);
}

TEST(bench_refuses_bad_options_by_name) {
  const auto refused = [](auto change) {
    bench::Options options;
    change(options);
    std::string what;
    CHECK_THROWS(bench::run_bench(options, nullptr, nullptr), ErrorCode::kInvalidArgument, what);
    return what;
  };
  CHECK(refused([](auto& o) { o.arch = "sd9"; }).find("sd9") != std::string::npos);
  CHECK(refused([](auto& o) { o.parts = {"lungs"}; }).find("lungs") != std::string::npos);
  CHECK(refused([](auto& o) { o.width = 500; }).find("multiples of 8") != std::string::npos);
  CHECK(refused([](auto& o) { o.repeat = 0; }).find("repeat") != std::string::npos);
  CHECK(refused([](auto& o) { o.batch = 0; }).find("batch") != std::string::npos);
}

// With the dimensions alone, as the bench has them: neither a noise schedule nor a text comes with them.
TEST(bench_times_a_whole_picture) {
  int runs = 0;
  const sdgen::bench::PartRow row = sdgen::bench::time_picture(sdgen::make_reference_backend({2}), sdgen_test::tiny_config(),
                                                               {.width = 8, .height = 8, .steps = 3, .repeat = 1}, "fp32", [&](int) { ++runs; });
  CHECK(runs == 2 && row.part == "picture of 3 steps" && row.seconds > 0 && row.seconds < 100 && row.flops > 0);
  CHECK_MSG(row.digest.size() == 16, row.digest);
  const auto again = sdgen::bench::time_picture(sdgen::make_cpu_backend({1}), sdgen_test::tiny_config(), {.width = 8, .height = 8, .steps = 3, .repeat = 1},
                                                "fp32", [](int) {});
  CHECK_MSG(again.digest == row.digest, "other pixels on cpu than on reference");
  const auto other = sdgen::bench::time_picture(sdgen::make_cpu_backend({1}), sdgen_test::tiny_config(), {.width = 8, .height = 8, .steps = 2, .repeat = 1},
                                                "fp32", [](int) {});
  CHECK_MSG(other.digest != row.digest, "the same pixels after fewer steps");
}
