#pragma once
// The denoiser that a sampler sees: the UNet under the prompts that hold at an evaluation, combined by guidance.
#include <optional>

#include "engine/model_runner.h"
#include "engine/sample_hooks.h"
#include "engine/sample_start.h"
#include "sampling/denoiser.h"
#include "sampling/vectors.h"

namespace sdgen {

/// Counts evaluations: the n-th asks for the stages that hold at n - 1. Cond and uncond go through the UNet as one batch
/// when their lengths agree, else one after the other; the further parts of an AND follow one by one. The same bytes
/// either way (docs/numerics.md, Guidance).
class GuidedDenoiser {
 public:
  GuidedDenoiser(ModelRunner& runner, const ModelConfig& config, const SampleRequest& request, const RunControl& control);

  /// out = D(x, sigma), both [images, height, width, channels]. Throws kCancelled, kNonFinite.
  void denoise(VectorView out, VectorView x, double sigma);
  /// out = e(x, t), the noise in x of the variance-preserving process at a timestep.
  void predict(VectorView out, VectorView x, double timestep);
  /// The unconditional branch's part of the last evaluation, whose x is still what it was; only where is_guided().
  void uncond(VectorView out);

  /// What a mask keeps, which must outlive this: put into the result of `denoise`, and in a walk of timesteps into the x
  /// that the network sees (both as the webui does it).
  void keep(const KeptLatent* kept);

  const TrainedSigmas& trained() const noexcept { return trained_; }

  int64_t evaluations() const noexcept { return evaluations_; }
  void at_step(int step) noexcept { step_ = step; }

 private:
  /// A UNet for some prompts at once, and those whose features it holds.
  struct Pass {
    LoadedProgram program;
    int64_t tokens;
    std::vector<int64_t> prompts = {};
  };
  struct Input {
    VectorView x;
    Scalings scalings;
    float timestep;
    double sigma;
    bool is_denoised = false;  // the result is x0, not noise
  };

  void guide(VectorView out, Input input);
  /// Lets a mask and the hook change the x that the network sees; the sampler's own stays.
  void change_input(Input& input);
  /// The fused way: no branch is seen on its own.
  void combine(VectorView out, const Input& input, VectorView cond, VectorView uncond);
  /// The same bytes with every branch shown to the hook before they are combined.
  void combine_shown(VectorView out, const Input& input, VectorView cond, VectorView uncond);
  /// to = c_skip·x + c_out·network.
  void estimate(VectorView to, const Input& input, VectorView network);
  HookCall moment(Hook hook, const Input& input) const;
  Pass load(const ModelConfig& config, int64_t prompts, int64_t tokens, bool shows_picture = true);
  /// Fills the further channels of every image of every prompt; with zeros where the picture is not to be seen.
  void upload_further(Pass& pass, int64_t channels, int64_t prompts, bool shows_picture);
  /// out = Dn + image_cfg·(Du − Dn) + cfg·(Dc − Du).
  void combine_edit(VectorView out, const Input& input, VectorView cond, VectorView uncond, VectorView none);
  /// The network's output for these conditionings, one after the other.
  VectorView evaluate(Pass& pass, const std::vector<int64_t>& prompts, const Input& input);
  void upload_context(Pass& pass, const std::vector<int64_t>& prompts);
  void add_parts(VectorView out, const Input& input, VectorView uncond);
  float coefficient(size_t part) const { return static_cast<float>(request_.parts[part].weight * request_.guidance()); }

  ModelRunner& runner_;
  const SampleRequest& request_;
  PredictionType prediction_;
  RunControl control_;
  SampleHooks hooks_;
  bool takes_pooled_;
  TrainedSigmas trained_;
  int64_t images_, count_, evaluations_ = 0;
  int step_ = 0;
  const KeptLatent* kept_ = nullptr;
  std::optional<Input> last_;
  VectorView last_uncond_;
  std::optional<Pass> first_, uncond_, further_;  // the first part (and uncond with it); uncond alone; parts alone
  std::optional<Pass> none_;                      // of models that edit a picture: without text and picture
  std::optional<Vectors> vectors_;                // of several parts, and of hooks
  Vec sum_, uncond_prediction_, part_prediction_, seen_x_;
  std::vector<Vec> branches_;  // of kCfgDenoised: a prompt's each, then the unconditional one
};

}  // namespace sdgen
