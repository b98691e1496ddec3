// Draws from a generator that lives for one call, so that no draw can depend on another.
#include <ATen/CPUGeneratorImpl.h>

#include "Boundary.h"

using namespace apus;

namespace {
/// A Mersenne Twister in which all 64 bits of the seed count; libtorch's own reads the lower 32.
/// Source: `init_by_array` of Matsumoto and Nishimura's mt19937ar, 2002.
at::mt19937 twister(uint64_t seed) {
  auto data = at::mt19937(19650218).data();
  auto &state = data.state_;
  const size_t size = state.size();
  const uint32_t key[2] = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
  size_t i = 1;
  const auto mix = [&](uint32_t factor) {
    return state[i] ^ ((state[i - 1] ^ (state[i - 1] >> 30)) * factor);
  };
  const auto advance = [&] {
    if (++i < size) return;
    state[0] = state[size - 1];
    i = 1;
  };
  for (size_t k = 0; k < size; ++k, advance())
    state[i] = mix(1664525) + key[k % 2] + static_cast<uint32_t>(k % 2);
  for (size_t k = 1; k < size; ++k, advance())
    state[i] = mix(1566083941) - static_cast<uint32_t>(i);
  state[0] = 0x80000000;
  data.seed_ = seed;
  at::mt19937 engine;
  engine.set_data(data);
  return engine;
}

at::Generator generator(const at::Device &device, uint64_t seed) {
  if (device.is_cpu()) {
    auto made = at::make_generator<at::CPUGeneratorImpl>(seed);
    made.get<at::CPUGeneratorImpl>()->set_engine(twister(seed));
    return made;
  }
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

apus_tensor apus_uniform_as_python(
    const int64_t *sizes, int64_t rank, double low, double high, uint64_t seed) {
  return tensor("uniform", [&] {
    auto result = at::empty(dims(sizes, rank), at::kFloat);
    result.uniform_(low, high, at::make_generator<at::CPUGeneratorImpl>(seed));
    return result;
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
