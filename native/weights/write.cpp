// Writing safetensors: whole or not at all.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "base/checked_math.h"
#include "base/json.h"
#include "weights/byte_source.h"
#include "weights/store.h"

namespace sdgen {
namespace {

uint64_t expected_bytes(const NamedTensor& tensor) {
  std::optional<uint64_t> bytes = dtype_size(tensor.dtype);
  for (const int64_t size : tensor.shape) {
    bytes = bytes && size >= 0 ? checked_multiply(*bytes, static_cast<uint64_t>(size)) : std::nullopt;
  }
  if (!bytes || *bytes != tensor.data.size()) {
    const std::string given = std::to_string(tensor.data.size());
    throw Error(ErrorCode::kInternal, "tensor \"" + shown(tensor.name) + "\" to be written has " + given +
                                          " bytes, not those of its shape and dtype");
  }
  return *bytes;
}

/// Length, JSON and the padding that aligns the data to 8 bytes.
std::string header_of(const std::vector<NamedTensor>& tensors, const std::map<std::string, std::string>& metadata) {
  std::string json = "{";
  const auto separate = [&] { json += json.back() == '{' ? "" : ","; };
  if (!metadata.empty()) {
    json += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      separate();
      json += json_quote(key) + ":" + json_quote(value);
    }
    json += "}";
  }
  uint64_t offset = 0;
  for (const NamedTensor& tensor : tensors) {
    const uint64_t end = offset + expected_bytes(tensor);
    separate();
    json += json_quote(tensor.name) + ":{\"dtype\":\"" + std::string(dtype_name(tensor.dtype)) + "\",\"shape\":[";
    for (size_t i = 0; i < tensor.shape.size(); ++i) json.append(i == 0 ? "" : ",").append(std::to_string(tensor.shape[i]));
    json += "],\"data_offsets\":[" + std::to_string(offset) + "," + std::to_string(end) + "]}";
    offset = end;
  }
  json += "}";
  json.append((8 - json.size() % 8) % 8, ' ');
  std::string out;
  for (size_t i = 0; i < 8; ++i) out.push_back(static_cast<char>(json.size() >> (8 * i) & 0xFFU));
  return out + json;
}

/// A new file beside `path` that disappears again unless it is committed.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& path) : path_(path) {
    for (int attempt = 0; attempt < 100; ++attempt) {
      name_ = path + "." + std::to_string(::getpid()) + "-" + std::to_string(attempt) + ".tmp";
      descriptor_ = ::open(name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (descriptor_ >= 0) return;
      if (errno != EEXIST && errno != EINTR) break;
    }
    throw error("cannot be created", errno);
  }
  ~TemporaryFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!committed_) ::unlink(name_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void write(const void* data, size_t size) {
    const auto* from = static_cast<const unsigned char*>(data);
    while (size > 0) {
      const ssize_t put = ::write(descriptor_, from, std::min(size, size_t{64} << 20));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) throw error("cannot be written", errno);
      from += put;
      size -= static_cast<size_t>(put);
    }
  }

  void commit() {
    if (::fsync(descriptor_) != 0) throw error("cannot be written", errno);
    const int closed = ::close(std::exchange(descriptor_, -1));
    if (closed != 0) throw error("cannot be written", errno);
    if (std::rename(name_.c_str(), path_.c_str()) != 0) throw error("cannot be put in place", errno);
    committed_ = true;
  }

 private:
  Error error(const char* what, int number) const {
    const std::string reason = std::generic_category().message(number);
    const bool full = number == ENOSPC || number == EDQUOT;
    const std::string remedy = full ? "make room on the disk" : "check that its folder exists and is writable";
    return file_error(ErrorCode::kIo, path_, std::string(what) + ": " + reason + "; " + remedy);
  }

  std::string path_, name_;
  int descriptor_ = -1;
  bool committed_ = false;
};

}  // namespace

std::vector<unsigned char> safetensors_bytes(const std::vector<NamedTensor>& tensors,
                                             const std::map<std::string, std::string>& metadata) {
  const std::string header = header_of(tensors, metadata);
  std::vector<unsigned char> bytes(header.begin(), header.end());
  for (const NamedTensor& tensor : tensors) bytes.insert(bytes.end(), tensor.data.begin(), tensor.data.end());
  return bytes;
}

void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::string header = header_of(tensors, metadata);
  TemporaryFile file(path);
  file.write(header.data(), header.size());
  for (const NamedTensor& tensor : tensors) file.write(tensor.data.data(), tensor.data.size());
  file.commit();
}

}  // namespace sdgen
