#pragma once
// Failures carry a stable code; the addon turns it into the JavaScript error's `code`.
#include <stdexcept>
#include <string>
#include <utility>

namespace sdgen {

enum class ErrorCode {
  kInvalidArgument,  // E_INVALID_ARGUMENT: a request that no model could serve
  kModelFormat,      // E_MODEL_FORMAT: a damaged, hostile or incomplete model file
  kModelUnsupported, // E_MODEL_UNSUPPORTED: a well-formed file that is not built for
  kIo,               // E_IO: the operating system refused to open, read or write
  kOutOfMemory,      // E_OUT_OF_MEMORY: an estimate or an allocation does not fit
  kCancelled,        // E_CANCELLED: the caller asked to stop
  kNonFinite,        // E_NON_FINITE: a NaN or infinity, with the part that made it
  kDevice,           // E_DEVICE: backend unknown, not built or not usable
  kClosed,           // E_CLOSED: the model was closed
  kInternal,         // E_INTERNAL: a defect of ours
};

/// The stable name of a code, e.g. "E_MODEL_FORMAT".
const char* error_code_name(ErrorCode code) noexcept;

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace sdgen
