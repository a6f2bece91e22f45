#include "models/noise_table.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace sdgen {
namespace {

constexpr const char* kTensor = "alphas_cumprod";

/// Empty where the store has none that can be used.
std::vector<double> stored_table(const WeightStore& store) {
  const TensorInfo* tensor = store.find(kTensor);
  if (tensor == nullptr) return {};
  if (tensor->shape != std::vector<int64_t>{kTrainedSteps} || !dtype_is_float(tensor->dtype)) {
    throw Error(ErrorCode::kModelFormat, store.path() + ": '" + kTensor + "' should hold " + std::to_string(kTrainedSteps) + " floats");
  }
  const std::vector<float> values = read_all_f32(store, *tensor);
  std::vector<double> table(values.begin(), values.end());
  const auto inside = [](double value) { return value > 0 && value < 1; };
  const bool falls = std::is_sorted(table.rbegin(), table.rend());
  return falls && std::all_of(table.begin(), table.end(), inside) ? table : std::vector<double>{};
}

Resolved<bool> resolve_zero_terminal_snr(const Facts& facts) {
  if (facts.overrides.zero_terminal_snr) return {*facts.overrides.zero_terminal_snr, Origin::kFlag};
  if (const auto it = facts.metadata.find("sdgen.zero_terminal_snr"); it != facts.metadata.end()) {
    if (it->second == "true" || it->second == "false") return {it->second == "true", Origin::kMetadata};
    throw Error(ErrorCode::kModelFormat, "metadata 'sdgen.zero_terminal_snr' should be true or false");
  }
  if (facts.stated.zero_terminal_snr) return {*facts.stated.zero_terminal_snr, Origin::kConfig};
  if (facts.has_ztsnr_key) return {true, Origin::kWeights};
  return {false, Origin::kDefault};
}

}  // namespace

std::vector<double> alphas_of(const BetaSchedule& betas) {
  const double first = betas.scaled ? std::sqrt(betas.first) : betas.first, last = betas.scaled ? std::sqrt(betas.last) : betas.last;
  std::vector<double> table;
  double product = 1;
  for (int i = 0; i < kTrainedSteps; ++i) {
    const double root = first + static_cast<double>(i) / (kTrainedSteps - 1) * (last - first);
    product *= 1 - (betas.scaled ? root * root : root);
    table.push_back(product);
  }
  return table;
}

void rescale_to_zero_terminal_snr(std::vector<double>& alphas_cumprod) {
  constexpr double kLast = 4.8973451890853435e-08;
  const double first = std::sqrt(alphas_cumprod.front()), last = std::sqrt(alphas_cumprod.back());
  for (double& alpha : alphas_cumprod) {
    const double root = (std::sqrt(alpha) - last) * (first / (first - last));
    alpha = root * root;
  }
  alphas_cumprod.back() = kLast;
}

NoiseTable read_noise_table(const Facts& facts, const WeightStore& store) {
  NoiseTable table{stored_table(store), Origin::kWeights, resolve_zero_terminal_snr(facts)};
  if (table.alphas_cumprod.empty()) {
    table.origin = facts.stated.betas ? Origin::kConfig : Origin::kDefault;
    table.alphas_cumprod = alphas_of(facts.stated.betas.value_or(BetaSchedule{}));
  }
  if (table.zero_terminal_snr.value && table.alphas_cumprod.front() > table.alphas_cumprod.back()) {
    rescale_to_zero_terminal_snr(table.alphas_cumprod);
  }
  return table;
}

}  // namespace sdgen
