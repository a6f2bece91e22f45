#include "base/error.h"

namespace sdgen {

const char* error_code_name(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInvalidArgument: return "E_INVALID_ARGUMENT";
    case ErrorCode::kModelFormat: return "E_MODEL_FORMAT";
    case ErrorCode::kModelUnsupported: return "E_MODEL_UNSUPPORTED";
    case ErrorCode::kIo: return "E_IO";
    case ErrorCode::kOutOfMemory: return "E_OUT_OF_MEMORY";
    case ErrorCode::kCancelled: return "E_CANCELLED";
    case ErrorCode::kNonFinite: return "E_NON_FINITE";
    case ErrorCode::kDevice: return "E_DEVICE";
    case ErrorCode::kClosed: return "E_CLOSED";
    case ErrorCode::kInternal: return "E_INTERNAL";
  }
  return "E_INTERNAL";
}

}  // namespace sdgen
