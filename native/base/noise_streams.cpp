#include <cmath>

#include "base/fp_environment.h"
#include "base/math.h"
#include "base/noise.h"
#include "base/rng_mt19937.h"

namespace sdgen {

namespace {

// The webui computes with float32 constants promoted to float64: 2^-32 and the float32 nearest to 2π·2^-32.
constexpr double kScale = 0x1p-32;
constexpr double kAngleScale = 0x1.921fb6p-30;

class PhiloxStream final : public NoiseStream {
 public:
  explicit PhiloxStream(uint64_t seed) : seed_(seed) {}

  void randn(float* out, size_t count) override {
    const FpEnvironment environment;
    for (size_t i = 0; i < count; ++i) {
      uint32_t words[4];
      philox_words(seed_, draw_, static_cast<uint32_t>(i), words);
      const double u = static_cast<double>(words[0]) * kScale + 0.5 * kScale;
      const double v = static_cast<double>(words[1]) * kAngleScale + 0.5 * kAngleScale;
      out[i] = static_cast<float>(std::sqrt(-2.0 * math::log_f64(u)) * math::sin_f64(v));
    }
    ++draw_;
  }

 private:
  uint64_t seed_;
  uint32_t draw_ = 0;
};

class TorchCpuStream final : public NoiseStream {
 public:
  explicit TorchCpuStream(uint64_t seed) : generator_(seed) {}

  void randn(float* out, size_t count) override {
    const FpEnvironment environment;
    generator_.randn(out, count);
  }

 private:
  TorchCpuGenerator generator_;
};

}  // namespace

std::unique_ptr<NoiseStream> make_philox_stream(uint64_t seed) { return std::make_unique<PhiloxStream>(seed); }

std::unique_ptr<NoiseStream> make_torch_cpu_stream(uint64_t seed) { return std::make_unique<TorchCpuStream>(seed); }

std::unique_ptr<NoiseStream> make_noise_stream(NoiseSource source, uint64_t seed) {
  return source == NoiseSource::kPhilox ? make_philox_stream(seed) : make_torch_cpu_stream(seed);
}

}  // namespace sdgen
