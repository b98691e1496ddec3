// Writing into a tensor that its caller owns alone.
#include "Boundary.h"

using namespace apus;

extern "C" {

void apus_copy_into(apus_tensor target, apus_tensor source) {
  in_place("copy", [&] {
    TORCH_CHECK(
        in(target).sizes() == in(source).sizes(), "cannot copy shape ", in(source).sizes(),
        " into shape ", in(target).sizes());
    in(target).copy_(in(source));
  });
}

void apus_add_into(apus_tensor target, apus_tensor source, double factor) {
  in_place("add", [&] { in(target).add_(in(source), at::Scalar(factor)); });
}

void apus_mul_into(apus_tensor target, apus_tensor source) {
  in_place("mul", [&] { in(target).mul_(in(source)); });
}

void apus_mul_scalar_into(apus_tensor target, double factor) {
  in_place("mul", [&] { in(target).mul_(at::Scalar(factor)); });
}

void apus_fill_into(apus_tensor target, double value) {
  in_place("fill", [&] { in(target).fill_(at::Scalar(value)); });
}

void apus_addcmul_into(apus_tensor target, apus_tensor a, apus_tensor b, double factor) {
  in_place("addcmul", [&] { in(target).addcmul_(in(a), in(b), at::Scalar(factor)); });
}

void apus_addcdiv_into(apus_tensor target, apus_tensor a, apus_tensor b, double factor) {
  in_place("addcdiv", [&] { in(target).addcdiv_(in(a), in(b), at::Scalar(factor)); });
}

void apus_lerp_into(apus_tensor target, apus_tensor source, double weight) {
  in_place("lerp", [&] { in(target).lerp_(in(source), at::Scalar(weight)); });
}

}  // extern "C"
