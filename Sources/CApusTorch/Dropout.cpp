// Dropout whose mask is drawn whenever it is used.
#include "Boundary.h"
#include "Kept.h"

using namespace apus;

namespace {

template <typename Number>
APUS_INLINE void drop(const Number *from, Number *to, int64_t count, const Kept &kept) {
  const auto [threshold, scale, low, high] = kept;
  for (int64_t place = 0; place < count; ++place) {
    const uint32_t stays = Kept::bits_of(static_cast<uint32_t>(place), low, high, threshold);
    const float x = widened(from[place]);
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    bits &= stays;
    float masked;
    std::memcpy(&masked, &bits, sizeof masked);
    narrow(to + place, masked * scale);
  }
}

APUS_FOR_EACH_PROCESSOR(
    drop_floats, (const float *from, float *to, int64_t count, const Kept &kept),
    (from, to, count, kept), drop)
APUS_FOR_EACH_PROCESSOR(
    drop_brains, (const uint16_t *from, uint16_t *to, int64_t count, const Kept &kept),
    (from, to, count, kept), drop)

}  // namespace

extern "C" apus_tensor apus_dropout(apus_tensor x, double probability, uint64_t seed) {
  return tensor("dropout", [&] {
    at::AutoGradMode guard(false);
    const auto source = in(x).contiguous();
    auto result = at::empty_like(source);
    const Kept kept(probability, seed);
    if (source.scalar_type() == at::kFloat) {
      drop_floats(
          source.const_data_ptr<float>(), result.data_ptr<float>(), source.numel(), kept);
    } else if (source.scalar_type() == at::kBFloat16) {
      drop_brains(
          static_cast<const uint16_t *>(source.const_data_ptr()),
          static_cast<uint16_t *>(result.mutable_data_ptr()), source.numel(), kept);
    } else {
      throw std::invalid_argument("the dtype is neither float32 nor bfloat16");
    }
    return result;
  });
}
