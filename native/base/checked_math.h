#pragma once
// Arithmetic on sizes from strangers' files: nullopt instead of wrapping round.
#include <cstdint>
#include <optional>

namespace sdgen {

template <typename Integer>
std::optional<Integer> checked_add(Integer a, Integer b) noexcept {
  Integer sum;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

template <typename Integer>
std::optional<Integer> checked_multiply(Integer a, Integer b) noexcept {
  Integer product;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

}  // namespace sdgen
