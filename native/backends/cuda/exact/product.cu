// The contract's matrix product, for linear and conv2d: chunks of 320 along k, each a chain from +0, added in order.
// A block makes a tile of outputs; a thread a small square of it, in registers. The tile's size changes no bit.
#include "backends/cuda/device_code.h"
#include "backends/cuda/exact/activation.cuh"
#include "backends/cuda/exact/params.h"

namespace sdgen::cuda::exact {
namespace {

constexpr int kThreads = 256;
constexpr int kOutside = -(1 << 28);

/// Where the taps of the tile's rows begin.
template <int Rows, int Columns>
SDGEN_DEVICE void find_rows(const ProductParams& p, ProductTile<Rows, Columns>& tile, int64_t first) {
  for (int r = threadIdx.x; r < Rows; r += kThreads) {
    const int64_t row = first + r;
    if (row >= p.rows) {
      tile.image[r] = 0;
      tile.top[r] = tile.left[r] = kOutside;
      continue;
    }
    const int64_t line = row / p.out_w, image = line / p.out_h;
    tile.image[r] = image * p.in_h * p.in_w * p.channels;
    tile.top[r] = static_cast<int32_t>(line % p.out_h) * p.stride - p.pad;
    tile.left[r] = static_cast<int32_t>(row % p.out_w) * p.stride - p.pad;
  }
}

/// What a thread brings into shared memory at a step: one k of some rows, one column or more of some k.
template <int Rows, int Columns>
struct Piece {
  float a[Rows * kDepth / kThreads], b[Columns * kDepth / kThreads];

  /// Values [k, k + depth) of the kernel's row kh; beyond depth nothing is read or used.
  SDGEN_DEVICE void read(const ProductParams& p, const ProductTile<Rows, Columns>& tile, int kh, int k, int depth, int64_t column) {
    const int own = threadIdx.x % kDepth, kw = (k + own) / p.channels, c = k + own - kw * p.channels;
#pragma unroll
    for (int i = 0; i < Rows * kDepth / kThreads; ++i) {
      const int r = threadIdx.x / kDepth + i * (kThreads / kDepth);
      const int y = tile.top[r] + kh, x = tile.left[r] + kw;
      const bool inside = own < depth && y >= 0 && y < p.in_h && x >= 0 && x < p.in_w;
      a[i] = inside ? p.x[tile.image[r] + (static_cast<int64_t>(y) * p.in_w + x) * p.channels + c] : 0.0f;
    }
    const int64_t first = static_cast<int64_t>(kh) * p.kernel * p.channels + k;
#pragma unroll
    for (int i = 0; i < Columns * kDepth / kThreads; ++i) {
      const int at = threadIdx.x + i * kThreads, row = at / Columns;
      const int64_t n = column + at % Columns;
      b[i] = row < depth && n < p.stored ? p.weight[(first + row) * p.stored + n] : 0.0f;
    }
  }
  SDGEN_DEVICE void write(ProductTile<Rows, Columns>& tile) const {
#pragma unroll
    for (int i = 0; i < Rows * kDepth / kThreads; ++i) tile.a[threadIdx.x % kDepth][threadIdx.x / kDepth + i * (kThreads / kDepth)] = a[i];
#pragma unroll
    for (int i = 0; i < Columns * kDepth / kThreads; ++i) {
      const int at = threadIdx.x + i * kThreads;
      tile.b[at / Columns][at % Columns] = b[i];
    }
  }
};

/// The tile's rows and columns that a thread owns: groups of four, 64 apart.
template <int Rows, int Columns>
struct Square {
  static constexpr int kRows = Rows / 16, kColumns = Columns / 16;
  SDGEN_DEVICE static int row(int i) { return i / 4 * 64 + static_cast<int>(threadIdx.x) / 16 * 4 + i % 4; }
  SDGEN_DEVICE static int column(int j) { return j / 4 * 64 + static_cast<int>(threadIdx.x) % 16 * 4 + j % 4; }
  float value[kRows][kColumns];

