// The plain backend: the numerics contract as loops, on host memory.
#include "backends/host/backend.h"
#include "backends/host/clones.h"
#include "backends/reference/info.h"
#include "backends/reference/pack.h"
#include "backends/reference/task.h"

namespace sdgen {
namespace {

const char* active_isa() {
#if SDGEN_HAS_CLONES
  if (__builtin_cpu_supports("x86-64-v3")) return "x86-64-v3 (AVX2, FMA)";
#endif
  return "portable";
}

class ReferenceBackend : public host::HostBackend {
 public:
  explicit ReferenceBackend(int threads) : HostBackend(reference::info(), threads) {}

  uint64_t packed_bytes(const WeightUse& use) const override { return static_cast<uint64_t>(reference::packed_count(use)) * 4; }
  std::shared_ptr<const PackedWeight> prepare(const WeightUse& use, const WeightStore& store, const TensorInfo& tensor) override {
    return reference::pack(use, store, tensor, pool());
  }

 private:
  void run_node(const host::NodeCall& call) override {
    std::vector<const float*> weights;
    for (const PackedWeight* weight : call.weights) weights.push_back(static_cast<const reference::ReferenceWeight*>(weight)->values());
    const reference::Task task{call.program, call.node, call.inputs, weights, call.output, pool()};
    std::visit([&](const auto& op) { reference::run_op(op, task); }, call.node.op);
  }
};

}  // namespace

BackendInfo reference::info() { return {"reference", "plain loops of the numerics contract", active_isa(), {"fp32"}}; }

std::unique_ptr<Backend> make_reference_backend(const BackendOptions& options) {
  return std::make_unique<ReferenceBackend>(options.threads);
}

}  // namespace sdgen
