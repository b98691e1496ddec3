// Draws from a generator that lives for one call, so that no draw can depend on another.
#include <ATen/CPUGeneratorImpl.h>

#include "Boundary.h"

using namespace apus;

namespace {
at::Generator generator(const at::Device &device, uint64_t seed) {
  if (device.is_cpu()) return at::make_generator<at::CPUGeneratorImpl>(seed);
  auto copy = at::globalContext().defaultGenerator(device).clone();
  copy.set_current_seed(seed);
  return copy;
}

template <typename Fill>
apus_tensor drawn(
    const char *operation, const int64_t *sizes, int64_t rank, uint64_t seed, apus_dtype dtype,
    apus_device_kind kind, int index, Fill fill) {
  return tensor(operation, [&] {
    auto result = at::empty(dims(sizes, rank), options(dtype, kind, index));
    fill(result, generator(result.device(), seed));
    return result;
  });
}
}  // namespace

extern "C" {

apus_tensor apus_uniform(
    const int64_t *sizes, int64_t rank, double low, double high, uint64_t seed, apus_dtype dtype,
    apus_device_kind kind, int index) {
  return drawn("uniform", sizes, rank, seed, dtype, kind, index, [&](auto &result, auto source) {
    result.uniform_(low, high, source);
  });
}

apus_tensor apus_normal(
    const int64_t *sizes, int64_t rank, double mean, double deviation, uint64_t seed,
    apus_dtype dtype, apus_device_kind kind, int index) {
  return drawn("normal", sizes, rank, seed, dtype, kind, index, [&](auto &result, auto source) {
    result.normal_(mean, deviation, source);
  });
}

apus_tensor apus_bernoulli(
    const int64_t *sizes, int64_t rank, double probability, uint64_t seed, apus_dtype dtype,
    apus_device_kind kind, int index) {
  return drawn("bernoulli", sizes, rank, seed, dtype, kind, index, [&](auto &result, auto source) {
    result.bernoulli_(probability, source);
  });
}

}  // extern "C"
