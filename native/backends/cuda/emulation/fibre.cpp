#include "backends/cuda/emulation/fibre.h"

#include <cstdint>

#if defined(__x86_64__)

// System V: rbx, rbp and r12 … r15 are the callee's to keep; control words never change here.
asm(R"(
.text
.type sdgen_switch_fibre, @function
sdgen_switch_fibre:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size sdgen_switch_fibre, .-sdgen_switch_fibre
)");
extern "C" void sdgen_switch_fibre(void** from, void* to);

namespace sdgen::cuda::emulation {

void* new_fibre(unsigned char* stack, size_t bytes, void (*entry)()) {
  auto top = (reinterpret_cast<uintptr_t>(stack) + bytes) & ~uintptr_t{63};
  auto* slots = reinterpret_cast<uintptr_t*>(top) - 8;  // six registers, the entry, and one that aligns the stack for it
  for (int i = 0; i < 8; ++i) slots[i] = 0;
  slots[6] = reinterpret_cast<uintptr_t>(entry);
  return slots;
}

void switch_fibre(void** from, void* to) { sdgen_switch_fibre(from, to); }

}  // namespace sdgen::cuda::emulation

#else

#include <map>
#include <memory>

#include <ucontext.h>

namespace sdgen::cuda::emulation {
namespace {

/// A context a stack, kept for the next block that runs on it.
ucontext_t& context_of(unsigned char* stack) {
  thread_local std::map<unsigned char*, std::unique_ptr<ucontext_t>> contexts;
  auto& slot = contexts[stack];
  if (!slot) slot = std::make_unique<ucontext_t>();
  return *slot;
}

}  // namespace

void* new_fibre(unsigned char* stack, size_t bytes, void (*entry)()) {
  ucontext_t& context = context_of(stack);
  getcontext(&context);
  context.uc_stack.ss_sp = stack;
  context.uc_stack.ss_size = bytes;
  context.uc_link = nullptr;
  makecontext(&context, entry, 0);
  return &context;
}

void switch_fibre(void** from, void* to) {
  ucontext_t here;
  *from = &here;
  swapcontext(&here, static_cast<ucontext_t*>(to));
}

}  // namespace sdgen::cuda::emulation

#endif
