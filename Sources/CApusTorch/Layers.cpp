// What layers are made of.
#include "Boundary.h"

using namespace apus;

extern "C" {

apus_tensor apus_linear(apus_tensor x, apus_tensor weight, apus_tensor bias) {
  return tensor("linear", [&] { return at::linear(in(x), in(weight), maybe(bias)); });
}

apus_tensor apus_addmm(
    apus_tensor input, apus_tensor a, apus_tensor b, double beta, double alpha) {
  return tensor("addmm", [&] { return at::addmm(in(input), in(a), in(b), beta, alpha); });
}

apus_tensor apus_baddbmm(
    apus_tensor input, apus_tensor a, apus_tensor b, double beta, double alpha) {
  return tensor("baddbmm", [&] { return at::baddbmm(in(input), in(a), in(b), beta, alpha); });
}

apus_tensor apus_layer_norm(
    apus_tensor x, const int64_t *sizes, int64_t rank, apus_tensor weight, apus_tensor bias,
    double epsilon) {
  return tensor("layer_norm", [&] {
    return at::layer_norm(in(x), dims(sizes, rank), maybe(weight), maybe(bias), epsilon);
  });
}

apus_tensor apus_embedding(apus_tensor weight, apus_tensor indices) {
  return tensor("embedding", [&] { return at::embedding(in(weight), in(indices)); });
}

apus_tensor apus_conv2d(
    apus_tensor x, apus_tensor weight, apus_tensor bias, int64_t stride, int64_t padding,
    int64_t groups) {
  return tensor("conv2d", [&] {
    return at::conv2d(
        in(x), in(weight), maybe(bias), {stride, stride}, {padding, padding}, {1, 1}, groups);
  });
}

apus_tensor apus_cross_entropy(
    apus_tensor logits, apus_tensor classes, int64_t ignored, double label_smoothing, bool sum) {
  return tensor("cross_entropy", [&] {
    return at::cross_entropy_loss(
        in(logits), in(classes), {}, sum ? at::Reduction::Sum : at::Reduction::Mean, ignored,
        label_smoothing);
  });
}

}  // extern "C"
