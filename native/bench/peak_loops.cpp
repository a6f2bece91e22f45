#include "bench/peak_loops.h"

#include "backends/cpu/tiles.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define SDGEN_PEAK_X86 1
#else
#define SDGEN_PEAK_X86 0
#endif

namespace sdgen::bench {
namespace {

// Chains that wait for nothing but themselves: more than latency times issue width, as many as the registers hold.
constexpr int kPortableChains = 8, kAvx2Chains = 12, kAvx512Chains = 24;
static_assert(kAvx512Chains <= kPeakSeeds);
constexpr int kSteps = 8;  // products of each chain in a round: the loop's own counting must not show

typedef float Lanes4 __attribute__((vector_size(16)));

/// Four lanes, a product and a sum: what every processor of the family does without fma.
float portable_fp32(int64_t rounds, const float* seeds) {
  const Lanes4 a = Lanes4{} + seeds[0], b = Lanes4{} + seeds[1];
  Lanes4 chain[kPortableChains];
#pragma GCC unroll 8
  for (int i = 0; i < kPortableChains; ++i) chain[i] = Lanes4{} + seeds[i];
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 8
    for (int s = 0; s < kSteps; ++s) {
#pragma GCC unroll 8
      for (Lanes4& c : chain) c = c * a + b;
    }
  }
  Lanes4 sum{};
#pragma GCC unroll 8
  for (const Lanes4& c : chain) sum += c;
  return sum[0] + sum[1] + sum[2] + sum[3];
}
constexpr double kPortableFlops = 2.0 * 4 * kPortableChains * kSteps;

bool always() { return true; }

#if SDGEN_PEAK_X86

__attribute__((target("avx2,fma"))) float avx2_fp32(int64_t rounds, const float* seeds) {
  const __m256 a = _mm256_set1_ps(seeds[0]), b = _mm256_set1_ps(seeds[1]);
  __m256 chain[kAvx2Chains];
#pragma GCC unroll 12
  for (int i = 0; i < kAvx2Chains; ++i) chain[i] = _mm256_set1_ps(seeds[i]);
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 8
    for (int s = 0; s < kSteps; ++s) {
#pragma GCC unroll 12
      for (int i = 0; i < kAvx2Chains; ++i) chain[i] = _mm256_fmadd_ps(chain[i], a, b);
    }
  }
#pragma GCC unroll 12
  for (int i = 1; i < kAvx2Chains; ++i) chain[0] = _mm256_add_ps(chain[0], chain[i]);
  return _mm256_cvtss_f32(chain[0]);
}
constexpr double kAvx2Flops = 2.0 * 8 * kAvx2Chains * kSteps;

__attribute__((target("avx512f"))) float avx512_fp32(int64_t rounds, const float* seeds) {
  const __m512 a = _mm512_set1_ps(seeds[0]), b = _mm512_set1_ps(seeds[1]);
  __m512 chain[kAvx512Chains];
#pragma GCC unroll 24
  for (int i = 0; i < kAvx512Chains; ++i) chain[i] = _mm512_set1_ps(seeds[i]);
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 8
    for (int s = 0; s < kSteps; ++s) {
#pragma GCC unroll 24
      for (int i = 0; i < kAvx512Chains; ++i) chain[i] = _mm512_fmadd_ps(chain[i], a, b);
    }
  }
#pragma GCC unroll 24
  for (int i = 1; i < kAvx512Chains; ++i) chain[0] = _mm512_add_ps(chain[0], chain[i]);
  return _mm512_cvtss_f32(chain[0]);
}
constexpr double kAvx512Flops = 2.0 * 16 * kAvx512Chains * kSteps;

/// vdpbf16ps: two products a lane, added to it.
__attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16"))) float avx512_bf16(int64_t rounds, const float* seeds) {
  const __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(seeds[0]), _mm512_set1_ps(seeds[0]));
  const __m512bh b = _mm512_cvtne2ps_pbh(_mm512_set1_ps(seeds[1]), _mm512_set1_ps(-seeds[1]));
  __m512 chain[kAvx512Chains];
#pragma GCC unroll 24
  for (int i = 0; i < kAvx512Chains; ++i) chain[i] = _mm512_set1_ps(seeds[i]);
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 8
    for (int s = 0; s < kSteps; ++s) {
#pragma GCC unroll 24
      for (int i = 0; i < kAvx512Chains; ++i) chain[i] = _mm512_dpbf16_ps(chain[i], a, b);
    }
  }
#pragma GCC unroll 24
  for (int i = 1; i < kAvx512Chains; ++i) chain[0] = _mm512_add_ps(chain[0], chain[i]);
  return _mm512_cvtss_f32(chain[0]);
}
constexpr double kBf16Flops = 4.0 * 16 * kAvx512Chains * kSteps;

/// tdpbf16ps: four sums of 16 × 16 from 32 products each, the registers' contents whatever the seeds make them.
float amx_bf16(int64_t rounds, const float* seeds) {
  struct alignas(64) {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } shape;
  alignas(64) uint16_t values[16][32];
  for (int i = 0; i < 16 * 32; ++i) {
    uint32_t bits;
    __builtin_memcpy(&bits, &seeds[i % kPeakSeeds], sizeof bits);
    values[i / 32][i % 32] = static_cast<uint16_t>((bits >> 16) | (i % 2 == 0 ? 0 : 0x8000));  // sums stay small
  }
  alignas(64) float sums[16][16];
  asm volatile("ldtilecfg %0" ::"m"(shape));
  asm volatile(
      "tileloadd (%0,%1,1), %%tmm4\n tileloadd (%0,%1,1), %%tmm5\n tileloadd (%0,%1,1), %%tmm6\n tileloadd (%0,%1,1), %%tmm7\n"
      "tilezero %%tmm0\n tilezero %%tmm1\n tilezero %%tmm2\n tilezero %%tmm3" ::"r"(values), "r"(int64_t{64}) : "memory");
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 8
    for (int s = 0; s < kSteps; ++s) {
      asm volatile(
          "tdpbf16ps %tmm6, %tmm4, %tmm0\n tdpbf16ps %tmm7, %tmm4, %tmm1\n tdpbf16ps %tmm6, %tmm5, %tmm2\n"
          "tdpbf16ps %tmm7, %tmm5, %tmm3");
    }
  }
  asm volatile("tilestored %%tmm0, (%0,%1,1)\n tilerelease" ::"r"(sums), "r"(int64_t{64}) : "memory");
  return sums[3][5];
}
constexpr double kAmxFlops = 2.0 * 16 * 16 * 32 * 4 * kSteps;

bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() { return has_avx2() && __builtin_cpu_supports("avx512f"); }
bool has_bf16() {
  return has_avx512() && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bf16");
}
bool has_amx() { return has_bf16() && cpu::tiles_available(); }

#endif

constexpr PeakLevel kLevels[] = {
    {"portable", always, portable_fp32, kPortableFlops, nullptr, 0},
#if SDGEN_PEAK_X86
    {"avx2", has_avx2, avx2_fp32, kAvx2Flops, nullptr, 0},
    {"avx512", has_avx512, avx512_fp32, kAvx512Flops, nullptr, 0},
    {"avx512bf16", has_bf16, avx512_fp32, kAvx512Flops, avx512_bf16, kBf16Flops},
    {"amx", has_amx, avx512_fp32, kAvx512Flops, amx_bf16, kAmxFlops},
#endif
};

}  // namespace

std::span<const PeakLevel> peak_levels() { return kLevels; }

}  // namespace sdgen::bench
