#include "bench/bench.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>

#include "backends/registry.h"
#include "base/cpu_info.h"
#include "base/error.h"
#include "base/fp_environment.h"
#include "bench/architectures.h"
#include "bench/call_times.h"
#include "bench/clock.h"
#include "bench/loaded.h"
#include "bench/made_weights.h"
#include "bench/op_shapes.h"
#include "bench/picture.h"
#include "engine/model_runner.h"
#include "engine/open_model.h"
#include "engine/request_check.h"
#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"

namespace sdgen::bench {
namespace {

constexpr double kPeakSeconds = 0.15;     // of each level, before and after
constexpr double kPeakBetween = 0.03;     // of one precision, between two runs
constexpr double kOpSeconds = 0.12;       // an op by itself is repeated for this long
constexpr int kMostOpRuns = 400;
constexpr int kRunsOnCard = 20;
constexpr const char* kParts[] = {"text", "unet", "vae-decode"};

[[noreturn]] void invalid(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

ModelConfig config_of(const Options& options) {
  if (options.model.empty()) return architecture(options.arch);
  return check_model({.path = options.model}).config;
}

/// What the engine runs for a picture of that size.
Program build_part(const std::string& part, const ModelConfig& config, const Options& o) {
  const int64_t scale = config.vae.scale(), height = o.height / scale, width = o.width / scale;
  if (part == "text") return build_clip_text(config.text, o.batch, config.text.fixed_skip.value_or(1));
  if (part == "unet") return build_unet(config.unet, {o.batch, height, width, config.text.positions});
  return build_vae_decoder(config.vae, 1, height, width);  // the engine decodes picture by picture
}

void check_options(const Options& o, const ModelConfig& config) {
  for (const std::string& part : o.parts) {
    if (std::none_of(std::begin(kParts), std::end(kParts), [&](const char* known) { return part == known; })) {
      invalid("part '" + part.substr(0, 40) + "' is unknown; known: text, unet, vae-decode");
    }
  }
  const int64_t scale = config.vae.scale();
  if (o.width % scale != 0 || o.height % scale != 0) invalid("width and height must be multiples of " + std::to_string(scale));
  check_latent_size(o.width / scale, o.height / scale, o.batch);
  if (o.repeat < 1 || o.repeat > 1000) invalid("repeat must be 1 to 1000");
  if (o.picture_steps < 0 || o.picture_steps > 1000) invalid("picture must be 1 to 1000 steps");
  if (o.threads < 0 || o.threads > 1024) invalid("threads must be 0 (one a core) to 1024");
}

/// Reads more than the last-level cache holds.
class CacheFlush {
 public:
  explicit CacheFlush(bool wanted) : memory_(wanted ? static_cast<size_t>(2 * last_cache_bytes()) : 0, 1) {}
  void operator()() {
    if (!memory_.empty()) std::memset(memory_.data(), ++fill_, memory_.size());
  }

 private:
  std::vector<unsigned char> memory_;
  int fill_ = 0;
};

class Bench {
 public:
  Bench(const Options& options, const std::atomic<bool>* cancel, const std::function<void(const std::string&)>& progress)
      : options_(options), cancel_(cancel), progress_(progress), threads_(options.threads == 0 ? physical_cores() : options.threads),
        meter_(threads_) {}

  Report run() {
    const ModelConfig config = config_of(options_);
    check_options(options_, config);
    std::vector<std::string> parts = options_.parts;
    if (parts.empty()) parts.assign(std::begin(kParts), std::end(kParts));
    const std::vector<std::string> wanted = precisions();
    if (wanted.empty()) check_device(device(), "fp32");  // unknown: refused by name
    sample_peaks();
    for (const std::string& precision : wanted) {
      backend_ = open(precision);
      if (!options_.ops.empty()) {
        for (const std::string& op : options_.ops) time_op({op, 1, adapted(op_program(op))}, "op", precision);
        continue;
      }
      if (options_.picture_steps > 0) {
        const PictureWork work{options_.width, options_.height, options_.picture_steps, options_.repeat};
        report_.parts.push_back(time_picture(std::move(backend_), config, work, precision, [&](int run) {
          step("picture " + precision + ": run " + std::to_string(run));
          sample_peak(precision);
        }));
        backend_ = open(precision);
        continue;
      }
      for (const std::string& part : parts) time_part(part, build_part(part, config, options_), precision);
    }
    sample_peaks();
    finish_report();
    return std::move(report_);
  }

 private:
  void step(const std::string& what) {
    if (cancel_ != nullptr && cancel_->load(std::memory_order_relaxed)) throw Error(ErrorCode::kCancelled, "cancelled");
    if (progress_) progress_(what);
  }

  /// What the processor can do says nothing of a card, and costs seconds.
  void sample_peaks() {
    if (on_card()) return;
    step("peaks");
    meter_.sample_all(kPeakSeconds);
  }
  void sample_peak(const std::string& precision) {
    if (!on_card()) meter_.sample(precision, kPeakBetween);
  }

  /// "auto" is the best that this build has.
  std::string device() const {
    const std::vector<BackendInfo> infos = backend_infos();
    if (options_.device != "auto") return options_.device;
    const bool has_cpu = std::any_of(infos.begin(), infos.end(), [](const BackendInfo& info) { return info.name == "cpu"; });
    return has_cpu ? "cpu" : infos.at(0).name;
  }
  /// Those asked for, or all that the device has here; one that it has not is refused before anything is measured.
  std::vector<std::string> precisions() const {
    std::vector<std::string> wanted = options_.precisions;
    if (wanted.empty()) {
      for (const BackendInfo& info : backend_infos()) {
        if (info.name == device()) wanted = info.precisions;
      }
    }
    for (const std::string& precision : wanted) check_device(device(), precision);
    return wanted;
  }
  std::unique_ptr<Backend> open(const std::string& precision) const {
    return make_backend(device(), {threads_, precision});
  }
  Program adapted(Program program) const {
    backend_->adapt(program);
    return program;
  }

  /// As the engine runs it: in stages, with a new timestep each time and the same text.
  void time_part(const std::string& part, Program program, const std::string& precision) {
    if (options_.op_shapes) {
      for (OpShape& shape : op_shapes(adapted(std::move(program)))) time_op(std::move(shape), part, precision);
      return;
    }
    step(part + " " + precision + ": weights");
    const std::shared_ptr<const WeightStore> store = make_weights(program.weights);
    ModelRunner runner(store, index_of(*store), open(precision));
    PartRow best{part, precision, std::numeric_limits<double>::infinity(), 0, 0, runner.packed_bytes(program.weights),
                 static_cast<uint64_t>(runner.memory(program).arena_bytes), {}};
    LoadedProgram loaded = runner.load(std::move(program), nullptr);
    for (ValueId input : loaded.program().inputs) {
      const std::vector<unsigned char> bytes = input_bytes(loaded.program(), input);
      loaded.upload(loaded.program().value(input).name, bytes.data(), static_cast<int64_t>(bytes.size()));
    }
    runner.run(loaded, {});  // pages are touched and the text's stage has run from here on
    CallTimes calls;
    for (int i = 0; i < options_.repeat; ++i) {
      step(part + " " + precision + ": run " + std::to_string(i + 1) + " of " + std::to_string(options_.repeat));
      sample_peak(precision);
      // Of a card the whole is timed without its ops: it runs as one recording then.
      std::vector<OpProfile> profile;
      if (on_card()) runner.run(loaded, {.profile = &profile});
      const double start = now();
      if (part == "unet") set_timestep(loaded, i);
      if (on_card()) {
        runner.run(loaded, {});
        finish(runner, loaded);
      } else {
        calls.begin_run();
        runner.run(loaded, {.profile = &profile, .after_node = [&](const NodeDone& done) { calls.after(done.node); }});
      }
      const double seconds = now() - start;
      if (seconds < best.seconds) keep(best, seconds, profile);
    }
    best.fastest = calls.seconds();
    for (OpRow& row : best.ops) row.fastest = calls.seconds(row.op);
    report_.parts.push_back(std::move(best));
  }

  bool on_card() const { return device().starts_with("cuda"); }

  /// Waits until a card has written the first output.
  static void finish(ModelRunner& runner, const LoadedProgram& loaded) {
    const Program& program = loaded.program();
    float first = 0;
    runner.backend().download(*loaded.vector(program.value(program.outputs[0]).name).buffer, 0, &first, sizeof first);
  }

  void set_timestep(LoadedProgram& unet, int run) const {
    const std::vector<float> timesteps(static_cast<size_t>(unet.vector("t").count), static_cast<float>(999 - run % 999));
    unet.upload("t", timesteps.data(), static_cast<int64_t>(timesteps.size() * sizeof(float)));
  }

  static void keep(PartRow& best, double seconds, const std::vector<OpProfile>& profile) {
    best.seconds = seconds;
    best.flops = 0;
    best.ops.clear();
    for (const OpProfile& row : profile) {
      best.flops += row.flops;
      best.ops.push_back({row.op, row.calls, row.seconds, row.flops, row.bytes});
    }
    std::stable_sort(best.ops.begin(), best.ops.end(), [](const OpRow& a, const OpRow& b) { return a.seconds > b.seconds; });
  }

  void time_op(OpShape shape, const std::string& part, const std::string& precision) {
    step(part + " " + precision + ": " + shape.text);
    CacheFlush flush(options_.cold);
    const double flops = shape.program.flops, bytes = shape.program.nodes.empty() ? 0 : shape.program.nodes[0].bytes;
    LoadedOp loaded(*backend_, std::move(shape.program));
    loaded.run();
    if (on_card()) loaded.run();  // the second run is recorded, the others replay it
    sample_peak(precision);
    double best = std::numeric_limits<double>::infinity(), spent = 0;
    // Starting a card's work and waiting for it take longer than many an op: several go in a row.
    const int in_a_row = on_card() ? kRunsOnCard : 1;
    for (int i = 0; i < kMostOpRuns && (i < options_.repeat || spent < kOpSeconds); ++i) {
      flush();
      const double seconds = loaded.run(in_a_row);
      best = std::min(best, seconds / in_a_row);
      spent += seconds;
    }
    report_.shapes.push_back({part, precision, {shape.text, shape.count, best, flops, bytes}});
  }

  void finish_report() {
    report_.machine = this_machine();
    report_.device = backend_->info().name;
    report_.isa = backend_->info().isa;
    report_.model = options_.model.empty() ? options_.arch : options_.model;
    report_.threads = threads_;
    if (!on_card()) {
      report_.levels = meter_.levels();
      report_.fp32_gflops = meter_.gflops("fp32");
      report_.bf16_gflops = meter_.gflops("bf16");
      report_.copy_gbs = meter_.copy_gbs();
    }
    report_.peak_rss_mib = peak_rss_mib();
  }

  const Options& options_;
  const std::atomic<bool>* cancel_;
  const std::function<void(const std::string&)>& progress_;
  int threads_;
  PeakMeter meter_;
  std::unique_ptr<Backend> backend_;
  Report report_;
};

}  // namespace

Report run_bench(const Options& options, const std::atomic<bool>* cancel, const std::function<void(const std::string&)>& progress) {
  const FpEnvironment environment;
  return Bench(options, cancel, progress).run();
}

}  // namespace sdgen::bench
