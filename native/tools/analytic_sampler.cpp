// A sampler on a denoiser with a formula, so that its trajectory can be compared with other implementations'.
#include <algorithm>
#include <cmath>

#include "backends/backend.h"
#include "base/math.h"
#include "tools/parts.h"
#include "tools/tensors.h"

namespace sdgen::tools {
namespace {

float analytic(float x, double sigma) {
  const double s2 = sigma * sigma, one = 1 + s2;
  return static_cast<float>(static_cast<double>(x) / one + 0.1 * (s2 / one) * math::tanh_f64(static_cast<double>(x) / std::sqrt(one)));
}

}  // namespace

std::vector<NamedTensor> eval_sampler(const EvalOptions& options, const WeightStore& inputs) {
  const Sampler* sampler = find_sampler(options.sampler);
  if (sampler == nullptr) throw Error(ErrorCode::kInvalidArgument, "sampler '" + options.sampler + "' is not built");
  const Tensor x0 = read_tensor(inputs, "x0", 4), sigmas = read_tensor(inputs, "sigmas." + options.schedule, 1);
  const Tensor noise = read_tensor(inputs, "noise", 5);
  const auto count = static_cast<int64_t>(x0.data.size());

  auto backend = make_reference_backend({1});
  Vectors vectors(*backend, count);
  const Vec x = vectors.make();
  vectors.upload(x, x0.data.data());
  vectors.lincomb(x, {{static_cast<double>(sigmas.data[0]), x}});

  std::vector<float> trajectory, calls, host(x0.data.size());
  size_t drawn = 0;
  const auto record = [&] {
    vectors.download(x, host.data());
    trajectory.insert(trajectory.end(), host.begin(), host.end());
  };
  record();
  SamplerRun run{vectors, x, sigmas.data, options.sampler_options, {}, {}, {}};
  run.denoise = [&](Vec out, Vec at, double sigma) {
    calls.push_back(static_cast<float>(sigma));
    vectors.download(at, host.data());
    for (float& value : host) value = analytic(value, sigma);
    vectors.upload(out, host.data());
  };
  run.noise = [&](Vec out) {
    const size_t begin = drawn++ * host.size();
    if (begin + host.size() > noise.data.size()) throw Error(ErrorCode::kInvalidArgument, "'noise' has too few draws");
    vectors.upload(out, noise.data.data() + begin);
  };
  run.done = [&](int) { record(); };
  sampler->run(run);

  const std::string name = options.schedule + "." + options.sampler;
  std::vector<int64_t> shape{static_cast<int64_t>(sigmas.data.size())};
  shape.insert(shape.end(), x0.shape.begin(), x0.shape.end());
  return {to_file("traj." + name, shape, trajectory),
          to_file("calls." + name, {static_cast<int64_t>(calls.size())}, calls),
          to_file("noise_drawn." + name, {1}, {static_cast<float>(drawn)})};
}

}  // namespace sdgen::tools
