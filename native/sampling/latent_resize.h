#pragma once
// Latents at another size, as torch's F.interpolate makes them (docs/numerics.md, "Resized latents"). Host code of one
// place, so that a second pass starts from the same bytes on every device.
#include <cstdint>
#include <vector>

namespace sdgen {

/// The webui's latent upscalers. Nearest reads the cell at floor(i·in/out), as old torch does; nearest-exact the one at
/// the middle of the new cell. Antialiased kernels grow with the reduction, so that every cell counts.
enum class LatentResize { kBilinear, kBilinearAntialiased, kBicubic, kBicubicAntialiased, kNearest, kNearestExact };

/// `planes` planes of [height, width] become planes of [to_height, to_width]; sides of 1 or more. A side that stays as
/// it is is left alone.
std::vector<float> resize_planes(const std::vector<float>& values, int64_t planes, int64_t height, int64_t width,
                                 int64_t to_height, int64_t to_width, LatentResize mode);

}  // namespace sdgen
