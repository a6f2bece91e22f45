#pragma once
// Noise streams: one per image, so a batch equals single runs. Drawn on the host.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace sdgen {

enum class NoiseSource { kPhilox, kTorchCpu };

class NoiseStream {
 public:
  virtual ~NoiseStream() = default;
  /// The next draw: `count` standard normals, as one randn call of the imitated generator gives (in its element order).
  virtual void randn(float* out, size_t count) = 0;
};

/// The webui's Philox4x32-10 stream (its "NV"/"GPU" source). Draw d uses counter (d, 0, i, 0).
std::unique_ptr<NoiseStream> make_philox_stream(uint64_t seed);
/// torch.manual_seed(seed); torch.randn(…) on the CPU, float32.
std::unique_ptr<NoiseStream> make_torch_cpu_stream(uint64_t seed);
std::unique_ptr<NoiseStream> make_noise_stream(NoiseSource source, uint64_t seed);
/// Words g0 and g1 of the Philox cipher of element `index` of draw `draw`; for tests and for devices' own checks.
void philox_words(uint64_t seed, uint32_t draw, uint32_t index, uint32_t out[4]) noexcept;

}  // namespace sdgen
