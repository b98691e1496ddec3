// Attention of one head of one example: a few small products in the cache, no scores stored; its
// backward computes them again.
//
// Shapes: T rows of queries, S of keys; H heads of queries, G of them to each of K heads of keys;
// d head size. Scratch is padded to whole vectors.
// Source: Dao et al., arXiv 2205.14135 (scores again from their sums); Ainslie et al., arXiv
// 2305.13245 (several queries to a key).
#pragma once

#include <limits>

#include "Kept.h"
#include "SmallProducts.h"

namespace apus {

/// Queries that are worked on at once.
constexpr int64_t block = 32;

/// One example and one head of keys: where its numbers lie and what its queries see.
template <typename Number>
struct Head {
  const Number *queries, *keys, *values;
  int64_t query_stride, key_stride, value_stride, context_stride;  // between rows
  int64_t query_count, key_count, size;
  int64_t groups;  // G
  float scale;
  bool causal;
  int64_t window;  // keys that are looked back at, the own included; 0 for all
  bool drops;
  Kept kept;
  int64_t first_row;   // of the example's queries, times H, plus the first head
  int64_t row_stride;  // H
  float *log_sums;     // [T, H] from first_row
};

/// The keys that any query before `end` sees.
template <typename Number>
APUS_INLINE int64_t visible(const Head<Number> &head, int64_t end) {
  return head.causal && end < head.key_count ? end : head.key_count;
}

/// −∞ for the keys that query i does not see, and for the padding behind them.
template <typename Number>
APUS_INLINE void hide(const Head<Number> &head, int64_t i, float *scores, int64_t width) {
  const float never = -std::numeric_limits<float>::infinity();
  for (int64_t j = visible(head, i + 1); j < width; ++j) scores[j] = never;
  if (head.causal && head.window > 0)
    for (int64_t j = 0; j < i - head.window + 1 && j < width; ++j) scores[j] = never;
}

/// The draws of query i of a head of queries.
template <typename Number>
APUS_INLINE Kept draws(const Head<Number> &head, int64_t group, int64_t i) {
  return head.kept.row(static_cast<uint64_t>(head.first_row + i * head.row_stride + group));
}

/// `scores` times the mask.
APUS_INLINE void drop(float *scores, int64_t width, const Kept &kept) {
  const uint32_t low = kept.low, high = kept.high;
  const int32_t threshold = kept.threshold;
  const float scale = kept.scale;
  for (int64_t j = 0; j < width; ++j) {
    uint32_t bits;
    std::memcpy(&bits, scores + j, sizeof bits);
    bits &= Kept::bits_of(static_cast<uint32_t>(j), low, high, threshold);
    float masked;
    std::memcpy(&masked, &bits, sizeof masked);
    scores[j] = masked * scale;
  }
}

/// Some queries of one head of queries, that are worked on at once.
struct Block {
  int64_t group, column;  // which head of queries, and its first number in a row
  int64_t start, rows;
  int64_t seen, span;  // keys that any of them sees, and the same in whole vectors
};

/// Calls `body` with every block, its queries packed and scaled.
template <typename Number, typename Body>
APUS_INLINE void each_block(
    const Head<Number> &head, float *queries, int64_t width, const Body &body) {
  for (int64_t group = 0; group < head.groups; ++group)
    for (int64_t start = 0; start < head.query_count; start += block) {
      const int64_t left = head.query_count - start, rows = left < block ? left : block;
      const int64_t seen = visible(head, start + rows), column = group * head.size;
      pack(
          head.queries + start * head.query_stride + column, head.query_stride, rows, head.size,
          head.scale, queries, width);
      body(Block{group, column, start, rows, seen, padded(seen)});
    }
}

/// Scratch that a head needs, in floats.
int64_t forward_scratch(int64_t keys, int64_t size) {
  return padded(keys) * size + (keys + block) * padded(size) + block * (padded(keys) + padded(size));
}
int64_t backward_scratch(int64_t keys, int64_t size) {
  return 2 * padded(keys) * size + 3 * keys * padded(size) + 3 * block * padded(size) +
         2 * block * padded(keys);
}

template <typename Number>
APUS_INLINE void attend(const Head<Number> &head, Number *out, float *scratch) {
  const int64_t width = padded(head.size), length = padded(head.key_count);
  float *keys = scratch;                                // [d, S]
  float *values = keys + head.size * length;            // [S, d]
  float *queries = values + head.key_count * width;     // [block, d]
  float *scores = queries + block * width;              // [block, S]
  float *context = scores + block * length;             // [block, d]
  pack_turned(head.keys, head.key_stride, head.key_count, head.size, keys, length);
  pack(head.values, head.value_stride, head.key_count, head.size, 1, values, width);
  each_block(head, queries, width, [&](const Block &at) APUS_INLINED {
    const auto [group, column, start, rows, seen, span] = at;
    product(queries, width, 1, keys, length, scores, length, rows, span, head.size);
    for (int64_t row = 0; row < rows; ++row) {
      float *line = scores + row * length;
      hide(head, start + row, line, span);
      Floats peaks = Floats{} - std::numeric_limits<float>::infinity();
      for (int64_t j = 0; j < span; j += lanes) {
        Floats x;
        load(x, line + j);
        peaks = x > peaks ? x : peaks;
      }
      const float peak = largest(peaks);
      Floats totals = Floats{};
      for (int64_t j = 0; j < span; j += lanes) {
        Floats x;
        load(x, line + j);
        x -= peak;
        exponential(x);
        totals += x;
        store(line + j, x);
      }
      const float total = sum(totals);
      const float share = 1 / total;
      for (int64_t j = 0; j < span; ++j) line[j] *= share;
      if (head.log_sums != nullptr)
        head.log_sums[(start + row) * head.row_stride + group] = peak + std::log(total);
      if (head.drops) drop(line, span, draws(head, group, start + row));
    }
    product(scores, length, 1, values, width, context, width, rows, width, seen);
    unpack(
        context, width, rows, head.size, 1, out + start * head.context_stride + column,
        head.context_stride);
  });
}

/// Where a head's gradients go; rows are as far apart as those of the inputs' own widths.
template <typename Number>
struct Gradients {
  const Number *context;
  Number *queries, *keys, *values;
  int64_t context_stride, query_stride, key_stride;
};

template <typename Number>
APUS_INLINE void attend_back(
    const Head<Number> &head, const Gradients<Number> &gradients, float *scratch) {
  const int64_t width = padded(head.size), length = padded(head.key_count);
  float *turned_keys = scratch;                            // [d, S]
  float *turned_values = turned_keys + head.size * length;  // [d, S]
  float *keys = turned_values + head.size * length;         // [S, d]
  float *key_sums = keys + head.key_count * width;          // [S, d]
  float *value_sums = key_sums + head.key_count * width;    // [S, d]
  float *queries = value_sums + head.key_count * width;     // [block, d]
  float *outer = queries + block * width;                   // [block, d]
  float *moves = outer + block * width;                     // [block, d]
  float *shares = moves + block * width;                    // [block, S]
  float *slopes = shares + block * length;                  // [block, S]
  pack_turned(head.keys, head.key_stride, head.key_count, head.size, turned_keys, length);
  pack_turned(head.values, head.value_stride, head.key_count, head.size, turned_values, length);
  pack(head.keys, head.key_stride, head.key_count, head.size, 1, keys, width);
  for (int64_t i = 0; i < head.key_count * width; ++i) key_sums[i] = value_sums[i] = 0;
  each_block(head, queries, width, [&](const Block &at) APUS_INLINED {
    const auto [group, column, start, rows, seen, span] = at;
    pack(
        gradients.context + start * gradients.context_stride + column, gradients.context_stride,
        rows, head.size, 1, outer, width);
    product(queries, width, 1, turned_keys, length, shares, length, rows, span, head.size);
    product(outer, width, 1, turned_values, length, slopes, length, rows, span, head.size);
    for (int64_t row = 0; row < rows; ++row) {
      float *share = shares + row * length, *slope = slopes + row * length;
      hide(head, start + row, share, span);
      const float log_sum = head.log_sums[(start + row) * head.row_stride + group];
      const Kept kept = draws(head, group, start + row);
      if (head.drops) drop(slope, span, kept);
      Floats inner = Floats{};
      for (int64_t j = 0; j < span; j += lanes) {
        Floats p, s;
        load(p, share + j);
        load(s, slope + j);
        p -= log_sum;
        exponential(p);
        store(share + j, p);
        inner += p * s;
      }
      const float mean = sum(inner);
      for (int64_t j = 0; j < span; ++j) slope[j] = share[j] * (slope[j] - mean);
      if (head.drops) drop(share, span, kept);
    }
    product(shares, 1, length, outer, width, value_sums, width, seen, width, rows, true);
    product(slopes, 1, length, queries, width, key_sums, width, seen, width, rows, true);
    product(slopes, length, 1, keys, width, moves, width, rows, width, seen);
    unpack(
        moves, width, rows, head.size, head.scale,
        gradients.queries + start * gradients.query_stride + column, gradients.query_stride);
  });
  unpack(
      key_sums, width, head.key_count, head.size, 1, gradients.keys, gradients.key_stride);
  unpack(
      value_sums, width, head.key_count, head.size, 1, gradients.values, gradients.key_stride);
}

}  // namespace apus
