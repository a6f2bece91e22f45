// A sampler on a denoiser with a formula, so that its trajectory can be compared with other implementations'.
#include <algorithm>
#include <cmath>

#include "backends/backend.h"
#include "base/math.h"
#include "tools/parts.h"
#include "tools/tensors.h"

namespace sdgen::tools {
namespace {

double analytic(double x, double sigma) {
  const double s2 = sigma * sigma, one = 1 + s2;
  return x / one + 0.1 * (s2 / one) * math::tanh_f64(x / std::sqrt(one));
}

/// The noise that the analytic denoiser sees in x = alpha·x0 + sigma·noise.
double analytic_noise(double x, VpPoint p) {
  const double scaled = x / p.alpha, sigma = p.sigma / p.alpha;
  return (scaled - analytic(scaled, sigma)) / sigma;
}

/// The noise of a network that predicts v = 0.3·sin x + 0.2·x.
double velocity_noise(double x, VpPoint p) { return p.alpha * (0.3 * math::sin_f64(x) + 0.2 * x) + p.sigma * x; }

/// Of the analytic noise, what the unconditional branch is said to have seen.
constexpr double kUncondShare = 0.75;

/// Values over a whole vector, on the host.
class Host {
 public:
  Host(Vectors& vectors) : vectors_(vectors), values_(static_cast<size_t>(vectors.count())) {}

  const std::vector<float>& read(Vec from) {
    vectors_.download(from, values_.data());
    return values_;
  }
  template <typename F>
  void map(Vec out, Vec x, F f) {
    read(x);
    for (float& value : values_) value = static_cast<float>(f(static_cast<double>(value)));
    vectors_.upload(out, values_.data());
  }

 private:
  Vectors& vectors_;
  std::vector<float> values_;
};

TrainedSigmas trained_sigmas(const WeightStore& inputs) {
  if (inputs.find("alphas_cumprod") == nullptr) return TrainedSigmas();
  return TrainedSigmas(read_tensor(inputs, "alphas_cumprod", 1).data);
}

double start_scale(const EvalOptions& options, Walk walk, double sigma) {
  if (walk == Walk::kTimesteps) return 1;
  return options.start_with_signal ? std::sqrt(1 + sigma * sigma) : sigma;
}

std::vector<int64_t> stacked(size_t count, const Tensor& each) {
  std::vector<int64_t> shape{static_cast<int64_t>(count)};
  shape.insert(shape.end(), each.shape.begin(), each.shape.end());
  return shape;
}

}  // namespace

std::vector<NamedTensor> eval_sampler(const EvalOptions& options, const WeightStore& inputs) {
  const Sampler* sampler = find_sampler(options.sampler);
  if (sampler == nullptr) throw Error(ErrorCode::kInvalidArgument, "sampler '" + options.sampler + "' is not built");
  const bool timed = sampler->walk == Walk::kTimesteps;
  const Tensor x0 = read_tensor(inputs, "x0", 4), sigmas = read_tensor(inputs, "sigmas." + options.schedule, 1);
  const Tensor noise = read_tensor(inputs, "noise", 5);
  const Tensor timesteps = timed ? read_tensor(inputs, "timesteps." + options.schedule, 1) : Tensor{};
  const TrainedSigmas trained = trained_sigmas(inputs);

  auto backend = make_reference_backend({.threads = 1});
  Vectors vectors(*backend, static_cast<int64_t>(x0.data.size()));
  Host host(vectors);
  const Vec x = vectors.make();
  vectors.upload(x, x0.data.data());
  vectors.lincomb(x, {{start_scale(options, sampler->walk, static_cast<double>(sigmas.data[0])), x}});

  std::vector<float> trajectory, seen, calls, uncond(x0.data.size()), done;
  size_t drawn = 0;
  const auto append = [&](std::vector<float>& to, Vec v) {
    const std::vector<float>& values = host.read(v);
    to.insert(to.end(), values.begin(), values.end());
  };
  append(trajectory, x);
  SamplerRun run{vectors, x, sigmas.data, timesteps.data, trained, options.sampler_options};
  const auto evaluate = [&](Vec out, Vec at, double where, const auto& formula) {
    calls.push_back(static_cast<float>(where));
    append(seen, at);
    host.map(out, at, formula);
  };
  run.denoise = [&](Vec out, Vec at, double sigma) {
    evaluate(out, at, sigma, [&](double value) { return analytic(value, sigma); });
  };
  run.predict = [&](Vec out, Vec at, double t) {
    evaluate(out, at, t, [&, point = trained.point(t)](double value) {
      return options.velocity ? velocity_noise(value, point) : analytic_noise(value, point);
    });
    const std::vector<float>& values = host.read(out);
    std::transform(values.begin(), values.end(), uncond.begin(), [](float e) { return static_cast<float>(kUncondShare) * e; });
  };
  run.uncond = [&](Vec out) { vectors.upload(out, uncond.data()); };
  run.noise = [&](Vec out) {
    const size_t begin = drawn++ * x0.data.size();
    if (begin + x0.data.size() > noise.data.size()) throw Error(ErrorCode::kInvalidArgument, "'noise' has too few draws");
    vectors.upload(out, noise.data.data() + begin);
  };
  run.brownian = [&](Vec out, double, double) { run.noise(out); };
  run.report = [&](int step, int of, double) {
    append(trajectory, x);
    done.insert(done.end(), {static_cast<float>(step), static_cast<float>(of)});
  };
  sampler->run(run);

  const std::string name = options.schedule + "." + options.sampler;
  return {to_file("traj." + name, stacked(trajectory.size() / x0.data.size(), x0), trajectory),
          to_file("seen." + name, stacked(calls.size(), x0), seen),
          to_file("calls." + name, {static_cast<int64_t>(calls.size())}, calls),
          to_file("reports." + name, {static_cast<int64_t>(done.size() / 2), 2}, done),
          to_file("noise_drawn." + name, {1}, {static_cast<float>(drawn)})};
}

}  // namespace sdgen::tools
