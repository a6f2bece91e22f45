#pragma once
// The checked header of a checkpoint: what tensors there are, and a way to read one in pieces.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"

namespace sdgen {

class WeightStore;

struct TensorInfo {
  std::string name;            // as in the file
  DType dtype;
  std::vector<int64_t> shape;  // outermost first; [] is a scalar
  uint64_t offset;             // of its first byte, from the start of the file
  uint64_t bytes;
  const WeightStore* home = nullptr;  // of a joined store's tensors: the file's own store
  int64_t elements() const noexcept {
    int64_t n = 1;
    for (int64_t d : shape) n *= d;
    return n;  // cannot overflow: the reader checked shape product against bytes
  }
};

/// Receives `values` (float32), the elements [first, first + values.size()) of a tensor, row-major.
using PieceFn = std::function<void(int64_t first, std::span<const float> values)>;

/// Immutable and safe to read from several threads. Nothing is mapped: a file that shrinks is an error, not a signal.
class WeightStore {
 public:
  virtual ~WeightStore() = default;
  virtual const std::vector<TensorInfo>& tensors() const noexcept = 0;          // sorted by offset
  virtual const std::map<std::string, std::string>& metadata() const noexcept = 0;  // `__metadata__`
  virtual const std::string& path() const noexcept = 0;
  /// The tensor of that name, or nullptr.
  virtual const TensorInfo* find(std::string_view name) const noexcept = 0;
  /// Reads the elements [first, first + out.size()) of a float tensor as float32. Throws kIo (short read), kModelFormat
  /// (dtype is not a float), kInternal outside of the tensor.
  virtual void read_f32_range(const TensorInfo& tensor, int64_t first, std::span<float> out) const = 0;
  /// Reads all of it in pieces of whole outermost rows (at most `piece_elements`, at least one row), in ascending order.
  void read_f32(const TensorInfo& tensor, int64_t piece_elements, const PieceFn& receive) const;
  /// Says that the tensor is read soon, so that its bytes come from the disk while others are packed. Advice only.
  virtual void prefetch(const TensorInfo& tensor) const noexcept { (void)tensor; }
  /// Reads the raw bytes [offset, offset + size) of a tensor.
  virtual void read_raw(const TensorInfo& tensor, uint64_t offset, void* destination, uint64_t size) const = 0;
};

/// The whole tensor as float32.
std::vector<float> read_all_f32(const WeightStore& store, const TensorInfo& tensor);

/// Opens a safetensors file: reads and checks its header only. Throws kIo, kModelFormat, or kModelUnsupported (a
/// pickle, GGUF, an element type not built for), with the path, the reason and what to do.
std::shared_ptr<const WeightStore> open_safetensors(const std::string& path);
/// The same over bytes in memory; `label` stands for the path.
std::shared_ptr<const WeightStore> open_safetensors_bytes(std::vector<unsigned char> bytes, const std::string& label);

struct NamedTensor {  // for writing
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  std::vector<unsigned char> data;
};
/// What write_safetensors writes: tensors in the order given, data aligned to 8 bytes.
std::vector<unsigned char> safetensors_bytes(const std::vector<NamedTensor>& tensors,
                                             const std::map<std::string, std::string>& metadata);
/// Writes a safetensors file through a temporary name in the same folder, fsync and a rename; a file of that name is
/// replaced. On failure nothing is left. Throws kIo, or kInternal if a tensor's bytes do not fit its shape.
void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace sdgen
