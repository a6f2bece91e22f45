// The plain backend: the numerics contract as loops, on host memory.
#include "backends/backend.h"

#include <chrono>
#include <optional>

#include "backends/reference/clones.h"
#include "backends/reference/pack.h"
#include "backends/reference/task.h"
#include "backends/reference/vector_ops.h"
#include "base/error.h"

namespace sdgen {
namespace {

using reference::AlignedFloats;
using reference::ReferenceWeight;
using reference::Task;

class HostBuffer : public Buffer {
 public:
  explicit HostBuffer(uint64_t bytes) : bytes_(bytes), memory_(static_cast<int64_t>((bytes + 3) / 4)) {}
  uint64_t bytes() const noexcept override { return bytes_; }
  unsigned char* at(int64_t byte_offset, int64_t size) const {
    if (byte_offset < 0 || size < 0 || static_cast<uint64_t>(byte_offset) + static_cast<uint64_t>(size) > bytes_) {
      throw Error(ErrorCode::kInternal, "access outside a buffer of " + std::to_string(bytes_) + " bytes");
    }
    return reinterpret_cast<unsigned char*>(memory_.data()) + byte_offset;
  }

 private:
  uint64_t bytes_;
  AlignedFloats memory_;
};

const HostBuffer& host(const Buffer& buffer) { return static_cast<const HostBuffer&>(buffer); }
float* floats(VectorView v) { return reinterpret_cast<float*>(host(*v.buffer).at(v.offset * 4, v.count * 4)); }

class ReferenceExecutable : public Executable {
 public:
  ReferenceExecutable(const Program& p, std::vector<std::shared_ptr<const PackedWeight>> w) : program(p), weights(std::move(w)) {}
  const Program program;
  const std::vector<std::shared_ptr<const PackedWeight>> weights;
  const float* weight(int32_t index) const {
    return static_cast<const ReferenceWeight&>(*weights[static_cast<size_t>(index)]).values.data();
  }
};

const char* active_isa() {
#if SDGEN_HAS_CLONES
  if (__builtin_cpu_supports("x86-64-v3")) return "x86-64-v3 (AVX2, FMA)";
#endif
  return "portable";
}

class ReferenceBackend : public Backend {
 public:
  explicit ReferenceBackend(int threads)
      : info_{"reference", "plain loops of the numerics contract", active_isa(), {"fp32"}}, pool_(threads) {}

  const BackendInfo& info() const noexcept override { return info_; }

  std::unique_ptr<Buffer> allocate(uint64_t bytes) override { return std::make_unique<HostBuffer>(bytes); }
  void upload(Buffer& to, int64_t byte_offset, const void* from, int64_t bytes) override {
    const auto* source = static_cast<const unsigned char*>(from);
    std::copy(source, source + bytes, host(to).at(byte_offset, bytes));
  }
  void download(const Buffer& from, int64_t byte_offset, void* to, int64_t bytes) override {
    const unsigned char* source = host(from).at(byte_offset, bytes);
    std::copy(source, source + bytes, static_cast<unsigned char*>(to));
  }

  uint64_t packed_bytes(const WeightUse& use) const override { return static_cast<uint64_t>(reference::packed_count(use)) * 4; }
  std::shared_ptr<const PackedWeight> prepare(const WeightUse& use, const WeightStore& store, const TensorInfo& tensor) override {
    return reference::pack(use, store, tensor, pool_);
  }

  std::unique_ptr<Executable> compile(const Program& program, std::vector<std::shared_ptr<const PackedWeight>> weights) override {
    return std::make_unique<ReferenceExecutable>(program, std::move(weights));
  }

  void run(Executable& executable, Buffer& arena, std::span<const Binding> bindings, const RunOptions& options) override {
    const auto& exe = static_cast<const ReferenceExecutable&>(executable);
    const std::vector<void*> places = resolve(exe.program, arena, bindings);
    std::vector<const void*> inputs;
    std::vector<const float*> weights;
    for (const Node& node : exe.program.nodes) {
      if (options.cancel != nullptr && options.cancel->load(std::memory_order_relaxed)) throw Error(ErrorCode::kCancelled, "cancelled");
      inputs.clear();
      weights.clear();
      for (ValueId id : node.inputs) inputs.push_back(places[static_cast<size_t>(id)]);
      for (int32_t w : node.weights) weights.push_back(exe.weight(w));
      const Task task{exe.program, node, inputs, weights, places[static_cast<size_t>(node.output)], pool_};
      const auto start = std::chrono::steady_clock::now();
      std::visit([&](const auto& op) { reference::run_op(op, task); }, node.op);
      if (options.times != nullptr) {
        OpTimes::Row& row = options.times->rows[node.op.index()];
        row.calls += 1;
        row.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        row.flops += node.flops;
        row.bytes += node.bytes;
      }
    }
  }

  void lincomb(VectorView out, std::span<const LincombTerm> terms) override {
    // A later term that is `out` itself would be read after it was overwritten: keep a copy of it.
    std::vector<float> kept;
    for (size_t i = 1; i < terms.size(); ++i) {
      if (floats(terms[i].vector) == floats(out)) kept.assign(floats(out), floats(out) + out.count);
    }
    reference::scale_into(floats(out), terms[0].coefficient, floats(terms[0].vector), out.count);
    for (size_t i = 1; i < terms.size(); ++i) {
      const float* x = floats(terms[i].vector);
      reference::fma_into(floats(out), terms[i].coefficient, x == floats(out) ? kept.data() : x, out.count);
    }
  }
  void guide(VectorView out, VectorView x, VectorView cond, VectorView uncond, float c_skip, float c_out, float cfg) override {
    reference::guide_into(floats(out), floats(x), floats(cond), uncond.buffer ? floats(uncond) : nullptr, c_skip, c_out, cfg, out.count);
  }
  bool all_finite(VectorView x) override { return reference::finite(floats(x), x.count); }
  void to_rgb8(VectorView x, uint8_t* out) override { reference::rgb8_into(floats(x), out, x.count); }

 private:
  static std::vector<void*> resolve(const Program& program, const Buffer& arena, std::span<const Binding> bindings) {
    std::vector<void*> places(program.values.size(), nullptr);
    for (size_t i = 0; i < places.size(); ++i) {
      const Value& value = program.values[i];
      if (value.offset >= 0) places[i] = host(arena).at(value.offset, value.bytes());
    }
    for (const Binding& binding : bindings) {
      places[static_cast<size_t>(binding.value)] = host(*binding.buffer).at(binding.byte_offset, program.value(binding.value).bytes());
    }
    for (size_t i = 0; i < places.size(); ++i) {
      if (places[i] == nullptr) throw Error(ErrorCode::kInternal, "value '" + program.values[i].name + "' of " + program.part + " is not bound");
    }
    return places;
  }

  BackendInfo info_;
  ThreadPool pool_;
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend(int threads) { return std::make_unique<ReferenceBackend>(threads); }

}  // namespace sdgen
