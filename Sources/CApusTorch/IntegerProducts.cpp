// Rows times a matrix of bytes: rows become bytes themselves, each with a scale of its own.
#include "Boundary.h"
#include "Lanes.h"

using namespace apus;

namespace {

/// Rows that are worked on at once: their sums stay in the cache, and the product's kernel is
/// compiled for this number alone, whatever batches hold.
constexpr int64_t band_rows = 256;

/// Rows of numbers, each times `factors` if there are any, as codes −127…127 and a scale for each
/// row: a number is nearly its code times that.
template <typename Number>
APUS_INLINE void encode_rows(
    const Number *from, const float *factors, int64_t rows, int64_t count, float *scratch,
    int8_t *to, float *scales) {
  for (int64_t m = 0; m < rows; ++m, from += count, to += count) {
    Ints peaks = {};  // magnitudes are ordered as their bits are, and NaN is above all
    for (int64_t i = 0; i < count; i += lanes) {
      Floats x;
      load(x, from + i, count - i);
      if (factors != nullptr) {
        Floats factor;
        load(factor, factors + i, count - i);
        x *= factor;
      }
      store(scratch + i, x);
      Ints bits;
      std::memcpy(&bits, &x, sizeof bits);
      bits &= 0x7FFFFFFF;
      peaks = bits > peaks ? bits : peaks;
    }
    int32_t highest = 0;
    for (int64_t lane = 0; lane < lanes; ++lane)
      highest = peaks[lane] > highest ? peaks[lane] : highest;
    float peak;
    std::memcpy(&peak, &highest, sizeof peak);
    scales[m] = peak / 127.0f;
    const float factor = peak > 1e-30f ? 127.0f / peak : 0;
    for (int64_t i = 0; i < count; i += lanes) {
      Floats x;
      load(x, scratch + i);
      x *= factor;
      x += 12582912.0f;  // 1.5·2²³: the low byte becomes the nearest integer
      Ints bits;
      std::memcpy(&bits, &x, sizeof bits);
      store(to + i, bits, count - i);
    }
  }
}

/// sums · the row's scale · the column's factor + the column's shift, both if there are any.
template <typename Number>
APUS_INLINE void decode_rows(
    const int32_t *sums, const float *scales, const float *factors, const float *shifts,
    int64_t rows, int64_t count, Number *to) {
  for (int64_t m = 0; m < rows; ++m, sums += count, to += count) {
    for (int64_t i = 0; i < count; i += lanes) {
      Floats x, other;
      load(x, sums + i, count - i);
      x *= scales[m];
      if (factors != nullptr) {
        load(other, factors + i, count - i);
        x *= other;
      }
      if (shifts != nullptr) {
        load(other, shifts + i, count - i);
        x += other;
      }
      store(to + i, x, count - i);
    }
  }
}

#define APUS_INTEGER_ROWS(Number, suffix)                                                       \
  APUS_FOR_EACH_PROCESSOR(                                                                      \
      encode_##suffix,                                                                          \
      (const Number *from, const float *factors, int64_t rows, int64_t count, float *scratch,   \
       int8_t *to, float *scales),                                                              \
      (from, factors, rows, count, scratch, to, scales), encode_rows)                           \
  APUS_FOR_EACH_PROCESSOR(                                                                      \
      decode_##suffix,                                                                          \
      (const int32_t *sums, const float *scales, const float *factors, const float *shifts,     \
       int64_t rows, int64_t count, Number *to),                                                \
      (sums, scales, factors, shifts, rows, count, to), decode_rows)
APUS_INTEGER_ROWS(float, floats)
APUS_INTEGER_ROWS(uint16_t, brains)

/// Whether libtorch's product of bytes is exact here: without these instructions oneDNN adds pairs
/// of products in sixteen bits, which are too few for codes of all eight.
bool multiplies_bytes() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512vnni");
#else
  return true;
#endif
}

/// a·b of codes −127…127, [M, K] and [K, N], exactly.
at::Tensor exact_product(const at::Tensor &a, const at::Tensor &b, bool in_floats = false) {
  if (!in_floats && multiplies_bytes()) return at::_int_mm(a, b);
  constexpr int64_t depth = 1024;  // 1,024 products of 127² stay below 2²⁴
  auto sums = at::zeros({a.size(0), b.size(1)}, at::kInt);
  for (int64_t k = 0; k < a.size(1); k += depth) {
    const int64_t count = std::min(depth, a.size(1) - k);
    sums += at::matmul(a.narrow(1, k, count).to(at::kFloat), b.narrow(0, k, count).to(at::kFloat))
                .to(at::kInt);
  }
  return sums;
}

