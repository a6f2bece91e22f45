#include "weights/foreign_format.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "weights/byte_source.h"

namespace sdgen {
namespace {

constexpr const char* kPickle =
    "this is a PyTorch pickle checkpoint, which is not read because unpickling can run code; convert it to "
    ".safetensors with a tool you trust, or download the .safetensors version of the model";

std::string lower_extension(const std::string& path) {
  const size_t dot = path.find_last_of("./");
  if (dot == std::string::npos || path[dot] != '.') return "";
  std::string extension = path.substr(dot + 1);
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

bool is_pickle(const std::string& path, std::string_view start) {
  static constexpr std::array<std::string_view, 4> kExtensions = {"ckpt", "pt", "pth", "pkl"};
  if (std::find(kExtensions.begin(), kExtensions.end(), lower_extension(path)) != kExtensions.end()) return true;
  if (start.starts_with(std::string_view("PK\x03\x04", 4))) return true;
  // Opcode PROTO and its argument: protocols 2 to 5.
  return start.size() >= 2 && start[0] == '\x80' && start[1] >= 2 && start[1] <= 5;
}

}  // namespace

std::optional<Error> explain_foreign_format(const std::string& path, std::string_view start) {
  if (start.starts_with("GGUF")) {
    return file_error(ErrorCode::kModelUnsupported, path,
                      "this is a GGUF file, which is not built yet; use a .safetensors version of the model");
  }
  if (is_pickle(path, start)) return file_error(ErrorCode::kModelUnsupported, path, kPickle);
  if (start.starts_with("version https://git-lfs")) {
    return file_error(ErrorCode::kModelFormat, path,
                      "this is a Git LFS pointer and not the model itself; run \"git lfs pull\" in its folder");
  }
  if (start.starts_with("<!DOCTYPE") || start.starts_with("<!doctype") || start.starts_with("<html")) {
    return file_error(ErrorCode::kModelFormat, path,
                      "this is a web page and not a model; download the model file itself (a login may be needed)");
  }
  return std::nullopt;
}

}  // namespace sdgen
