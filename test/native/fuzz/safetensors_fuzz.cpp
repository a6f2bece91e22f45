// Whatever the bytes: an Error with the right code, or a store all of whose tensors can be read and written again.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "weights/store.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void read_everything(const sdgen::WeightStore& store) {
  std::vector<sdgen::NamedTensor> again;
  for (const sdgen::TensorInfo& info : store.tensors()) {
    require(store.find(info.name) == &info);
    again.push_back({info.name, info.dtype, info.shape, std::vector<unsigned char>(info.bytes)});
    store.read_raw(info, 0, again.back().data.data(), info.bytes);
    if (!sdgen::dtype_is_float(info.dtype)) continue;
    require(sdgen::read_all_f32(store, info).size() == static_cast<size_t>(info.elements()));
  }
  const auto copy = sdgen::open_safetensors_bytes(sdgen::safetensors_bytes(again, store.metadata()), "copy");
  require(copy->tensors().size() == store.tensors().size() && copy->metadata() == store.metadata());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::shared_ptr<const sdgen::WeightStore> store;
  try {
    store = sdgen::open_safetensors_bytes(std::vector<unsigned char>(data, data + size), "input");
  } catch (const sdgen::Error& error) {
    require(error.code() == sdgen::ErrorCode::kModelFormat || error.code() == sdgen::ErrorCode::kModelUnsupported);
    return 0;
  }
  read_everything(*store);
  return 0;
}
