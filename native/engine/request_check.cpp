#include "engine/request_check.h"

#include <cmath>

namespace sdgen {
namespace {

constexpr int64_t kLargestSide = 8192, kLargestBatch = 1024, kMostChunks = 1024;

[[noreturn]] void invalid(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

void check_conditioning(const char* name, const Conditioning& c, const ModelDescription& model) {
  if (c.tokens < 1 || c.width != model.unet.context_width || static_cast<int64_t>(c.data.size()) != c.tokens * c.width) {
    invalid(std::string(name) + ": expected [tokens, " + std::to_string(model.unet.context_width) + "] features; got [" +
            std::to_string(c.tokens) + ", " + std::to_string(c.width) + "] with " + std::to_string(c.data.size()) + " values");
  }
}

void check_sigmas(const std::vector<float>& sigmas) {
  if (sigmas.size() < 2) invalid("sigmas: at least two are needed; got " + std::to_string(sigmas.size()));
  for (size_t i = 0; i < sigmas.size(); ++i) {
    const bool last = i + 1 == sigmas.size();
    if (!std::isfinite(sigmas[i]) || sigmas[i] < 0 || (sigmas[i] == 0 && !last)) {
      invalid("sigmas[" + std::to_string(i) + "]: must be finite and above 0 (the last may be 0)");
    }
    if (i > 0 && sigmas[i] > sigmas[i - 1]) invalid("sigmas[" + std::to_string(i) + "]: sigmas must not rise");
  }
}

}  // namespace

void check_latent_size(int64_t width, int64_t height, int64_t batch) {
  if (width < 1 || height < 1 || width > kLargestSide || height > kLargestSide) {
    invalid("latent size " + std::to_string(width) + "x" + std::to_string(height) + ": sides must be 1 to " + std::to_string(kLargestSide));
  }
  if (batch < 1 || batch > kLargestBatch) invalid("batch " + std::to_string(batch) + ": must be 1 to " + std::to_string(kLargestBatch));
}

void check_chunks(const std::vector<Chunk>& chunks, int clip_skip, const ModelDescription& model) {
  if (chunks.empty() || static_cast<int64_t>(chunks.size()) > kMostChunks) {
    invalid("chunks: 1 to " + std::to_string(kMostChunks) + " are possible; got " + std::to_string(chunks.size()));
  }
  if (clip_skip < 1 || clip_skip > model.text.layers) {
    invalid("clipSkip " + std::to_string(clip_skip) + ": this text encoder has layers for 1 to " + std::to_string(model.text.layers));
  }
  for (const Chunk& chunk : chunks) {
    if (static_cast<int64_t>(chunk.tokens.size()) != model.text.positions || chunk.weights.size() != chunk.tokens.size()) {
      invalid("chunks: every chunk needs " + std::to_string(model.text.positions) + " tokens and as many weights");
    }
    for (int32_t id : chunk.tokens) {
      if (id < 0 || id >= model.text.vocabulary) {
        invalid("chunks: token " + std::to_string(id) + " is outside the vocabulary of " + std::to_string(model.text.vocabulary));
      }
    }
    for (float weight : chunk.weights) {
      if (!std::isfinite(weight)) invalid("chunks: a token's weight is not a finite number");
    }
  }
}

void check_sample(const SampleRequest& request, const ModelDescription& model) {
  check_latent_size(request.latent_width, request.latent_height, static_cast<int64_t>(request.seeds.size()));
  check_sigmas(request.sigmas);
  if (find_sampler(request.sampler) == nullptr) invalid("sampler '" + request.sampler + "' is not built");
  if (!std::isfinite(request.cfg_scale)) invalid("cfgScale: must be a finite number");
  const SamplerOptions& o = request.options;
  for (double value : {o.eta, o.s_churn, o.s_tmin, o.s_noise}) {
    if (!std::isfinite(value) || value < 0) invalid("samplerOptions: eta, sChurn, sTmin and sNoise must be finite and not negative");
  }
  if (std::isnan(o.s_tmax)) invalid("samplerOptions: sTmax is not a number");
  check_conditioning("cond", request.cond, model);
  if (request.cfg_scale != 1) check_conditioning("uncond", request.uncond, model);
}

void check_latent(const Latent& latent, const ModelDescription& model) {
  check_latent_size(latent.width, latent.height, latent.batch);
  const int64_t values = latent.batch * latent.channels * latent.height * latent.width;
  if (latent.channels != model.latent_channels || static_cast<int64_t>(latent.data.size()) != values) {
    invalid("latent: expected [batch, " + std::to_string(model.latent_channels) + ", height, width] values");
  }
}

}  // namespace sdgen
