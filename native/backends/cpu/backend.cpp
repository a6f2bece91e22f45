// The fast host backend: fp32 with the reference's bytes, and bf16.
#include <algorithm>
#include <optional>

#include "backends/cpu/dispatch.h"
#include "backends/cpu/ops/call.h"
#include "backends/cpu/packing.h"
#include "backends/cpu/weight.h"
#include "base/error.h"
#include "graph/passes.h"

namespace sdgen {
namespace cpu {

uint64_t scratch_bytes(const Program& program, const Node& node, const KernelTable& table, int threads) {
  if (std::holds_alternative<LinearOp>(node.op) || std::holds_alternative<Conv2dOp>(node.op)) return product_scratch(threads);
  if (const auto* op = std::get_if<AttentionOp>(&node.op)) return attention_scratch(*op, program, node, table, threads);
  return std::holds_alternative<GroupNormOp>(node.op) ? group_norm_scratch(program, node) : 0;
}

}  // namespace cpu
namespace {

const cpu::KernelTable& kernels_of(cpu::Level level) {
#ifdef SDGEN_CPU_X86
  switch (level) {
    case cpu::Level::kAvx2: return cpu::avx2_kernels();
    case cpu::Level::kAvx512: return cpu::avx512_kernels();
    case cpu::Level::kAvx512Bf16: return cpu::avx512bf16_kernels();
    case cpu::Level::kAmx: return cpu::amx_kernels();
    case cpu::Level::kPortable: break;
  }
#else
  (void)level;
#endif
  return cpu::portable_kernels();
}

class CpuBackend : public host::HostBackend {
 public:
  CpuBackend(const BackendOptions& options, const cpu::Choice& choice)
      : HostBackend(cpu::info(choice), options.threads), table_(kernels_of(choice.level)),
        element_(options.precision == "bf16" ? Element::kBf16 : Element::kF32) {}

  void adapt(Program& program) const override {
    fuse_geglu(program, [&](int64_t out) { return cpu::geglu_splits(out, table_.lanes); });
    if (element_ != Element::kF32) lower_storage(program, element_);
    give_halos(program);
    plan_memory(program);
  }

  uint64_t scratch_bytes(const Program& program) const override {
    uint64_t bytes = 0;
    for (const Node& node : program.nodes) bytes = std::max(bytes, cpu::scratch_bytes(program, node, table_, pool().size()));
    return bytes;
  }

  uint64_t packed_bytes(const WeightUse& use) const override { return cpu::packed_bytes(use, table_, element_); }
  std::shared_ptr<const PackedWeight> prepare(const WeightUse& use, const WeightStore& store, const TensorInfo& tensor) override {
    return cpu::pack(use, store, tensor, table_, element_, pool());
  }

  std::unique_ptr<Executable> compile(const Program& program, std::vector<std::shared_ptr<const PackedWeight>> weights) override {
    const uint64_t bytes = scratch_bytes(program);
    if (!scratch_ || scratch_->bytes() < bytes) {
      scratch_.reset();
      scratch_ = std::make_unique<host::HostBuffer>(bytes);
    }
    return HostBackend::compile(program, std::move(weights));
  }

 private:
  void run_node(const host::NodeCall& call) override {
    const cpu::OpCall op_call{call, table_, pool(), scratch_->at(0, 0)};
    std::visit([&](const auto& op) { cpu::run_op(op, op_call); }, call.node.op);
  }

  const cpu::KernelTable& table_;
  Element element_;
  std::unique_ptr<host::HostBuffer> scratch_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(const BackendOptions& options) {
  const cpu::Choice choice = cpu::choose_level(options.isa);
  const BackendInfo info = cpu::info(choice);
  if (std::find(info.precisions.begin(), info.precisions.end(), options.precision) == info.precisions.end()) {
    throw Error(ErrorCode::kDevice, "precision '" + options.precision + "' " + info.missing);
  }
  return std::make_unique<CpuBackend>(options, choice);
}

}  // namespace sdgen
