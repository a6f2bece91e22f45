#include "backends/cuda/backend.h"

#include <algorithm>

#include "backends/cuda/call.h"
#include "backends/cuda/vector/params.h"
#include "backends/cuda/weight.h"
#include "base/thread_pool.h"
#include "base/error.h"
#include "graph/passes.h"

namespace sdgen::cuda {
namespace {

class CudaBuffer : public Buffer {
 public:
  CudaBuffer(std::shared_ptr<Device> device, uint64_t bytes) : device_(std::move(device)), bytes_(bytes), memory_(*device_, bytes) {}
  uint64_t bytes() const noexcept override { return bytes_; }
  /// Throws kInternal for a range outside the buffer.
  DevicePointer at(int64_t offset, int64_t size) const {
    if (offset < 0 || size < 0 || static_cast<uint64_t>(offset) + static_cast<uint64_t>(size) > bytes_) {
      throw Error(ErrorCode::kInternal, "access outside a buffer of " + std::to_string(bytes_) + " bytes");
    }
    return memory_.address() + static_cast<uint64_t>(offset);
  }

 private:
  std::shared_ptr<Device> device_;
  uint64_t bytes_;
  DeviceMemory memory_;
};

DevicePointer at(const Buffer& buffer, int64_t offset, int64_t size) { return static_cast<const CudaBuffer&>(buffer).at(offset, size); }
float* floats(VectorView v) { return reinterpret_cast<float*>(at(*v.buffer, v.offset * 4, v.count * 4)); }

/// A program with its weights, and its launches as they were recorded for the memory it ran on last.
class CudaExecutable : public Executable {
 public:
  CudaExecutable(std::shared_ptr<Device> d, const Program& p, std::vector<std::shared_ptr<const PackedWeight>> w)
      : device(std::move(d)), program(p), weights(std::move(w)) {
    for (const auto& weight : weights) addresses.push_back(static_cast<const CudaWeight&>(*weight).address());
  }
  const std::shared_ptr<Device> device;  // outlives the recording
  const Program program;
  const std::vector<std::shared_ptr<const PackedWeight>> weights;
  std::vector<DevicePointer> addresses;  // of the weights
  std::vector<DevicePointer> places;     // of all values and the scratch, in the run before
  std::unique_ptr<Recording> recording;  // for these places
};

class CudaBackend : public Backend {
 public:
  CudaBackend(BackendInfo info, std::shared_ptr<Device> device, Element element, int threads)
      : info_(std::move(info)), device_(std::move(device)), element_(element), pool_(shared_thread_pool(threads)) {}
  const BackendInfo& info() const noexcept override { return info_; }

  std::unique_ptr<Buffer> allocate(uint64_t bytes) override { return std::make_unique<CudaBuffer>(device_, bytes); }
  void upload(Buffer& to, int64_t offset, const void* from, int64_t bytes) override {
    device_->upload(at(to, offset, bytes), from, static_cast<uint64_t>(bytes));
  }
  void download(const Buffer& from, int64_t offset, void* to, int64_t bytes) override {
    device_->download(to, at(from, offset, bytes), static_cast<uint64_t>(bytes));
  }

  void adapt(Program& program) const override {
    if (!is_fast()) return;
    fuse_geglu(program, [](int64_t out) { return out % 2 == 0; });
    lower_storage(program, element_);
    plan_memory(program);
  }

  uint64_t scratch_bytes(const Program& program) const override {
    int64_t bytes = 0;
    for (const Node& node : program.nodes) {
      bytes = std::max(bytes, is_fast() ? fast::scratch_bytes(program, node) : exact::scratch_bytes(program, node));
    }
    return static_cast<uint64_t>(bytes);
  }

  uint64_t packed_bytes(const WeightUse& use) const override { return cuda::packed_bytes(use, element_); }
  std::shared_ptr<const PackedWeight> prepare(const WeightUse& use, const WeightStore& store, const TensorInfo& tensor) override {
    return pack(use, store, tensor, element_, device_, *pool_);
  }

  std::unique_ptr<Executable> compile(const Program& program, std::vector<std::shared_ptr<const PackedWeight>> weights) override {
    grow_scratch(scratch_bytes(program));
    return std::make_unique<CudaExecutable>(device_, program, std::move(weights));
  }

  void run(Executable& executable, Buffer& arena, std::span<const Binding> bindings, const RunOptions& options) override {
    auto& exe = static_cast<CudaExecutable&>(executable);
    if (options.cancel != nullptr && options.cancel->load(std::memory_order_relaxed)) throw Error(ErrorCode::kCancelled, "cancelled");
    std::vector<DevicePointer> places = resolve(exe.program, arena, bindings);
    if (options.times != nullptr) return run_timed(exe, places, *options.times);
    if (options.after_node) {
      for (const Node& node : exe.program.nodes) {
        run_node(exe, node, places);
        options.after_node({exe.program, node, place_of(exe.program, node.output, arena, bindings)});
      }
      return;
    }
    if (places != exe.places) {
      // The first run on this memory: kernels are looked up and loaded now, which a recording must not do.
      exe.recording.reset();
      run_all(exe, places);
      exe.places = std::move(places);
      return;
    }
    if (!exe.recording) exe.recording = device_->record([&] { run_all(exe, places); });
    exe.recording->launch();
  }

  void lincomb(VectorView out, std::span<const LincombTerm> terms) override {
    vector::LincombParams p{};
    if (terms.empty() || terms.size() > vector::kMostTerms) throw Error(ErrorCode::kInternal, "lincomb: from 1 to 16 terms");
    p.out = floats(out);
    p.count = out.count;
    for (const LincombTerm& term : terms) {
      p.terms[p.term_count] = floats(term.vector);
      p.coefficients[p.term_count++] = term.coefficient;
    }
    launch_each(vector::kLincomb, out.count, p);
  }

