#pragma once
// What a device must do: hold memory, pack weights once, run programs, and the samplers' vector ops.
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graph/program.h"
#include "weights/store.h"

namespace sdgen {

struct BackendInfo {
  std::string name, description, isa;
  std::vector<std::string> precisions;  // that it multiplies in hardware, the fastest last
  std::string missing = {};  // why a known precision is not to be had here, or where there is none at all, the device;
                             // empty: it is not built
};

/// Bytes of the memory that a device has of its own, and those that can still be had.
struct DeviceMemory {
  std::string name;  // of the device
  uint64_t free = 0, total = 0;
};

/// Memory of a device. Freed with the object.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual uint64_t bytes() const noexcept = 0;
};

/// A weight in the layout that a backend's kernels read.
class PackedWeight {
 public:
  virtual ~PackedWeight() = default;
};

/// A program compiled for a backend, with its weights. It keeps the weights alive.
class Executable {
 public:
  virtual ~Executable() = default;
};

/// float32 elements [offset, offset + count) of a buffer.
struct VectorView {
  Buffer* buffer = nullptr;
  int64_t offset = 0, count = 0;
  VectorView slice(int64_t first, int64_t n) const { return {buffer, offset + first, n}; }
};

struct LincombTerm {
  float coefficient;
  VectorView vector;
};

/// Where a program's input or output lives; its size is the value's.
struct Binding {
  ValueId value;
  Buffer* buffer;
  int64_t byte_offset = 0;
};

/// Time of every kind of op, added up over runs; index: the op's place in the variant.
struct OpTimes {
  struct Row {
    int64_t calls = 0;
    double seconds = 0, flops = 0, bytes = 0;
  };
  std::vector<Row> rows = std::vector<Row>(std::variant_size_v<Op>);
};

/// A node that has just run, and where its output lies: binding.value is node.output, in the value's own storage.
struct NodeDone {
  const Program& program;
  const Node& node;
  Binding output;
};

struct RunOptions {
  const std::atomic<bool>* cancel = nullptr;  // read between ops; kCancelled
  OpTimes* times = nullptr;
  /// Called after every node, for which a backend then waits. It may read the output and replace it.
  std::function<void(const NodeDone&)> after_node = {};
};

/// Where a value of a program lies: in the arena, or where it is bound. Throws kInternal where it is neither.
Binding place_of(const Program& program, ValueId id, Buffer& arena, std::span<const Binding> bindings);

class Backend {
 public:
  virtual ~Backend() = default;
  virtual const BackendInfo& info() const noexcept = 0;

  /// Throws kOutOfMemory, naming the bytes.
  virtual std::unique_ptr<Buffer> allocate(uint64_t bytes) = 0;
  virtual void upload(Buffer& to, int64_t byte_offset, const void* from, int64_t bytes) = 0;
  virtual void download(const Buffer& from, int64_t byte_offset, void* to, int64_t bytes) = 0;

  /// Rewrites a program for this backend (fusion, storage types) and plans its memory again; done once before compile().
  /// Inputs, outputs and weights keep their names, shapes and types.
  virtual void adapt(Program& program) const { (void)program; }

  /// Bytes that running an adapted program takes besides arena, inputs and outputs.
  virtual uint64_t scratch_bytes(const Program& program) const {
    (void)program;
    return 0;
  }

  /// Bytes that prepare() will hold for this weight.
  virtual uint64_t packed_bytes(const WeightUse& use) const = 0;
  /// Reads the tensor piece by piece into the packed layout; never a second whole copy.
  virtual std::shared_ptr<const PackedWeight> prepare(const WeightUse& use, const WeightStore& store, const TensorInfo& tensor) = 0;

  /// `weights[i]` belongs to program.weights[i].
  virtual std::unique_ptr<Executable> compile(const Program& program, std::vector<std::shared_ptr<const PackedWeight>> weights) = 0;
  /// Runs all nodes. The arena holds at least program.arena_bytes; inputs and outputs are all bound.
  virtual void run(Executable& executable, Buffer& arena, std::span<const Binding> bindings, const RunOptions& options) = 0;

  // Vector ops of samplers and guidance; formulas in docs/numerics.md. `out` may be one of the inputs.
  /// out = c0·v0, then fma(ci, vi, out) for each further term, in the order given.
  virtual void lincomb(VectorView out, std::span<const LincombTerm> terms) = 0;
  /// Dc = fma(c_out, cond, c_skip·x), Du likewise; out = fma(cfg, Dc - Du, Du); with no uncond (null buffer) out = Dc.
  virtual void guide(VectorView out, VectorView x, VectorView cond, VectorView uncond, float c_skip, float c_out, float cfg) = 0;
  /// x = fma(x, weight, kept), element by element.
  virtual void blend(VectorView x, VectorView weight, VectorView kept) = 0;
  virtual bool all_finite(VectorView x) = 0;
  /// clamp((x + 1)/2, 0, 1)·255, truncated.
  virtual void to_rgb8(VectorView x, uint8_t* out) = 0;
};

struct BackendOptions {
  int threads = 1;
  std::string precision = "fp32";
  std::string isa = {};  // of the cpu backend: a level's name; empty: SDGEN_ISA, else the best that this processor has
};
std::unique_ptr<Backend> make_reference_backend(const BackendOptions& options);
/// Throws kDevice where the processor lacks what is asked for.
std::unique_ptr<Backend> make_cpu_backend(const BackendOptions& options);

}  // namespace sdgen
