#pragma once
// Requests, checked and copied into the engine's structs; errors as Argument's.
#include <array>

#include "boundary/argument.h"
#include "engine/resize_run.h"

namespace sdgen::boundary {

// The callers' names of enumerations, in the order of their C++ values.
constexpr std::array<const char*, 3> kPredictionTypes{"epsilon", "v_prediction", "probe"};
constexpr std::array<const char*, 2> kNoiseSources{"philox", "torch-cpu"};
constexpr std::array<const char*, 6> kOrigins{"flag", "metadata", "config", "weights", "probe", "default"};
constexpr std::array<const char*, 4> kHooks{"extra_noise", "cfg_denoiser", "cfg_denoised", "after_cfg"};
constexpr std::array<const char*, 6> kLatentResizes{"bilinear", "bilinear-antialiased", "bicubic",
                                                    "bicubic-antialiased", "nearest", "nearest-exact"};
constexpr std::array<const char*, 3> kDevices{"reference", "cpu", "cuda"};
constexpr std::array<const char*, 3> kPrecisions{"fp32", "bf16", "fp16"};
constexpr std::array<const char*, 3> kTokenizers{"clip", "open_clip", "folder"};

OpenOptions read_open_options(const Argument& options);
SamplerOptions read_sampler_options(const Argument& options);
EstimateRequest read_estimate_request(const Argument& request);
TextRequest read_text_request(const Argument& request, const ModelDescription& model);
SampleRequest read_sample_request(const Argument& request, const ModelDescription& model);
/// RGB8 becomes x = 2·(value/255) − 1 in fp32.
EncodeRequest read_encode_request(const Argument& request, const ModelDescription& model);
DecodeRequest read_decode_request(const Argument& request, const ModelDescription& model);
ResizeRequest read_resize_request(const Argument& request, const ModelDescription& model);
/// Takes a hook's answer, for each latent a Float32Array or undefined, into the call. Throws kInvalidArgument.
void read_hook_reply(const Argument& reply, HookCall& call);
/// An optional switch of a request: `profile`, `trail`.
bool read_switch(const Argument& request, const char* name);

}  // namespace sdgen::boundary
