// Evaluates one part of a model on tensors from a file; needs no Node.
#include <charconv>
#include <cstdio>
#include <cstring>
#include <new>

#include "tools/compare.h"

namespace {

using sdgen::Error;
using sdgen::ErrorCode;
using sdgen::tools::EvalOptions;

constexpr const char* kUsage =
    "usage: sdgen-eval --part text|unet|vae-decode|vae-encode --model FILE --inputs IN.safetensors --output OUT.safetensors [--inner]\n"
    "       sdgen-eval --part sampler --sampler ID --schedule NAME --inputs IN --output OUT [--eta N] [--s-churn N] [--s-tmin N]\n"
    "                  [--s-tmax N] [--s-noise N] [--unipc-order N] [--unipc-variant bh1|bh2|vary_coeff] [--start-with-signal]\n"
    "                  [--velocity]  (of samplers that walk timesteps: the network gives v = 0.3 sin x + 0.2 x)\n"
    "  text        text.ids [N, T]                     -> text.last, text.penultimate\n"
    "  unet        unet.x [N, C, H, W], unet.ctx [N, T, W], unet.t [K] (500 without it)\n"
    "                                                  -> unet.out.t<t> for each t; also from unet.x_<size> and\n"
    "                                                     unet.ctx<tokens> at t = 500, and unet.t_mixed [N]\n"
    "  vae-decode  vae.z [N, C, H, W], already divided by the scale factor -> vae.decoded\n"
    "  vae-encode  vae.image [N, 3, H, W] in [-1, 1]   -> vae.mean, vae.logvar\n"
    "  sampler     x0, sigmas.<schedule>, noise, timesteps.<schedule> where the sampler walks them, alphas_cumprod if not\n"
    "              SD's own                            -> traj.<schedule>.<sampler>, seen.…, calls.…, reports.…, noise_drawn.…\n"
    "  --inner writes named inner activations too; --device reference --precision fp32 --threads N --vae FILE --text-heads N\n";

[[noreturn]] void usage_error(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

template <typename T>
T parse(const char* flag, const char* text) {
  T value{};
  const auto [end, failed] = std::from_chars(text, text + std::strlen(text), value);
  if (failed != std::errc{} || *end != '\0') usage_error(std::string(flag) + ": '" + text + "' is not a number");
  return value;
}

sdgen::UniPcVariant parse_variant(const std::string& name) {
  if (name == "bh1") return sdgen::UniPcVariant::kBh1;
  if (name == "bh2") return sdgen::UniPcVariant::kBh2;
  if (name == "vary_coeff") return sdgen::UniPcVariant::kVaryCoeff;
  usage_error("--unipc-variant: '" + name + "' is not bh1, bh2 or vary_coeff");
}

EvalOptions parse_options(int argc, char** argv) {
  EvalOptions o;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--inner" || flag == "--start-with-signal" || flag == "--velocity") {
      (flag == "--inner" ? o.inner : flag == "--velocity" ? o.velocity : o.start_with_signal) = true;
      continue;
    }
    if (i + 1 >= argc) usage_error(flag + " needs a value, or is not a flag");
    const char* value = argv[++i];
    if (flag == "--part") o.part = value;
    else if (flag == "--model") o.open.path = value;
    else if (flag == "--vae") o.open.vae = value;
    else if (flag == "--inputs") o.inputs = value;
    else if (flag == "--output") o.output = value;
    else if (flag == "--device") o.open.device = value;
    else if (flag == "--precision") o.open.precision = value;
    else if (flag == "--sampler") o.sampler = value;
    else if (flag == "--schedule") o.schedule = value;
    else if (flag == "--threads") o.open.threads = parse<int>("--threads", value);
    else if (flag == "--text-heads") o.open.overrides.text_heads = parse<int64_t>("--text-heads", value);
    else if (flag == "--eta") o.sampler_options.eta = parse<double>("--eta", value);
    else if (flag == "--s-churn") o.sampler_options.s_churn = parse<double>("--s-churn", value);
    else if (flag == "--s-tmin") o.sampler_options.s_tmin = parse<double>("--s-tmin", value);
    else if (flag == "--s-tmax") o.sampler_options.s_tmax = parse<double>("--s-tmax", value);
    else if (flag == "--s-noise") o.sampler_options.s_noise = parse<double>("--s-noise", value);
    else if (flag == "--unipc-order") o.sampler_options.unipc_order = parse<int>("--unipc-order", value);
    else if (flag == "--unipc-variant") o.sampler_options.unipc_variant = parse_variant(value);
    else usage_error("unknown flag '" + flag + "'");
  }
  if (o.part.empty() || o.inputs.empty() || o.output.empty()) usage_error("--part, --inputs and --output are needed");
  if (o.part != "sampler" && o.open.path.empty()) usage_error("--model is needed");
  if (o.open.threads < 0 || o.open.threads > 1024) usage_error("--threads must be 0 (one a core) to 1024");
  return o;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 1 || std::strcmp(argv[1], "--help") == 0) {
    std::fputs(kUsage, argc == 1 ? stderr : stdout);
    return argc == 1 ? 2 : 0;
  }
  try {
    const EvalOptions options = parse_options(argc, argv);
    sdgen::tools::run_eval(options);
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "sdgen-eval: %s\n", error.what());
    return error.code() == ErrorCode::kInvalidArgument ? 2 : 1;
  } catch (const std::bad_alloc&) {
    std::fputs("sdgen-eval: out of memory\n", stderr);
    return 1;
  }
}
