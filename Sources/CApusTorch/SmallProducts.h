// Products of matrices that fit a processor's nearest cache, in scratch of float32.
#pragma once

#include "Lanes.h"

namespace apus {

/// c (+)= Σₖ a(m, k)·b[k, n] for `rows` by `columns` vectors.
template <int rows, int columns>
APUS_INLINE void tile(
    const float *a, int64_t a_row, int64_t a_column, const float *b, int64_t b_row, float *c,
    int64_t c_row, int64_t depth, bool adds) {
  Floats sums[rows][columns];
  for (int m = 0; m < rows; ++m)
    for (int n = 0; n < columns; ++n) {
      if (adds)
        load(sums[m][n], c + m * c_row + n * lanes);
      else
        sums[m][n] = Floats{};
    }
  for (int64_t k = 0; k < depth; ++k) {
    Floats right[columns];
    for (int n = 0; n < columns; ++n) load(right[n], b + k * b_row + n * lanes);
    for (int m = 0; m < rows; ++m) {
      const float left = a[m * a_row + k * a_column];
      for (int n = 0; n < columns; ++n) sums[m][n] += left * right[n];
    }
  }
  for (int m = 0; m < rows; ++m)
    for (int n = 0; n < columns; ++n) store(c + m * c_row + n * lanes, sums[m][n]);
}

/// c (+)= a·b for `rows` rows and a multiple of the lanes of columns.
template <int rows>
APUS_INLINE void band(
    const float *a, int64_t a_row, int64_t a_column, const float *b, int64_t b_row, float *c,
    int64_t c_row, int64_t columns, int64_t depth, bool adds) {
  int64_t n = 0;
  for (; n + 2 * lanes <= columns; n += 2 * lanes)
    tile<rows, 2>(a, a_row, a_column, b + n, b_row, c + n, c_row, depth, adds);
  if (n < columns) tile<rows, 1>(a, a_row, a_column, b + n, b_row, c + n, c_row, depth, adds);
}

/// c (+)= a·b: a(m, k) at a[m·a_row + k·a_column], b [depth, columns], c [rows, columns].
APUS_INLINE void product(
    const float *a, int64_t a_row, int64_t a_column, const float *b, int64_t b_row, float *c,
    int64_t c_row, int64_t rows, int64_t columns, int64_t depth, bool adds = false) {
  int64_t m = 0;
  for (; m + 8 <= rows; m += 8)
    band<8>(a + m * a_row, a_row, a_column, b, b_row, c + m * c_row, c_row, columns, depth, adds);
  for (; m + 2 <= rows; m += 2)
    band<2>(a + m * a_row, a_row, a_column, b, b_row, c + m * c_row, c_row, columns, depth, adds);
  if (m < rows)
    band<1>(a + m * a_row, a_row, a_column, b, b_row, c + m * c_row, c_row, columns, depth, adds);
}

/// Rows of numbers to rows of float32 times a factor, padded with zeros.
template <typename Number>
APUS_INLINE void pack(
    const Number *from, int64_t stride, int64_t rows, int64_t size, float factor, float *to,
    int64_t width) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t c = 0; c < size; c += lanes) {
      Floats x;
      load(x, from + i * stride + c, size - c);
      x *= factor;
      store(to + i * width + c, x);
    }
}

/// Rows of numbers to columns of float32: [rows, size] to [size, width], padded with zeros.
template <typename Number>
APUS_INLINE void pack_turned(
    const Number *from, int64_t stride, int64_t rows, int64_t size, float *to, int64_t width) {
  for (int64_t c = 0; c < size; ++c) {
    for (int64_t i = 0; i < rows; ++i) to[c * width + i] = widened(from[i * stride + c]);
    for (int64_t i = rows; i < width; ++i) to[c * width + i] = 0;
  }
}

/// Rows of float32 times a factor to rows of numbers, without the padding.
template <typename Number>
APUS_INLINE void unpack(
    const float *from, int64_t width, int64_t rows, int64_t size, float factor, Number *to,
    int64_t stride) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t c = 0; c < size; c += lanes) {
      Floats x;
      load(x, from + i * width + c);
      x *= factor;
      store(to + i * stride + c, x, size - c);
    }
}

}  // namespace apus
