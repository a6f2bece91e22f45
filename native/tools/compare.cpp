#include "tools/compare.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <sstream>

#include "base/dtype.h"
#include "base/half.h"
#include "base/noise.h"
#include "tools/tensors.h"

namespace sdgen::tools {
namespace {

constexpr int64_t kMadeSide = 16;   // of a latent; pictures are as large as such a latent's
constexpr uint64_t kMadeSeed = 1;
/// An op's own error where operands are rounded to bf16's 8 bits or fp16's 11, with room for the cancelling of a norm.
constexpr double kBf16Tolerance = 0.02, kFp16Tolerance = 0.003;

double default_tolerance(const std::string& precision) {
  return precision == "fp32" ? 0 : precision == "bf16" ? kBf16Tolerance : kFp16Tolerance;
}

NamedTensor made_noise(const std::string& name, std::vector<int64_t> shape, NoiseStream& stream) {
  int64_t count = 1;
  for (const int64_t side : shape) count *= side;
  std::vector<float> values(static_cast<size_t>(count));
  stream.randn(values.data(), values.size());
  return to_file(name, shape, values);
}

/// Noise for every input of a part, and tokens from the vocabulary's start on.
std::shared_ptr<const WeightStore> made_inputs(const ModelConfig& config) {
  const auto stream = make_philox_stream(kMadeSeed);
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < config.text.positions; ++i) ids.push_back(static_cast<int32_t>(i * 7 % config.text.vocabulary));
  NamedTensor tokens{"text.ids", DType::kI32, {1, config.text.positions}, std::vector<unsigned char>(ids.size() * sizeof(int32_t))};
  std::memcpy(tokens.data.data(), ids.data(), tokens.data.size());
  const int64_t picture = kMadeSide * config.vae.scale();
  std::vector<NamedTensor> tensors{std::move(tokens),
      made_noise("unet.x", {1, config.unet.in_channels, kMadeSide, kMadeSide}, *stream),
      made_noise("unet.ctx", {1, config.text.positions, config.unet.context_width}, *stream),
      made_noise("vae.z", {1, config.vae.latent_channels, kMadeSide, kMadeSide}, *stream),
      made_noise("vae.image", {1, 3, picture, picture}, *stream)};
  if (config.unet.pooled_width > 0) tensors.push_back(made_noise("unet.pooled", {1, config.unet.pooled_width}, *stream));
  return open_safetensors_bytes(safetensors_bytes(tensors, {}), "made inputs");
}

/// A value's elements as they lie in its storage: the picture inside its halo, element by element.
class Stored {
 public:
  Stored(Backend& backend, const NodeDone& done)
      : backend_(backend), place_(done.output), value_(done.program.value(done.node.output)), bytes_(static_cast<size_t>(value_.bytes())) {
    backend_.download(*place_.buffer, place_.byte_offset, bytes_.data(), value_.bytes());
  }

  std::vector<float> read() const {
    std::vector<float> out(static_cast<size_t>(value_.shape.elements()));
    each_run([&](size_t dense, size_t stored, size_t count) {
      convert_to_f32(dtype(), bytes_.data() + stored * element(), &out[dense], count);
    });
    return out;
  }

  /// Replaces what the device has, rounded to nearest even where it is stored shorter.
  void write(const std::vector<float>& values) {
    each_run([&](size_t dense, size_t stored, size_t count) {
      for (size_t i = 0; i < count; ++i) {
        uint32_t bits = 0;
        std::memcpy(&bits, &values[dense + i], sizeof bits);
        if (value_.element == Element::kBf16) bits = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
        if (value_.element == Element::kF16) bits = f32_to_f16(values[dense + i]);
        std::memcpy(bytes_.data() + (stored + i) * element(), &bits, element());
      }
    });
    backend_.upload(*place_.buffer, place_.byte_offset, bytes_.data(), value_.bytes());
  }

 private:
  DType dtype() const {
    return value_.element == Element::kF16 ? DType::kF16 : value_.element == Element::kBf16 ? DType::kBF16 : DType::kF32;
  }
  size_t element() const { return static_cast<size_t>(element_bytes(value_.element)); }

  /// Calls for every contiguous run: first element without halos, first element in storage, length.
  template <typename Visit>
  void each_run(Visit visit) const {
    const Shape& shape = value_.shape;
    if (value_.halo.total() == 0) return visit(0, 0, static_cast<size_t>(shape.elements()));
    const int64_t height = shape[1] + value_.halo.total(), width = shape[2] + value_.halo.total(), row = shape[2] * shape[3];
    for (int64_t n = 0; n < shape[0]; ++n) {
      for (int64_t y = 0; y < shape[1]; ++y) {
        const int64_t stored = ((n * height + y + value_.halo.before) * width + value_.halo.before) * shape[3];
        visit(static_cast<size_t>((n * shape[1] + y) * row), static_cast<size_t>(stored), static_cast<size_t>(row));
      }
    }
  }

