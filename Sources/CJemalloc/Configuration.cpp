#include "CJemalloc.h"

#ifdef __linux__
extern "C" {
// jemalloc reads this before the first allocation; MALLOC_CONF of the environment comes after it.
// One arena: two workers then share what is free. Free pages go back within a second.
const char *malloc_conf = "narenas:1,dirty_decay_ms:1000,muzzy_decay_ms:0";
}
#endif
