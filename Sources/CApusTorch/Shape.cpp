// Views, joins and selections.
#include "Boundary.h"

using namespace apus;

extern "C" {

apus_tensor apus_reshape(apus_tensor x, const int64_t *sizes, int64_t rank) {
  return tensor("reshape", [&] { return in(x).reshape(dims(sizes, rank)); });
}

apus_tensor apus_expand(apus_tensor x, const int64_t *sizes, int64_t rank) {
  return tensor("expand", [&] { return in(x).expand(dims(sizes, rank)); });
}

apus_tensor apus_permute(apus_tensor x, const int64_t *order, int64_t count) {
  return tensor("permute", [&] { return in(x).permute(dims(order, count)); });
}

apus_tensor apus_transpose(apus_tensor x, int64_t first, int64_t second) {
  return tensor("transpose", [&] { return in(x).transpose(first, second); });
}

apus_tensor apus_squeeze(apus_tensor x, int64_t dim) {
  return tensor("squeeze", [&] { return in(x).squeeze(dim); });
}

apus_tensor apus_unsqueeze(apus_tensor x, int64_t dim) {
  return tensor("unsqueeze", [&] { return in(x).unsqueeze(dim); });
}

apus_tensor apus_slice(apus_tensor x, int64_t dim, int64_t start, int64_t end, int64_t step) {
  return tensor("slice", [&] { return in(x).slice(dim, start, end, step); });
}

apus_tensor apus_select(apus_tensor x, int64_t dim, int64_t index) {
  return tensor("select", [&] { return in(x).select(dim, index); });
}

apus_tensor apus_cat(const apus_tensor *tensors, int64_t count, int64_t dim) {
  return tensor("cat", [&] { return at::cat(list(tensors, count), dim); });
}

apus_tensor apus_stack(const apus_tensor *tensors, int64_t count, int64_t dim) {
  return tensor("stack", [&] { return at::stack(list(tensors, count), dim); });
}

apus_tensor apus_flip(apus_tensor x, int64_t dim) {
  return tensor("flip", [&] { return in(x).flip({dim}); });
}

apus_tensor apus_pad(apus_tensor x, const int64_t *pads, int64_t count, double value) {
  return tensor("pad", [&] {
    return at::constant_pad_nd(in(x), dims(pads, count), scalar(in(x), value));
  });
}

apus_tensor apus_index_select(apus_tensor x, int64_t dim, apus_tensor index) {
  return tensor("index_select", [&] { return in(x).index_select(dim, in(index)); });
}

apus_tensor apus_gather(apus_tensor x, int64_t dim, apus_tensor index) {
  return tensor("gather", [&] { return in(x).gather(dim, in(index)); });
}

apus_tensor apus_scatter(apus_tensor x, int64_t dim, apus_tensor index, apus_tensor source) {
  return tensor("scatter", [&] { return in(x).scatter(dim, in(index), in(source)); });
}

apus_tensor apus_index_add(apus_tensor x, int64_t dim, apus_tensor index, apus_tensor source) {
  return tensor("index_add", [&] { return in(x).index_add(dim, in(index), in(source)); });
}

apus_tensor apus_tril(apus_tensor x, int64_t diagonal) {
  return tensor("tril", [&] { return in(x).tril(diagonal); });
}

apus_tensor apus_triu(apus_tensor x, int64_t diagonal) {
  return tensor("triu", [&] { return in(x).triu(diagonal); });
}

apus_tensor apus_one_hot(apus_tensor x, int64_t classes) {
  return tensor("one_hot", [&] { return at::one_hot(in(x), classes); });
}

}  // extern "C"
