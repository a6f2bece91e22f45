// A small coverage-guided driver for LLVMFuzzerTestOneInput, for compilers without libFuzzer.
//   TARGET [--seconds N | --runs N] [--seed N] [--crash FILE] [--keep FOLDER] CORPUS_FOLDER_OR_FILE...
// Runs every input of the corpus, then random changes of them; inputs that reach new code join the corpus in memory.
// With --runs and the same seed a run repeats exactly. An input that fails is written to --crash; the
// dozen that reach most beyond the corpus are written to --keep.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sanitizer/common_interface_defs.h>
#include <sys/time.h>
#include <unistd.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Input = std::vector<uint8_t>;

constexpr size_t kMaxInput = 4096;
constexpr size_t kMaxCorpus = 4000;
constexpr time_t kSecondsAnInput = 10;  // of the processor's time: a machine that is busy or halted is no finding

// Edges seen, hashed; addresses count from the target's own, so that a run repeats wherever it is loaded.
uint8_t edges[1 << 16];
uintptr_t previous_edge = 0;
bool new_edge = false;

const uint8_t* current_data = nullptr;
size_t current_size = 0;
std::string crash_path = "crash.bin";

/// Only calls that a signal handler may make.
void save_current() {
  const int file = ::open(crash_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0 || ::write(file, current_data, current_size) != static_cast<ssize_t>(current_size)) return;
  ::close(file);
}

void on_signal(int number) {
  static constexpr char kSlow[] = "an input took too long\n";
  if (number == SIGPROF && ::write(STDERR_FILENO, kSlow, sizeof kSlow - 1) < 0) ::_exit(2);
  save_current();
  ::_exit(1);
}

class Draws {
 public:
  explicit Draws(uint64_t seed) : state_(seed) {}
  size_t below(size_t bound) {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return static_cast<size_t>((state_ >> 33) % bound);
  }

 private:
  uint64_t state_;
};

const std::vector<std::string> kWords = {
    "{", "}", "[", "]", ":", ",", "\"", "-", "0", "1e9", "null", "true", "\\u0000", "\\ud83d\\ude00", "\xE2\x82\xAC",
    "\xED\xA0\x80", "\"__metadata__\":", "\"dtype\":\"F32\"", "\"shape\":[", "\"data_offsets\":[", "F16", "BF16", "I64",
    "F4", "9223372036854775807", "18446744073709551615", "PK\x03\x04", "GGUF"};

/// The first 8 bytes as the length of what follows up to the last '}': keeps changed headers alive.
void fix_length(Input& input) {
  if (input.size() < 9) return;
  const auto last = std::find(input.rbegin(), input.rend() - 8, '}');
  const auto length = static_cast<uint64_t>(input.rend() - 8 - last);
  for (size_t i = 0; i < 8; ++i) input[i] = static_cast<uint8_t>(length >> (8 * i));
}

void change(Input& input, const std::vector<Input>& corpus, Draws& draws) {
  const size_t at = draws.below(input.size() + 1);
  const auto place = input.begin() + static_cast<std::ptrdiff_t>(at);
  const auto some = [&](size_t most) {
    return static_cast<std::ptrdiff_t>(std::min(input.size() - at, draws.below(most) + 1));
  };
  switch (draws.below(8)) {
    case 0:
      if (at < input.size()) *place = static_cast<uint8_t>(*place ^ 1U << draws.below(8));
      break;
    case 1:
      if (at < input.size()) *place = static_cast<uint8_t>(draws.below(256));
      break;
    case 2: input.erase(place, place + some(32)); break;
    case 3: {
      const std::string& word = kWords[draws.below(kWords.size())];
      input.insert(place, word.begin(), word.end());
      break;
    }
    case 4: {  // a stretch of itself once more
      const Input piece(place, place + some(64));
      const size_t target = draws.below(input.size() + 1);
      input.insert(input.begin() + static_cast<std::ptrdiff_t>(target), piece.begin(), piece.end());
      break;
    }
    case 5: {  // the tail of another input
      const Input& other = corpus[draws.below(corpus.size())];
      const size_t from = draws.below(other.size() + 1);
      input.erase(place, input.end());
      input.insert(input.end(), other.begin() + static_cast<std::ptrdiff_t>(from), other.end());
      break;
    }
    case 6: input.resize(at); break;
    default: fix_length(input);
  }
  if (input.size() > kMaxInput) input.resize(kMaxInput);
}

/// 0: no limit.
void limit_time(time_t seconds) {
  const itimerval limit{{}, {seconds, 0}};
  ::setitimer(ITIMER_PROF, &limit, nullptr);
}

/// Returns whether it reached code that no input reached before.
bool run(const Input& input) {
  // Exactly as large as the input, so that a read past its end is seen.
  const auto copy = std::make_unique<uint8_t[]>(input.size());
  std::copy(input.begin(), input.end(), copy.get());
  current_data = copy.get();
  current_size = input.size();
  previous_edge = 0;
  new_edge = false;
  limit_time(kSecondsAnInput);
  LLVMFuzzerTestOneInput(copy.get(), input.size());
  limit_time(0);
  current_size = 0;
  return new_edge;
}

