// Many elements to few; an empty list of dims means all of them.
#include "Boundary.h"

using namespace apus;

namespace {
at::OptionalIntArrayRef over(const int64_t *values, int64_t count) {
  if (count == 0) return std::nullopt;
  return at::OptionalIntArrayRef(at::IntArrayRef(values, static_cast<size_t>(count)));
}
}  // namespace

extern "C" {

apus_tensor apus_sum(apus_tensor x, const int64_t *over_dims, int64_t count, bool keep) {
  return tensor("sum", [&] { return at::sum(in(x), over(over_dims, count), keep); });
}

apus_tensor apus_mean(apus_tensor x, const int64_t *over_dims, int64_t count, bool keep) {
  return tensor("mean", [&] { return at::mean(in(x), over(over_dims, count), keep); });
}

apus_tensor apus_amax(apus_tensor x, const int64_t *over_dims, int64_t count, bool keep) {
  return tensor("amax", [&] { return at::amax(in(x), dims(over_dims, count), keep); });
}

apus_tensor apus_amin(apus_tensor x, const int64_t *over_dims, int64_t count, bool keep) {
  return tensor("amin", [&] { return at::amin(in(x), dims(over_dims, count), keep); });
}

apus_tensor apus_logsumexp(apus_tensor x, const int64_t *over_dims, int64_t count, bool keep) {
  return tensor("logsumexp", [&] { return at::logsumexp(in(x), dims(over_dims, count), keep); });
}

apus_tensor apus_norm(apus_tensor x, const int64_t *over_dims, int64_t count, bool keep) {
  return tensor("norm", [&] {
    return at::linalg_vector_norm(in(x), 2, over(over_dims, count), keep);
  });
}

apus_tensor apus_variance(
    apus_tensor x, const int64_t *over_dims, int64_t count, double correction, bool keep) {
  return tensor("var", [&] {
    return at::var(in(x), over(over_dims, count), at::Scalar(correction), keep);
  });
}

apus_tensor apus_argmax(apus_tensor x, int64_t dim, bool keep) {
  return tensor("argmax", [&] { return at::argmax(in(x), dim, keep); });
}

apus_tensor apus_cumsum(apus_tensor x, int64_t dim) {
  return tensor("cumsum", [&] { return at::cumsum(in(x), dim); });
}

apus_tensor apus_argsort(apus_tensor x, int64_t dim, bool descending) {
  return tensor("argsort", [&] { return at::argsort(in(x), /*stable=*/true, dim, descending); });
}

apus_tensor apus_all(apus_tensor x) {
  return tensor("all", [&] { return at::all(in(x)); });
}

apus_tensor apus_any(apus_tensor x) {
  return tensor("any", [&] { return at::any(in(x)); });
}

bool apus_topk(apus_tensor x, int64_t k, int64_t dim, apus_tensor *values, apus_tensor *indices) {
  return guarded<bool>("topk", false, [&] {
    auto [top, places] = at::topk(in(x), k, dim);
    *values = out(top);
    *indices = out(places);
    return true;
  });
}

}  // extern "C"
