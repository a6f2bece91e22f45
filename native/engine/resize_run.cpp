#include "engine/resize_run.h"

#include "engine/request_check.h"

namespace sdgen {

Latent resize_latent(const ResizeRequest& request) {
  const Latent& from = request.latent;
  check_latent_size(from.width, from.height, from.batch);
  check_latent_size(request.width, request.height, from.batch);
  if (from.channels < 1 || static_cast<int64_t>(from.data.size()) != from.batch * from.channels * from.height * from.width) {
    throw Error(ErrorCode::kInvalidArgument, "latent: expected [batch, channels, height, width] values");
  }
  return {resize_planes(from.data, from.batch * from.channels, from.height, from.width, request.height, request.width, request.mode),
          from.batch, from.channels, request.height, request.width};
}

}  // namespace sdgen
