#pragma once
// Arguments of the fp32 kernels, which compute in the order of docs/numerics.md. All pointers are to device memory.
#include "backends/cuda/device.h"
#include "graph/ops/activation.h"

namespace sdgen::cuda::exact {

/// y = product of x with the weight, then the epilogue. A linear is a 1×1 convolution of one row of pixels.
struct ProductParams {
  const float* x;            // [images, in_h, in_w, channels]
  const float* weight;       // [kernel * kernel * channels][stored]
  const float* bias;         // [n] or null
  const float* channel_add;  // [images][n] or null
  const float* residual;     // as y or null
  float* y;                  // [images, out_h, out_w, n]
  int64_t rows;              // images * out_h * out_w
  int32_t n, stored;
  int32_t channels, kernel, stride, pad;
  int32_t in_h, in_w, out_h, out_w;
  Activation activation;
};

inline constexpr int kDepth = 16;   // values of k that a step brings into shared memory
inline constexpr int kChunk = 320;  // the contract's; a multiple of kDepth
template <int Rows, int Columns>
struct ProductTile {
  int64_t image[Rows];            // first value of the row's image in x
  int32_t top[Rows], left[Rows];  // of the row's first tap; top is far outside for rows beyond the last
  float a[kDepth][Rows + 4];
  float b[kDepth][Columns];
};
inline constexpr Kernel<ProductParams> kProduct128{"exact_product_128", 256, sizeof(ProductTile<128, 128>)};
inline constexpr Kernel<ProductParams> kProduct64{"exact_product_64", 256, sizeof(ProductTile<64, 64>)};

inline constexpr int kPixelBlock = 128;
/// Sums of one block of pixels of every channel: of x, or of the squared distances from the group's mean.
struct BlockSumsParams {
  const float* x;      // [images, pixels, channels]
  const float* means;  // [images, groups] or null
  float* sums;         // [images, blocks, channels]
  int64_t pixels;
  int32_t channels, groups;
};
inline constexpr Kernel<BlockSumsParams> kBlockSums{"exact_group_norm_sums", 64};

/// One group: its total, and from it the mean (first pass) or the scale and shift of its channels (second).
struct GroupTotalsParams {
  const float* sums;   // [images, blocks, channels]
  float* totals;       // [images, channels]
  float* means;        // [images, groups]
  const float* gain;   // null in the first pass
  const float* bias;
  float* scale;        // [images, channels]
  float* shift;
  int32_t blocks, channels, groups;
  float count, eps;
};
inline constexpr Kernel<GroupTotalsParams> kGroupTotals{"exact_group_norm_totals", 64, sizeof(float)};

struct ScaleShiftParams {
  const float* x;
  const float* scale;  // [images, channels]
  const float* shift;
  float* y;
  int64_t count, per_image;  // elements
  int32_t channels;
  bool silu;
};
inline constexpr Kernel<ScaleShiftParams> kScaleShift{"exact_group_norm_apply", 256};

struct LayerNormParams {
  const float* x;
  const float* gain;
  const float* bias;
  float* y;
  int64_t rows;
  int32_t channels;
  float eps;
};
inline constexpr int kLayerNormRows = 4;  // a block, a warp each
inline constexpr Kernel<LayerNormParams> kLayerNorm{"exact_layer_norm", 32 * kLayerNormRows};

struct AttentionParams {
  const float* q;  // [images, queries, width]
  const float* k;  // [images, keys, width]
  const float* v;
  float* out;
  int32_t queries, keys, heads, size, width;
  float c;  // log2(e) / sqrt(size)
  bool causal;
};
inline constexpr int kQueries = 64, kKeys = 64;  // a block's, a step's (the contract's)
template <int Values>
struct AttentionTile {
  float q[kDepth][kQueries + 4], k[kDepth][kKeys + 4];
  float v[kDepth][Values];
  float s[kQueries][kKeys + 1];  // scores, then powers
  float mc[kQueries], alpha[kQueries], inverse[kQueries];
  int32_t seen[kQueries];  // keys of this step that the query sees
};
// By the values of a head that one block makes; blockIdx.z walks over the head's slices.
inline constexpr Kernel<AttentionParams> kAttention48{"exact_attention_48", 256, sizeof(AttentionTile<48>)};
inline constexpr Kernel<AttentionParams> kAttention64{"exact_attention_64", 256, sizeof(AttentionTile<64>)};
inline constexpr Kernel<AttentionParams> kAttention80{"exact_attention_80", 256, sizeof(AttentionTile<80>)};

struct ElementParams {
  const float* a;
  const float* b;
  float* y;
  int64_t count;
  float factor;
  Activation activation;
};
inline constexpr unsigned kElementThreads = 256;
inline constexpr Kernel<ElementParams> kActivate{"exact_activation", kElementThreads};
inline constexpr Kernel<ElementParams> kAdd{"exact_add", kElementThreads};
inline constexpr Kernel<ElementParams> kScale{"exact_scale", kElementThreads};

struct ChannelParams {
  const float* a;
  const float* b;
  float* y;
  int64_t count;        // of y
  int32_t a_channels, b_channels;
};
inline constexpr Kernel<ChannelParams> kConcat{"exact_concat", kElementThreads};
inline constexpr Kernel<ChannelParams> kGeglu{"exact_geglu", kElementThreads};  // of a; a_channels: of y

struct ResizeParams {
  const float* x;
  float* y;
  int64_t count;  // of y
  int32_t in_h, in_w, out_h, out_w, channels;
};
inline constexpr Kernel<ResizeParams> kResize{"exact_resize_nearest", kElementThreads};

struct TokenParams {
  const int32_t* ids;
  const float* token;
  const float* position;
  float* y;
  int64_t count;  // of y
  int32_t tokens, width;
};
inline constexpr Kernel<TokenParams> kTokens{"exact_token_embedding", kElementThreads};

struct TimestepParams {
  const float* t;
  float* y;
  int64_t count;  // images * half
  int32_t half;
};
inline constexpr Kernel<TimestepParams> kTimestep{"exact_timestep_embedding", kElementThreads};

}  // namespace sdgen::cuda::exact
