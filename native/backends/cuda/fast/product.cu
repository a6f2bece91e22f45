// One implicit-GEMM main loop for convolutions and linears: x's taps and the weight come into shared memory by asynchronous
// copies, several stages ahead, and are multiplied on tensor cores with fp32 sums. The order of a sum depends on k and on
// the splits alone, never on the tile or the batch.
#include "backends/cuda/exact/activation.cuh"
#include "backends/cuda/fast/params.h"
#include "backends/cuda/ptx.h"

namespace sdgen::cuda::fast {
namespace {

constexpr int kOutside = -(1 << 28);

template <typename T>
SDGEN_DEVICE void find_rows(const ProductParams& p, typename T::Shared& shared, int64_t first) {
  for (int r = threadIdx.x; r < T::kRows; r += T::kThreads) {
    const int64_t row = first + r, line = row / p.out_w, image = line / p.out_h;
    const bool inside = row < p.rows;
    shared.image[r] = inside ? image * p.in_h * p.in_w * p.channels : 0;
    shared.top[r] = inside ? static_cast<int32_t>(line % p.out_h) * p.stride - p.pad : kOutside;
    shared.left[r] = inside ? static_cast<int32_t>(row % p.out_w) * p.stride - p.pad : kOutside;
  }
}

/// Eight values of one tap into shared memory; those beyond the last channel are zeros.
SDGEN_DEVICE void copy_taps(const ProductParams& p, Half* to, const Half* from, int left, bool inside) {
  if (p.channels % 8 == 0) {
    copy16_async(to, inside ? from : p.x, inside);
    return;
  }
  for (int i = 0; i < 8; ++i) to[i] = inside && i < left ? from[i] : Half{0};
}

/// Which output a column of the tile is: with geglu eight values and their eight gates alternate. -1: none.
template <typename T>
SDGEN_DEVICE int output_of(const ProductParams& p, int column) {
  const int tile = static_cast<int>(blockIdx.y) * T::kColumns;
  if (!p.geglu) return tile + column < p.n ? tile + column : -1;
  const int value = tile / 2 + column / 16 * 8 + column % 8;
  return value < p.columns ? value + column / 8 % 2 * p.columns : -1;
}

template <typename T>
SDGEN_DEVICE void read_stage(const ProductParams& p, typename T::Shared& shared, int stage, int step) {
  const int part = static_cast<int>(threadIdx.x) % 4 * 8, k = step * kStep + part;
  const int tap = k / p.stored_channels, c = k - tap * p.stored_channels, kh = tap / p.kernel, kw = tap - kh * p.kernel;
#pragma unroll
  for (int r = static_cast<int>(threadIdx.x) / 4; r < T::kRows; r += T::kThreads / 4) {
    const int y = shared.top[r] + kh, x = shared.left[r] + kw;
    const bool inside = kh < p.kernel && y >= 0 && y < p.in_h && x >= 0 && x < p.in_w;
    const Half* from = p.x + shared.image[r] + (static_cast<int64_t>(y) * p.in_w + x) * p.channels + c;
    copy_taps(p, &shared.a[stage][r][part], from, p.channels - c, inside);
  }
#pragma unroll
  for (int r = static_cast<int>(threadIdx.x) / 4; r < T::kColumns; r += T::kThreads / 4) {
    const int n = output_of<T>(p, r);
    const bool inside = n >= 0 && k < p.stored_k;
    copy16_async(&shared.b[stage][r][part], inside ? p.weight + static_cast<int64_t>(n) * p.stored_k + k : p.weight, inside);
  }
}

/// The 16×8 squares of a warp's outputs.
template <typename T>
struct Sums {
  static constexpr int kDown = T::kWarpRows / 16, kAcross = T::kWarpColumns / 8;
  float value[kDown][kAcross][4] = {};

  SDGEN_DEVICE static int warp_row() { return static_cast<int>(threadIdx.x) / 32 / (T::kColumns / T::kWarpColumns) * T::kWarpRows; }
  SDGEN_DEVICE static int warp_column() { return static_cast<int>(threadIdx.x) / 32 % (T::kColumns / T::kWarpColumns) * T::kWarpColumns; }

