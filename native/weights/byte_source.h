#pragma once
// Where a checkpoint's bytes come from: a file read by pread (never mapped), or memory.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace sdgen {

/// Immutable and safe to read from several threads.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual const std::string& path() const noexcept = 0;
  /// Bytes when it was opened.
  virtual uint64_t size() const noexcept = 0;
  /// Reads the bytes [offset, offset + size), which must lie within size(). Throws kIo, also if the file shrank.
  virtual void read(uint64_t offset, void* destination, size_t size) const = 0;
  /// Says that these bytes are read soon: the system may fetch them meanwhile. Advice only.
  virtual void prefetch(uint64_t offset, uint64_t size) const noexcept {
    (void)offset;
    (void)size;
  }
};

/// Throws kIo: missing, not readable, not a regular file.
std::unique_ptr<ByteSource> open_file(const std::string& path);
std::unique_ptr<ByteSource> source_of_bytes(std::vector<unsigned char> bytes, std::string label);

/// `text` from a stranger, fit for one line on a terminal: control characters escaped, cut after `limit` bytes.
std::string shown(std::string_view text, size_t limit = 160);
/// "PATH: sentence".
Error file_error(ErrorCode code, const std::string& path, const std::string& sentence);

}  // namespace sdgen
