// Opening a checkpoint: what its tensors must be, and where its settings come from.
#include <algorithm>

#include "tiny_model.h"

using namespace sdgen_test;
using sdgen::ErrorCode;
using sdgen::Origin;
using sdgen::PredictionType;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// The message of the refusal, which must have that code.
std::string refusal(const TinyFile& file, ErrorCode code, const sdgen::ModelOverrides& overrides = {}) {
  std::string what;
  CHECK_THROWS(file.open(overrides), code, what);
  return what;
}

}  // namespace

TEST(config_reads_every_dimension_from_the_tensors) {
  const auto engine = TinyFile().open();
  const sdgen::ModelDescription& d = engine->describe();
  CHECK(d.family == "sd1");
  CHECK(d.text.width == 32 && d.text.layers == 2 && d.text.vocabulary == 64 && d.text.positions == 8 &&
        d.text.heads.value == 4);
  CHECK(d.unet.in_channels == 4 && d.unet.model_channels == 32 && d.unet.context_width == 32 &&
        (d.unet.heads.value == std::vector<int64_t>{8, 8}));
  CHECK((d.unet.channel_multipliers == std::vector<double>{1, 2}));
  CHECK(d.vae.channels == 32 && (d.vae.channel_multipliers == std::vector<double>{1, 2}));
  CHECK(d.latent_channels == 4 && d.latent_scale == 2);
  CHECK(d.unused_tensors.empty() && d.renamed.empty());
  CHECK(d.tensor_count == TinyFile().tensors.size() && d.dtypes.at("F32") == static_cast<int64_t>(d.tensor_count));
  int64_t values = 0;
  for (const auto& [part, count] : d.parameters) values += count;
  int64_t bytes = 0;
  for (const auto& tensor : TinyFile().tensors) bytes += static_cast<int64_t>(tensor.data.size());
  CHECK(values * 4 == bytes);
}

TEST(config_reports_all_missing_and_misshapen_tensors_at_once) {
  TinyFile file;
  file.remove("unet.middle_block.0.in_layers.2.weight");
  file.remove("vae.decoder.mid.attn_1.k.bias");
  file.remove("text.encoder.layers.1.mlp.fc2.weight");
  file.reshape("unet.time_embed.2.weight", {128, 127});
  file.reshape("vae.decoder.conv_in.weight", {64, 4, 3, 1});
  file.reshape("text.final_layer_norm.bias", {33});
  const std::string what = refusal(file, ErrorCode::kModelFormat);
  CHECK_MSG(has(what, "6 of "), what);
  CHECK_MSG(has(what, "unet.middle_block.0.in_layers.2.weight is missing (expected [64, 64, 3, 3])"), what);
  CHECK_MSG(has(what, "vae.decoder.mid.attn_1.k.bias is missing (expected [64])"), what);
  CHECK_MSG(has(what, "text.encoder.layers.1.mlp.fc2.weight is missing (expected [32, 64])"), what);
  CHECK_MSG(has(what, "model.diffusion_model.time_embed.2.weight is [128, 127], expected [128, 128]"), what);
  CHECK_MSG(has(what, "first_stage_model.decoder.conv_in.weight is [64, 4, 3, 1], expected [64, 4, 3, 3]"), what);
  CHECK_MSG(has(what, "final_layer_norm.bias is [33], expected [32]"), what);
}

TEST(config_lists_a_bounded_number_of_complaints) {
  TinyFile file;
  std::erase_if(file.tensors, [](const auto& t) {
    return t.name.starts_with("model.diffusion_model.") && t.name.ends_with(".bias");
  });
  const std::string what = refusal(file, ErrorCode::kModelFormat);
  CHECK_MSG(has(what, "\n  and ") && has(what, " more"), what);
  CHECK(std::count(what.begin(), what.end(), '\n') == 25);
}

TEST(config_every_single_tensor_is_needed) {
  TinyFile file;
  for (sdgen::NamedTensor& tensor : file.tensors) {
    const std::string name = std::exchange(tensor.name, "unrelated");
    try {
      file.open();
      CHECK_MSG(false, "opened without " << name);
    } catch (const sdgen::Error& error) {
      const bool expected = error.code() == ErrorCode::kModelFormat || error.code() == ErrorCode::kModelUnsupported;
      CHECK_MSG(expected, name << ": " << error.what());
    }
    tensor.name = name;
  }
}

TEST(config_refuses_integers_where_floats_are_needed) {
  TinyFile file;
  file.tensor("unet.out.2.bias") = {
      file_name("unet.out.2.bias"), sdgen::DType::kI32, {4}, bytes_of<int32_t>({1, 2, 3, 4})};
  const std::string what = refusal(file, ErrorCode::kModelFormat);
  CHECK_MSG(has(what, "model.diffusion_model.out.2.bias has the type I32, expected F32"), what);
}