Input read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  Input bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in.good() && !in.eof()) throw std::runtime_error("cannot read " + path.string());
  return bytes;
}

void collect(const std::filesystem::path& path, std::vector<Input>& corpus) {
  if (!std::filesystem::is_directory(path)) return corpus.push_back(read_file(path));
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(path)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& file : files) corpus.push_back(read_file(file));
}

struct Options {
  double seconds = 10;
  uint64_t runs = 0;  // 0: by time
  uint64_t seed = 1;
  std::string keep;
  std::vector<Input> corpus;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto value = [&] {
      if (i + 1 == argc) throw std::runtime_error(word + " needs a value");
      return std::string(argv[++i]);
    };
    if (word == "--seconds") {
      options.seconds = std::stod(value());
    } else if (word == "--runs") {
      options.runs = std::stoull(value());
    } else if (word == "--seed") {
      options.seed = std::stoull(value());
    } else if (word == "--crash") {
      crash_path = value();
    } else if (word == "--keep") {
      options.keep = value();
    } else {
      collect(word, options.corpus);
    }
  }
  if (options.corpus.empty()) throw std::runtime_error("give a folder with a corpus");
  return options;
}

/// The edges that an input reaches and `known` does not have.
std::vector<size_t> reached_by(const Input& input, const std::vector<uint8_t>& known) {
  std::copy(known.begin(), known.end(), std::begin(edges));
  run(input);
  std::vector<size_t> found;
  for (size_t i = 0; i < sizeof edges; ++i) {
    if (edges[i] != known[i]) found.push_back(i);
  }
  return found;
}

/// Those of the found inputs that reach most beyond the corpus and each other, kKept at most.
void keep(const std::vector<Input>& corpus, size_t committed, const std::string& folder) {
  constexpr int kKept = 12;
  std::fill(std::begin(edges), std::end(edges), uint8_t{0});
  std::for_each(corpus.begin(), corpus.begin() + static_cast<std::ptrdiff_t>(committed), run);
  std::vector<uint8_t> known(std::begin(edges), std::end(edges));
  for (int k = 0; k < kKept; ++k) {
    const Input* best = nullptr;
    std::vector<size_t> gained;
    for (size_t i = committed; i < corpus.size(); ++i) {
      std::vector<size_t> found = reached_by(corpus[i], known);
      if (found.size() < gained.size() || found.empty() || (found.size() == gained.size() && corpus[i].size() >= best->size())) continue;
      gained = std::move(found);
      best = &corpus[i];
    }
    if (best == nullptr) return;
    for (const size_t edge : gained) known[edge] = 1;
    std::ofstream out(folder + "/found-" + std::to_string(k) + ".bin", std::ios::binary);
    out.write(reinterpret_cast<const char*>(best->data()), static_cast<std::streamsize>(best->size()));
    if (!out.flush()) throw std::runtime_error("cannot write to " + folder);
  }
}

int fuzz(Options options) {
  std::vector<Input>& corpus = options.corpus;
  const size_t committed = corpus.size();
  for (const Input& input : corpus) run(input);
  Draws draws(options.seed);
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  uint64_t runs = 0;
  while (options.runs > 0 ? runs < options.runs : elapsed() < options.seconds) {
    Input input = corpus[draws.below(corpus.size())];
    for (size_t edits = 1 + draws.below(5); edits > 0; --edits) change(input, corpus, draws);
    ++runs;
    if (run(input) && corpus.size() < kMaxCorpus) corpus.push_back(std::move(input));
  }
  const auto reached = std::count_if(std::begin(edges), std::end(edges), [](uint8_t seen) { return seen != 0; });
  std::printf("%llu inputs from %zu, %zu of them reached new code, %td edges, no failure\n",
              static_cast<unsigned long long>(runs), committed, corpus.size() - committed, reached);
  if (!options.keep.empty()) keep(corpus, committed, options.keep);
  return reached > 0 ? 0 : 1;  // no edge at all: the target was built without coverage
}

}  // namespace

extern "C" void __sanitizer_cov_trace_pc() {
  const uintptr_t here = reinterpret_cast<uintptr_t>(__builtin_return_address(0)) -
                         reinterpret_cast<uintptr_t>(&LLVMFuzzerTestOneInput);
  uint8_t& seen = edges[(here ^ previous_edge) & (sizeof edges - 1)];
  if (seen == 0) seen = 1, new_edge = true;
  previous_edge = here >> 1;
}

/// A reader may not ask for more than this at once, whatever a few kilobytes of input claim.
extern "C" const char* __asan_default_options() { return "max_allocation_size_mb=64:detect_leaks=1:abort_on_error=0"; }

/// The undefined-behaviour runtime has no death callback of its own: SIGABRT saves the input.
extern "C" const char* __ubsan_default_options() { return "abort_on_error=1:print_stacktrace=1"; }

int main(int argc, char** argv) {
  try {
    Options options = parse(argc, argv);
    __sanitizer_set_death_callback(save_current);
    for (const int number : {SIGABRT, SIGPROF}) std::signal(number, on_signal);
    return fuzz(std::move(options));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    if (current_size > 0) save_current();
    return 1;
  }
}
