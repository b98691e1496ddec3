// Attention over rows without padding, example by example and head by head.
#include <ATen/Parallel.h>

#include <numeric>

#include "AttentionHead.h"
#include "Boundary.h"

using namespace apus;

namespace {

#define APUS_ATTENTION(Number, suffix)                                                       \
  APUS_FOR_EACH_PROCESSOR(                                                                   \
      attend_##suffix, (const Head<Number> &head, Number *out, float *scratch),              \
      (head, out, scratch), attend)                                                          \
  APUS_FOR_EACH_PROCESSOR(                                                                   \
      attend_back_##suffix,                                                                  \
      (const Head<Number> &head, const Gradients<Number> &gradients, float *scratch),        \
      (head, gradients, scratch), attend_back)
APUS_ATTENTION(float, floats)
APUS_ATTENTION(uint16_t, brains)

void run(const Head<float> &head, float *out, float *scratch) { attend_floats(head, out, scratch); }
void run(const Head<uint16_t> &head, uint16_t *out, float *scratch) {
  attend_brains(head, out, scratch);
}
void run(const Head<float> &head, const Gradients<float> &to, float *scratch) {
  attend_back_floats(head, to, scratch);
}
void run(const Head<uint16_t> &head, const Gradients<uint16_t> &to, float *scratch) {
  attend_back_brains(head, to, scratch);
}

/// Calls `body` with a pointer of the dtype's own number type.
template <typename Body>
void with_number(const at::Tensor &x, Body body) {
  switch (x.scalar_type()) {
    case at::kFloat: return body(static_cast<float *>(nullptr));
    case at::kBFloat16: return body(static_cast<uint16_t *>(nullptr));
    default: throw std::invalid_argument("the dtype is neither float32 nor bfloat16");
  }
}

template <typename Number>
Number *data(const at::Tensor &x) {
  return static_cast<Number *>(const_cast<void *>(x.const_data_ptr()));
}

/// What all heads share, and where each example begins.
class Plan {
 public:
  Plan(const apus_attention_plan &plan, const at::Tensor &q, const at::Tensor &k,
       const at::Tensor &v)
      : plan(plan), kept(plan.dropout, plan.seed), heads(plan.key_heads * plan.queries_per_key) {
    const auto *keys = plan.key_lengths == nullptr ? plan.lengths : plan.key_lengths;
    for (int64_t i = 0; i < plan.examples; ++i) {
      query_starts.push_back(query_starts.back() + plan.lengths[i]);
      key_starts.push_back(key_starts.back() + keys[i]);
      longest = std::max(longest, keys[i]);
    }
    const bool fits = q.dim() == 2 && k.dim() == 2 && v.sizes() == k.sizes() && heads > 0 &&
                      q.size(1) % heads == 0 && q.size(1) / heads * plan.key_heads == k.size(1) &&
                      q.size(0) == query_starts.back() && k.size(0) == key_starts.back() &&
                      q.scalar_type() == k.scalar_type() && q.scalar_type() == v.scalar_type();
    if (!fits) throw std::invalid_argument("the rows do not fit the plan");
    if (!q.is_cpu()) throw std::invalid_argument("the rows are not on the processor");
    size = q.size(1) / heads;
  }

  const apus_attention_plan &plan;
  const Kept kept;
  const int64_t heads;
  int64_t size = 0, longest = 0;
  std::vector<int64_t> query_starts = {0}, key_starts = {0};

  /// Key head `index` of example `example`.
  template <typename Number>
  Head<Number> head(
      int64_t example, int64_t index, const at::Tensor &q, const at::Tensor &k,
      const at::Tensor &v, float *log_sums) const {
    const int64_t row = query_starts[example], key_row = key_starts[example];
    const int64_t first = index * plan.queries_per_key, row_of_first = row * heads + first;
    return {
        data<Number>(q) + row * q.stride(0) + first * size,
        data<Number>(k) + key_row * k.stride(0) + index * size,
        data<Number>(v) + key_row * v.stride(0) + index * size,
        q.stride(0), k.stride(0), v.stride(0), heads * size,
        query_starts[example + 1] - row, key_starts[example + 1] - key_row, size,
        plan.queries_per_key, static_cast<float>(plan.scale), plan.causal, plan.window,
        plan.dropout > 0, kept, row_of_first, heads,
        log_sums == nullptr ? nullptr : log_sums + row_of_first};
  }