TEST(config_takes_half_precision_and_convolutions_for_linears) {
  TinyFile file;
  sdgen::NamedTensor& q = file.tensor("unet.input_blocks.1.1.proj_in.weight");
  q.shape = {32, 32, 1, 1};
  file.tensor("unet.out.2.bias") = {
      file_name("unet.out.2.bias"), sdgen::DType::kF16, {4}, bytes_of<uint16_t>({0x3C00, 0, 0, 0})};
  const auto engine = file.open();
  CHECK(engine->describe().dtypes.at("F16") == 1);
  file.tensor("unet.out.2.bias") = f32(file_name("unet.out.2.bias"), {4}, {1, 0, 0, 0});
  q.shape = {32, 32};
  CHECK(same_bits(sample(*engine, tiny_request()).data, sample(*file.open(), tiny_request()).data));
}

TEST(config_refuses_heads_that_do_not_divide) {
  TinyFile file;
  CHECK(has(refusal(file, ErrorCode::kInvalidArgument, {.text_heads = 5}), "5 text heads do not divide a width of 32"));
  CHECK(has(refusal(file, ErrorCode::kInvalidArgument, {.unet_heads = 3}), "3 UNet heads do not divide a width of 32"));
  CHECK(has(refusal(file, ErrorCode::kInvalidArgument, {.unet_heads = 0}), "0 UNet heads"));
  CHECK(has(refusal(file, ErrorCode::kInvalidArgument, {.text_heads = -4}), "-4 text heads"));
  file.metadata["sdgen.unet_heads"] = "7";
  CHECK(has(refusal(file, ErrorCode::kModelFormat), "sdgen.unet_heads"));
  for (const char* text : {"", "x", "4x", "-2", "0", "4.0", " 4", "99999999999999999999"}) {
    file.metadata["sdgen.unet_heads"] = text;
    CHECK_MSG(has(refusal(file, ErrorCode::kModelFormat), "positive whole number"), text);
  }
}

TEST(config_flag_before_metadata_before_default) {
  TinyFile file;
  file.metadata.clear();
  const auto origins = [](const sdgen::ModelDescription& d) {
    return std::array{d.prediction_type.origin, d.text.heads.origin, d.unet.heads.origin, d.scale_factor.origin};
  };
  const auto all = [](Origin origin) { return std::array{origin, origin, origin, origin}; };
  {
    const auto engine = file.open();
    const sdgen::ModelDescription& d = engine->describe();
    CHECK(origins(d) == all(Origin::kDefault));
    CHECK(d.prediction_type.value == PredictionType::kEpsilon && d.text.heads.value == 1 && d.unet.heads.value[0] == 8 &&
          d.scale_factor.value == 0.18215);
  }
  file.metadata = {{"sdgen.prediction_type", "v"},
                   {"sdgen.text_heads", "2"},
                   {"sdgen.unet_heads", "4"},
                   {"sdgen.scale_factor", "0.25"}};
  {
    const auto engine = file.open();
    const sdgen::ModelDescription& d = engine->describe();
    CHECK(origins(d) == all(Origin::kMetadata));
    CHECK(d.prediction_type.value == PredictionType::kVPrediction && d.text.heads.value == 2 &&
          d.unet.heads.value[0] == 4 && d.scale_factor.value == 0.25);
  }
  const auto engine =
      file.open({.prediction_type = PredictionType::kEpsilon, .text_heads = 8, .unet_heads = 16, .scale_factor = 0.5});
  const sdgen::ModelDescription& d = engine->describe();
  CHECK(origins(d) == all(Origin::kFlag));
  CHECK(d.prediction_type.value == PredictionType::kEpsilon && d.text.heads.value == 8 && d.unet.heads.value[1] == 16 &&
        d.scale_factor.value == 0.5);
}

TEST(config_prediction_type_and_scale_from_metadata) {
  TinyFile file;
  for (const char* key : {"modelspec.prediction_type", "sdgen.prediction_type"}) {
    for (const auto& [text, type] : {std::pair{"epsilon", PredictionType::kEpsilon},
                                     {"v", PredictionType::kVPrediction},
                                     {"v_prediction", PredictionType::kVPrediction}}) {
      TinyFile named;
      named.metadata[key] = text;
      CHECK(named.open()->describe().prediction_type.value == type);
    }
    TinyFile unknown;
    unknown.metadata[key] = "sample";
    const std::string what = refusal(unknown, ErrorCode::kModelUnsupported);
    CHECK_MSG(has(what, key) && has(what, "'sample'") && has(what, "epsilon, v_prediction"), what);
    CHECK(unknown.open({.prediction_type = PredictionType::kEpsilon})->describe().prediction_type.origin ==
          Origin::kFlag);
  }
  for (const char* text : {"", "no", "0", "-1", "1e-9", "1e9", "nan", "inf", "0.18215x"}) {
    file.metadata["sdgen.scale_factor"] = text;
    CHECK_MSG(has(refusal(file, ErrorCode::kModelFormat), "scale factor"), text);
  }
  for (const double factor : {0.0, -1.0, std::nan(""), 1e7}) {
    CHECK(has(refusal(TinyFile(), ErrorCode::kInvalidArgument, {.scale_factor = factor}), "scale factor"));
  }
}

