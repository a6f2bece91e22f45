#include "weights/diffusers_folder.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include "weights/byte_source.h"
#include "weights/joined_store.h"
#include "weights/text_file.h"

namespace sdgen {
namespace {

constexpr uint64_t kMaxConfig = 1 << 20, kMaxShardIndex = 32 << 20;  // bytes
constexpr size_t kMaxShards = 256, kMaxFileName = 255;

/// The stems that weights have in diffusers and in transformers.
constexpr std::array<const char*, 2> kStems = {"diffusion_pytorch_model", "model"};
/// Full precision first: everything is computed from float32 values in the end.
constexpr std::array<const char*, 2> kVariants = {"", ".fp16"};

Error refuse(const std::string& path, const std::string& sentence) { return file_error(ErrorCode::kModelFormat, path, sentence); }

/// Names from a file may not lead out of their folder.
void check_file_name(const std::string& name, const std::string& index) {
  const bool leads_away = name.empty() || name.size() > kMaxFileName || name == "." || name == ".." ||
                          name.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos;
  if (leads_away) throw refuse(index, "names a file \"" + shown(name) + "\" that is not one of its own folder");
  if (!name.ends_with(".safetensors")) throw refuse(index, "names \"" + shown(name) + "\", which is not a .safetensors file");
}

/// The shards that an index lists, each holding what the index says of it.
std::vector<StorePart> open_shards(const std::string& folder, const std::string& index, const std::string& prefix, std::vector<std::string>& files) {
  const JsonValue json = read_json_object(index, kMaxShardIndex);
  const JsonValue* map = member(json, "weight_map");
  if (map == nullptr || map->as_object() == nullptr || map->as_object()->empty()) throw refuse(index, "has no \"weight_map\" of tensors to files");
  std::set<std::string> names;
  for (const JsonMember& entry : *map->as_object()) {
    const std::string* name = entry.value.as_string();
    if (name == nullptr) throw refuse(index, "\"weight_map\" gives no file for \"" + shown(entry.key) + "\"");
    check_file_name(*name, index);
    names.insert(*name);
    if (names.size() > kMaxShards) throw refuse(index, "lists more than " + std::to_string(kMaxShards) + " files");
  }
  std::string missing;
  for (const std::string& name : names) {
    if (!path_exists(folder + "/" + name)) missing += (missing.empty() ? "" : ", ") + name;
  }
  if (!missing.empty()) throw refuse(index, "lists files that are not there: " + missing + "; download the model again");
  std::vector<StorePart> parts;
  std::map<std::string, const WeightStore*> by_name;
  for (const std::string& name : names) {
    parts.push_back({open_safetensors(folder + "/" + name), prefix});
    by_name[name] = parts.back().store.get();
    files.push_back(folder + "/" + name);
  }
  for (const JsonMember& entry : *map->as_object()) {
    const std::string& name = *entry.value.as_string();
    if (by_name.at(name)->find(entry.key) == nullptr) throw refuse(index, "says that " + name + " holds \"" + shown(entry.key) + "\", which it does not");
  }
  return parts;
}

std::vector<StorePart> open_weights(const std::string& folder, const std::string& prefix, std::vector<std::string>& files) {
  for (const char* variant : kVariants) {
    for (const char* stem : kStems) {
      const std::string whole = folder + "/" + stem + variant + ".safetensors";
      if (path_exists(whole)) {
        files.push_back(whole);
        return {{open_safetensors(whole), prefix}};
      }
      // Both orders of variant and suffix are in use.
      for (const std::string& index : {folder + "/" + stem + ".safetensors.index" + variant + ".json",
                                       folder + "/" + stem + variant + ".safetensors.index.json"}) {
        if (!path_exists(index)) continue;
        files.push_back(index);
        return open_shards(folder, index, prefix, files);
      }
    }
  }
  for (const char* pickle : {"diffusion_pytorch_model.bin", "pytorch_model.bin", "diffusion_pytorch_model.fp16.bin", "pytorch_model.fp16.bin"}) {
    if (!path_exists(folder + "/" + pickle)) continue;
    throw file_error(ErrorCode::kModelUnsupported, folder,
                     std::string("its weights are a PyTorch pickle (") + pickle +
                         "), which is not read because unpickling can run code; download the .safetensors version");
  }
  throw refuse(folder, "has no weights; diffusion_pytorch_model.safetensors or model.safetensors (or their .fp16) is needed");
}

/// What decides the pictures beside the weights, where it is there.
void add_existing(std::vector<std::string>& files, const std::string& folder, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (path_exists(folder + "/" + name)) files.push_back(folder + "/" + name);
  }
}

void check_index(const std::string& path) {
  const std::string index = path + "/model_index.json";
  if (!path_exists(index)) {
    throw file_error(ErrorCode::kModelUnsupported, path,
                     "this folder has no model_index.json, so it is not a model of diffusers; give a .safetensors file or such a folder");
  }
  const JsonValue json = read_json_object(index, kMaxConfig);
  const std::string* pipeline = text_member(json, "_class_name");
  if (pipeline == nullptr) throw refuse(index, "has no \"_class_name\"");
  // Pipelines of the same networks are named after the task; another architecture's name says so before "Pipeline".
  constexpr std::array<std::string_view, 3> kBuilt = {"StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "LatentConsistencyModelPipeline"};
  if (std::find(kBuilt.begin(), kBuilt.end(), *pipeline) == kBuilt.end()) {
    throw file_error(ErrorCode::kModelUnsupported, index, "is for a \"" + shown(*pipeline) + "\"; built: SD 1.x and 2.x (StableDiffusionPipeline)");
  }
}

}  // namespace

bool is_folder(const std::string& path) noexcept {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

DiffusersPart open_diffusers_part(const std::string& path, const std::string& prefix) {
  if (!is_folder(path)) throw refuse(path, "this folder is missing; download the model again");
  DiffusersPart part;
  const std::string config = path + "/config.json";
  part.config = read_json_object(config, kMaxConfig);
  part.files.push_back(config);
  part.store = join_stores(open_weights(path, prefix, part.files), path);
  return part;
}

DiffusersFolder open_diffusers_folder(const std::string& path) {
  check_index(path);
  DiffusersFolder folder;
  std::vector<StorePart> stores;
  const auto open_part = [&](const char* name) {
    DiffusersPart part = open_diffusers_part(path + "/" + name, std::string(name) + "/");
    stores.push_back({part.store, ""});
    folder.files.insert(folder.files.end(), part.files.begin(), part.files.end());
    return std::move(part.config);
  };
  folder.unet = open_part("unet");
  folder.vae = open_part("vae");
  folder.text_encoder = open_part("text_encoder");
  folder.store = join_stores(std::move(stores), path);
  const std::string scheduler = path + "/scheduler/scheduler_config.json";
  if (path_exists(scheduler)) {
    folder.scheduler = read_json_object(scheduler, kMaxConfig);
    folder.files.push_back(scheduler);
  }
  add_existing(folder.files, path, {"model_index.json"});
  add_existing(folder.files, path + "/tokenizer", {"vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"});
  std::sort(folder.files.begin(), folder.files.end());
  return folder;
}

}  // namespace sdgen
