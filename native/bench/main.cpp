// sdgen-bench: the bench without Node.
#include <charconv>
#include <cstdio>
#include <cstring>
#include <new>

#include "base/error.h"
#include "bench/bench.h"

namespace {

using sdgen::Error;
using sdgen::ErrorCode;
using sdgen::bench::Options;

constexpr const char* kUsage =
    "usage: sdgen-bench [flags]\n"
    "  --arch sd1|sd2          dimensions of the model (default sd1)\n"
    "  --model FILE            dimensions of this checkpoint instead; weights are made in memory all the same\n"
    "  --part LIST             of text, unet, vae-decode (default: all)\n"
    "  --width N --height N    of the picture in pixels (default 512)\n"
    "  --batch N               prompt chunks and latents at once (default 2: with and without the prompt)\n"
    "  --precision LIST        of fp32, bf16, fp16 (default: all that the device has here)\n"
    "  --device NAME           default auto\n"
    "  --threads N             default: one per core\n"
    "  --repeat N              runs, of which the best counts (default 5)\n"
    "  --op-shapes             time each distinct op of the parts by itself\n"
    "  --op SPEC               time this op instead; may be given several times:\n"
    "                          linear:M,K,N  conv2d:N,H,W,C,O[,kernel[,stride]]  attention:N,QUERIES,KEYS,HEADS,SIZE\n"
    "                          group_norm:N,H,W,C  layer_norm:N,TOKENS,C  geglu:N,TOKENS,C\n"
    "  --picture N             time a whole picture of N steps instead: the sampler's loop and the decoder\n"
    "  --cold                  put every op's operands out of the caches before it is timed\n"
    "  --json                  print one JSON document\n";

[[noreturn]] void usage_error(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

template <typename T>
T parse(const std::string& flag, const char* text) {
  T value{};
  const auto [end, failed] = std::from_chars(text, text + std::strlen(text), value);
  if (failed != std::errc{} || *end != '\0') usage_error(flag + ": '" + text + "' is not a whole number");
  return value;
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> items;
  for (size_t at = 0; at <= list.size();) {
    const size_t comma = std::min(list.find(',', at), list.size());
    items.push_back(list.substr(at, comma - at));
    at = comma + 1;
  }
  return items;
}

bool read_switch(const std::string& flag, Options& o, bool& json) {
  if (flag == "--json") json = true;
  else if (flag == "--op-shapes") o.op_shapes = true;
  else if (flag == "--cold") o.cold = true;
  else return false;
  return true;
}

Options parse_options(int argc, char** argv, bool& json) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (read_switch(flag, o, json)) continue;
    if (i + 1 >= argc) usage_error(flag + " needs a value, or is not a flag");
    const char* value = argv[++i];
    if (flag == "--arch") o.arch = value;
    else if (flag == "--model") o.model = value;
    else if (flag == "--part") o.parts = split(value);
    else if (flag == "--width") o.width = parse<int64_t>(flag, value);
    else if (flag == "--height") o.height = parse<int64_t>(flag, value);
    else if (flag == "--batch") o.batch = parse<int64_t>(flag, value);
    else if (flag == "--precision") o.precisions = split(value);
    else if (flag == "--device") o.device = value;
    else if (flag == "--threads") o.threads = parse<int>(flag, value);
    else if (flag == "--repeat") o.repeat = parse<int>(flag, value);
    else if (flag == "--picture") o.picture_steps = parse<int>(flag, value);
    else if (flag == "--op") o.ops.emplace_back(value);
    else usage_error("unknown flag '" + flag + "'");
  }
  return o;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--help") == 0) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  try {
    bool json = false;
    const Options options = parse_options(argc, argv, json);
    const sdgen::bench::Report report =
        run_bench(options, nullptr, [](const std::string& what) { std::fprintf(stderr, "%s\n", what.c_str()); });
    const std::string text = json ? report_json(report) : report_text(report);
    std::fputs(text.c_str(), stdout);
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "sdgen-bench: %s\n", error.what());
    return error.code() == ErrorCode::kInvalidArgument ? 2 : 1;
  } catch (const std::bad_alloc&) {
    std::fputs("sdgen-bench: out of memory\n", stderr);
    return 1;
  }
}
