// One element at a time, with broadcasting.
#include "Boundary.h"

using namespace apus;

#define APUS_DEFINE_UNARY(name) \
  apus_tensor apus_##name(apus_tensor x) { \
    return tensor(#name, [&] { return in(x).name(); }); \
  }
#define APUS_DEFINE_BINARY(name) \
  apus_tensor apus_##name(apus_tensor a, apus_tensor b) { \
    return tensor(#name, [&] { return at::name(in(a), in(b)); }); \
  }
#define APUS_DEFINE_SCALAR(name) \
  apus_tensor apus_##name##_scalar(apus_tensor x, double value) { \
    return tensor(#name, [&] { return at::name(in(x), scalar(in(x), value)); }); \
  }

namespace {
const char *approximation(bool tanh_approximation) { return tanh_approximation ? "tanh" : "none"; }
}  // namespace

extern "C" {

#define APUS_METHOD_UNARY(X)                                                                     \
  X(abs) X(neg) X(exp) X(log) X(sqrt) X(rsqrt) X(square) X(sin) X(cos) X(tanh) X(sigmoid)        \
  X(relu) X(erf) X(floor) X(round) X(sign) X(isfinite) X(logical_not) X(log1p) X(clone)          \
  X(contiguous) X(detach)
APUS_METHOD_UNARY(APUS_DEFINE_UNARY)
APUS_BINARY_OPERATIONS(APUS_DEFINE_BINARY)
APUS_SCALAR_OPERATIONS(APUS_DEFINE_SCALAR)

apus_tensor apus_silu(apus_tensor x) {
  return tensor("silu", [&] { return at::silu(in(x)); });
}

apus_tensor apus_zeros_like(apus_tensor x) {
  return tensor("zeros_like", [&] { return at::zeros_like(in(x)); });
}

apus_tensor apus_ones_like(apus_tensor x) {
  return tensor("ones_like", [&] { return at::ones_like(in(x)); });
}

apus_tensor apus_gelu(apus_tensor x, bool tanh_approximation) {
  return tensor("gelu", [&] { return at::gelu(in(x), approximation(tanh_approximation)); });
}

apus_tensor apus_gelu_backward(apus_tensor gradient, apus_tensor x, bool tanh_approximation) {
  return tensor("gelu_backward", [&] {
    return at::gelu_backward(in(gradient), in(x), approximation(tanh_approximation));
  });
}

apus_tensor apus_softmax(apus_tensor x, int64_t dim) {
  return tensor("softmax", [&] { return at::softmax(in(x), dim); });
}

apus_tensor apus_log_softmax(apus_tensor x, int64_t dim) {
  return tensor("log_softmax", [&] { return at::log_softmax(in(x), dim); });
}

apus_tensor apus_where(apus_tensor condition, apus_tensor a, apus_tensor b) {
  return tensor("where", [&] { return at::where(in(condition), in(a), in(b)); });
}

apus_tensor apus_masked_fill(apus_tensor x, apus_tensor mask, double value) {
  return tensor("masked_fill", [&] { return at::masked_fill(in(x), in(mask), at::Scalar(value)); });
}

}  // extern "C"
