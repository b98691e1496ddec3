// Making, asking and ending tensors.
#include <cstring>

#include "Boundary.h"

namespace apus {

at::ScalarType scalar_type(apus_dtype dtype) {
  switch (dtype) {
    case APUS_F32: return at::kFloat;
    case APUS_F16: return at::kHalf;
    case APUS_BF16: return at::kBFloat16;
    case APUS_F64: return at::kDouble;
    case APUS_I64: return at::kLong;
    case APUS_I32: return at::kInt;
    case APUS_I16: return at::kShort;
    case APUS_I8: return at::kChar;
    case APUS_U8: return at::kByte;
    case APUS_BOOL: return at::kBool;
  }
  throw std::invalid_argument("unknown dtype");
}

at::Device device(apus_device_kind kind, int index) {
  switch (kind) {
    case APUS_CPU: return at::Device(at::kCPU);
    case APUS_CUDA: return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(index));
    case APUS_MPS: return at::Device(at::kMPS);
  }
  throw std::invalid_argument("unknown device");
}

}  // namespace apus

using namespace apus;

extern "C" {

void apus_release(apus_tensor tensor) { delete reinterpret_cast<at::Tensor *>(tensor); }

apus_tensor apus_retain(apus_tensor x) {
  return tensor("retain", [&] { return in(x); });
}

int64_t apus_rank(apus_tensor tensor) {
  return guarded<int64_t>("rank", 0, [&] { return in(tensor).dim(); });
}

void apus_shape(apus_tensor tensor, int64_t *sizes) {
  guarded<bool>("shape", false, [&] {
    const auto shape = in(tensor).sizes();
    std::memcpy(sizes, shape.data(), shape.size() * sizeof(int64_t));
    return true;
  });
}

int64_t apus_count(apus_tensor tensor) {
  return guarded<int64_t>("count", 0, [&] { return in(tensor).numel(); });
}

int apus_dtype_of(apus_tensor tensor) {
  return guarded<int>("dtype", -1, [&] {
    switch (in(tensor).scalar_type()) {
      case at::kFloat: return static_cast<int>(APUS_F32);
      case at::kHalf: return static_cast<int>(APUS_F16);
      case at::kBFloat16: return static_cast<int>(APUS_BF16);
      case at::kDouble: return static_cast<int>(APUS_F64);
      case at::kLong: return static_cast<int>(APUS_I64);
      case at::kInt: return static_cast<int>(APUS_I32);
      case at::kShort: return static_cast<int>(APUS_I16);
      case at::kChar: return static_cast<int>(APUS_I8);
      case at::kByte: return static_cast<int>(APUS_U8);
      case at::kBool: return static_cast<int>(APUS_BOOL);
      default: return -1;
    }
  });
}

int apus_device_kind_of(apus_tensor tensor) {
  return guarded<int>("device", 0, [&] {
    const auto type = in(tensor).device().type();
    return static_cast<int>(
        type == at::kCUDA ? APUS_CUDA : type == at::kMPS ? APUS_MPS : APUS_CPU);
  });
}

int apus_device_index_of(apus_tensor tensor) {
  return guarded<int>("device", 0, [&] { return std::max<int>(0, in(tensor).device().index()); });
}

bool apus_is_contiguous(apus_tensor tensor) {
  return guarded<bool>("contiguous", false, [&] { return in(tensor).is_contiguous(); });
}

void *apus_data(apus_tensor tensor) {
  return guarded<void *>("data", nullptr, [&]() -> void * {
    const auto &t = in(tensor);
    if (!t.device().is_cpu() || !t.is_contiguous())
      throw std::invalid_argument("only contiguous CPU tensors have an address");
    return t.data_ptr();
  });
}

double apus_item_double(apus_tensor tensor) {
  return guarded<double>("item", 0, [&] { return in(tensor).item<double>(); });
}

int64_t apus_item_int(apus_tensor tensor) {
  return guarded<int64_t>("item", 0, [&] { return in(tensor).item<int64_t>(); });
}

apus_tensor apus_wrap(
    void *data, const int64_t *sizes, int64_t rank, apus_dtype dtype, void *context,
    void (*release)(void *context)) {
  return tensor("wrap", [&] {
    return at::from_blob(
        data, dims(sizes, rank), [context, release](void *) { release(context); },
        at::TensorOptions().dtype(scalar_type(dtype)));
  });
}

apus_tensor apus_copy_in(const void *data, const int64_t *sizes, int64_t rank, apus_dtype dtype) {
  return tensor("copy", [&] {
    auto result = at::empty(dims(sizes, rank), at::TensorOptions().dtype(scalar_type(dtype)));
    if (result.nbytes() > 0) std::memcpy(result.data_ptr(), data, result.nbytes());
    return result;
  });
}

apus_tensor apus_full(
    const int64_t *sizes, int64_t rank, double value, apus_dtype dtype, apus_device_kind kind,
    int index) {
  return tensor("full", [&] {
    return at::full(dims(sizes, rank), at::Scalar(value), options(dtype, kind, index));
  });
}

apus_tensor apus_empty(
    const int64_t *sizes, int64_t rank, apus_dtype dtype, apus_device_kind kind, int index) {
  return tensor("empty", [&] { return at::empty(dims(sizes, rank), options(dtype, kind, index)); });
}

apus_tensor apus_arange(int64_t start, int64_t end, int64_t step, apus_dtype dtype) {
  return tensor("arange", [&] { return at::arange(start, end, step, scalar_type(dtype)); });
}

apus_tensor apus_to(apus_tensor x, apus_dtype dtype, apus_device_kind kind, int index) {
  return tensor("to", [&] { return in(x).to(device(kind, index), scalar_type(dtype)); });
}

}  // extern "C"
