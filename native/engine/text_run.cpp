#include "engine/text_run.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/fp_environment.h"
#include "models/clip.h"

namespace sdgen {
namespace {

using Features = std::vector<float>;
struct Window {
  Features features;  // [positions, width]
  Features pooled;    // empty where nothing asks for it
};
using Windows = std::map<std::vector<int32_t>, Window>;  // by tokens

/// Fills the features of all windows, a few windows at once.
void encode_windows(ModelRunner& runner, const TextConfig& config, int clip_skip, Windows& windows, const RunControl& control) {
  std::vector<Windows::iterator> todo;
  for (auto at = windows.begin(); at != windows.end(); ++at) todo.push_back(at);
  const auto each = static_cast<size_t>(config.positions * config.width);
  for (size_t first = 0; first < todo.size();) {
    const size_t count = std::min(todo.size() - first, static_cast<size_t>(kWindowsAtOnce));
    LoadedProgram program = runner.load(build_clip_text(config, static_cast<int64_t>(count), clip_skip), control.cancel);
    // The same program as long as there are as many windows left.
    for (; todo.size() - first >= count; first += count) {
      std::vector<int32_t> ids;
      for (size_t i = 0; i < count; ++i) ids.insert(ids.end(), todo[first + i]->first.begin(), todo[first + i]->first.end());
      program.upload("ids", ids.data(), static_cast<int64_t>(ids.size() * sizeof(int32_t)));
      runner.run(program, control);
      const VectorView out = program.vector("text.out");
      for (size_t i = 0; i < count; ++i) {
        Features& features = todo[first + i]->second.features;
        features.resize(each);
        runner.backend().download(*out.buffer, static_cast<int64_t>(i * each * sizeof(float)), features.data(),
                                  static_cast<int64_t>(each * sizeof(float)));
      }
      if (!config.pools) continue;
      const std::vector<float> pooled = pool_text(runner, config, program, ids, control);
      const size_t width = pooled.size() / count;
      for (size_t i = 0; i < count; ++i) {
        const auto begin = pooled.begin() + static_cast<std::ptrdiff_t>(i * width);
        todo[first + i]->second.pooled.assign(begin, begin + static_cast<std::ptrdiff_t>(width));
      }
    }
  }
}

double sum(const float* values, size_t count) {
  double total = 0;
  for (size_t i = 0; i < count; ++i) total += static_cast<double>(values[i]);
  return total;
}

/// The webui's "Original" emphasis of chunk `at` of a group's texts: each token's features times its weight, then the
/// mean over all of them restored.
void emphasise(std::vector<Conditioning>& encoded, const std::vector<Text>& texts, size_t at, bool restore_mean) {
  const auto is_plain = [&](const Text& text) {
    const std::vector<float>& weights = text.chunks[at].weights;
    return std::all_of(weights.begin(), weights.end(), [](float w) { return w == 1.0f; });
  };
  if (std::all_of(texts.begin(), texts.end(), is_plain)) return;
  const auto width = static_cast<size_t>(encoded[0].width), count = texts[0].chunks[at].weights.size() * width;
  double before = 0, after = 0, values = 0;
  for (size_t k = 0; k < texts.size(); ++k) {
    float* features = encoded[k].data.data() + at * count;
    const auto repeats = static_cast<double>(texts[k].count);
    before += repeats * sum(features, count);
    for (size_t i = 0; i < count; ++i) features[i] *= texts[k].chunks[at].weights[i / width];
    after += repeats * sum(features, count);
    values += repeats * static_cast<double>(count);
  }
  if (!restore_mean) return;
  const auto restore = static_cast<float>((before / values) / (after / values));
  for (Conditioning& conditioning : encoded) {
    float* features = conditioning.data.data() + at * count;
    for (size_t i = 0; i < count; ++i) features[i] *= restore;
  }
}

std::vector<Conditioning> assemble(const std::vector<Text>& texts, const Windows& windows, const TextConfig& config, bool restore_mean) {
  std::vector<Conditioning> encoded;
  for (const Text& text : texts) {
    // As in SDXL a long text is pooled by its first window.
    Conditioning conditioning{{}, static_cast<int64_t>(text.chunks.size()) * config.positions, config.width, windows.at(text.chunks[0].tokens).pooled};
    for (const Chunk& chunk : text.chunks) {
      const Features& features = windows.at(chunk.tokens).features;
      conditioning.data.insert(conditioning.data.end(), features.begin(), features.end());
    }
    encoded.push_back(std::move(conditioning));
  }
  for (size_t at = 0; at < texts[0].chunks.size(); ++at) emphasise(encoded, texts, at, restore_mean);
  for (const Conditioning& conditioning : encoded) {
    const auto is_finite = [](const Features& values) { return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); }); };
    if (!is_finite(conditioning.data) || !is_finite(conditioning.pooled)) {
      throw Error(ErrorCode::kNonFinite, "the text encoder gave a value that is not a finite number");
    }
  }
  return encoded;
}

}  // namespace

std::vector<float> pool_text(ModelRunner& runner, const TextConfig& config, const LoadedProgram& program, std::span<const int32_t> ids,
                             const RunControl& control) {
  const VectorView last = program.vector(program.program().value(program.program().outputs.back()).name);
  const auto window = static_cast<size_t>(config.positions), width = static_cast<size_t>(config.width);
  const size_t windows = ids.size() / window;
  std::vector<float> pooled(windows * width);
  for (size_t i = 0; i < windows; ++i) {
    const auto tokens = ids.subspan(i * window, window);
    const auto end = static_cast<size_t>(std::max_element(tokens.begin(), tokens.end()) - tokens.begin());
    runner.backend().download(*last.buffer, static_cast<int64_t>((i * window + end) * width * sizeof(float)), &pooled[i * width],
                              static_cast<int64_t>(width * sizeof(float)));
  }
  if (config.projection == 0) return pooled;
  LoadedProgram projection = runner.load(build_text_projection(config, static_cast<int64_t>(windows)), control.cancel);
  projection.upload("pooled", pooled.data(), static_cast<int64_t>(pooled.size() * sizeof(float)));
  runner.run(projection, control);
  const VectorView out = projection.vector("text.projected");
  pooled.resize(static_cast<size_t>(out.count));
  runner.backend().download(*out.buffer, 0, pooled.data(), out.count * static_cast<int64_t>(sizeof(float)));
  return pooled;
}

std::vector<std::vector<Conditioning>> run_text(ModelRunner& runner, const TextConfig& config, const TextRequest& request,
                                                const RunControl& control) {
  const FpEnvironment environment;
  Windows windows;
  for (const std::vector<Text>& texts : request.groups) {
    for (const Text& text : texts) {
      for (const Chunk& chunk : text.chunks) windows.try_emplace(chunk.tokens);
    }
  }
  encode_windows(runner, config, config.fixed_skip.value_or(request.clip_skip), windows, control);
  std::vector<std::vector<Conditioning>> groups;
  for (const std::vector<Text>& texts : request.groups) groups.push_back(assemble(texts, windows, config, request.restore_mean));
  return groups;
}

}  // namespace sdgen
