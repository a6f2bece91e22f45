#pragma once
// One checkpoint on one backend: its weights, packed on first use, one arena, and programs run by name of part.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "engine/engine.h"
#include "graph/stages.h"
#include "models/registry.h"

namespace sdgen {

/// A program ready to run, stage by stage, with its input and output buffers.
class LoadedProgram {
 public:
  /// A stage with its code; weights as in its program.
  struct Part {
    Stage stage;
    std::unique_ptr<Executable> executable;
    std::vector<Binding> bindings = {};
    bool stale = true;  // its steady input has changed since it ran
  };

  LoadedProgram(Backend& backend, Program program, std::vector<Part> parts);
  const Program& program() const noexcept { return program_; }
  /// The buffer of a named input or output as a vector. A steady input is to be read only.
  VectorView vector(const std::string& name) const;
  void upload(const std::string& name, const void* values, int64_t bytes);

 private:
  friend class ModelRunner;
  /// Whether the steady input already holds these bytes; remembers them.
  bool holds(const std::string& name, const void* values, int64_t bytes);

  Backend* backend_;
  Program program_;
  std::vector<Part> parts_;
  std::map<std::string, std::unique_ptr<Buffer>> buffers_;       // by the name of an input, an output or a handed-on value
  std::map<std::string, std::vector<unsigned char>> uploaded_;  // steady inputs as they were uploaded last
};

class ModelRunner {
 public:
  ModelRunner(std::shared_ptr<const WeightStore> store, TensorIndex index, std::unique_ptr<Backend> backend);

  Backend& backend() noexcept { return *backend_; }
  const std::shared_ptr<const WeightStore>& store() const noexcept { return store_; }
  const TensorIndex& index() const noexcept { return index_; }
  /// The program as this runner's backend will run it.
  std::vector<Stage> stages(Program program) const {
    backend_->adapt(program);
    return split_stages(std::move(program));
  }
  /// What running the program takes.
  StageMemory memory(Program program) const;
  /// Packs what the program needs and is not packed yet; kCancelled between tensors.
  LoadedProgram load(Program program, const std::atomic<bool>* cancel);
  void run(LoadedProgram& program, const RunControl& control);
  /// Packs the weights of `uses`, reporting packed bytes.
  void prepare(const std::vector<WeightUse>& uses, const std::atomic<bool>* cancel,
               const std::function<void(uint64_t loaded, uint64_t total)>& on_progress);
  uint64_t packed_bytes(const std::vector<WeightUse>& uses) const;

 private:
  /// The tensors of `uses` in the order of the file, which a disk reads fastest.
  std::vector<const WeightUse*> in_file_order(const std::vector<WeightUse>& uses) const;
  std::shared_ptr<const PackedWeight> packed(const WeightUse& use);

  std::shared_ptr<const WeightStore> store_;
  TensorIndex index_;
  std::unique_ptr<Backend> backend_;
  std::map<std::string, std::shared_ptr<const PackedWeight>> weights_;
  std::unique_ptr<Buffer> arena_;
};

/// Throws kCancelled when the flag is set.
void throw_if_cancelled(const std::atomic<bool>* cancel);

}  // namespace sdgen
