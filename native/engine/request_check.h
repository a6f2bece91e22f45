#pragma once
// What a caller may ask for; kInvalidArgument names what is wrong.
#include "engine/engine.h"

namespace sdgen {

void check_latent_size(int64_t width, int64_t height, int64_t batch);
void check_texts(const TextRequest& request, const ModelDescription& model);
void check_sample(const SampleRequest& request, const ModelDescription& model);
void check_tiling(const Tiling& tiling);
void check_encode(const EncodeRequest& request, const ModelDescription& model);
void check_decode(const DecodeRequest& request, const ModelDescription& model);

}  // namespace sdgen
