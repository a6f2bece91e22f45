// The cuda backend around its kernels, on the emulation: whole parts of a model, recorded runs, and every way to fail.
#include <algorithm>

#include "backends/cuda/cards.h"
#include "backends/cuda/embedded.h"
#include "backends/cuda/emulation/kernels.h"
#include "base/error.h"
#include "bench/made_weights.h"
#include "cuda_bench.h"
#include "engine/model_runner.h"
#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"
#include "tiny_configs.h"

using namespace sdgen;
using namespace sdgen_test;
using cuda::DriverApi;
using cuda::emulation::emulated_driver;
using cuda::emulation::launches;

namespace {

struct Runner {
  std::shared_ptr<const WeightStore> store;
  ModelRunner runner;
  LoadedProgram program;
  Runner(const Program& p, std::unique_ptr<Backend> backend)
      : store(bench::make_weights(p.weights)), runner(store, bench::index_of(*store), std::move(backend)), program(runner.load(p, nullptr)) {}

  /// The output after new inputs; text ids are small numbers.
  Floats run(uint64_t seed) {
    const Program& p = program.program();
    for (const ValueId id : p.inputs) {
      const Value& value = p.value(id);
      Floats values = Numbers(seed).values(value.shape.elements());
      if (value.name == "ids") std::fill(values.begin(), values.end(), std::bit_cast<float>(static_cast<int32_t>(seed)));
      program.upload(value.name, values.data(), static_cast<int64_t>(values.size() * 4));
    }
    runner.run(program, {});
    const VectorView view = program.vector(p.value(p.outputs[0]).name);
    Floats out(static_cast<size_t>(view.count));
    runner.backend().download(*view.buffer, 0, out.data(), view.count * 4);
    return out;
  }
};

std::string problem_of(const DriverApi& api, int built_with = 13000) { return cuda::find_cards(api, built_with).problem; }
bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST(cuda_parts_have_the_bytes_of_reference_first_recorded_and_replayed) {
  const ModelConfig config = tiny_config();
  const Program programs[] = {build_clip_text(config.text, 1, 1), build_unet(config.unet, {2, 4, 4, 8}),
                              build_vae_decoder(config.vae, 1, 3, 2)};
  for (const Program& program : programs) {
    Runner reference(program, make_reference_backend({2}));
    Runner emulated(program, on_card() ? card_backend("fp32") : emulated_backend(machines()[1], "fp32"));
    for (const uint64_t seed : {1, 2, 3, 2}) {
      const uint64_t before = launches();
      CHECK_MSG(same_bits(emulated.run(seed), reference.run(seed)), program.part << " with seed " << seed);
      CHECK(on_card() || launches() - before >= program.nodes.size() / 2);
    }
  }
}

// Of fp16 whole parts err more than an op does: each adds its rounding to what came before.
TEST(cuda_fast_parts_are_near_reference_and_the_same_when_replayed) {
  const ModelConfig config = tiny_config();
  const Program programs[] = {build_clip_text(config.text, 1, 1), build_unet(config.unet, {2, 4, 4, 8}),
                              build_vae_decoder(config.vae, 1, 3, 2)};
  for (const Program& program : programs) {
    Runner reference(program, make_reference_backend({2}));
    Runner fast(program, on_card() ? card_backend("fp16") : emulated_backend(machines()[1], "fp16"));
    const Floats exact = reference.run(1), first = fast.run(1);
    double error = 0, size = 0;
    for (size_t i = 0; i < exact.size(); ++i) {
      error += std::pow(static_cast<double>(first[i]) - static_cast<double>(exact[i]), 2);
      size += std::pow(static_cast<double>(exact[i]), 2);
    }
    CHECK_MSG(size > 0 && std::sqrt(error / size) < 0x1p-6, program.part << ": relative error " << std::sqrt(error / size));
    CHECK(!same_bits(first, exact));
    for (const uint64_t seed : {2, 3}) fast.run(seed);
    CHECK_MSG(same_bits(fast.run(1), first), program.part << " replayed");
  }
}

TEST(cuda_problems_are_told_in_a_line) {
  std::string problem;
  CHECK(cuda::load_driver("libsdgen-no-such-driver.so.1", problem) == nullptr);
  CHECK(holds(problem, "there is no NVIDIA driver") && holds(problem, "--device cpu"));
  // A library that is there and has none of the functions.
  CHECK(cuda::load_driver("libc.so.6", problem) == nullptr);
  CHECK(holds(problem, "too old (it lacks cu"));

  DriverApi api = emulated_driver();
  CHECK(problem_of(api).empty() && cuda::find_cards(api, 13000).cards.size() == 1);
  api.driver_version = [](int* version) -> cuda::Result { return *version = 12080, cuda::kSuccess; };
  CHECK(holds(problem_of(api), "it supports CUDA 12.8 and this build needs 13.0 or newer"));
  CHECK(problem_of(api, 12080).empty());
  api.device_count = [](int* count) -> cuda::Result { return *count = 0, cuda::kSuccess; };
  CHECK(holds(problem_of(api, 12080), "finds no card"));
  api.init = [](unsigned) -> cuda::Result { return cuda::kNoDevice; };
  CHECK(holds(problem_of(api), "finds no card"));
  api.init = [](unsigned) -> cuda::Result { return 803; };
  CHECK(holds(problem_of(api), "does not start"));
}

TEST(cuda_says_what_a_card_lacks) {
  std::string what;
  DriverApi api = emulated_driver();
  const cuda::Card card = cuda::find_cards(api, 13000).cards.at(0);
  api.module_load = [](cuda::Module*, const void*) -> cuda::Result { return cuda::kNoBinaryForGpu; };
  CHECK_THROWS(cuda::make_backend_on(api, card, {{"some", nullptr}}, "fp32"), ErrorCode::kDevice, what);
  CHECK(holds(what, "cuda:0: loading the kernels 'some' failed") && holds(what, "SDGEN_CUDA_ARCHITECTURES"));
  CHECK_THROWS(cuda::make_backend_on(emulated_driver(), card, {{"some", nullptr}}, "int3"), ErrorCode::kDevice, what);

  const auto small = emulated_backend({.memory = 8 << 20}, "fp32");
  const auto taken = small->allocate(6 << 20);
  CHECK_THROWS(small->allocate(3 << 20), ErrorCode::kOutOfMemory, what);
  CHECK(holds(what, "more device memory are needed") && holds(what, " are free"));
  float value = 0;
  CHECK_THROWS(small->upload(*taken, (6 << 20) - 2, &value, 4), ErrorCode::kInternal, what);

  DriverApi lost = emulated_driver();
  lost.launch = [](cuda::Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, cuda::Stream, void**,
                   void**) -> cuda::Result { return 719; };
  const auto backend = cuda::make_backend_on(lost, card, {{"some", nullptr}}, "fp32");
  const auto buffer = backend->allocate(64);
  CHECK_THROWS(backend->all_finite({buffer.get(), 0, 16}), ErrorCode::kDevice, what);
  CHECK(holds(what, "starting the kernel vector_find_non_finite") && holds(what, "is lost to this process"));
}

TEST(cuda_memory_of_a_card_is_what_is_free_now) {
  DriverApi driver = emulated_driver({.memory = 1000});
  const cuda::CardMemory before = cuda::memory_of(driver, 0);
  CHECK(before.free == 1000 && before.total == 1000);
  cuda::DevicePointer some = 0;
  CHECK(driver.memory_allocate(&some, 300) == cuda::kSuccess);
  CHECK(cuda::memory_of(driver, 0).free == 700);
  driver.memory_free(some);
  CHECK(cuda::memory_of(driver, 0).free == 1000);
  std::string what;
  CHECK_THROWS(cuda::memory_of(driver, 3), ErrorCode::kDevice, what);
  static int released;
  released = 0;
  driver.context_release = [](cuda::DeviceId) -> cuda::Result { return ++released, cuda::kSuccess; };
  driver.memory_info = [](size_t*, size_t*) -> cuda::Result { return 719; };
  CHECK_THROWS(cuda::memory_of(driver, 0), ErrorCode::kDevice, what);
  CHECK(holds(what, "cuda:0: asking for its free memory failed") && released == 1);
  CHECK(cuda::is_built() || device_memory().empty());
}

TEST(cuda_names_of_cards) {
  CHECK(cuda::card_of("cuda") == 0 && cuda::card_of("cuda:0") == 0 && cuda::card_of("cuda:12") == 12);
  for (const char* name : {"cud", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda: 1", "cuda:99999999999"}) CHECK(!cuda::card_of(name));
  CHECK(cuda::is_built() == !cuda::embedded_code().images.empty());
  CHECK(cuda::is_built() || cuda::infos().empty());
}

// On a card the recording is the driver's, and needs the card that it was made on.
TEST(cuda_executables_may_outlive_their_backend) {
  Bench bench(5);
  Ready ready = bench.finish(bench.builder.scale(bench.input({1, 7}), 2.0f));
  std::unique_ptr<Executable> executable;
  {
    const auto backend = emulated_backend(machines()[0], "fp32");
    executable = backend->compile(ready.program, {});
    const auto arena = backend->allocate(64), in = backend->allocate(28), out = backend->allocate(28);
    const std::vector<Binding> bindings = {{ready.program.inputs[0], in.get()}, {ready.program.outputs[0], out.get()}};
    for (int run = 0; run < 2; ++run) {
      backend->upload(*in, 0, ready.inputs[0].data(), 28);
      backend->run(*executable, *arena, bindings, {});
    }
    float last = 0;
    backend->download(*out, 24, &last, 4);
    CHECK(last == 2.0f * ready.inputs[0][6]);
  }
  executable.reset();  // under a sanitizer: not of a device that is gone
}

// A launch has at most 65535 blocks along y and z; a picture may have more blocks of pixels.
TEST(cuda_group_norm_of_a_picture_of_millions_of_pixels) {
  const GroupNormCase wide{{1, 2048, 4097, 1}, 1, 1e-5, true, 0.5f};
  const Ready ready = wide.make();
  const Floats exact = run_on(ready, 1);
  const auto largest_error = [&](const std::string& precision) {
    const Floats got = run_on(ready, on_card() ? *card_backend(precision) : *emulated_backend(machines()[0], precision));
    float error = 0;
    for (size_t i = 0; i < exact.size(); ++i) error = std::max(error, std::fabs(got[i] - exact[i]));
    return error;
  };
  const float error = largest_error("fp16");
  CHECK_MSG(error < 0x1p-8f, "error " << error);
  if (on_card()) CHECK(largest_error("fp32") == 0.0f);  // too slow on the emulation
}

namespace {

using cuda::emulation::Block;
using cuda::emulation::Index3;

void run_block(const std::function<void()>& body, unsigned shared_bytes = 64) { Block({64}, shared_bytes, {}).run(body, {1}, {0, 0, 0}); }

}  // namespace

// What would be undefined on a card is an error of the emulation, or tests on it would say little.
TEST(cuda_emulation_refuses_what_a_card_would_not_define) {
  std::string what;
  CHECK_THROWS(run_block([] {
                 if (Block::running().current().index < 32) Block::running().sync_threads();
               }),
               ErrorCode::kInternal, what);
  CHECK_THROWS(run_block([] { Block::running().shared()[64] = 1; }), ErrorCode::kInternal, what);
  CHECK(holds(what, "beyond the shared memory of 64 bytes"));
  CHECK_THROWS(run_block([] {
                 Block& block = Block::running();
                 const unsigned lane = block.current().index;
                 static const char one = 0, other = 0;
                 int out = 0;
                 const auto nothing = [](cuda::emulation::Meeting&) {};
                 block.meet(lane % 2 == 0 ? &one : &other, &lane, sizeof lane, &out, sizeof out, nothing);
               }),
               ErrorCode::kInternal, what);
  CHECK(holds(what, "different operations"));
  static const unsigned char source[16] = {7};
  CHECK_THROWS(run_block([] {
                 Block& block = Block::running();
                 block.copy_async({block.shared(), source, 16, 16});
                 block.commit_copies();
               }),
               ErrorCode::kInternal, what);
  // A copy is not there before it is waited for, and then it is.
  run_block([] {
    Block& block = Block::running();
    if (block.current().index != 0) return;
    block.copy_async({block.shared(), source, 16, 8});
    block.commit_copies();
    CHECK(block.shared()[0] == 0xff);
    block.wait_copies(0);
    CHECK(block.shared()[0] == 7 && block.shared()[15] == 0);
  });
}

namespace {

const cuda::emulation::Registrar kNothing("test_nothing", 32, sizeof(int), [](const void*) {});

}  // namespace

TEST(cuda_emulation_refuses_what_a_driver_would_not_do) {
  const DriverApi& api = emulated_driver();
  cuda::Function function = nullptr;
  CHECK(api.module_function(&function, nullptr, "test_nothing") == cuda::kSuccess);
  int argument = 0;
  void* arguments[] = {&argument};
  const auto launch = [&](unsigned blocks_y, unsigned threads, unsigned shared_bytes) {
    return api.launch(function, 1, blocks_y, 1, threads, 1, 1, shared_bytes, nullptr, arguments, nullptr);
  };
  CHECK(launch(1, 32, 48 << 10) == cuda::kSuccess);
  CHECK(launch(65536, 32, 0) != cuda::kSuccess);
  CHECK(launch(1, 64, 0) != cuda::kSuccess);
  // More shared memory than every kernel has is to be asked for, and there is an end to it.
  CHECK(launch(1, 32, 64 << 10) != cuda::kSuccess);
  CHECK(api.function_attribute(function, cuda::kMaxDynamicSharedBytes, 100 << 10) != cuda::kSuccess);
  CHECK(api.function_attribute(function, cuda::kMaxDynamicSharedBytes, 64 << 10) == cuda::kSuccess);
  CHECK(launch(1, 32, 64 << 10) == cuda::kSuccess && launch(1, 32, 65 << 10) != cuda::kSuccess);
  // While launches are recorded, memory stays as it is and nothing is waited for.
  CHECK(api.capture_begin(nullptr, cuda::kCaptureThreadLocal) == cuda::kSuccess);
  cuda::DevicePointer memory = 0;
  CHECK(api.memory_allocate(&memory, 64) != cuda::kSuccess && api.stream_synchronize(nullptr) != cuda::kSuccess);
  cuda::Graph graph = nullptr;
  CHECK(api.capture_end(nullptr, &graph) == cuda::kSuccess && api.graph_destroy(graph) == cuda::kSuccess);
}
