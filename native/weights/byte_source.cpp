#include "weights/byte_source.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sdgen {
namespace {

// Linux transfers at most 0x7ffff000 bytes a call; smaller pieces let other threads' reads in between.
constexpr size_t kMostBytesACall = size_t{64} << 20;

std::string reason(int number) { return std::generic_category().message(number); }

class FileSource final : public ByteSource {
 public:
  explicit FileSource(const std::string& path) : path_(path) {
    if (path.empty() || path.find('\0') != std::string::npos) {
      throw Error(ErrorCode::kIo,
                  "the path of the model file is empty or holds a NUL; give the path of a .safetensors file");
    }
    // O_NONBLOCK: a named pipe must not stop us here; it has no effect on regular files.
    do {
      descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    } while (descriptor_ < 0 && errno == EINTR);
    if (descriptor_ < 0) throw open_error(errno);
    struct stat status {};
    const int failed = ::fstat(descriptor_, &status) != 0 ? errno : 0;
    if (failed != 0 || !S_ISREG(status.st_mode)) {
      ::close(descriptor_);
      if (failed != 0) throw open_error(failed);
      const char* kind = S_ISDIR(status.st_mode) ? "this is a folder" : "this is not a regular file";
      throw file_error(ErrorCode::kIo, path_, std::string(kind) + "; give the path of a .safetensors file");
    }
    size_ = static_cast<uint64_t>(status.st_size);
  }
  ~FileSource() override { ::close(descriptor_); }
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  const std::string& path() const noexcept override { return path_; }
  uint64_t size() const noexcept override { return size_; }

  void read(uint64_t offset, void* destination, size_t size) const override {
    auto* out = static_cast<unsigned char*>(destination);
    while (size > 0) {
      const ssize_t got = ::pread(descriptor_, out, std::min(size, kMostBytesACall), static_cast<off_t>(offset));
      if (got < 0) {
        if (errno == EINTR) continue;
        const std::string place = std::to_string(offset);
        throw file_error(ErrorCode::kIo, path_, "cannot be read at byte " + place + ": " + reason(errno));
      }
      if (got == 0) {
        throw file_error(ErrorCode::kIo, path_,
                         "the file shrank while it was in use (it ends at byte " + std::to_string(offset) +
                             ", it had " + std::to_string(size_) +
                             "); leave it alone during a run, and copy it again if it was damaged");
      }
      out += got;
      offset += static_cast<uint64_t>(got);
      size -= static_cast<size_t>(got);
    }
  }

  void prefetch(uint64_t offset, uint64_t size) const noexcept override {
#ifdef POSIX_FADV_WILLNEED
    posix_fadvise(descriptor_, static_cast<off_t>(offset), static_cast<off_t>(size), POSIX_FADV_WILLNEED);
#else
    (void)offset;
    (void)size;
#endif
  }

 private:
  Error open_error(int number) const {
    std::string what = "cannot be opened: " + reason(number);
    if (number == ENOENT) what = "there is no such file; check the path of the model";
    if (number == EACCES) what = "permission denied; make the file and its folder readable for this user";
    return file_error(ErrorCode::kIo, path_, what);
  }

  std::string path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

class MemorySource final : public ByteSource {
 public:
  MemorySource(std::vector<unsigned char> bytes, std::string label)
      : bytes_(std::move(bytes)), label_(std::move(label)) {}
  const std::string& path() const noexcept override { return label_; }
  uint64_t size() const noexcept override { return bytes_.size(); }
  void read(uint64_t offset, void* destination, size_t size) const override {
    if (offset > bytes_.size() || size > bytes_.size() - offset) {
      throw file_error(ErrorCode::kInternal, label_, "read outside of the bytes in memory");
    }
    if (size > 0) std::memcpy(destination, bytes_.data() + offset, size);
  }

 private:
  std::vector<unsigned char> bytes_;
  std::string label_;
};

}  // namespace

std::unique_ptr<ByteSource> open_file(const std::string& path) { return std::make_unique<FileSource>(path); }

std::unique_ptr<ByteSource> source_of_bytes(std::vector<unsigned char> bytes, std::string label) {
  return std::make_unique<MemorySource>(std::move(bytes), std::move(label));
}

std::string shown(std::string_view text, size_t limit) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  const auto escape = [&](unsigned char byte) { out.append("\\x").append({kHex[byte >> 4], kHex[byte & 15U]}); };
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (i >= limit && (byte & 0xC0U) != 0x80U) return out + "…";
    // The C1 controls are U+0080 … U+009F: C2 80 … C2 9F.
    const bool c1 = byte == 0xC2 && i + 1 < text.size() && (static_cast<unsigned char>(text[i + 1]) & 0xE0U) == 0x80U;
    if (byte < 0x20 || byte == 0x7F || c1) {
      escape(byte);
      if (c1) escape(static_cast<unsigned char>(text[++i]));
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

Error file_error(ErrorCode code, const std::string& path, const std::string& sentence) {
  return Error(code, shown(path, 4096) + ": " + sentence);
}

}  // namespace sdgen
