// Errors of this thread, and settings of the process.
#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/detail/MPSHooksInterface.h>
#include <torch/version.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <cstring>

#include "Boundary.h"

#ifdef __linux__
// There if the program allocates from jemalloc.
extern "C" int mallctl(const char *name, void *, size_t *, void *, size_t) __attribute__((weak));
#endif

namespace {
thread_local std::string pending;
thread_local bool is_pending = false;
}  // namespace

namespace apus {
void record(const char *operation, const char *message) {
  if (is_pending) return;
  pending = std::string(operation) + ": " + message;
  is_pending = true;
}

std::string take(const char *otherwise) {
  if (!is_pending) return otherwise;
  is_pending = false;
  return std::exchange(pending, {});
}
}  // namespace apus

extern "C" {

bool apus_error_pending(void) { return is_pending; }

bool apus_error_take(char *buffer, size_t capacity) {
  if (!is_pending) return false;
  const std::string message = apus::take("");
  const size_t length = std::min(message.size(), capacity - 1);
  std::memcpy(buffer, message.data(), length);
  buffer[length] = '\0';
  return true;
}

void apus_error_record(const char *message) {
  if (is_pending) return;
  pending = message;
  is_pending = true;
}

const char *apus_libtorch_version(void) { return TORCH_VERSION; }
void apus_set_threads(int count) { at::set_num_threads(count); }
int apus_threads(void) { return at::get_num_threads(); }
bool apus_cuda_available(void) { return at::hasCUDA() && at::detail::getCUDAHooks().deviceCount() > 0; }
int apus_cuda_count(void) { return at::hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0; }
bool apus_mps_available(void) { return at::hasMPS(); }

void apus_release_unused_memory(void) {
#ifdef __linux__
  if (mallctl != nullptr) {
    mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0);  // 4096: all arenas
    return;
  }
#endif
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

void apus_synchronize(apus_device_kind kind) {
  apus::guarded<bool>("synchronize", false, [&] {
    if (kind == APUS_CUDA) at::detail::getCUDAHooks().deviceSynchronize(-1);
    if (kind == APUS_MPS) at::detail::getMPSHooks().deviceSynchronize();
    return true;
  });
}

}  // extern "C"
