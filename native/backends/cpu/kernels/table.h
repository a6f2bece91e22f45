#pragma once
// What one instruction set offers: plain functions over plain memory. The code around them (sharing work among threads,
// choosing blocks) is the same for all levels and never compiled for one.
#include <cstdint>

#include "backends/cpu/kernels/storage.h"
#include "graph/ops/activation.h"

namespace sdgen::cpu {

/// The contract's chunk of k. bf16 has no contract and takes twice as many, which are as many bytes.
inline constexpr int64_t kChunk = 320;

/// Rows of a block of products by vectors: its chunk of the left operand and its totals stay in the second-level cache.
inline constexpr int64_t kVectorBlockRows = 128;
inline constexpr int64_t kMostBlockRows = 512;  // any kernels'

/// Rows of a left operand, `row_stride` (of the block) apart, and where their results go.
struct Tile {
  int64_t a;                 // elements from the block's left operand to the first row's first value
  int64_t row;               // of the output
  int32_t rows;              // 1 … max_rows
  const float* channel_add;  // [N] of these rows' image, or null
};

/// A weight in panels: see packing.h.
struct Matrix {
  const void* data;
  int64_t n, half;           // outputs; those of the first half when the halves begin panels of their own, else n
  int64_t stretches, length; // k = stretches × length
};

/// Rows × columns of a product and what follows it.
struct ProductBlock {
  const void* a;
  int64_t row_stride;      // elements between a tile's rows
  int64_t stretch_stride;  // elements between the stretches that a row is summed over
  const Tile* tiles;
  int64_t tile_count;
  Matrix weight;
  int64_t begin, end;      // columns; `begin` begins a panel, `end` ends one or is n
  bool geglu;              // columns lie in the first half; each is multiplied by gelu of its twin in the second
  float* totals;           // [rows of all tiles][(geglu ? 2 : 1) · padded columns]

  const float* bias;       // [N padded to whole panels], or null
  Activation activation;
  const void* residual;    // [.., N] in the output's storage, or null
  void* out;
  int64_t out_stride;      // elements between output rows
};

/// Pixels of a convolution with stride 1 and at most kMostNarrow outputs.
inline constexpr int64_t kMostNarrow = 4;
struct NarrowBlock {
  const void* a;           // the first pixel's first tap
  int64_t row_stride;      // elements between the picture's rows
  int64_t channels, kernel, outputs;
  int64_t rows, pixels;    // pixels: of a row, at most narrow_pixels
  Matrix weight;           // one panel
  const float* bias;       // [outputs], or null
  void* out;
  int64_t out_stride;      // elements between output rows
  void* scratch;           // narrow_scratch(kernel, channels, outputs) bytes
};

/// Queries of one head over all keys. q and out: rows `stride` elements apart. k and v are packed as the storage type's
/// geometry says: keys [keys][size], their size filled up to k_step; values [keys / value_keys][size][value_keys], filled up
/// to whole groups and to value_rows of the size. What is filled up is zero.
struct AttentionBlock {
  const void *q, *k, *v;
  void* out;
  int64_t q_stride, out_stride;
  int64_t size;            // of the head
  int64_t first, queries;  // of the sequence: q and out point to query `first`
  int64_t keys;
  float c;                 // log2(e)/√size
  bool causal;
  void* scratch;           // attention_scratch(size) bytes
};

/// Channels and storage of pixel rows that a norm reads and writes.
struct Rows {
  const void* x;
  int64_t rows, channels;
};

/// The shapes that a storage type's products work in: see packing.h.
struct Geometry {
  int max_vectors;  // of a panel
  int max_rows;     // of a tile
  int64_t block_rows;  // rows that a product is given at once, at most kMostBlockRows
  int k_step;       // a packed stretch's length is a multiple
  int queries;      // of attention at once
  int value_keys;   // packed values come in groups of so many keys
  int value_rows;   // and of so many values of a head
};

/// One storage type's kernels. `In` and `out` are of that type, sums and parameters float32.
struct StorageKernels {
  Geometry geometry;
  void (*product)(const ProductBlock& block);           // output in the same storage
  void (*product_to_f32)(const ProductBlock& block);    // output float32, no residual
  int64_t narrow_pixels;                                // 0: few outputs are best done as many are
  int64_t (*narrow_scratch)(int64_t kernel, int64_t channels, int64_t outputs);
  void (*narrow)(const NarrowBlock& block);
  void (*narrow_to_f32)(const NarrowBlock& block);
  int64_t (*attention_scratch)(int64_t size);
  void (*attention)(const AttentionBlock& block);
  /// Group norm's sums over up to 128 pixels; `means` null: of x, else of (x − mean)².
  void (*channel_sums)(const Rows& rows, const float* means, float* sums);
  /// y = x·scale + shift, with SiLU if asked.
  void (*scale_shift)(const Rows& rows, const float* scale, const float* shift, bool silu, void* y);
  void (*layer_norm)(const Rows& rows, float eps, const float* gain, const float* bias, void* y);
  void (*activate)(Activation kind, const void* x, int64_t count, void* y);
  /// [rows, 2·channels] → [rows, channels].
  void (*geglu)(const Rows& rows, void* y);
  void (*add)(const void* a, const void* b, int64_t count, void* y);
  void (*scale)(const void* x, float factor, int64_t count, void* y);
  void (*from_f32)(const float* x, int64_t count, void* y);
  void (*to_f32)(const void* x, int64_t count, float* y);
};

struct KernelTable {
  int lanes;  // of a vector
  StorageKernels f32;
  const StorageKernels* bf16;  // null where the processor does not multiply it
};

const KernelTable& portable_kernels();
#ifdef SDGEN_CPU_X86
const KernelTable& avx2_kernels();
const KernelTable& avx512_kernels();
const KernelTable& avx512bf16_kernels();
const KernelTable& amx_kernels();
#endif

}  // namespace sdgen::cpu
