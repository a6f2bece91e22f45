#pragma once
// How much of the picture is left after each trained timestep: the products of 1 - beta, "alphas_cumprod".
#include <vector>

#include "models/facts.h"
#include "weights/store.h"

namespace sdgen {

struct NoiseTable {
  std::vector<double> alphas_cumprod;  // kTrainedSteps values in (0, 1], not rising
  Origin origin = Origin::kDefault;    // kWeights: the file's own tensor; kConfig: a scheduler's betas
  Resolved<bool> zero_terminal_snr;
};

/// The file's stored table, else that of a scheduler's config, else scaled-linear betas from 0.00085 to 0.012; then
/// rescaled to zero terminal signal where that is asked for or stated. A stored table that rounding has spoilt (one that
/// rises, or holds a value not inside (0, 1)) is not used. Throws kModelFormat for one of another length or type.
NoiseTable read_noise_table(const Facts& facts, const WeightStore& store);

/// Table of betas from `first` to `last`, in fp64 (docs/numerics.md).
std::vector<double> alphas_of(const BetaSchedule& betas);
/// Lin et al., Common Diffusion Noise Schedules and Sample Steps are Flawed, as the webui does it: the roots are shifted
/// and scaled so that the first stays and the last is 0, and the last product is then 4.8973451890853435e-08.
void rescale_to_zero_terminal_snr(std::vector<double>& alphas_cumprod);

}  // namespace sdgen
