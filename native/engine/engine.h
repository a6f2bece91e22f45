#pragma once
// One open model on one backend: what the addon and the native tools drive. Not thread-safe: one thread at a time.
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/noise.h"
#include "models/config.h"
#include "sampling/sampler.h"

namespace sdgen {

struct OpenOptions {
  std::string path;  // of a file, or of a folder of diffusers
  std::string vae = {};  // of another VAE; empty: the model's own
  std::string device = "reference";
  std::string precision = "fp32";
  int threads = 0;  // 0: one per physical core
  ModelOverrides overrides = {};
};

struct DeviceInfo {
  std::string name, description, isa;
  std::vector<std::string> precisions;
  std::string missing = {};  // why a known precision is not to be had here; empty: it is not built
};

struct ModelDescription {
  std::string path, family;
  std::vector<std::string> files, vae_files;  // all that decides the pictures
  uint64_t file_bytes = 0;
  uint64_t tensor_count = 0;
  std::map<std::string, int64_t> dtypes;
  std::map<std::string, int64_t> parameters;  // text, unet, vae
  std::map<std::string, std::string> metadata;
  Resolved<PredictionType> prediction_type;
  Resolved<double> scale_factor;
  int64_t latent_channels = 0, latent_scale = 8;
  struct {
    int64_t width = 0, layers = 0, vocabulary = 0, positions = 0;
    Resolved<int64_t> heads;
    bool has_clip_skip = true;  // false: the family always takes the same layer, and clip skip must be 1
    TokenizerKind tokenizer = TokenizerKind::kClip;
  } text;
  struct {
    int64_t in_channels = 0, model_channels = 0, context_width = 0, pooled_width = 0;
    std::vector<double> channel_multipliers;
    Resolved<std::vector<int64_t>> heads;  // by level
  } unet;
  struct {
    int64_t channels = 0;
    std::vector<double> channel_multipliers;
    bool has_encoder = false;
  } vae;
  NoiseTable noise;
  bool trailing_timesteps = false;
  std::vector<std::string> unused_tensors;
  std::map<std::string, std::string> renamed;
};

struct Chunk {
  std::vector<int32_t> tokens;
  std::vector<float> weights;
};

/// One text of a group. It counts `count` times for the mean that emphasis restores.
struct Text {
  std::vector<Chunk> chunks;
  int64_t count = 1;
};

struct TextRequest {
  std::vector<std::vector<Text>> groups;  // the texts of a group have the same number of chunks and share their means
  int clip_skip = 1;
  bool restore_mean = true;  // false: weights only multiply
};

/// Text features, row-major [tokens, width].
struct Conditioning {
  std::vector<float> data;
  int64_t tokens = 0, width = 0;
  /// Where the UNet asks for it: the first window's features at its end token, without emphasis; else empty.
  std::vector<float> pooled = {};
};

/// [batch, channels, height, width], NCHW.
struct Latent {
  std::vector<float> data;
  int64_t batch = 0, channels = 0, height = 0, width = 0;
};

struct Image {
  std::vector<uint8_t> rgb;
  int64_t width = 0, height = 0;
  bool retried_in_fp32 = false;  // the model's own precision gave a value that is not finite
};

/// The VAE in squares of `tile` latent cells that overlap by `overlap` or more; tile 0: in one piece.
struct Tiling {
  int64_t tile = 0, overlap = 0;
};

struct DecodeRequest {
  Latent latent;
  Tiling tiling = {};
};

/// From the evaluation after the stage before it up to and with evaluation `until`, counted from 0.
struct PromptStage {
  int64_t until = 0;
  int64_t conditioning = 0;  // place in SampleRequest::conditionings
};

/// One of the prompts that AND joins: its weight in the guidance and what it says over the run.
struct PromptPart {
  double weight = 1;
  std::vector<PromptStage> stages;
};

/// A float picture, row-major [height, width, 3], in [-1, 1].
struct Picture {
  std::vector<float> rgb;
  int64_t width = 0, height = 0;
};

/// Pictures of one size, its sides multiples of the latent scale.
struct EncodeRequest {
  std::vector<Picture> pictures;
  Tiling tiling = {};
};

/// What the VAE makes of a picture: mean and logarithm of the variance of its latent, not scaled. A latent is
/// (mean + noise·exp(logvar/2))·scale factor.
struct Moments {
  Latent mean, logvar;
  bool retried_in_fp32 = false;  // the model's own precision gave a value that is not finite
};

/// A place in the sampling loop where somebody outside may look at latents and change them.
enum class Hook { kExtraNoise, kCfgDenoiser, kCfgDenoised, kAfterCfg };

/// What stands where a mask lets the run change the latent: what was there, noise of the images' seeds, or zeros.
enum class MaskFill { kKeep, kNoise, kNothing };

/// Latents that a run begins with: x = latent + sigma·noise, or alpha·latent + sqrt(1 - alpha²)·noise at a timestep.
struct StartLatent {
  Latent latent;                 // scaled; one for all images of the batch, or one each
  double noise_multiplier = 1;   // of the start's noise, before anything else
  double extra_noise = 0;        // how much of it is added once more
  double timestep = -1;          // in a walk of timesteps: where the noise belongs
  std::vector<float> mask = {};  // [height, width]: 1 where the run may change the latent, 0 where it stays; empty: all may change
  MaskFill fill = MaskFill::kKeep;
};

struct SampleRequest {
  int64_t latent_width = 0, latent_height = 0;
  std::vector<uint64_t> seeds;
  NoiseSource noise_source = NoiseSource::kPhilox;
  std::vector<uint64_t> subseeds;  // as many as seeds, or none: variation seeds and their strength, 0 … 1
  double subseed_strength = 0;
  int64_t resize_width = 0, resize_height = 0;  // latent size whose noise the start has in its middle; 0: none
  std::vector<uint64_t> later_seeds;            // as many as seeds, or none: of the draws after the start
  std::string sampler;
  SamplerOptions options;
  std::vector<float> sigmas;
  std::vector<float> timesteps;    // of a sampler that walks them, as many as sigmas; else none
  std::optional<StartLatent> start = std::nullopt;  // none: the run begins with noise alone
  /// Interval of the Brownian tree where sigmas are the end of a longer schedule; 0: the smallest and largest of sigmas.
  double noise_low = 0, noise_high = 0;
  bool start_with_signal = false;  // x starts at sqrt(1 + sigma²)·noise instead of sigma·noise
  bool whole_timesteps = false;    // the network sees the trained timestep nearest to sigma
  double cfg_scale = 7.0;
  /// What the UNet's further channels hold, for all images of the batch or one each; where it has such, and only there.
  std::optional<Latent> further = std::nullopt;
  /// Of models that edit a picture: D = Dn + image_cfg·(Du − Dn) + cfg·(Dc − Du), Dn without text and picture. 1: as others.
  double image_cfg_scale = 1.0;
  std::vector<Conditioning> conditionings;
  std::vector<PromptPart> parts;
  std::vector<PromptStage> uncond;  // may be empty where is_guided() says that it is never evaluated
  int preview_every = 0;  // every n-th step's event carries a preview; 0: none does
  std::vector<Hook> hooks = {};  // that RunControl::ask is to be called for