  void guide(VectorView out, VectorView x, VectorView cond, VectorView uncond, float c_skip, float c_out, float cfg) override {
    const float* other = uncond.buffer != nullptr ? floats(uncond) : nullptr;
    launch_each(vector::kGuide, out.count, vector::GuideParams{floats(out), floats(x), floats(cond), other, out.count, c_skip, c_out, cfg});
  }

  void blend(VectorView x, VectorView weight, VectorView kept) override {
    launch_each(vector::kBlend, x.count, vector::BlendParams{floats(x), floats(weight), floats(kept), x.count});
  }

  bool all_finite(VectorView x) override {
    grow_scratch(4);
    device_->fill(scratch_->address(), 0, 4);
    launch_each(vector::kFindNonFinite, x.count, vector::FiniteParams{floats(x), reinterpret_cast<int32_t*>(scratch_->address()), x.count});
    int32_t found = 0;
    device_->download(&found, scratch_->address(), 4);
    return found == 0;
  }

  void to_rgb8(VectorView x, uint8_t* out) override {
    const DeviceMemory levels(*device_, static_cast<uint64_t>(x.count));
    launch_each(vector::kRgb8, x.count, vector::Rgb8Params{floats(x), reinterpret_cast<uint8_t*>(levels.address()), x.count});
    device_->download(out, levels.address(), static_cast<uint64_t>(x.count));
  }

 private:
  template <typename P>
  void launch_each(const Kernel<P>& kernel, int64_t count, const P& params) {
    device_->launch(kernel, {blocks_of(count, kernel.threads)}, params);
  }

  /// Recordings made with the old one are told apart by its address, which is one of their places.
  void grow_scratch(uint64_t bytes) {
    if (scratch_ && scratch_->bytes() >= bytes) return;
    if (scratch_) device_->synchronise();
    scratch_.reset();
    scratch_ = std::make_unique<DeviceMemory>(*device_, bytes);
  }

  std::vector<DevicePointer> resolve(const Program& program, const Buffer& arena, std::span<const Binding> bindings) const {
    std::vector<DevicePointer> places(program.values.size() + 1, 0);
    for (size_t i = 0; i < program.values.size(); ++i) {
      const Value& value = program.values[i];
      if (value.offset >= 0) places[i] = at(arena, value.offset, value.bytes());
    }
    for (const Binding& binding : bindings) {
      places[static_cast<size_t>(binding.value)] = at(*binding.buffer, binding.byte_offset, program.value(binding.value).bytes());
    }
    const auto needed = [&](ValueId id) {
      if (places[static_cast<size_t>(id)] != 0) return;
      throw Error(ErrorCode::kInternal, "value '" + program.value(id).name + "' of " + program.part + " is not bound");
    };
    for (const Node& node : program.nodes) {
      for (const ValueId id : node.inputs) needed(id);
      needed(node.output);
    }
    places.back() = scratch_ ? scratch_->address() : 0;
    return places;
  }

  void run_node(const CudaExecutable& exe, const Node& node, const std::vector<DevicePointer>& places) {
    std::vector<DevicePointer> inputs, weights;
    for (const ValueId id : node.inputs) inputs.push_back(places[static_cast<size_t>(id)]);
    for (const int32_t w : node.weights) weights.push_back(exe.addresses[static_cast<size_t>(w)]);
    const OpCall call{exe.program, node, inputs, weights, places[static_cast<size_t>(node.output)], places.back(), *device_};
    return is_fast() ? fast::run_node(call) : exact::run_node(call);
  }

  void run_all(const CudaExecutable& exe, const std::vector<DevicePointer>& places) {
    for (const Node& node : exe.program.nodes) run_node(exe, node, places);
  }

  void run_timed(const CudaExecutable& exe, const std::vector<DevicePointer>& places, OpTimes& times) {
    std::vector<Event> marks;
    const std::shared_ptr<void> freed(nullptr, [&](void*) {
      for (Event mark : marks) device_->free_mark(mark);
    });
    marks.push_back(device_->mark());
    for (const Node& node : exe.program.nodes) {
      run_node(exe, node, places);
      marks.push_back(device_->mark());
    }
    for (size_t i = 0; i < exe.program.nodes.size(); ++i) {
      const Node& node = exe.program.nodes[i];
      OpTimes::Row& row = times.rows[node.op.index()];
      row.calls += 1;
      row.seconds += device_->seconds_between(marks[i], marks[i + 1]);
      row.flops += node.flops;
      row.bytes += node.bytes;
    }
  }

  bool is_fast() const noexcept { return element_ == Element::kF16; }

  BackendInfo info_;
  std::shared_ptr<Device> device_;
  Element element_;  // of activations and of the weights of products
  std::shared_ptr<ThreadPool> pool_;  // packs weights
  std::unique_ptr<DeviceMemory> scratch_;
};

}  // namespace

BackendInfo describe(const Card& card) {
  return {"cuda", card.text(), "sm_" + std::to_string(card.major) + std::to_string(card.minor), {"fp32", "fp16"}};
}

std::unique_ptr<Backend> make_backend_on(const DriverApi& api, const Card& card, const std::vector<CodeImage>& code, const std::string& precision,
                                         int threads) {
  BackendInfo info = describe(card);
  if (std::find(info.precisions.begin(), info.precisions.end(), precision) == info.precisions.end()) {
    throw Error(ErrorCode::kDevice, "precision '" + precision + "' is not built on cuda");
  }
  return std::make_unique<CudaBackend>(std::move(info), std::make_shared<Device>(api, card, code),
                                       precision == "fp16" ? Element::kF16 : Element::kF32, threads);
}

}  // namespace sdgen::cuda
