// Which elements a dropout keeps, as a function of a seed and the element's place.
#pragma once

#include <cstdint>

#include "Lanes.h"

namespace apus {

/// A mask that is never stored: forward and backward draw it again.
///
/// - Source: the two multiplications and three shifts of Wellons, "Prospecting for hash
///   functions", 2018 (lowbias32), over n plus one half of the seed, with the other half between.
struct Kept {
  int32_t threshold;
  float scale;
  uint32_t low;
  uint32_t high;

  Kept(double probability, uint64_t seed)
      : threshold(static_cast<int32_t>(probability * 0x1p31)),
        scale(static_cast<float>(0x1p31 / (0x1p31 - static_cast<double>(threshold)))),
        low(static_cast<uint32_t>(seed)),
        high(static_cast<uint32_t>(seed >> 32)) {}

  /// All ones for an element that stays, zero for one that is dropped.
  APUS_INLINE uint32_t bits_of(uint32_t place, uint32_t low, uint32_t high, int32_t threshold) {
    uint32_t bits = mixed(place, low, high);
    return ~static_cast<uint32_t>((static_cast<int32_t>(bits >> 1) - threshold) >> 31);
  }

  APUS_INLINE uint32_t mixed(uint32_t place, uint32_t low, uint32_t high) {
    uint32_t bits = place + low;
    bits = ((bits ^ (bits >> 16)) * 0x7FEB352Du) ^ high;
    bits = (bits ^ (bits >> 15)) * 0x846CA68Bu;
    return bits ^ (bits >> 16);
  }

  /// The draws of one row: it moves the low half of the seed, so that rows may be any length.
  Kept row(uint64_t index) const {
    Kept result = *this;
    result.low = mixed(static_cast<uint32_t>(index), low, high ^ static_cast<uint32_t>(index >> 32));
    return result;
  }
};

}  // namespace apus