  /// Runs `body(example, key head, scratch)` for all, in threads if libtorch has several.
  template <typename Body>
  void each(int64_t scratch_size, Body body) const {
    at::parallel_for(0, plan.examples * plan.key_heads, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> scratch(scratch_size);
      for (int64_t i = begin; i < end; ++i)
        body(i / plan.key_heads, i % plan.key_heads, scratch.data());
    });
  }
};

/// Rows whose numbers lie side by side; the rows themselves may be apart.
at::Tensor rows(apus_tensor x) {
  return in(x).stride(-1) == 1 ? in(x).detach() : in(x).detach().contiguous();
}

}  // namespace

extern "C" {

apus_tensor apus_attend(
    apus_tensor queries, apus_tensor keys, apus_tensor values, const apus_attention_plan *of,
    apus_tensor *log_sums) {
  return tensor("attention", [&] {
    at::AutoGradMode guard(false);
    const auto q = rows(queries), k = rows(keys), v = rows(values);
    const Plan plan(*of, q, k, v);
    auto result = at::empty(q.sizes(), q.options());
    at::Tensor sums;
    if (log_sums != nullptr) sums = at::empty({q.size(0), plan.heads}, at::kFloat);
    float *const to = log_sums == nullptr ? nullptr : sums.data_ptr<float>();
    with_number(q, [&](auto *number) {
      using Number = std::remove_pointer_t<decltype(number)>;
      plan.each(forward_scratch(plan.longest, plan.size), [&](auto example, auto head, auto scratch) {
        auto *out = data<Number>(result) + plan.query_starts[example] * result.stride(0) +
                    head * of->queries_per_key * plan.size;
        run(plan.head<Number>(example, head, q, k, v, to), out, scratch);
      });
    });
    if (log_sums != nullptr) *log_sums = out(sums);
    return result;
  });
}

bool apus_attend_backward(
    apus_tensor gradient, apus_tensor queries, apus_tensor keys, apus_tensor values,
    apus_tensor log_sums, const apus_attention_plan *of, apus_tensor *gradients) {
  return guarded<bool>("attention backward", false, [&] {
    at::AutoGradMode guard(false);
    const auto q = rows(queries), k = rows(keys), v = rows(values), g = rows(gradient);
    const Plan plan(*of, q, k, v);
    if (g.sizes() != q.sizes() || g.scalar_type() != q.scalar_type())
      throw std::invalid_argument("the gradient is not like the queries");
    const auto dq = at::empty(q.sizes(), q.options()), dk = at::empty(k.sizes(), k.options()),
               dv = at::empty(v.sizes(), v.options());
    const auto sums = in(log_sums).contiguous();
    with_number(q, [&](auto *number) {
      using Number = std::remove_pointer_t<decltype(number)>;
      plan.each(backward_scratch(plan.longest, plan.size), [&](auto example, auto head, auto scratch) {
        const int64_t row = plan.query_starts[example], key_row = plan.key_starts[example];
        const int64_t column = head * of->queries_per_key * plan.size;
        const Gradients<Number> to = {
            data<Number>(g) + row * g.stride(0) + column,
            data<Number>(dq) + row * dq.stride(0) + column,
            data<Number>(dk) + key_row * dk.stride(0) + head * plan.size,
            data<Number>(dv) + key_row * dv.stride(0) + head * plan.size,
            g.stride(0), dq.stride(0), dk.stride(0)};
        run(plan.head<Number>(example, head, q, k, v, data<float>(sums)), to, scratch);
      });
    });
    gradients[0] = out(dq);
    gradients[1] = out(dk);
    gradients[2] = out(dv);
    return true;
  });
}

apus_tensor apus_attention_mask(const apus_attention_plan *of, int64_t example) {
  return tensor("attention mask", [&] {
    const int64_t heads = of->key_heads * of->queries_per_key;
    const auto *key_lengths = of->key_lengths == nullptr ? of->lengths : of->key_lengths;
    const int64_t count = of->lengths[example], keys = key_lengths[example];
    const int64_t start = std::accumulate(of->lengths, of->lengths + example, int64_t(0));
    auto mask = at::empty({heads, count, keys}, at::kFloat);
    auto *to = mask.data_ptr<float>();
    const Kept kept(of->dropout, of->seed);
    for (int64_t head = 0; head < heads; ++head)
      for (int64_t i = 0; i < count; ++i) {
        const Kept row = kept.row(static_cast<uint64_t>((start + i) * heads + head));
        for (int64_t j = 0; j < keys; ++j, ++to)
          *to = Kept::bits_of(static_cast<uint32_t>(j), row.low, row.high, row.threshold) != 0
                    ? row.scale
                    : 0;
      }
    return mask;
  });
}

}  // extern "C"
