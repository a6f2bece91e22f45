#pragma once
// One card: its memory, its stream, its kernels by name, and recorded sequences of launches (CUDA Graphs).
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backends/cuda/driver.h"

namespace sdgen::cuda {

/// A kernel of the embedded code whose argument is a P.
template <typename P>
struct Kernel {
  const char* name;
  unsigned threads;            // a block
  unsigned shared_bytes = 0;
};

struct Grid {
  int64_t x = 1, y = 1, z = 1;
};

/// Code for the cards, one image a kernel family.
struct CodeImage {
  const char* family;
  const void* image;
};

class Device;

/// Memory on the card. Freed with the object.
class DeviceMemory {
 public:
  DeviceMemory(Device& device, uint64_t bytes);
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  uint64_t bytes() const noexcept { return bytes_; }
  DevicePointer address() const noexcept { return address_; }

 private:
  Device& device_;
  uint64_t bytes_;
  DevicePointer address_ = 0;
};

/// Launches that were recorded, to be done again as one.
class Recording {
 public:
  Recording(Device& device, GraphExec exec) : device_(device), exec_(exec) {}
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
  void launch();

 private:
  Device& device_;
  GraphExec exec_;
};

/// Work is done in the order it is given; calls return before it is done, unless said. Errors of earlier work show later.
/// All failures are Error with kDevice or kOutOfMemory. May move between threads, one at a time.
class Device {
 public:
  /// Throws where no image has code for the card.
  Device(const DriverApi& api, const Card& card, const std::vector<CodeImage>& code);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const Card& card() const noexcept { return card_; }
  /// Calls of the driver concern this card from here on, on this thread.
  void use();

  void upload(DevicePointer to, const void* from, uint64_t bytes);      // `from` may change afterwards
  void download(void* to, DevicePointer from, uint64_t bytes);          // waits
  void fill(DevicePointer to, unsigned char value, uint64_t bytes);
  void synchronise();

  template <typename P>
  void launch(const Kernel<P>& kernel, const Grid& grid, const P& params) {
    launch_raw(kernel.name, kernel.threads, kernel.shared_bytes, grid, &params);
  }

  /// Records what `body` launches, without doing it.
  template <typename Body>
  std::unique_ptr<Recording> record(const Body& body) {
    begin_record();
    try {
      body();
    } catch (...) {
      abandon_record();
      throw;
    }
    return end_record();
  }

  /// Seconds that pass on the card between marks.
  Event mark();
  double seconds_between(Event start, Event end);  // waits
  void free_mark(Event event) noexcept;

 private:
  friend class DeviceMemory;
  friend class Recording;
  void launch_raw(const char* name, unsigned threads, unsigned shared_bytes, const Grid& grid, const void* params);
  Function function(const char* name, unsigned shared_bytes);
  void begin_record();
  void abandon_record() noexcept;
  std::unique_ptr<Recording> end_record();
  void check(Result result, const char* doing) const { cuda::check(api_, result, doing, card_.index); }
  DevicePointer allocate(uint64_t bytes);
  void release() noexcept;

  const DriverApi& api_;
  const Card card_;
  Context context_ = nullptr;
  bool retained_ = false;
  Stream stream_ = nullptr;
  bool streaming_ = false;
  std::vector<Module> modules_;
  std::map<std::string, Function, std::less<>> functions_;
  void* staging_ = nullptr;  // page-locked; uploads pass through it
};

}  // namespace sdgen::cuda
