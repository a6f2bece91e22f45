// Models whose timestep embedding takes the pooled text too (SDXL's label_emb): against the same model without it.
#include <algorithm>

#include "tiny_model.h"

using namespace sdgen_test;
using sdgen::Chunk;
using sdgen::Conditioning;
using sdgen::ErrorCode;
using sdgen::SampleRequest;

namespace {

constexpr int64_t kWidth = 32;

void set(TinyFile& file, const std::string& name, const std::vector<int64_t>& shape, const Floats& values) {
  file.tensor(name) = f32(file_name(name), shape, values);
}

SampleRequest pooled_request(uint64_t seed) {
  SampleRequest request = tiny_request();
  for (Conditioning& c : request.conditionings) c.pooled = Numbers(seed++).values(kWidth);
  return request;
}

Chunk chunk(std::vector<int32_t> tokens) {
  const std::vector<float> weights(tokens.size(), 1.0f);
  return {std::move(tokens), weights};
}

}  // namespace

TEST(pooled_bias_acts_as_that_of_the_time_embedding) {
  // emb = (W t + 0) + (0·pooled + b) has the bytes of W t + b.
  TinyFile with(kWidth);
  const int64_t width = static_cast<int64_t>(with.tensor("unet.time_embed.2.bias").shape[0]);
  const Floats bias = Numbers(77).values(width), zero(static_cast<size_t>(width), 0.0f);
  set(with, "unet.time_embed.2.bias", {width}, zero);
  set(with, "unet.label_emb.0.2.weight", {width, width}, Floats(static_cast<size_t>(width * width), 0.0f));
  set(with, "unet.label_emb.0.2.bias", {width}, bias);
  TinyFile without = with;
  for (const char* layer : {"0", "2"}) {
    for (const char* kind : {"weight", "bias"}) without.remove(std::string("unet.label_emb.0.") + layer + "." + kind);
  }
  set(without, "unet.time_embed.2.bias", {width}, bias);
  CHECK(same_bits(sample(*with.open(), pooled_request(1)).data, sample(*without.open(), tiny_request()).data));
}

TEST(pooled_features_change_the_picture_and_are_needed) {
  const TinyFile file(kWidth);
  const auto engine = file.open();
  CHECK(engine->describe().unet.pooled_width == kWidth);
  const Floats one = sample(*engine, pooled_request(1)).data;
  CHECK(same_bits(one, sample(*engine, pooled_request(1)).data));
  CHECK(!same_bits(one, sample(*engine, pooled_request(5)).data));
  std::string what;
  CHECK_THROWS(sample(*engine, tiny_request()), ErrorCode::kInvalidArgument, what);
  CHECK(what.find("32 pooled features; got 0") != std::string::npos);
}

TEST(pooled_features_keep_batch_images_equal_to_single_ones) {
  const auto engine = TinyFile(kWidth).open();
  SampleRequest request = pooled_request(1);
  request.seeds = {4, 5};
  request.parts = {{1, {{1000, 0}}}, {0.5, {{1000, 1}}}};
  const Floats both = sample(*engine, request).data;
  request.seeds = {5};
  const Floats second = sample(*engine, request).data;
  CHECK(same_bits(second, Floats(both.begin() + static_cast<std::ptrdiff_t>(second.size()), both.end())));
}

TEST(pooled_features_are_those_of_the_first_end_token) {
  const auto engine = TinyFile(kWidth).open();
  const Chunk first = chunk({60, 3, 5, 63, 63, 63, 63, 63});
  const Conditioning one = encode(*engine, {first});
  const Floats row(one.data.begin() + 3 * kWidth, one.data.begin() + 4 * kWidth);
  CHECK(same_bits(one.pooled, row));
  // Of the first window alone, and whatever the weights say.
  Chunk heavy = first;
  heavy.weights.assign(8, 1.7f);
  const Conditioning two = encode(*engine, {heavy, chunk({60, 9, 63, 63, 63, 63, 63, 63})});
  CHECK(same_bits(two.pooled, row));
}

TEST(pooled_text_of_another_width_is_refused) {
  TinyFile file(kWidth);
  file.reshape("unet.label_emb.0.0.weight", {file.tensor("unet.label_emb.0.0.weight").shape[0], 2816});
  std::string what;
  CHECK_THROWS(file.open(), ErrorCode::kModelUnsupported, what);
  CHECK(what.find("pooled text is 2816 wide but the text encoder gives 32") != std::string::npos);
}
