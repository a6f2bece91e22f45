// Opening and reading safetensors: 8 bytes little-endian header length, JSON header, tensor bytes.
#include <algorithm>
#include <bit>
#include <new>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "weights/byte_source.h"
#include "weights/foreign_format.h"
#include "weights/safetensors_header.h"
#include "weights/store.h"

namespace sdgen {
namespace {

static_assert(std::endian::native == std::endian::little, "tensor bytes are read as they are: little-endian only");

constexpr uint64_t kLengthBytes = 8;
constexpr size_t kStagingBytes = size_t{256} << 10;  // a multiple of every element size; fits in L2

class SafetensorsStore final : public WeightStore {
 public:
  SafetensorsStore(std::unique_ptr<ByteSource> source, SafetensorsHeader header)
      : source_(std::move(source)), header_(std::move(header)), by_name_(header_.tensors.size()) {
    std::iota(by_name_.begin(), by_name_.end(), size_t{0});
    std::sort(by_name_.begin(), by_name_.end(),
              [&](size_t a, size_t b) { return header_.tensors[a].name < header_.tensors[b].name; });
  }

  const std::vector<TensorInfo>& tensors() const noexcept override { return header_.tensors; }
  const std::map<std::string, std::string>& metadata() const noexcept override { return header_.metadata; }
  const std::string& path() const noexcept override { return source_->path(); }

  const TensorInfo* find(std::string_view name) const noexcept override {
    const auto before = [&](size_t i, std::string_view wanted) { return header_.tensors[i].name < wanted; };
    const auto at = std::lower_bound(by_name_.begin(), by_name_.end(), name, before);
    if (at == by_name_.end() || header_.tensors[*at].name != name) return nullptr;
    return &header_.tensors[*at];
  }

  void read_f32_range(const TensorInfo& tensor, int64_t first, std::span<float> out) const override {
    if (!dtype_is_float(tensor.dtype)) {
      throw file_error(ErrorCode::kModelFormat, path(),
                       "tensor \"" + shown(tensor.name) + "\" holds " + std::string(dtype_name(tensor.dtype)) +
                           " where F32, F16, BF16 or F64 is needed; use a file in one of these types");
    }
    read_floats(tensor, first, out);
  }

  void prefetch(const TensorInfo& tensor) const noexcept override { source_->prefetch(tensor.offset, tensor.bytes); }

  void read_raw(const TensorInfo& tensor, uint64_t offset, void* destination, uint64_t size) const override {
    if (offset > tensor.bytes || size > tensor.bytes - offset) {
      throw file_error(ErrorCode::kInternal, path(), "read outside of tensor \"" + shown(tensor.name) + "\"");
    }
    source_->read(tensor.offset + offset, destination, static_cast<size_t>(size));
  }

 private:
  void read_floats(const TensorInfo& tensor, int64_t first, std::span<float> out) const {
    const size_t element = dtype_size(tensor.dtype);
    uint64_t offset = static_cast<uint64_t>(first) * element;
    if (tensor.dtype == DType::kF32) return read_raw(tensor, offset, out.data(), out.size_bytes());
    std::vector<unsigned char> staging(std::min(kStagingBytes, out.size() * element));
    while (!out.empty()) {
      const size_t count = std::min(out.size(), staging.size() / element);
      read_raw(tensor, offset, staging.data(), count * element);
      convert_to_f32(tensor.dtype, staging.data(), out.data(), count);
      offset += count * element;
      out = out.subspan(count);
    }
  }

  std::unique_ptr<ByteSource> source_;
  SafetensorsHeader header_;
  std::vector<size_t> by_name_;  // indices into tensors, in the order of their names
};

std::shared_ptr<const WeightStore> open_source(std::unique_ptr<ByteSource> source) {
  const std::string& path = source->path();
  const uint64_t file_bytes = source->size();
  std::string start(static_cast<size_t>(std::min<uint64_t>(file_bytes, 64)), '\0');
  source->read(0, start.data(), start.size());

  uint64_t length = 0;
  for (size_t i = 0; i < std::min<size_t>(start.size(), kLengthBytes); ++i) {
    length |= static_cast<uint64_t>(static_cast<unsigned char>(start[i])) << (8 * i);
  }
  const uint64_t room = file_bytes > kLengthBytes ? file_bytes - kLengthBytes : 0;
  const bool plausible = room > 0 && length <= std::min(room, kMaxSafetensorsHeader) && start[kLengthBytes] == '{';
  // A header's length may look like another format's first bytes, so these are asked only where safetensors fails.
  if (!plausible) {
    if (const std::optional<Error> foreign = explain_foreign_format(path, start)) throw *foreign;
    const auto refuse = [&](const std::string& what) { return file_error(ErrorCode::kModelFormat, path, what); };
    if (file_bytes == 0) throw refuse("the file is empty; download it again");
    if (room == 0) throw refuse("the file has only " + std::to_string(file_bytes) + " bytes; download it again");
    if (start[kLengthBytes] != '{') {
      throw refuse("this is not a safetensors file; give the path of a .safetensors checkpoint");
    }
    if (length > kMaxSafetensorsHeader) {
      throw refuse("its header claims " + std::to_string(length) + " bytes, more than the " +
                   std::to_string(kMaxSafetensorsHeader) + " allowed; the file is damaged or not a safetensors file");
    }
    throw refuse("its header claims " + std::to_string(length) + " bytes, but only " + std::to_string(room) +
                 " follow; the file is truncated: download it again");
  }
  std::string json;
  json.resize(length);  // at most kMaxSafetensorsHeader
  source->read(kLengthBytes, json.data(), json.size());
  SafetensorsHeader header = parse_safetensors_header(json, kLengthBytes + length, file_bytes, path);
  return std::make_shared<SafetensorsStore>(std::move(source), std::move(header));
}

}  // namespace

std::shared_ptr<const WeightStore> open_safetensors(const std::string& path) { return open_source(open_file(path)); }

std::shared_ptr<const WeightStore> open_safetensors_bytes(std::vector<unsigned char> bytes, const std::string& label) {
  return open_source(source_of_bytes(std::move(bytes), label));
}

}  // namespace sdgen