  Backend& backend_;
  Binding place_;
  const Value& value_;
  std::vector<unsigned char> bytes_;
};

double relative_error(const std::vector<float>& expected, const std::vector<float>& actual) {
  double difference = 0, largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double distance = std::fabs(static_cast<double>(expected[i]) - static_cast<double>(actual[i]));
    if (!std::isfinite(distance)) return std::numeric_limits<double>::infinity();
    difference = std::max(difference, distance);
    largest = std::max(largest, std::fabs(static_cast<double>(expected[i])));
  }
  return largest > 0 ? difference / largest : difference;
}

void run_watched(OpenModel& model, const PartRun& run, const std::atomic<bool>* cancel, const std::function<void(const NodeDone&)>& watch) {
  LoadedProgram program = model.runner.load(run.program, cancel);
  upload(program, run);
  RunControl control{cancel};
  control.after_node = watch;
  model.runner.run(program, control);
}

std::string weight_of(const NodeDone& done) {
  return done.node.weights.empty() ? std::string() : done.program.weights[static_cast<size_t>(done.node.weights[0])].name;
}

}  // namespace

Comparison compare_models(OpenModel& first, OpenModel& second, PartRun run, double tolerance, const std::atomic<bool>* cancel) {
  // Passes keep the ids of the values they keep: a value has one id on every device, as long as the program is not split
  // into stages, which is what steady inputs ask for.
  for (Value& value : run.program.values) value.steady = false;
  std::map<ValueId, std::vector<float>> values;
  run_watched(first, run, cancel, [&](const NodeDone& done) { values[done.node.output] = Stored(first.runner.backend(), done).read(); });

  Comparison result{{}, tolerance, {}, 0};
  int64_t index = -1;
  run_watched(second, run, cancel, [&](const NodeDone& done) {
    ++index;
    const auto expected = values.find(done.node.output);
    if (expected == values.end()) {
      ++result.not_compared;
      return;
    }
    Stored stored(second.runner.backend(), done);
    const std::vector<float> actual = stored.read();
    ComparedOp op{index, op_name(done.node.op), weight_of(done), done.program.value(done.node.output).shape};
    op.same_bytes = std::memcmp(actual.data(), expected->second.data(), actual.size() * sizeof(float)) == 0;
    op.error = op.same_bytes ? 0 : relative_error(expected->second, actual);
    op.differs = tolerance > 0 ? !(op.error <= tolerance) : !op.same_bytes;
    stored.write(expected->second);
    result.ops.push_back(std::move(op));
  });
  return result;
}

Comparison compare_devices(const CompareOptions& options) {
  OpenOptions other = options.open;
  other.device = options.device;
  other.precision = options.precision;
  OpenModel first = open_model(options.open), second = open_model(other);
  const auto inputs = options.inputs.empty() ? made_inputs(first.config) : open_safetensors(options.inputs);
  const double tolerance = options.tolerance < 0 ? default_tolerance(options.precision) : options.tolerance;
  Comparison result = compare_models(first, second, first_run(first, options.part, *inputs), tolerance, options.cancel);
  const auto named = [](const OpenOptions& open) { return open.device + ' ' + open.precision; };
  result.title = options.part + ", " + named(options.open) + " against " + named(other);
  return result;
}

bool differs(const Comparison& comparison) {
  return std::any_of(comparison.ops.begin(), comparison.ops.end(), [](const ComparedOp& op) { return op.differs; });
}

std::string comparison_text(const Comparison& comparison) {
  std::ostringstream text;
  const auto differing = std::count_if(comparison.ops.begin(), comparison.ops.end(), [](const ComparedOp& op) { return op.differs; });
  const auto same = std::count_if(comparison.ops.begin(), comparison.ops.end(), [](const ComparedOp& op) { return op.same_bytes; });
  const auto place = std::find_if(comparison.ops.begin(), comparison.ops.end(), [](const ComparedOp& op) { return op.differs; });
  double largest = 0;
  for (const ComparedOp& op : comparison.ops) largest = std::max(largest, op.error);
  text << comparison.title << ": ";
  if (place == comparison.ops.end()) {
    text << (comparison.tolerance > 0 ? "no op's error is beyond " : "all ops have the same bytes");
    if (comparison.tolerance > 0) text << comparison.tolerance;
  } else {
    text << "op " << place->index << " differs first, " << place->op << (place->weight.empty() ? "" : " of " + place->weight) << " "
         << place->shape.text() << ", error " << place->error << "; " << differing << " in all";
  }
  text << "\n" << comparison.ops.size() << " ops compared, " << same << " with the same bytes, largest error " << largest << "; "
       << comparison.not_compared << " of the second device alone\n";
  return text.str();
}

}  // namespace sdgen::tools
