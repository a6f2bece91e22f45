#pragma once
// JavaScript's arguments, checked and copied into the engine's structs. Each reader throws Error(kInvalidArgument) that
// begins with the field's name, e.g. "seeds[1] must be an integer from 0 to 9007199254740991, got 1.5".
#include <array>

#include "addon/errors.h"
#include "engine/resize_run.h"

namespace sdgen::addon {

// The JavaScript names of enumerations, in the order of their C++ values.
constexpr std::array<const char*, 3> kPredictionTypes{"epsilon", "v_prediction", "probe"};
constexpr std::array<const char*, 2> kNoiseSources{"philox", "torch-cpu"};
constexpr std::array<const char*, 6> kOrigins{"flag", "metadata", "config", "weights", "probe", "default"};
constexpr std::array<const char*, 4> kHooks{"extra_noise", "cfg_denoiser", "cfg_denoised", "after_cfg"};
constexpr std::array<const char*, 6> kLatentResizes{"bilinear", "bilinear-antialiased", "bicubic",
                                                    "bicubic-antialiased", "nearest", "nearest-exact"};
constexpr std::array<const char*, 3> kDevices{"reference", "cpu", "cuda"};
constexpr std::array<const char*, 3> kPrecisions{"fp32", "bf16", "fp16"};
constexpr std::array<const char*, 3> kTokenizers{"clip", "open_clip", "folder"};

class Argument;
OpenOptions read_open_options(Napi::Value value);
OpenOptions read_open_options(const Argument& options);
SamplerOptions read_sampler_options(const Argument& options);
EstimateRequest read_estimate_request(Napi::Value value);
TextRequest read_text_request(Napi::Value value, const ModelDescription& model);
SampleRequest read_sample_request(Napi::Value value, const ModelDescription& model);
/// RGB8 becomes x = 2·(value/255) − 1 in fp32.
std::vector<Picture> read_encode_request(Napi::Value value, const ModelDescription& model);
DecodeRequest read_decode_request(Napi::Value value, const ModelDescription& model);
ResizeRequest read_resize_request(Napi::Value value, const ModelDescription& model);
/// Takes a hook's answer, for each latent a Float32Array or undefined, into the call. Throws kInvalidArgument.
void read_hook_reply(Napi::Value reply, HookCall& call);
/// An optional switch of a request: `profile`, `trail`.
bool read_switch(Napi::Value request, const char* name);
/// An optional listener: an empty function when it is undefined.
Napi::Function read_listener(Napi::Value value, const char* name);

}  // namespace sdgen::addon
