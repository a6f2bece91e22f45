#pragma once
// One source, same bits, compiled twice and chosen at load: with AVX2 and FMA in hardware std::fma is an instruction
// instead of a library call. "arch=haswell" would be chosen on that one processor only; the level v3 on all that have it.
// Not under the thread sanitizer: the choice is made before its runtime is up, and instrumented code crashes there.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12 && !defined(SDGEN_NO_CLONES) && \
    !defined(__SANITIZE_THREAD__)
#define SDGEN_CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))
#define SDGEN_HAS_CLONES 1
#else
#define SDGEN_CLONES
#define SDGEN_HAS_CLONES 0
#endif
