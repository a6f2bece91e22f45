#pragma once
// Arguments of the fp16 kernels: halves in memory, float32 for every sum, norm and softmax. Pointers are to device memory.
#include "backends/cuda/device.h"
#include "graph/ops/activation.h"

namespace sdgen::cuda::fast {

using Half = uint16_t;

/// y = product of x with the weight, then the epilogue. A linear is a 1×1 convolution of one row of pixels.
/// k runs over (kh, kw, c) with c padded to a multiple of 8, in steps of 32; see kStep.
struct ProductParams {
  const Half* x;             // [images, in_h, in_w, channels]
  const Half* weight;        // [n][stored_k], zeros beyond the weight's own values
  const float* bias;         // [n] or null
  const float* channel_add;  // [images][n] or null
  const Half* residual;      // as y or null
  Half* y;                   // [images, out_h, out_w, columns], or null and
  float* y32;
  float* partial;            // [splits][rows][n]: sums alone, for the finishing kernel; or null
  int64_t rows;              // images * out_h * out_w
  int32_t n, columns;        // outputs of the product; of y: n, or n / 2 with geglu
  int32_t channels, stored_channels, stored_k, kernel, stride, pad;
  int32_t in_h, in_w, out_h, out_w;
  int32_t splits, steps_per_split;
  Activation activation;
  bool geglu;                // y = first half times gelu(second half)
};

inline constexpr int kStep = 32;    // values of k that a stage holds
inline constexpr int kStages = 3;
inline constexpr int kPitch = kStep + 8;  // halves between rows in shared memory: no two rows of eight share a bank

/// A block's tile of outputs and how its warps share it.
template <int Rows_, int Columns_, int WarpRows_, int WarpColumns_>
struct Tile {
  static constexpr int kRows = Rows_, kColumns = Columns_;
  static constexpr int kWarpRows = WarpRows_, kWarpColumns = WarpColumns_;  // of outputs a warp
  static constexpr int kThreads = kRows / kWarpRows * (kColumns / kWarpColumns) * 32;
  struct Shared {
    Half a[kStages][kRows][kPitch], b[kStages][kColumns][kPitch];
    int64_t image[kRows];
    int32_t top[kRows], left[kRows];
  };
};
using LargeTile = Tile<128, 128, 64, 32>;
using MiddleTile = Tile<128, 64, 32, 32>;
using SmallTile = Tile<64, 64, 32, 32>;
inline constexpr Kernel<ProductParams> kProductLarge{"fast_product_large", LargeTile::kThreads, sizeof(LargeTile::Shared)};
inline constexpr Kernel<ProductParams> kProductMiddle{"fast_product_middle", MiddleTile::kThreads, sizeof(MiddleTile::Shared)};
inline constexpr Kernel<ProductParams> kProductSmall{"fast_product_small", SmallTile::kThreads, sizeof(SmallTile::Shared)};
/// Adds the splits' sums in order and applies the epilogue.
inline constexpr Kernel<ProductParams> kFinishProduct{"fast_finish_product", 256};

inline constexpr int kPixelBlock = 128;
struct GroupNormParams {
  const Half* x;      // [images, pixels, channels]
  const float* gain;
  const float* bias;
  Half* y;
  float* sums;        // [images, blocks, channels]
  float* squares;     // likewise: of the distances from the block's own mean
  float* scale;       // [images, channels]
  float* shift;
  int64_t pixels;
  int32_t images, blocks, channels, groups;
  float eps;
  bool silu;
};
inline constexpr unsigned kGroupThreads = 256;
inline constexpr Kernel<GroupNormParams> kGroupSums{"fast_group_norm_sums", 64};
inline constexpr Kernel<GroupNormParams> kGroupScale{"fast_group_norm_scale", kGroupThreads, kGroupThreads * sizeof(float)};
inline constexpr Kernel<GroupNormParams> kGroupApply{"fast_group_norm_apply", 256};

struct LayerNormParams {
  const Half* x;
  const float* gain;
  const float* bias;
  Half* y;
  int64_t rows;
  int32_t channels;
  float eps;
};
inline constexpr int kLayerNormRows = 4;  // a block, a warp each
inline constexpr Kernel<LayerNormParams> kLayerNorm{"fast_layer_norm", 32 * kLayerNormRows};

struct AttentionParams {
  const Half* q;  // [images, queries, width]
  const Half* k;  // [images, keys, width]
  const Half* v;
  Half* out;
  int32_t queries, keys, heads, size, width;
  float c;  // log2(e) / sqrt(size)
  bool causal;
};
inline constexpr int kQueries = 64, kKeys = 64;  // a block's, a step's; a warp has 16 queries
inline constexpr unsigned kAttentionThreads = 128;
/// Values of a head that a block makes and that come into shared memory at once. Rows are 16 bytes longer than their values.
template <int Values>
struct AttentionTile {
  Half q[kQueries][Values + 8], k[kKeys][Values + 8], v[kKeys][Values + 8];
};
inline constexpr Kernel<AttentionParams> kAttention48{"fast_attention_48", kAttentionThreads, sizeof(AttentionTile<48>)};
inline constexpr Kernel<AttentionParams> kAttention64{"fast_attention_64", kAttentionThreads, sizeof(AttentionTile<64>)};
inline constexpr Kernel<AttentionParams> kAttention80{"fast_attention_80", kAttentionThreads, sizeof(AttentionTile<80>)};
inline constexpr Kernel<AttentionParams> kAttention128{"fast_attention_128", kAttentionThreads, sizeof(AttentionTile<128>)};
inline constexpr Kernel<AttentionParams> kAttention160{"fast_attention_160", kAttentionThreads, sizeof(AttentionTile<160>)};

struct ElementParams {
  const Half* a;
  const Half* b;
  Half* y;
  int64_t count;
  float factor;
  Activation activation;
};
inline constexpr unsigned kElementThreads = 256;
inline constexpr Kernel<ElementParams> kActivate{"fast_activation", kElementThreads};
inline constexpr Kernel<ElementParams> kAdd{"fast_add", kElementThreads};
inline constexpr Kernel<ElementParams> kScale{"fast_scale", kElementThreads};

struct StoreParams {
  const float* f32;  // one of the two
  const Half* f16;
  float* y32;        // one of the two
  Half* y16;
  int64_t count;
};
inline constexpr Kernel<StoreParams> kStore{"fast_store", kElementThreads};

struct ChannelParams {
  const Half* a;
  const Half* b;
  Half* y;
  int64_t count;  // of y
  int32_t a_channels, b_channels;
};
inline constexpr Kernel<ChannelParams> kConcat{"fast_concat", kElementThreads};
inline constexpr Kernel<ChannelParams> kGeglu{"fast_geglu", kElementThreads};  // of a; a_channels: of y

struct ResizeParams {
  const Half* x;
  Half* y;
  int64_t count;  // of y
  int32_t in_h, in_w, out_h, out_w, channels;
};
inline constexpr Kernel<ResizeParams> kResize{"fast_resize_nearest", kElementThreads};

}  // namespace sdgen::cuda::fast
