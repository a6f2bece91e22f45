// Configs of a model as JSON and as YAML. Whatever the bytes: an Error with the right code, or facts that are usable.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "models/noise_table.h"
#include "models/stated_config.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void check(const sdgen::StatedConfig& stated) {
  if (stated.betas) {
    const sdgen::BetaSchedule& betas = *stated.betas;
    require(betas.first > 0 && betas.first <= betas.last && betas.last < 1);
    double before = 1;
    for (const double alpha : sdgen::alphas_of(betas)) {
      require(alpha > 0 && alpha <= before);
      before = alpha;
    }
  }
  for (const int64_t heads : stated.unet_heads) require(heads >= 0 && heads <= 1024);  // 0: a level without attention
  if (stated.text_heads) require(*stated.text_heads > 0);
  if (stated.unet_groups) require(*stated.unet_groups > 0);
  if (stated.scale_factor) require(std::isfinite(*stated.scale_factor));
}

/// Calls it; only errors of a model's files may come out.
template <typename Read>
void attempt(Read read) {
  try {
    read();
  } catch (const sdgen::Error& error) {
    require(error.code() == sdgen::ErrorCode::kModelFormat || error.code() == sdgen::ErrorCode::kModelUnsupported);
    require(std::string(error.what()).size() < 1000);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  attempt([&] {
    if (const auto found = sdgen::yaml_parameterization(text)) require(found->size() <= text.size() + 3);
  });
  sdgen::JsonValue config;
  try {
    config = sdgen::parse_json(text);
  } catch (const sdgen::JsonError&) {
    return 0;
  }
  // The same text in every place where a folder has one.
  sdgen::DiffusersFolder folder;
  folder.text_encoder = folder.unet = folder.vae = config;
  folder.scheduler = config;
  attempt([&] { check(sdgen::read_folder_config(folder)); });
  attempt([&] { sdgen::read_vae_config(config); });
  return 0;
}
