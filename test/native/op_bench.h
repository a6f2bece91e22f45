#pragma once
// One-op programs with seeded operands, run on the reference backend: what the tests of ops share.
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backends/backend.h"
#include "check.h"
#include "graph/builder.h"
#include "model_bytes.h"

namespace sdgen_test {

using Floats = std::vector<float>;

/// Seeded numbers by integer arithmetic alone (splitmix64): multiples of 2^-23 in [-1, 1).
class Numbers {
 public:
  explicit Numbers(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15U + 1) {}
  uint64_t word() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }
  int64_t below(int64_t n) { return static_cast<int64_t>(word() % static_cast<uint64_t>(n)); }
  float value() { return static_cast<float>(static_cast<int64_t>(word() >> 40) - (int64_t{1} << 23)) * 0x1p-23f; }
  Floats values(int64_t count, float scale = 1.0f, float offset = 0.0f) {
    Floats out(static_cast<size_t>(count));
    for (float& v : out) v = value() * scale + offset;
    return out;
  }

 private:
  uint64_t state_;
};

inline sdgen::Backend& backend_of(int threads) {
  static std::map<int, std::unique_ptr<sdgen::Backend>> backends;
  auto& slot = backends[threads];
  if (!slot) slot = sdgen::make_reference_backend({threads});
  return *slot;
}

inline sdgen::Backend& cpu_backend_of(const std::string& isa, const std::string& precision, int threads) {
  static std::map<std::string, std::unique_ptr<sdgen::Backend>> backends;
  auto& slot = backends[isa + " " + precision + " " + std::to_string(threads)];
  if (!slot) slot = sdgen::make_cpu_backend({threads, precision, isa});
  return *slot;
}

/// A finished program of one output with the values of its inputs and weights, in the program's order.
struct Ready {
  sdgen::Program program;
  std::vector<Floats> inputs, weights;
  const sdgen::Shape& in_shape(size_t i) const { return program.value(program.inputs[i]).shape; }
  const sdgen::Shape& out_shape() const { return program.value(program.outputs[0]).shape; }
};

class Bench {
 public:
  explicit Bench(uint64_t seed) : numbers(seed) {}
  sdgen::Builder builder{"test"};
  Numbers numbers;

  sdgen::ValueId input(sdgen::Shape shape, float scale = 1.0f, float offset = 0.0f) {
    return input_of(shape, numbers.values(shape.elements(), scale, offset));
  }
  sdgen::ValueId input_of(sdgen::Shape shape, Floats values) {
    inputs_.push_back(std::move(values));
    return builder.input("in" + std::to_string(inputs_.size()), shape);
  }
  /// Names the output and makes up the weights.
  Ready finish(sdgen::ValueId out) {
    builder.output("out", out);
    Ready ready{builder.finish(), std::move(inputs_), {}};
    for (const sdgen::WeightUse& use : ready.program.weights) ready.weights.push_back(numbers.values(elements(use)));
    return ready;
  }
  static int64_t elements(const sdgen::WeightUse& use) {
    int64_t n = 1;
    for (int64_t d : use.shape) n *= d;
    return n;
  }

 private:
  std::vector<Floats> inputs_;
};

/// The weights as the backend packs them from a file; every other linear weight is stored as a 1×1 convolution.
inline std::vector<std::shared_ptr<const sdgen::PackedWeight>> pack_weights(const Ready& ready,
                                                                            sdgen::Backend& backend) {
  std::vector<sdgen::NamedTensor> tensors;
  for (size_t i = 0; i < ready.weights.size(); ++i) {
    const sdgen::WeightUse& use = ready.program.weights[i];
    std::vector<int64_t> shape = use.shape;
    if (use.layout == sdgen::WeightLayout::kLinear && shape[0] % 2 == 0) shape.insert(shape.end(), {1, 1});
    tensors.push_back(f32(use.name, shape, ready.weights[i]));
  }
  std::vector<std::shared_ptr<const sdgen::PackedWeight>> packed;
  if (tensors.empty()) return packed;
  const auto store = open_bytes(sdgen::safetensors_bytes(tensors, {}));
  for (const sdgen::WeightUse& use : ready.program.weights)
    packed.push_back(backend.prepare(use, *store, *store->find(use.name)));
  return packed;
}

/// The program's output as that backend computes it. Memory that it should write is NaN before.
inline Floats run_on(const Ready& given, sdgen::Backend& backend) {
  Ready ready = given;
  backend.adapt(ready.program);
  const auto executable = backend.compile(ready.program, pack_weights(ready, backend));
  const auto arena = backend.allocate(static_cast<uint64_t>(ready.program.arena_bytes));
  const Floats garbage(static_cast<size_t>(ready.program.arena_bytes / 4), std::numeric_limits<float>::quiet_NaN());
  backend.upload(*arena, 0, garbage.data(), static_cast<int64_t>(garbage.size() * sizeof(float)));
  std::vector<std::unique_ptr<sdgen::Buffer>> buffers;
  std::vector<sdgen::Binding> bindings;
  const auto bind = [&](sdgen::ValueId id, const Floats& values) {
    const auto bytes = static_cast<int64_t>(values.size() * sizeof(float));
    buffers.push_back(backend.allocate(static_cast<uint64_t>(bytes)));
    backend.upload(*buffers.back(), 0, values.data(), bytes);
    bindings.push_back({id, buffers.back().get(), 0});
  };
  for (size_t i = 0; i < ready.inputs.size(); ++i) bind(ready.program.inputs[i], ready.inputs[i]);
  Floats out(static_cast<size_t>(ready.out_shape().elements()), std::numeric_limits<float>::quiet_NaN());
  bind(ready.program.outputs[0], out);
  backend.run(*executable, *arena, bindings, {});
  backend.download(*buffers.back(), 0, out.data(), static_cast<int64_t>(out.size() * sizeof(float)));
  return out;
}

/// On the reference backend.
inline Floats run_on(const Ready& ready, int threads) { return run_on(ready, backend_of(threads)); }

inline bool same_bits(const Floats& a, const Floats& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

inline std::string activation_name(sdgen::Activation kind) {
  constexpr const char* kNames[] = {"none", "silu", "gelu", "quick_gelu"};
  return kNames[static_cast<int>(kind)];
}

}  // namespace sdgen_test