TEST(config_settings_change_the_picture) {
  const TinyFile file;
  const sdgen::Latent plain = sample(*file.open(), tiny_request());
  CHECK(!same_bits(plain.data,
                   sample(*file.open({.prediction_type = PredictionType::kVPrediction}), tiny_request()).data));
  CHECK(!same_bits(plain.data, sample(*file.open({.unet_heads = 4}), tiny_request()).data));
  const auto decoded = [&](double scale) {
    return file.open({.scale_factor = scale})->decode({plain}, {}, nullptr)[0].rgb;
  };
  CHECK(decoded(0.18215) != decoded(0.9));
}

TEST(config_refuses_two_tensors_for_one_name) {
  TinyFile file;
  sdgen::NamedTensor copy = file.tensor("unet.out.2.bias");
  copy.name = "diffusion_model.out.2.bias";
  file.tensors.push_back(copy);
  const std::string what = refusal(file, ErrorCode::kModelFormat);
  CHECK_MSG(has(what, "model.diffusion_model.out.2.bias") && has(what, "'diffusion_model.out.2.bias'") &&
                has(what, "unet.out.2.bias"),
            what);
}

TEST(config_lists_unused_and_renamed_tensors) {
  TinyFile file;
  file.tensors.push_back(f32("betas", {2}, {1, 2}));
  file.tensors.push_back(f32("first_stage_model.encoder.conv_in.weight", {1}, {1}));
  file.tensor("vae.decoder.mid.attn_1.q.weight").name = "first_stage_model.decoder.mid.attn_1.to_q.weight";
  file.tensor("text.final_layer_norm.bias").name = "cond_stage_model.transformer.final_layer_norm.bias";
  const auto engine = file.open();
  const sdgen::ModelDescription& d = engine->describe();
  std::vector<std::string> unused = d.unused_tensors;
  std::sort(unused.begin(), unused.end());
  CHECK((unused == std::vector<std::string>{"betas", "first_stage_model.encoder.conv_in.weight"}));
  CHECK((d.renamed == std::map<std::string, std::string>{
                          {"first_stage_model.decoder.mid.attn_1.to_q.weight", "vae.decoder.mid.attn_1.q.weight"},
                          {"cond_stage_model.transformer.final_layer_norm.bias", "text.final_layer_norm.bias"}}));
  CHECK(same_bits(sample(*engine, tiny_request()).data, sample(*TinyFile().open(), tiny_request()).data));
}

TEST(config_names_what_another_kind_of_file_looks_like) {
  TinyFile file;
  file.metadata.clear();
  const std::pair<const char*, const char*> kinds[] = {{"conditioner.embedders.0.x", "SDXL"},
                                                       {"cond_stage_model.model.x", "SD 2.x checkpoint that lacks"},
                                                       {"lora_unet_x", "LoRA"},
                                                       {"control_model.x", "ControlNet"},
                                                       {"nothing", "unknown names"}};
  for (const auto& [name, kind] : kinds) {
    file.tensors = {f32(name, {1}, {1})};
    CHECK_MSG(has(refusal(file, ErrorCode::kModelUnsupported), kind), kind);
  }
}

TEST(config_refuses_other_input_channels) {
  TinyFile file;
  file.reshape("unet.input_blocks.0.0.weight", {32, 6, 3, 3});
  CHECK(has(refusal(file, ErrorCode::kModelUnsupported), "6 input channels"));
}

TEST(config_survives_impossible_dimensions) {
  const std::vector<int64_t> shapes[] = {{}, {0}, {1}, {0, 32, 3, 3}, {32, 0}};
  TinyFile file;
  for (size_t i = 0; i < file.tensors.size(); ++i) {
    const std::vector<int64_t>& shape = shapes[i % std::size(shapes)];
    const bool empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
    const sdgen::NamedTensor whole =
        std::exchange(file.tensors[i], f32(file.tensors[i].name, shape, empty ? Floats{} : Floats{1.0f}));
    try {
      file.open();
      CHECK_MSG(false, "opened with an impossible " << whole.name);
    } catch (const sdgen::Error& error) {
      const bool expected = error.code() == ErrorCode::kModelFormat || error.code() == ErrorCode::kModelUnsupported;
      CHECK_MSG(expected, whole.name << ": " << error.what());
    }
    file.tensors[i] = whole;
  }
}
