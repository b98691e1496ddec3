#include "CJemalloc.h"

#ifdef __linux__
extern "C" {
// jemalloc reads this before the first allocation; MALLOC_CONF of the environment comes after it.
// One arena: two workers then share what is free. Free pages are kept: training frees and takes the same
// pages at every step, and fetching them anew is a tenth of its time.
const char *malloc_conf = "narenas:1,dirty_decay_ms:-1,muzzy_decay_ms:0";
}
#endif
