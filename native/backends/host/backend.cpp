#include "backends/host/backend.h"

#include <algorithm>
#include <chrono>

#include "backends/host/memory.h"
#include "backends/host/vector_ops.h"
#include "base/error.h"

namespace sdgen::host {
namespace {

const HostBuffer& host(const Buffer& buffer) { return static_cast<const HostBuffer&>(buffer); }
float* floats(VectorView v) { return reinterpret_cast<float*>(host(*v.buffer).at(v.offset * 4, v.count * 4)); }

/// Where every value of the program lives.
std::vector<void*> resolve(const Program& program, const Buffer& arena, std::span<const Binding> bindings) {
  std::vector<void*> places(program.values.size(), nullptr);
  for (size_t i = 0; i < places.size(); ++i) {
    const Value& value = program.values[i];
    if (value.offset >= 0) places[i] = host(arena).at(value.offset, value.bytes());
  }
  for (const Binding& binding : bindings) {
    places[static_cast<size_t>(binding.value)] = host(*binding.buffer).at(binding.byte_offset, program.value(binding.value).bytes());
  }
  const auto needed = [&](ValueId id) {
    if (places[static_cast<size_t>(id)] != nullptr) return;
    throw Error(ErrorCode::kInternal, "value '" + program.value(id).name + "' of " + program.part + " is not bound");
  };
  for (const Node& node : program.nodes) {
    for (ValueId id : node.inputs) needed(id);
    needed(node.output);
  }
  return places;
}

void add_time(OpTimes& times, const Node& node, std::chrono::steady_clock::time_point start) {
  OpTimes::Row& row = times.rows[node.op.index()];
  row.calls += 1;
  row.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  row.flops += node.flops;
  row.bytes += node.bytes;
}

}  // namespace

std::unique_ptr<Buffer> HostBackend::allocate(uint64_t bytes) { return std::make_unique<HostBuffer>(bytes); }

void HostBackend::upload(Buffer& to, int64_t byte_offset, const void* from, int64_t bytes) {
  const auto* source = static_cast<const unsigned char*>(from);
  std::copy(source, source + bytes, host(to).at(byte_offset, bytes));
}

void HostBackend::download(const Buffer& from, int64_t byte_offset, void* to, int64_t bytes) {
  const unsigned char* source = host(from).at(byte_offset, bytes);
  std::copy(source, source + bytes, static_cast<unsigned char*>(to));
}

std::unique_ptr<Executable> HostBackend::compile(const Program& program, std::vector<std::shared_ptr<const PackedWeight>> weights) {
  return std::make_unique<HostExecutable>(program, std::move(weights));
}

void HostBackend::run(Executable& executable, Buffer& arena, std::span<const Binding> bindings, const RunOptions& options) {
  const auto& exe = static_cast<const HostExecutable&>(executable);
  const std::vector<void*> places = resolve(exe.program, arena, bindings);
  std::vector<const void*> inputs;
  std::vector<const PackedWeight*> weights;
  for (const Node& node : exe.program.nodes) {
    if (options.cancel != nullptr && options.cancel->load(std::memory_order_relaxed)) throw Error(ErrorCode::kCancelled, "cancelled");
    inputs.clear();
    weights.clear();
    for (ValueId id : node.inputs) inputs.push_back(places[static_cast<size_t>(id)]);
    for (int32_t w : node.weights) weights.push_back(exe.weights[static_cast<size_t>(w)].get());
    const auto start = std::chrono::steady_clock::now();
    run_node({exe.program, node, inputs, weights, places[static_cast<size_t>(node.output)]});
    if (options.times != nullptr) add_time(*options.times, node, start);
    if (options.after_node) options.after_node({exe.program, node, place_of(exe.program, node.output, arena, bindings)});
  }
}

void HostBackend::lincomb(VectorView out, std::span<const LincombTerm> terms) {
  // A later term that is `out` itself would be read after it was overwritten: keep a copy of it.
  std::vector<float> kept;
  for (size_t i = 1; i < terms.size(); ++i) {
    if (floats(terms[i].vector) == floats(out)) kept.assign(floats(out), floats(out) + out.count);
  }
  scale_into(floats(out), terms[0].coefficient, floats(terms[0].vector), out.count);
  for (size_t i = 1; i < terms.size(); ++i) {
    const float* x = floats(terms[i].vector);
    fma_into(floats(out), terms[i].coefficient, x == floats(out) ? kept.data() : x, out.count);
  }
}

void HostBackend::guide(VectorView out, VectorView x, VectorView cond, VectorView uncond, float c_skip, float c_out, float cfg) {
  guide_into(floats(out), floats(x), floats(cond), uncond.buffer ? floats(uncond) : nullptr, c_skip, c_out, cfg, out.count);
}

void HostBackend::blend(VectorView x, VectorView weight, VectorView kept) { blend_into(floats(x), floats(weight), floats(kept), x.count); }

bool HostBackend::all_finite(VectorView x) { return finite(floats(x), x.count); }

void HostBackend::to_rgb8(VectorView x, uint8_t* out) { rgb8_into(floats(x), out, x.count); }

}  // namespace sdgen::host