void encode(
    const float *from, const float *factors, int64_t rows, int64_t count, float *scratch,
    int8_t *to, float *scales) {
  encode_floats(from, factors, rows, count, scratch, to, scales);
}
void encode(
    const uint16_t *from, const float *factors, int64_t rows, int64_t count, float *scratch,
    int8_t *to, float *scales) {
  encode_brains(from, factors, rows, count, scratch, to, scales);
}
void decode(
    const int32_t *sums, const float *scales, const float *factors, const float *shifts,
    int64_t rows, int64_t count, float *to) {
  decode_floats(sums, scales, factors, shifts, rows, count, to);
}
void decode(
    const int32_t *sums, const float *scales, const float *factors, const float *shifts,
    int64_t rows, int64_t count, uint16_t *to) {
  decode_brains(sums, scales, factors, shifts, rows, count, to);
}

/// What rows and columns are multiplied by, as float32; a null pointer for nothing.
struct Factors {
  const float *before;  // of the elements of a row, before it is encoded [K]
  const float *after;   // of the columns [N]
  const float *shifts;  // added to the columns [N]
};

/// x·matrix, [M, K] and [K, N], band by band.
template <typename Number>
void multiply(
    const at::Tensor &x, const at::Tensor &matrix, const Factors &factors, at::Tensor &result) {
  const int64_t depth = matrix.size(0), count = matrix.size(1), all = x.size(0);
  const auto *const from = static_cast<const Number *>(x.const_data_ptr());
  auto *const to = static_cast<Number *>(result.mutable_data_ptr());
  const auto codes = at::empty({std::min(all, band_rows), depth}, at::kChar);
  std::vector<float> scales(band_rows), scratch(padded(depth));
  for (int64_t m = 0; m < all; m += band_rows) {
    const int64_t rows = std::min(band_rows, all - m);
    encode(
        from + m * depth, factors.before, rows, depth, scratch.data(), codes.data_ptr<int8_t>(),
        scales.data());
    const auto sums = exact_product(codes.narrow(0, 0, rows), matrix);
    decode(
        sums.const_data_ptr<int32_t>(), scales.data(), factors.after, factors.shifts, rows, count,
        to + m * count);
  }
}

}  // namespace

extern "C" {

apus_tensor apus_integer_linear(
    apus_tensor x, apus_tensor codes, apus_tensor scales, apus_tensor bias, bool turned) {
  return tensor("product of integers", [&] {
    at::AutoGradMode guard(false);
    const auto given = in(x);
    const auto matrix = turned ? in(codes) : in(codes).t();
    if (given.dim() < 1 || given.size(-1) != matrix.size(0))
      throw std::invalid_argument("the rows do not fit the matrix");
    const auto rows = given.contiguous().reshape({-1, matrix.size(0)});
    const auto of_rows = in(scales).contiguous();
    const auto shifts = bias == nullptr ? at::Tensor() : in(bias).to(at::kFloat).contiguous();
    const float *const factors = of_rows.const_data_ptr<float>();
    const Factors all = {
        turned ? factors : nullptr, turned ? nullptr : factors,
        bias == nullptr ? nullptr : shifts.const_data_ptr<float>()};
    auto result = at::empty({rows.size(0), matrix.size(1)}, given.options());
    switch (given.scalar_type()) {
      case at::kFloat: multiply<float>(rows, matrix, all, result); break;
      case at::kBFloat16: multiply<uint16_t>(rows, matrix, all, result); break;
      default: throw std::invalid_argument("the dtype is neither float32 nor bfloat16");
    }
    auto shape = given.sizes().vec();
    shape.back() = matrix.size(1);
    return result.reshape(shape);
  });
}

apus_tensor apus_integer_product(apus_tensor a, apus_tensor b, bool in_floats) {
  return tensor("product of integers", [&] { return exact_product(in(a), in(b), in_floats); });
}

}  // extern "C"