  SDGEN_DEVICE void clear() {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
#pragma unroll
      for (int j = 0; j < kColumns; ++j) value[i][j] = 0.0f;
    }
  }
  SDGEN_DEVICE void add_products(const ProductTile<Rows, Columns>& tile, int k) {
    float a[kRows], b[kColumns];
#pragma unroll
    for (int i = 0; i < kRows; ++i) a[i] = tile.a[k][row(i)];
#pragma unroll
    for (int j = 0; j < kColumns; ++j) b[j] = tile.b[k][column(j)];
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
#pragma unroll
      for (int j = 0; j < kColumns; ++j) value[i][j] = math::fma(a[i], b[j], value[i][j]);
    }
  }
  /// total = chunk for the first one, else total + chunk.
  SDGEN_DEVICE void take(const Square& chunk, bool first) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
#pragma unroll
      for (int j = 0; j < kColumns; ++j) value[i][j] = first ? chunk.value[i][j] : value[i][j] + chunk.value[i][j];
    }
  }
};

SDGEN_DEVICE float finish(const ProductParams& p, float y, int64_t row, int64_t n) {
  if (p.bias != nullptr) y += p.bias[n];
  if (p.channel_add != nullptr) y += p.channel_add[row / (static_cast<int64_t>(p.out_h) * p.out_w) * p.n + n];
  y = activate(p.activation, y);
  if (p.residual != nullptr) y += p.residual[row * p.n + n];
  return y;
}

template <int Rows, int Columns>
SDGEN_DEVICE void product(const ProductParams& p) {
  auto& tile = shared_as<ProductTile<Rows, Columns>>();
  const int64_t first_row = static_cast<int64_t>(blockIdx.x) * Rows, first_column = static_cast<int64_t>(blockIdx.y) * Columns;
  find_rows(p, tile, first_row);
  __syncthreads();

  Square<Rows, Columns> total, chunk;
  total.clear();
  chunk.clear();
  const int length = p.kernel * p.channels;
  Piece<Rows, Columns> piece;
  piece.read(p, tile, 0, 0, length < kDepth ? length : kDepth, first_column);
  bool first = true;
  for (int kh = 0, k = 0; kh < p.kernel;) {
    const int left = length - k, depth = left < kDepth ? left : kDepth;
    piece.write(tile);
    __syncthreads();
    const int next_kh = left > kDepth ? kh : kh + 1, next_k = left > kDepth ? k + kDepth : 0;
    if (next_kh < p.kernel) {
      const int next_left = length - next_k;
      piece.read(p, tile, next_kh, next_k, next_left < kDepth ? next_left : kDepth, first_column);
    }
    if (depth == kDepth) {
#pragma unroll 4
      for (int i = 0; i < kDepth; ++i) chunk.add_products(tile, i);
    } else {
      for (int i = 0; i < depth; ++i) chunk.add_products(tile, i);
    }
    if (next_k % kChunk == 0) {
      total.take(chunk, first);
      chunk.clear();
      first = false;
    }
    __syncthreads();
    kh = next_kh;
    k = next_k;
  }
#pragma unroll
  for (int i = 0; i < Square<Rows, Columns>::kRows; ++i) {
    const int64_t row = first_row + total.row(i);
#pragma unroll
    for (int j = 0; j < Square<Rows, Columns>::kColumns; ++j) {
      const int64_t n = first_column + total.column(j);
      if (row < p.rows && n < p.n) p.y[row * p.n + n] = finish(p, total.value[i][j], row, n);
    }
  }
}

}  // namespace
}  // namespace sdgen::cuda::exact

SDGEN_KERNEL(exact_product_128, sdgen::cuda::exact::ProductParams, 256, 1) { sdgen::cuda::exact::product<128, 128>(p); }
SDGEN_KERNEL(exact_product_64, sdgen::cuda::exact::ProductParams, 256, 2) { sdgen::cuda::exact::product<64, 64>(p); }
