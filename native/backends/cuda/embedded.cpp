#include "backends/cuda/embedded.h"

#ifdef SDGEN_CODE_IMAGES

#define SDGEN_CODE(name, path)                                                                                          \
  asm(".section .rodata\n.balign 64\n.globl sdgen_code_" #name "\n.hidden sdgen_code_" #name "\nsdgen_code_" #name        \
      ":\n.incbin \"" path "\"\n.previous\n");                                                                          \
  extern "C" const unsigned char sdgen_code_##name[];
#include SDGEN_CODE_IMAGES
#undef SDGEN_CODE

const sdgen::cuda::EmbeddedCode& sdgen::cuda::embedded_code() {
  static const EmbeddedCode code{{
#define SDGEN_CODE(name, path) {#name, sdgen_code_##name},
#include SDGEN_CODE_IMAGES
#undef SDGEN_CODE
                                 },
                                 SDGEN_TOOLKIT,
                                 SDGEN_ARCHITECTURES};
  return code;
}

#else

const sdgen::cuda::EmbeddedCode& sdgen::cuda::embedded_code() {
  static const EmbeddedCode none;
  return none;
}

#endif