  SDGEN_DEVICE void add_stage(const typename T::Shared& shared, int stage) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
    for (int k = 0; k < kStep; k += 16) {
      uint32_t a[kDown][4], b[kAcross / 2][4];
#pragma unroll
      for (int i = 0; i < kDown; ++i) load_matrices(a[i], &shared.a[stage][warp_row() + i * 16 + lane % 16][k + lane / 16 * 8]);
#pragma unroll
      for (int j = 0; j < kAcross / 2; ++j) {
        load_matrices(b[j], &shared.b[stage][warp_column() + j * 16 + lane / 16 * 8 + lane % 8][k + lane / 8 % 2 * 8]);
      }
#pragma unroll
      for (int i = 0; i < kDown; ++i) {
#pragma unroll
        for (int j = 0; j < kAcross; ++j) multiply_add(value[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
      }
    }
  }
};

SDGEN_DEVICE float before_activation(const ProductParams& p, float y, int64_t row, int n) {
  if (p.bias != nullptr) y += p.bias[n];
  if (p.channel_add != nullptr) y += p.channel_add[row / (static_cast<int64_t>(p.out_h) * p.out_w) * p.n + n];
  return y;
}

/// The sum of output n of a row, and with geglu that of its gate, to the result.
SDGEN_DEVICE void finish(const ProductParams& p, float sum, float gate, int64_t row, int n) {
  float y = before_activation(p, sum, row, n);
  const int64_t at = row * p.columns + n;
  if (p.geglu) {
    y *= math::gelu_f32(before_activation(p, gate, row, n + p.columns));
  } else {
    y = exact::activate(p.activation, y);
  }
  if (p.residual != nullptr) y += to_float(p.residual[at]);
  if (p.y32 != nullptr) {
    p.y32[at] = y;
  } else {
    p.y[at] = to_half(y);
  }
}

template <typename T>
SDGEN_DEVICE void write(const ProductParams& p, const Sums<T>& sums, int64_t first_row) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int i = 0; i < Sums<T>::kDown; ++i) {
#pragma unroll
    for (int j = 0; j < Sums<T>::kAcross; ++j) {
      if (p.geglu && p.partial == nullptr && j % 2 == 1) continue;  // gates go with their values
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int64_t row = first_row + Sums<T>::warp_row() + i * 16 + lane / 4 + e / 2 * 8;
        const int n = output_of<T>(p, Sums<T>::warp_column() + j * 8 + lane % 4 * 2 + e % 2);
        if (row >= p.rows || n < 0) continue;
        const float sum = sums.value[i][j][e];
        if (p.partial != nullptr) {
          p.partial[(blockIdx.z * p.rows + row) * p.n + n] = sum;
        } else {
          finish(p, sum, sums.value[i][j | 1][e], row, n);
        }
      }
    }
  }
}

template <typename T>
SDGEN_DEVICE void product(const ProductParams& p) {
  auto& shared = shared_as<typename T::Shared>();
  const int64_t first_row = static_cast<int64_t>(blockIdx.x) * T::kRows;
  find_rows<T>(p, shared, first_row);
  __syncthreads();

  const int all = p.stored_k / kStep, first = static_cast<int>(blockIdx.z) * p.steps_per_split;
  const int steps = all - first < p.steps_per_split ? all - first : p.steps_per_split;
  Sums<T> sums;
#pragma unroll
  for (int s = 0; s < kStages - 1; ++s) {
    if (s < steps) read_stage<T>(p, shared, s, first + s);
    commit_copies();
  }
  for (int step = 0; step < steps; ++step) {
    wait_copies<kStages - 2>();
    __syncthreads();  // this stage is there for all, and the one before is no longer read
    const int next = step + kStages - 1;
    if (next < steps) read_stage<T>(p, shared, next % kStages, first + next);
    commit_copies();
    sums.add_stage(shared, step % kStages);
  }
  wait_copies<0>();
  write<T>(p, sums, first_row);
}

}  // namespace
}  // namespace sdgen::cuda::fast

using namespace sdgen::cuda;

SDGEN_KERNEL(fast_product_large, fast::ProductParams, 256, 2) { fast::product<fast::LargeTile>(p); }
SDGEN_KERNEL(fast_product_middle, fast::ProductParams, 256, 2) { fast::product<fast::MiddleTile>(p); }
SDGEN_KERNEL(fast_product_small, fast::ProductParams, 128, 3) { fast::product<fast::SmallTile>(p); }

SDGEN_KERNEL(fast_finish_product, fast::ProductParams, 256, 4) {
  const int64_t i = thread_of_grid();
  if (i >= p.rows * p.columns) return;
  const int64_t row = i / p.columns;
  const int n = static_cast<int>(i % p.columns);
  const auto total = [&](int output) {
    float sum = 0.0f;
    for (int s = 0; s < p.splits; ++s) sum += p.partial[(s * p.rows + row) * p.n + output];
    return sum;
  };
  fast::finish(p, total(n), p.geglu ? total(n + p.columns) : 0.0f, row, n);
}