  /// With one part, and weight times scale exactly 1, the result is its prediction alone.
  bool is_guided() const {
    const Sampler* found = find_sampler(sampler);
    const bool needs_uncond = found != nullptr && found->needs_uncond;
    return needs_uncond || image_cfg_scale != 1 || parts.size() != 1 || parts[0].weight * guidance() != 1;
  }
  /// cfg_scale as the sampler takes it.
  double guidance() const {
    const Sampler* found = find_sampler(sampler);
    return found == nullptr ? cfg_scale : cfg_scale / found->cfg_divisor;
  }
};

struct OpProfile {
  std::string part, op;
  int64_t calls = 0;
  double seconds = 0, flops = 0, bytes = 0;
};

struct StepEvent {
  int step = 0, steps = 0;
  int64_t evaluations = 0;
  float sigma = 0;
  std::shared_ptr<const Latent> preview = {};  // the denoiser's estimate of the result; null unless asked for
};

struct EstimateRequest {
  int64_t latent_width = 0, latent_height = 0, batch = 1, cond_tokens = 77, uncond_tokens = 77;
  bool use_uncond = true;
  Tiling tiling = {};
  int64_t encoded_width = 0, encoded_height = 0;  // latent size of the pictures that are encoded, if any are; 0: none
  Tiling encoded_tiling = {};
};
struct PartEstimate {
  uint64_t weight_bytes = 0, arena_bytes = 0, live_bytes = 0;
  double flops = 0;
};
struct Estimate {
  uint64_t weight_bytes = 0, arena_bytes = 0, peak_bytes = 0;
  PartEstimate text, unet, vae, encoder;  // vae: the decoder; encoder: zeros where nothing is encoded
};

/// What a hook is shown: copies, of which those that it replaces are marked.
struct HookCall {
  Hook hook = Hook::kExtraNoise;
  int step = 0;            // steps that are complete
  int64_t evaluation = 0;  // evaluations before this one
  double sigma = 0;        // of samplers that walk timesteps sqrt((1 - ᾱ)/ᾱ)
  std::vector<Latent> latents;  // one; kCfgDenoised: a branch for each prompt, then the unconditional one if has_uncond
  bool has_uncond = false;
  std::vector<bool> replaced = {};  // as many as latents
};

/// Where a batch's latents stand: the hash of each image's, as docs/numerics.md defines it.
struct TrailPoint {
  int step = 0;  // steps complete; 0: the start
  std::vector<uint64_t> hashes;
};

struct NodeDone;  // backends/backend.h

/// Per call: a cancel flag read at least once an evaluation, whether to time every op, and who answers hooks.
struct RunControl {
  const std::atomic<bool>* cancel = nullptr;
  std::vector<OpProfile>* profile = nullptr;  // filled, one row per kind of op, when given
  std::vector<TrailPoint>* trail = nullptr;   // filled by sample() when given: the start, then each step that is reported
  /// Returns when the call has been answered; throws kCancelled.
  std::function<void(const std::shared_ptr<HookCall>&)> ask = {};
  /// Called after every node of a program, where it is given: see RunOptions.
  std::function<void(const NodeDone&)> after_node = {};
};

class Engine {
 public:
  /// Reads and checks the header; reads no weight. Throws Error.
  static std::unique_ptr<Engine> open(const OpenOptions& options);
  virtual ~Engine() = default;

  /// The prediction type may change from kProbe in load() and sample().
  virtual const ModelDescription& describe() const noexcept = 0;
  /// Reads constant state only: may be called while another thread is in one of the calls below.
  virtual Estimate estimate(const EstimateRequest& request) const = 0;
  virtual void load(const RunControl& control, const std::function<void(uint64_t loaded, uint64_t total)>& on_progress) = 0;
  /// One conditioning for each text of each group. Equal windows of tokens are encoded once.
  virtual std::vector<std::vector<Conditioning>> encode_text(const TextRequest& request, const RunControl& control) = 0;
  virtual Latent sample(const SampleRequest& request, const RunControl& control,
                        const std::function<void(const StepEvent&)>& on_step) = 0;
  virtual std::vector<Image> decode(const DecodeRequest& request, const RunControl& control,
                                    const std::function<void(int done)>& on_image) = 0;
  /// Throws kModelFormat where the file lacks the VAE's encoder.
  virtual Moments encode(const EncodeRequest& request, const RunControl& control) = 0;
};

/// What this build can do.
std::vector<std::string> sampler_ids();
std::vector<std::string> family_ids();
std::vector<DeviceInfo> device_infos();
const char* engine_version() noexcept;

}  // namespace sdgen
