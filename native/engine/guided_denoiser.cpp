#include "engine/guided_denoiser.h"

#include <algorithm>
#include <cmath>

#include "engine/layout.h"
#include "models/unet.h"

namespace sdgen {
namespace {

int64_t longest(const SampleRequest& request, const std::vector<PromptStage>& stages) {
  int64_t tokens = 0;
  for (const PromptStage& stage : stages) {
    tokens = std::max(tokens, request.conditionings[static_cast<size_t>(stage.conditioning)].tokens);
  }
  return tokens;
}

/// The conditioning of the first stage that reaches this evaluation; past the last one the first stage holds again, as
/// in the webui.
int64_t at_evaluation(const std::vector<PromptStage>& stages, int64_t evaluation) {
  const auto reaches = [&](const PromptStage& stage) { return evaluation <= stage.until; };
  const auto found = std::find_if(stages.begin(), stages.end(), reaches);
  return (found == stages.end() ? stages.front() : *found).conditioning;
}

}  // namespace

GuidedDenoiser::GuidedDenoiser(ModelRunner& runner, const ModelConfig& config, const SampleRequest& request, const RunControl& control)
    : runner_(runner), request_(request), prediction_(config.prediction_type.value), control_(control),
      hooks_(request, control, runner.backend(), config.vae.latent_channels), takes_pooled_(config.unet.pooled_width > 0), trained_(config.noise.alphas_cumprod), images_(static_cast<int64_t>(request.seeds.size())),
      count_(images_ * request.latent_height * request.latent_width * config.vae.latent_channels) {
  int64_t cond_tokens = 0;
  for (const PromptPart& part : request.parts) cond_tokens = std::max(cond_tokens, longest(request, part.stages));
  const bool guided = request.is_guided();
  const int64_t uncond_tokens = guided ? longest(request, request.uncond) : 0;
  const bool together = uncond_tokens == cond_tokens;
  first_.emplace(load(config, together ? 2 : 1, cond_tokens));
  if (guided && !together) uncond_.emplace(load(config, 1, uncond_tokens));
  vectors_.emplace(runner.backend(), count_);
  if (request.image_cfg_scale != 1) {
    none_.emplace(load(config, 1, uncond_tokens, false));
    for (Vec* v : {&sum_, &uncond_prediction_, &part_prediction_}) *v = vectors_->make();
  }
  if (hooks_.wants(Hook::kCfgDenoiser)) seen_x_ = vectors_->make();
  if (hooks_.wants(Hook::kCfgDenoised)) branches_.resize(request.parts.size() + (guided ? 1 : 0));
  for (Vec& branch : branches_) branch = vectors_->make();
  if (request.parts.size() == 1) return;
  if (together) further_.emplace(load(config, 1, cond_tokens));
  for (Vec* v : {&sum_, &uncond_prediction_, &part_prediction_}) *v = vectors_->make();
}

GuidedDenoiser::Pass GuidedDenoiser::load(const ModelConfig& config, int64_t prompts, int64_t tokens, bool shows_picture) {
  const UnetShape shape{images_ * prompts, request_.latent_height, request_.latent_width, tokens};
  Pass pass{runner_.load(build_unet(config.unet, shape), control_.cancel), tokens};
  if (const int64_t channels = config.unet.further_channels(); channels > 0) upload_further(pass, channels, prompts, shows_picture);
  return pass;
}

void GuidedDenoiser::upload_further(Pass& pass, int64_t channels, int64_t prompts, bool shows_picture) {
  const Latent& further = *request_.further;
  const int64_t pixels = further.height * further.width, each = channels * pixels;
  std::vector<float> values(static_cast<size_t>(prompts * images_ * each), 0.0f);
  for (int64_t slot = 0; shows_picture && slot < prompts * images_; ++slot) {
    const int64_t from = further.batch == 1 ? 0 : (slot % images_) * each;
    nchw_to_nhwc(further.data.data() + from, values.data() + slot * each, 1, channels, pixels);
  }
  pass.program.upload("further", values.data(), static_cast<int64_t>(values.size() * sizeof(float)));
}

void GuidedDenoiser::denoise(VectorView out, VectorView x, double sigma) {
  const double timestep = request_.whole_timesteps ? trained_.nearest(sigma) : trained_.timestep(sigma);
  guide(out, {x, scalings(prediction_, sigma), static_cast<float>(timestep), sigma, true});
}

void GuidedDenoiser::predict(VectorView out, VectorView x, double timestep) {
  // v becomes noise at the whole timestep, as in the webui.
  const VpPoint at = trained_.point(timestep);
  guide(out, {x, noise_scalings(prediction_, trained_.point(std::floor(timestep))), static_cast<float>(timestep), at.sigma / at.alpha});
}

void GuidedDenoiser::uncond(VectorView out) {
  if (!branches_.empty()) {
    const LincombTerm seen{1, vectors_->view(branches_.back())};
    runner_.backend().lincomb(out, {&seen, 1});
    return;
  }
  const Scalings& s = last_->scalings;
  runner_.backend().guide(out, last_->x, last_uncond_, {}, static_cast<float>(s.c_skip), static_cast<float>(s.c_out), 1);
}

HookCall GuidedDenoiser::moment(Hook hook, const Input& input) const { return {hook, step_, evaluations_, input.sigma, {}, request_.is_guided()}; }

void GuidedDenoiser::keep(const KeptLatent* kept) {
  kept_ = kept;
  if (seen_x_.index < 0) seen_x_ = vectors_->make();
}

void GuidedDenoiser::change_input(Input& input) {
  const bool masked = kept_ != nullptr && find_sampler(request_.sampler)->walk == Walk::kTimesteps;
  const bool asked = hooks_.wants(Hook::kCfgDenoiser);
  if (!masked && !asked) return;
  const VectorView copy = vectors_->view(seen_x_);
  const LincombTerm all{1, input.x};
  runner_.backend().lincomb(copy, {&all, 1});
  if (masked) kept_->blend(copy);
  const bool replaced = asked && hooks_.show(moment(Hook::kCfgDenoiser, input), {copy});
  if (masked || replaced) input.x = copy;
}

void GuidedDenoiser::guide(VectorView out, Input input) {
  throw_if_cancelled(control_.cancel);
  change_input(input);
  std::vector<int64_t> prompts{at_evaluation(request_.parts[0].stages, evaluations_)};
  VectorView uncond;
  if (request_.is_guided()) {
    const int64_t prompt = at_evaluation(request_.uncond, evaluations_);
    if (uncond_) uncond = evaluate(*uncond_, {prompt}, input);
    else prompts.push_back(prompt);
  }
  const VectorView network = evaluate(*first_, prompts, input), cond = network.slice(0, count_);
  if (prompts.size() == 2) uncond = network.slice(count_, count_);
  if (none_) {
    const VectorView none = evaluate(*none_, {at_evaluation(request_.uncond, evaluations_)}, input);
    combine_edit(out, input, cond, uncond, none);
    uncond = none;
  } else if (branches_.empty()) {
    combine(out, input, cond, uncond);
  } else {
    combine_shown(out, input, cond, uncond);
  }
  if (kept_ != nullptr && input.is_denoised) kept_->blend(out);
  if (hooks_.wants(Hook::kAfterCfg)) hooks_.show(moment(Hook::kAfterCfg, input), {out});
  ++evaluations_;
  last_ = input;
  last_uncond_ = uncond;
}

void GuidedDenoiser::combine(VectorView out, const Input& input, VectorView cond, VectorView uncond) {
  const bool several = request_.parts.size() > 1;
  const VectorView combined = several ? vectors_->view(sum_) : out;  // out may be x, which further parts need
  runner_.backend().guide(combined, input.x, cond, uncond, static_cast<float>(input.scalings.c_skip),
                          static_cast<float>(input.scalings.c_out), coefficient(0));
  if (several) add_parts(out, input, uncond);
}

void GuidedDenoiser::combine_edit(VectorView out, const Input& input, VectorView cond, VectorView uncond, VectorView none) {
  Backend& backend = runner_.backend();
  const VectorView dc = vectors_->view(part_prediction_), du = vectors_->view(uncond_prediction_), dn = vectors_->view(sum_);
  estimate(dc, input, cond);
  estimate(du, input, uncond);
  estimate(dn, input, none);
  const LincombTerm text[] = {{1, dc}, {-1, du}}, picture[] = {{1, du}, {-1, dn}};
  backend.lincomb(dc, text);
  backend.lincomb(du, picture);
  const LincombTerm all[] = {{1, dn}, {coefficient(0), dc}, {static_cast<float>(request_.image_cfg_scale), du}};
  backend.lincomb(out, all);
}

void GuidedDenoiser::estimate(VectorView to, const Input& input, VectorView network) {
  const LincombTerm terms[] = {{static_cast<float>(input.scalings.c_skip), input.x}, {static_cast<float>(input.scalings.c_out), network}};
  runner_.backend().lincomb(to, terms);
}

void GuidedDenoiser::combine_shown(VectorView out, const Input& input, VectorView cond, VectorView uncond) {
  std::vector<VectorView> branches;
  for (const Vec branch : branches_) branches.push_back(vectors_->view(branch));
  const size_t parts = request_.parts.size();
  const bool guided = branches.size() > parts;
  if (guided) estimate(branches[parts], input, uncond);
  estimate(branches[0], input, cond);
  for (size_t part = 1; part < parts; ++part) {
    throw_if_cancelled(control_.cancel);
    const int64_t prompt = at_evaluation(request_.parts[part].stages, evaluations_);
    estimate(branches[part], input, evaluate(further_ ? *further_ : *first_, {prompt}, input));
  }
  hooks_.show(moment(Hook::kCfgDenoised, input), branches);
  const LincombTerm start{1, branches[guided ? parts : 0]};
  runner_.backend().lincomb(out, {&start, 1});
  for (size_t part = 0; guided && part < parts; ++part) {
    const LincombTerm difference[] = {{1, branches[part]}, {-1, branches[parts]}};
    runner_.backend().lincomb(branches[part], difference);
    const LincombTerm sum[] = {{1, out}, {coefficient(part), branches[part]}};
    runner_.backend().lincomb(out, sum);
  }
}

/// out = the sum so far, and for each further part fma(w·cfg, Dc - Du, sum).
void GuidedDenoiser::add_parts(VectorView out, const Input& input, VectorView uncond) {
  Backend& backend = runner_.backend();
  const VectorView sum = vectors_->view(sum_), du = vectors_->view(uncond_prediction_), dc = vectors_->view(part_prediction_);
  const auto add = [&](VectorView to, LincombTerm first, LincombTerm second) {
    const LincombTerm terms[] = {first, second};
    backend.lincomb(to, terms);
  };
  estimate(du, input, uncond);
  for (size_t part = 1; part < request_.parts.size(); ++part) {
    throw_if_cancelled(control_.cancel);
    const int64_t prompt = at_evaluation(request_.parts[part].stages, evaluations_);
    const VectorView network = evaluate(further_ ? *further_ : *first_, {prompt}, input);
    estimate(dc, input, network);
    add(dc, {1, dc}, {-1, du});
    add(sum, {1, sum}, {coefficient(part), dc});
  }
  const LincombTerm all{1, sum};
  backend.lincomb(out, {&all, 1});
}

void GuidedDenoiser::upload_context(Pass& pass, const std::vector<int64_t>& prompts) {
  std::vector<float> context, pooled;
  for (const int64_t prompt : prompts) {
    const Conditioning& c = request_.conditionings[static_cast<size_t>(prompt)];
    for (int64_t image = 0; image < images_; ++image) {
      context.insert(context.end(), c.data.begin(), c.data.end());
      if (takes_pooled_) pooled.insert(pooled.end(), c.pooled.begin(), c.pooled.end());
      // A shorter prompt repeats its last vector.
      for (int64_t token = c.tokens; token < pass.tokens; ++token) context.insert(context.end(), c.data.end() - c.width, c.data.end());
    }
  }
  pass.program.upload("ctx", context.data(), static_cast<int64_t>(context.size() * sizeof(float)));
  if (!pooled.empty()) pass.program.upload("pooled", pooled.data(), static_cast<int64_t>(pooled.size() * sizeof(float)));
  pass.prompts = prompts;
}

VectorView GuidedDenoiser::evaluate(Pass& pass, const std::vector<int64_t>& prompts, const Input& input) {
  Backend& backend = runner_.backend();
  if (pass.prompts != prompts) upload_context(pass, prompts);
  const VectorView scaled = pass.program.vector("x");
  const LincombTerm term{static_cast<float>(input.scalings.c_in), input.x};
  for (int64_t at = 0; at < scaled.count; at += count_) backend.lincomb(scaled.slice(at, count_), {&term, 1});
  const std::vector<float> timesteps(static_cast<size_t>(pass.program.vector("t").count), input.timestep);
  pass.program.upload("t", timesteps.data(), static_cast<int64_t>(timesteps.size() * sizeof(float)));
  runner_.run(pass.program, control_);
  const VectorView out = pass.program.vector("unet.out");
  if (!backend.all_finite(out)) {
    throw Error(ErrorCode::kNonFinite, "the UNet gave a value that is not a finite number at step " + std::to_string(step_ + 1) +
                                           " (timestep " + std::to_string(input.timestep) + ")");
  }
  return out;
}

}  // namespace sdgen
