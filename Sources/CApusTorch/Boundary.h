// How a call crosses from C to libtorch: handles in, exceptions turned into this thread's message.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "CApusTorch.h"

namespace apus {

/// Keeps the message unless an earlier one waits to be taken.
void record(const char *operation, const char *message);
/// Takes this thread's message; `otherwise` if none waits.
std::string take(const char *otherwise);

inline at::Tensor &in(apus_tensor handle) {
  if (handle == nullptr) throw std::invalid_argument("an input is undefined");
  return *reinterpret_cast<at::Tensor *>(handle);
}

inline std::optional<at::Tensor> maybe(apus_tensor handle) {
  if (handle == nullptr) return std::nullopt;
  return in(handle);
}

inline apus_tensor out(at::Tensor tensor) {
  return reinterpret_cast<apus_tensor>(new at::Tensor(std::move(tensor)));
}

inline std::vector<at::Tensor> list(const apus_tensor *handles, int64_t count) {
  std::vector<at::Tensor> tensors;
  tensors.reserve(count);
  for (int64_t i = 0; i < count; ++i) tensors.push_back(in(handles[i]));
  return tensors;
}

inline at::IntArrayRef dims(const int64_t *values, int64_t count) {
  return at::IntArrayRef(values, static_cast<size_t>(count));
}

at::ScalarType scalar_type(apus_dtype dtype);
at::Device device(apus_device_kind kind, int index);

inline at::TensorOptions options(apus_dtype dtype, apus_device_kind kind, int index) {
  return at::TensorOptions().dtype(scalar_type(dtype)).device(device(kind, index));
}

/// The number as an integer where the tensor holds integers and it is one, so that no dtype changes.
inline at::Scalar scalar(const at::Tensor &beside, double value) {
  const bool whole = std::abs(value) < 0x1p63 && value == std::trunc(value);
  if (whole && at::isIntegralType(beside.scalar_type(), /*includeBool=*/true))
    return at::Scalar(static_cast<int64_t>(value));
  return at::Scalar(value);
}

/// Runs `body`; on an exception records its message and returns `fallback`.
template <typename Result, typename Body>
Result guarded(const char *operation, Result fallback, Body body) {
  try {
    return body();
  } catch (const c10::Error &error) {
    record(operation, error.what_without_backtrace());
  } catch (const std::exception &error) {
    record(operation, error.what());
  } catch (...) {
    record(operation, "an unknown exception");
  }
  return fallback;
}

/// Runs `body`, which returns a tensor, and wraps what it returns.
template <typename Body>
apus_tensor tensor(const char *operation, Body body) {
  return guarded<apus_tensor>(operation, nullptr, [&] { return out(body()); });
}

/// Runs `body` with no graph recorded; for writing in place.
template <typename Body>
void in_place(const char *operation, Body body) {
  guarded<bool>(operation, false, [&] {
    at::AutoGradMode guard(false);
    body();
    return true;
  });
}

}  // namespace apus
