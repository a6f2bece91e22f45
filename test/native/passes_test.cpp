// The rewrites of programs alone: what they change and what they leave.
#include <algorithm>

#include "graph/passes.h"
#include "op_bench.h"

using namespace sdgen_test;
using sdgen::Element;
using sdgen::Program;
using sdgen::ValueId;

namespace {

bool always(int64_t) { return true; }

template <typename T>
int64_t count_of(const Program& program) {
  return std::count_if(program.nodes.begin(), program.nodes.end(), [](const sdgen::Node& node) { return std::holds_alternative<T>(node.op); });
}

template <typename T>
const sdgen::Node& only(const Program& program) {
  CHECK(count_of<T>(program) == 1);
  return *std::find_if(program.nodes.begin(), program.nodes.end(), [](const sdgen::Node& node) { return std::holds_alternative<T>(node.op); });
}

Program geglu_program(const sdgen::LinearOptions& options, bool read_twice) {
  Bench bench(1);
  const ValueId wide = bench.builder.linear("w", bench.input({1, 3, 8}), 12, options), narrow = bench.builder.geglu(wide);
  if (!read_twice) return bench.finish(narrow).program;
  return bench.finish(bench.builder.add(bench.builder.linear("v", wide, 6), narrow)).program;
}

}  // namespace

TEST(passes_fuse_geglu_where_nothing_else_reads_the_linear) {
  Program fused = geglu_program({}, false);
  const ValueId out = fused.outputs[0];
  sdgen::fuse_geglu(fused, always);
  CHECK(fused.nodes.size() == 1 && count_of<sdgen::GegluOp>(fused) == 0);
  CHECK(std::get<sdgen::LinearOp>(only<sdgen::LinearOp>(fused).op).geglu && fused.nodes[0].output == out);

  const auto stays = [](Program program, const std::function<bool(int64_t)>& splits) {
    const size_t nodes = program.nodes.size();
    sdgen::fuse_geglu(program, splits);
    return program.nodes.size() == nodes && count_of<sdgen::GegluOp>(program) == 1;
  };
  CHECK(stays(geglu_program({}, true), always));
  CHECK(stays(geglu_program({.activation = sdgen::Activation::kSilu}, false), always));
  CHECK(stays(geglu_program({}, false), [](int64_t outputs) { return outputs != 12; }));
}

TEST(passes_lower_what_is_inside_and_leave_what_is_bound) {
  Bench bench(2);
  const ValueId x = bench.input({1, 4, 6, 8});
  const ValueId normed = bench.builder.group_norm("n", x, 4, 1e-5, true);
  Program program = bench.finish(bench.builder.scale(bench.builder.linear("w", normed, 8), 0.5f)).program;
  sdgen::lower_storage(program, Element::kBf16);
  CHECK(program.value(program.inputs[0]).element == Element::kF32 && program.value(program.outputs[0]).element == Element::kF32);
  // In front of the norm and after the scale a store op stands; all others work on the lowered values.
  CHECK(count_of<sdgen::StoreOp>(program) == 2);
  CHECK(std::holds_alternative<sdgen::StoreOp>(program.nodes.front().op) && std::holds_alternative<sdgen::StoreOp>(program.nodes.back().op));
  for (const sdgen::Node& node : program.nodes) {
    if (std::holds_alternative<sdgen::StoreOp>(node.op)) continue;
    for (const ValueId id : node.inputs) CHECK(program.value(id).element == Element::kBf16);
    CHECK(program.value(node.output).element == Element::kBf16);
  }

  // A product writes a bound output itself.
  Bench last(3);
  Program product = last.finish(last.builder.linear("w", last.input({1, 4, 8}), 5)).program;
  sdgen::lower_storage(product, Element::kBf16);
  CHECK(count_of<sdgen::StoreOp>(product) == 1 && product.nodes.back().output == product.outputs[0]);
}

TEST(passes_give_halos_by_the_writer_or_by_a_store) {
  const auto make = [](bool shared) {
    Bench bench(4);
    const ValueId x = bench.builder.group_norm("n", bench.input({1, 4, 6, 8}), 4, 1e-5, true);
    const ValueId convolved = bench.builder.conv2d("c", x, 8, {});
    return bench.finish(shared ? bench.builder.add(convolved, x) : convolved).program;
  };
  Program alone = make(false);
  sdgen::give_halos(alone);
  CHECK(count_of<sdgen::StoreOp>(alone) == 0);
  const sdgen::Node& conv = only<sdgen::Conv2dOp>(alone);
  CHECK(alone.value(conv.inputs[0]).halo == (sdgen::Halo{1, 1}));
  CHECK(conv.inputs[0] == only<sdgen::GroupNormOp>(alone).output);

  Program shared = make(true);
  sdgen::give_halos(shared);
  const sdgen::Node& store = only<sdgen::StoreOp>(shared);
  CHECK(shared.value(only<sdgen::GroupNormOp>(shared).output).halo == sdgen::Halo{});
  CHECK(shared.value(store.output).halo == (sdgen::Halo{1, 1}) && only<sdgen::Conv2dOp>(shared).inputs[0] == store.output);

  // A convolution that pads nothing reads the picture as it is.
  Bench bench(5);
  const ValueId x = bench.builder.group_norm("n", bench.input({1, 4, 6, 8}), 4, 1e-5, true);
  Program pointwise = bench.finish(bench.builder.conv2d("c", x, 8, {.kernel = 1, .pad_before = 0, .pad_after = 0})).program;
  const size_t nodes = pointwise.nodes.size();
  sdgen::give_halos(pointwise);
  CHECK(pointwise.nodes.size() == nodes);
  for (const sdgen::Value& value : pointwise.values) CHECK(value.halo == sdgen::Halo{});
}
