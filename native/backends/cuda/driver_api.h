#pragma once
// The CUDA driver's functions that are used, as a table: filled from libcuda.so.1 at run time, or by the emulation. The
// types are those of the driver's C interface; none of its headers is needed to build.
#include <cstddef>
#include <cstdint>

namespace sdgen::cuda {

using Result = int;
using DeviceId = int;
using DevicePointer = unsigned long long;
using Context = struct ContextTag*;
using Module = struct ModuleTag*;
using Function = struct FunctionTag*;
using Stream = struct StreamTag*;
using Event = struct EventTag*;
using Graph = struct GraphTag*;
using GraphExec = struct GraphExecTag*;

// X(member, exported symbol, parameters)
#define SDGEN_DRIVER_FUNCTIONS(X)                                                                                       \
  X(init, "cuInit", (unsigned flags))                                                                                   \
  X(driver_version, "cuDriverGetVersion", (int* version))                                                               \
  X(device_count, "cuDeviceGetCount", (int* count))                                                                     \
  X(device_get, "cuDeviceGet", (DeviceId * device, int ordinal))                                                        \
  X(device_name, "cuDeviceGetName", (char* name, int length, DeviceId device))                                          \
  X(device_memory, "cuDeviceTotalMem_v2", (size_t * bytes, DeviceId device))                                            \
  X(device_attribute, "cuDeviceGetAttribute", (int* value, int attribute, DeviceId device))                             \
  X(context_retain, "cuDevicePrimaryCtxRetain", (Context * context, DeviceId device))                                   \
  X(context_release, "cuDevicePrimaryCtxRelease_v2", (DeviceId device))                                                 \
  X(context_set, "cuCtxSetCurrent", (Context context))                                                                  \
  X(module_load, "cuModuleLoadData", (Module * module, const void* image))                                              \
  X(module_unload, "cuModuleUnload", (Module module))                                                                   \
  X(module_function, "cuModuleGetFunction", (Function * function, Module module, const char* name))                     \
  X(function_attribute, "cuFuncSetAttribute", (Function function, int attribute, int value))                            \
  X(memory_allocate, "cuMemAlloc_v2", (DevicePointer * pointer, size_t bytes))                                          \
  X(memory_free, "cuMemFree_v2", (DevicePointer pointer))                                                               \
  X(memory_info, "cuMemGetInfo_v2", (size_t * free, size_t * total))                                                    \
  X(host_allocate, "cuMemAllocHost_v2", (void** pointer, size_t bytes))                                                 \
  X(host_free, "cuMemFreeHost", (void* pointer))                                                                        \
  X(copy_to_device, "cuMemcpyHtoDAsync_v2", (DevicePointer to, const void* from, size_t bytes, Stream stream))          \
  X(copy_to_host, "cuMemcpyDtoHAsync_v2", (void* to, DevicePointer from, size_t bytes, Stream stream))                  \
  X(memory_set, "cuMemsetD8Async", (DevicePointer to, unsigned char value, size_t bytes, Stream stream))                \
  X(stream_create, "cuStreamCreate", (Stream * stream, unsigned flags))                                                 \
  X(stream_destroy, "cuStreamDestroy_v2", (Stream stream))                                                              \
  X(stream_synchronize, "cuStreamSynchronize", (Stream stream))                                                         \
  X(launch, "cuLaunchKernel",                                                                                           \
    (Function function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,          \
     unsigned block_z, unsigned shared_bytes, Stream stream, void** params, void** extra))                              \
  X(event_create, "cuEventCreate", (Event * event, unsigned flags))                                                     \
  X(event_destroy, "cuEventDestroy_v2", (Event event))                                                                  \
  X(event_record, "cuEventRecord", (Event event, Stream stream))                                                        \
  X(event_elapsed, "cuEventElapsedTime", (float* milliseconds, Event start, Event end))                                 \
  X(capture_begin, "cuStreamBeginCapture_v2", (Stream stream, int mode))                                                \
  X(capture_end, "cuStreamEndCapture", (Stream stream, Graph * graph))                                                  \
  X(graph_instantiate, "cuGraphInstantiateWithFlags", (GraphExec * exec, Graph graph, unsigned long long flags))        \
  X(graph_launch, "cuGraphLaunch", (GraphExec exec, Stream stream))                                                     \
  X(graph_exec_destroy, "cuGraphExecDestroy", (GraphExec exec))                                                         \
  X(graph_destroy, "cuGraphDestroy", (Graph graph))                                                                     \
  X(error_name, "cuGetErrorName", (Result result, const char** name))

struct DriverApi {
#define SDGEN_DRIVER_MEMBER(member, symbol, parameters) Result(*member) parameters = nullptr;
  SDGEN_DRIVER_FUNCTIONS(SDGEN_DRIVER_MEMBER)
#undef SDGEN_DRIVER_MEMBER
};

// Values of the driver's enumerations.
inline constexpr Result kSuccess = 0, kOutOfMemory = 2, kNoDevice = 100, kInvalidDevice = 101, kNoBinaryForGpu = 209,
                        kUnsupportedPtx = 222;
inline constexpr int kMultiprocessorCount = 16, kComputeMajor = 75, kComputeMinor = 76, kSharedBytesOptIn = 97;
inline constexpr int kMaxDynamicSharedBytes = 8;  // of a function
inline constexpr int kCaptureThreadLocal = 1;
inline constexpr unsigned kStreamNonBlocking = 1;

}  // namespace sdgen::cuda
