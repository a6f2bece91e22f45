#pragma once
// What backends on the host share: memory, the loop over a program's nodes, the samplers' vector ops.
#include "backends/backend.h"
#include "base/thread_pool.h"

namespace sdgen::host {

/// One node with its operands resolved to memory.
struct NodeCall {
  const Program& program;
  const Node& node;
  std::span<const void* const> inputs;                // as node.inputs
  std::span<const PackedWeight* const> weights;       // as node.weights
  void* output;
};

/// A program with its weights, as it was given to compile().
class HostExecutable : public Executable {
 public:
  HostExecutable(const Program& p, std::vector<std::shared_ptr<const PackedWeight>> w) : program(p), weights(std::move(w)) {}
  const Program program;
  const std::vector<std::shared_ptr<const PackedWeight>> weights;
};

class HostBackend : public Backend {
 public:
  const BackendInfo& info() const noexcept final { return info_; }
  std::unique_ptr<Buffer> allocate(uint64_t bytes) final;
  void upload(Buffer& to, int64_t byte_offset, const void* from, int64_t bytes) final;
  void download(const Buffer& from, int64_t byte_offset, void* to, int64_t bytes) final;
  std::unique_ptr<Executable> compile(const Program& program, std::vector<std::shared_ptr<const PackedWeight>> weights) override;
  void run(Executable& executable, Buffer& arena, std::span<const Binding> bindings, const RunOptions& options) final;

  void lincomb(VectorView out, std::span<const LincombTerm> terms) final;
  void guide(VectorView out, VectorView x, VectorView cond, VectorView uncond, float c_skip, float c_out, float cfg) final;
  void blend(VectorView x, VectorView weight, VectorView kept) final;
  bool all_finite(VectorView x) final;
  void to_rgb8(VectorView x, uint8_t* out) final;

 protected:
  HostBackend(BackendInfo info, int threads) : pool_(shared_thread_pool(threads)), info_(std::move(info)) {}
  virtual void run_node(const NodeCall& call) = 0;
  ThreadPool& pool() const noexcept { return *pool_; }

 private:
  const std::shared_ptr<ThreadPool> pool_;
  BackendInfo info_;
};

}  // namespace sdgen::host
