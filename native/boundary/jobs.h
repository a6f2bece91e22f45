#pragma once
// The calls that take a worker's time: a request read and checked, the work, and what it comes to.
#include "boundary/argument.h"
#include "engine/worker.h"

namespace sdgen::boundary {

struct Job {
  Task::Work work;
  /// Once the task has ended well. What the value views lives as long as this function.
  std::function<Value()> result;
};

// Of a model, each resolving to {conditionings | latent | images | moments, profile}, and trail where it was asked for.
Job text_job(const Argument& request, const ModelDescription& model);
Job sample_job(const Argument& request, const ModelDescription& model);
Job decode_job(const Argument& request, const ModelDescription& model);
Job encode_job(const Argument& request, const ModelDescription& model);
Job resize_job(const Argument& request, const ModelDescription& model);

// Of no model.
/// One part of a model on tensors of a file, to a file: nothing.
Job eval_job(const Argument& options);
/// One evaluation on two devices: {tolerance, notCompared, ops, text}.
Job compare_job(const Argument& options);
/// {text, json}.
Job bench_job(const Argument& options);
/// {precision, threads, seconds}: GFLOP/s.
Job probe_job(const Argument& options);
/// A row a device with memory of its own: {name, freeBytes, totalBytes}.
Job memory_job(const Argument& options);

}  // namespace sdgen::boundary
