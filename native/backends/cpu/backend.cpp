#include "backends/cpu/dispatch.h"
#include "backends/host/backend.h"
#include "backends/reference/pack.h"
#include "backends/reference/task.h"

namespace sdgen {
namespace {

class CpuBackend : public host::HostBackend {
 public:
  explicit CpuBackend(const BackendOptions& options) : HostBackend(cpu::info(), options.threads) {}

  uint64_t packed_bytes(const WeightUse& use) const override { return static_cast<uint64_t>(reference::packed_count(use)) * 4; }
  std::shared_ptr<const PackedWeight> prepare(const WeightUse& use, const WeightStore& store, const TensorInfo& tensor) override {
    return reference::pack(use, store, tensor, pool_);
  }

 private:
  void run_node(const host::NodeCall& call) override {
    std::vector<const float*> weights;
    for (const PackedWeight* weight : call.weights) weights.push_back(static_cast<const reference::ReferenceWeight*>(weight)->values());
    const reference::Task task{call.program, call.node, call.inputs, weights, call.output, pool_};
    std::visit([&](const auto& op) { reference::run_op(op, task); }, call.node.op);
  }
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(const BackendOptions& options) { return std::make_unique<CpuBackend>(options); }

}  // namespace sdgen
