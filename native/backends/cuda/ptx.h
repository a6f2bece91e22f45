#pragma once
// The instructions that C++ has no words for, one function each: half precision, asynchronous copies to shared memory, and
// products of small matrices on tensor cores (PTX ISA, sections ldmatrix, mma and cp.async). For sm_80 and newer.
#include "backends/cuda/device_code.h"
#ifndef __CUDACC__
#include <stdexcept>

#include "base/dtype.h"
#include "base/half.h"
#endif

namespace sdgen::cuda {

/// Bits of an IEEE half.
using Half = uint16_t;

#ifdef __CUDACC__

SDGEN_DEVICE float to_float(Half x) {
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x));
  return y;
}
/// Rounded to nearest, ties to even; beyond 65504 infinity.
SDGEN_DEVICE Half to_half(float x) {
  Half y;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y) : "f"(x));
  return y;
}

SDGEN_DEVICE uint32_t shared_address(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

/// 16 bytes to shared memory, both sides aligned to 16; zeros instead where not `inside`. Done when it was waited for.
SDGEN_DEVICE void copy16_async(void* shared, const void* global, bool inside) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(__cvta_generic_to_global(global)), "r"(inside ? 16 : 0) : "memory");
}
SDGEN_DEVICE void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Until at most `Left` of this thread's committed groups are under way.
template <int Left>
SDGEN_DEVICE void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Left) : "memory");
}

/// Four 8×8 matrices of halves: lanes 8i … 8i + 7 give the addresses of matrix i's rows. Lane l gets of each the values
/// (l / 4, 2·(l mod 4)) and the one right of it.
SDGEN_DEVICE void load_matrices(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
}
/// Transposed: lane l gets (2·(l mod 4), l / 4) and the one below it.
SDGEN_DEVICE void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
}
/// c += a·b: 16×16 by 16×8, fp32 sums. With g = lane / 4 and t = lane mod 4, a: rows g, g + 8, g, g + 8 at columns 2t, 2t,
/// 2t + 8, 2t + 8; b: column g at rows 2t and 2t + 8; c: row g at columns 2t, 2t + 1, row g + 8 likewise.
SDGEN_DEVICE void multiply_add(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#else

inline float to_float(Half x) { return f16_to_f32(x); }
inline Half to_half(float x) { return f32_to_f16(x); }

inline void copy16_async(void* shared, const void* global, bool inside) {
  emulation::Block::running().copy_async({static_cast<unsigned char*>(shared), static_cast<const unsigned char*>(global), 16, inside ? 16u : 0u});
}
inline void commit_copies() { emulation::Block::running().commit_copies(); }
template <int Left>
void wait_copies() {
  emulation::Block::running().wait_copies(Left);
}

namespace emulation {

struct Fragment {
  uint32_t r[4];
};
template <bool Transposed>
void load_matrices(uint32_t (&r)[4], const void* row) {
  static const char operation = 0;
  Block& block = Block::running();
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0) throw std::runtime_error("ldmatrix of a row that is not aligned to 16 bytes");
  const auto combine = [](Meeting& meeting) {
    const unsigned char* rows[kWarp];
    for (unsigned i = 0; i < kWarp; ++i) std::memcpy(&rows[i], meeting.in[i], sizeof rows[i]);
    for (unsigned lane = 0; lane < kWarp; ++lane) {
      Fragment f{};
      for (unsigned m = 0; m < 4; ++m) {
        for (unsigned half = 0; half < 2; ++half) {
          const unsigned y = Transposed ? 2 * (lane % 4) + half : lane / 4, x = Transposed ? lane / 4 : 2 * (lane % 4) + half;
          uint16_t value;
          std::memcpy(&value, rows[8 * m + y] + 2 * x, sizeof value);
          f.r[m] |= static_cast<uint32_t>(value) << (16 * half);
        }
      }
      std::memcpy(meeting.out[lane], &f, sizeof f);
    }
  };
  Fragment f;
  block.meet(&operation, &row, sizeof row, &f, sizeof f, combine);
  std::memcpy(r, f.r, sizeof r);
}

struct ProductOperands {
  float c[4];
  uint32_t a[4], b[2];
};
inline void multiply_warp(Meeting& meeting) {
  float a[16][16], b[16][8], c[16][8];
  ProductOperands all[kWarp];
  const auto halves = [](uint32_t pair, float* low, float* high) {
    *low = f16_to_f32(static_cast<uint16_t>(pair));
    *high = f16_to_f32(static_cast<uint16_t>(pair >> 16));
  };
  for (unsigned lane = 0; lane < kWarp; ++lane) {
    std::memcpy(&all[lane], meeting.in[lane], sizeof all[lane]);
    const unsigned g = lane / 4, t = 2 * (lane % 4);
    for (unsigned i = 0; i < 4; ++i) {
      float* to = &a[g + 8 * (i % 2)][t + 8 * (i / 2)];
      halves(all[lane].a[i], to, to + 1);
      c[g + 8 * (i / 2)][t + i % 2] = all[lane].c[i];
    }
    for (unsigned i = 0; i < 2; ++i) halves(all[lane].b[i], &b[t + 8 * i][g], &b[t + 8 * i + 1][g]);
  }
  for (unsigned lane = 0; lane < kWarp; ++lane) {
    float out[4];
    for (unsigned i = 0; i < 4; ++i) {
      const unsigned row = lane / 4 + 8 * (i / 2), column = 2 * (lane % 4) + i % 2;
      float sum = c[row][column];
      for (unsigned k = 0; k < 16; ++k) sum += a[row][k] * b[k][column];
      out[i] = sum;
    }
    std::memcpy(meeting.out[lane], out, sizeof out);
  }
}

}  // namespace emulation

inline void load_matrices(uint32_t (&r)[4], const void* row) { emulation::load_matrices<false>(r, row); }
inline void load_matrices_transposed(uint32_t (&r)[4], const void* row) { emulation::load_matrices<true>(r, row); }
inline void multiply_add(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  static const char operation = 0;
  const emulation::ProductOperands given{{c[0], c[1], c[2], c[3]}, {a[0], a[1], a[2], a[3]}, {b0, b1}};
  emulation::Block::running().meet(&operation, &given, sizeof given, c, sizeof c, emulation::multiply_warp);
}

#endif

/// Two floats as halves, the first in the low bits.
SDGEN_DEVICE uint32_t pack_halves(float low, float high) { return static_cast<uint32_t>(to_half(low)) | static_cast<uint32_t>(to_half(high)) << 16; }

}  // namespace sdgen::cuda
