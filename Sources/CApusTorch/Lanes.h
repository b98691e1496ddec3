// Sixteen numbers at a time, in whatever vector instructions the processor has.
//
// Everything takes vectors by reference: passed by value they would have another calling
// convention on each processor, though every function here is inlined.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#define APUS_INLINE static inline __attribute__((always_inline))

namespace apus {

typedef float Floats __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef uint16_t Halves __attribute__((vector_size(32)));
typedef int8_t Bytes __attribute__((vector_size(16)));

constexpr int64_t lanes = 16;

/// The least multiple of the lanes that holds so many.
APUS_INLINE int64_t padded(int64_t count) { return (count + lanes - 1) / lanes * lanes; }

APUS_INLINE void load(Floats &x, const float *from) { std::memcpy(&x, from, sizeof x); }
APUS_INLINE void store(float *to, const Floats &x) { std::memcpy(to, &x, sizeof x); }

/// One number of a row as float32: itself, or a bfloat16, which is the upper half of one.
APUS_INLINE float widened(float x) { return x; }
APUS_INLINE float widened(uint16_t x) {
  const uint32_t bits = static_cast<uint32_t>(x) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

/// A float32 as a number of a row; to bfloat16 it is rounded, halves to even.
APUS_INLINE void narrow(float *to, float x) { *to = x; }
APUS_INLINE void narrow(uint16_t *to, float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
  *to = static_cast<uint16_t>(x == x ? rounded : (bits >> 16) | 0x40);
}

/// Sixteen numbers of a row, as the functions of one number read and write them.
APUS_INLINE void load(Floats &x, const uint16_t *from) {
  Halves halves;
  std::memcpy(&halves, from, sizeof halves);
  const Words bits = __builtin_convertvector(halves, Words) << 16;
  std::memcpy(&x, &bits, sizeof x);
}
APUS_INLINE void store(uint16_t *to, const Floats &x) {
  Words bits;
  std::memcpy(&bits, &x, sizeof bits);
  const Words rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
  const Words kept = x == x ? rounded : ((bits >> 16) | 0x40);
  const Halves halves = __builtin_convertvector(kept, Halves);
  std::memcpy(to, &halves, sizeof halves);
}

/// Sums as numbers.
APUS_INLINE void load(Floats &x, const int32_t *from) {
  Ints sums;
  std::memcpy(&sums, from, sizeof sums);
  x = __builtin_convertvector(sums, Floats);
}

/// The low bytes of integers.
APUS_INLINE void store(int8_t *to, const Ints &x) {
  const Bytes bytes = __builtin_convertvector(x, Bytes);
  std::memcpy(to, &bytes, sizeof bytes);
}

/// The same at the end of a row, where fewer may be left; zeros stand behind them.
template <typename Number>
APUS_INLINE void load(Floats &x, const Number *from, int64_t left) {
  if (left >= lanes) return load(x, from);
  Number rest[lanes] = {};
  std::memcpy(rest, from, left * sizeof(Number));
  load(x, rest);
}
template <typename Number, typename Vector>
APUS_INLINE void store(Number *to, const Vector &x, int64_t left) {
  if (left >= lanes) return store(to, x);
  Number rest[lanes];
  store(rest, x);
  std::memcpy(to, rest, left * sizeof(Number));
}

/// x becomes eˣ; below −87 it becomes 0.
///
/// 2ⁿ·eʳ with |r| ≤ ln 2 / 2 and the polynomial of degree 6 through Taylor's terms, whose error is
/// below one unit in the last place there.
APUS_INLINE void exponential(Floats &x) {
  const Floats highest = Floats{} + 88.0f;
  const Ints vanishes = x < -87.0f;
  Floats y = x > highest ? highest : x;
  y = y < -87.0f ? Floats{} - 87.0f : y;
  const Floats shifter = Floats{} + 12582912.0f;  // 1.5·2²³: adding it rounds to an integer
  Floats n = y * 1.44269504f + shifter;
  Ints exponent;
  std::memcpy(&exponent, &n, sizeof n);
  n -= shifter;
  const Floats r = (y - n * 0.693145752f) - n * 1.42860677e-6f;
  Floats p = r * 1.38888889e-3f + 8.33333333e-3f;
  p = p * r + 4.16666667e-2f;
  p = p * r + 1.66666667e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  Ints bits;
  std::memcpy(&bits, &p, sizeof bits);
  bits += exponent << 23;
  bits &= ~vanishes;
  std::memcpy(&x, &bits, sizeof x);
}

APUS_INLINE float sum(const Floats &x) {
  float total = 0;
  for (int64_t i = 0; i < lanes; ++i) total += x[i];
  return total;
}

APUS_INLINE float largest(const Floats &x) {
  float result = x[0];
  for (int64_t i = 1; i < lanes; ++i) result = x[i] > result ? x[i] : result;
  return result;
}

}  // namespace apus

/// Defines `name`, which runs `body` compiled for the processor that it finds itself on.
#if defined(__x86_64__)
#define APUS_FOR_EACH_PROCESSOR(name, parameters, arguments, body)                            \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))) static void name##_avx512 \
      parameters { body arguments; }                                                          \
  __attribute__((target("avx2,fma"))) static void name##_avx2 parameters { body arguments; }  \
  static void name##_plain parameters { body arguments; }                                     \
  static void name parameters {                                                               \
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&            \
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))             \
      return name##_avx512 arguments;                                                         \
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))                      \
      return name##_avx2 arguments;                                                           \
    name##_plain arguments;                                                                   \
  }
#else
#define APUS_FOR_EACH_PROCESSOR(name, parameters, arguments, body) \
  static void name parameters { body arguments; }
#endif
