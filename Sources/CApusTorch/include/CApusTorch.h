/// A flat C interface to libtorch: opaque handles in, opaque handles out, no logic.
///
/// Rules that hold for every function:
/// - A returned handle is owned by the caller, who ends it with `apus_release`.
/// - A failing call returns NULL (or a zero value) and records its message for this thread;
///   the first message stays until `apus_error_take`. A NULL argument fails the call.
/// - Shapes, dims and sizes are int64_t arrays with their length behind them.
#ifndef CAPUSTORCH_H
#define CAPUSTORCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct apus_tensor_handle *apus_tensor;

typedef enum apus_dtype {
  APUS_F32 = 0,
  APUS_F16,
  APUS_BF16,
  APUS_F64,
  APUS_I64,
  APUS_I32,
  APUS_I16,
  APUS_I8,
  APUS_U8,
  APUS_BOOL,
} apus_dtype;

typedef enum apus_device_kind { APUS_CPU = 0, APUS_CUDA, APUS_MPS } apus_device_kind;

// MARK: Errors and process settings (Runtime.cpp)

/// Copies this thread's first recorded message into `buffer` and forgets it; false if none.
bool apus_error_take(char *buffer, size_t capacity);
bool apus_error_pending(void);
/// Records a message as if a call had failed, unless one is pending.
void apus_error_record(const char *message);

const char *apus_libtorch_version(void);
void apus_set_threads(int count);
int apus_threads(void);
bool apus_cuda_available(void);
int apus_cuda_count(void);
bool apus_mps_available(void);
/// Waits until the device's queued work is done, so that times can be measured.
void apus_synchronize(apus_device_kind kind);

/// Gives free memory that the allocator holds back to the system.
void apus_release_unused_memory(void);

// MARK: Handles (Handle.cpp)

void apus_release(apus_tensor tensor);
/// Another handle of the same tensor, graph included.
apus_tensor apus_retain(apus_tensor tensor);
int64_t apus_rank(apus_tensor tensor);
void apus_shape(apus_tensor tensor, int64_t *sizes);
int64_t apus_count(apus_tensor tensor);
/// The dtype, or -1 if the tensor has one that is not in `apus_dtype`.
int apus_dtype_of(apus_tensor tensor);
int apus_device_kind_of(apus_tensor tensor);
int apus_device_index_of(apus_tensor tensor);
bool apus_is_contiguous(apus_tensor tensor);
/// Address of the first element; only for contiguous CPU tensors, NULL otherwise.
void *apus_data(apus_tensor tensor);
double apus_item_double(apus_tensor tensor);
int64_t apus_item_int(apus_tensor tensor);

/// Wraps memory without copying; `release(context)` is called when the last user is gone.
apus_tensor apus_wrap(
    void *data, const int64_t *sizes, int64_t rank, apus_dtype dtype, void *context,
    void (*release)(void *context));
apus_tensor apus_copy_in(const void *data, const int64_t *sizes, int64_t rank, apus_dtype dtype);
apus_tensor apus_full(
    const int64_t *sizes, int64_t rank, double value, apus_dtype dtype, apus_device_kind kind,
    int index);
apus_tensor apus_empty(
    const int64_t *sizes, int64_t rank, apus_dtype dtype, apus_device_kind kind, int index);
apus_tensor apus_arange(int64_t start, int64_t end, int64_t step, apus_dtype dtype);
apus_tensor apus_to(apus_tensor tensor, apus_dtype dtype, apus_device_kind kind, int index);

// MARK: Elementwise (Elementwise.cpp)

#define APUS_UNARY_OPERATIONS(X)                                                                 \
  X(abs) X(neg) X(exp) X(log) X(sqrt) X(rsqrt) X(square) X(sin) X(cos) X(tanh) X(sigmoid)        \
  X(relu) X(silu) X(erf) X(floor) X(round) X(sign) X(isfinite) X(logical_not) X(log1p)           \
  X(clone) X(contiguous) X(detach) X(zeros_like) X(ones_like)

#define APUS_BINARY_OPERATIONS(X)                                                                \
  X(add) X(sub) X(mul) X(div) X(pow) X(maximum) X(minimum) X(matmul) X(eq) X(ne) X(lt) X(le)     \
  X(gt) X(ge) X(logical_and) X(logical_or)

#define APUS_SCALAR_OPERATIONS(X)                                                                \
  X(add) X(mul) X(pow) X(eq) X(ne) X(lt) X(le) X(gt) X(ge) X(clamp_min) X(clamp_max)

#define APUS_DECLARE_UNARY(name) apus_tensor apus_##name(apus_tensor x);
#define APUS_DECLARE_BINARY(name) apus_tensor apus_##name(apus_tensor a, apus_tensor b);
#define APUS_DECLARE_SCALAR(name) apus_tensor apus_##name##_scalar(apus_tensor x, double value);
APUS_UNARY_OPERATIONS(APUS_DECLARE_UNARY)
APUS_BINARY_OPERATIONS(APUS_DECLARE_BINARY)
APUS_SCALAR_OPERATIONS(APUS_DECLARE_SCALAR)

apus_tensor apus_gelu(apus_tensor x, bool tanh_approximation);
apus_tensor apus_gelu_backward(apus_tensor gradient, apus_tensor x, bool tanh_approximation);
apus_tensor apus_softmax(apus_tensor x, int64_t dim);
apus_tensor apus_log_softmax(apus_tensor x, int64_t dim);
apus_tensor apus_where(apus_tensor condition, apus_tensor a, apus_tensor b);
apus_tensor apus_masked_fill(apus_tensor x, apus_tensor mask, double value);

// MARK: Writing in place (InPlace.cpp), for optimizers and accumulators, never on a graph

void apus_copy_into(apus_tensor target, apus_tensor source);
void apus_add_into(apus_tensor target, apus_tensor source, double factor);
void apus_mul_into(apus_tensor target, apus_tensor source);
void apus_mul_scalar_into(apus_tensor target, double factor);
void apus_fill_into(apus_tensor target, double value);
void apus_addcmul_into(apus_tensor target, apus_tensor a, apus_tensor b, double factor);
void apus_addcdiv_into(apus_tensor target, apus_tensor a, apus_tensor b, double factor);
void apus_lerp_into(apus_tensor target, apus_tensor source, double weight);

// MARK: Shape (Shape.cpp)

apus_tensor apus_reshape(apus_tensor x, const int64_t *sizes, int64_t rank);
apus_tensor apus_expand(apus_tensor x, const int64_t *sizes, int64_t rank);
apus_tensor apus_permute(apus_tensor x, const int64_t *dims, int64_t count);
apus_tensor apus_transpose(apus_tensor x, int64_t first, int64_t second);
apus_tensor apus_squeeze(apus_tensor x, int64_t dim);
apus_tensor apus_unsqueeze(apus_tensor x, int64_t dim);
apus_tensor apus_slice(apus_tensor x, int64_t dim, int64_t start, int64_t end, int64_t step);
apus_tensor apus_select(apus_tensor x, int64_t dim, int64_t index);
apus_tensor apus_cat(const apus_tensor *tensors, int64_t count, int64_t dim);
apus_tensor apus_stack(const apus_tensor *tensors, int64_t count, int64_t dim);
apus_tensor apus_flip(apus_tensor x, int64_t dim);
apus_tensor apus_pad(apus_tensor x, const int64_t *pads, int64_t count, double value);
apus_tensor apus_index_select(apus_tensor x, int64_t dim, apus_tensor index);
apus_tensor apus_gather(apus_tensor x, int64_t dim, apus_tensor index);
apus_tensor apus_scatter(apus_tensor x, int64_t dim, apus_tensor index, apus_tensor source);
apus_tensor apus_index_add(apus_tensor x, int64_t dim, apus_tensor index, apus_tensor source);
apus_tensor apus_tril(apus_tensor x, int64_t diagonal);
apus_tensor apus_triu(apus_tensor x, int64_t diagonal);
apus_tensor apus_one_hot(apus_tensor x, int64_t classes);

// MARK: Reductions (Reductions.cpp); no dims means all of them

apus_tensor apus_sum(apus_tensor x, const int64_t *dims, int64_t count, bool keep);
apus_tensor apus_mean(apus_tensor x, const int64_t *dims, int64_t count, bool keep);
apus_tensor apus_amax(apus_tensor x, const int64_t *dims, int64_t count, bool keep);
apus_tensor apus_amin(apus_tensor x, const int64_t *dims, int64_t count, bool keep);
apus_tensor apus_logsumexp(apus_tensor x, const int64_t *dims, int64_t count, bool keep);
/// L2 norm over dims.
apus_tensor apus_norm(apus_tensor x, const int64_t *dims, int64_t count, bool keep);
apus_tensor apus_variance(
    apus_tensor x, const int64_t *dims, int64_t count, double correction, bool keep);
apus_tensor apus_argmax(apus_tensor x, int64_t dim, bool keep);
apus_tensor apus_cumsum(apus_tensor x, int64_t dim);
apus_tensor apus_argsort(apus_tensor x, int64_t dim, bool descending);
apus_tensor apus_all(apus_tensor x);
apus_tensor apus_any(apus_tensor x);
/// Writes the k largest values and their indices along `dim`; false on failure.
bool apus_topk(
    apus_tensor x, int64_t k, int64_t dim, apus_tensor *values, apus_tensor *indices);

// MARK: Layers (Layers.cpp)

/// x·Wᵀ + b; the bias may be NULL.
apus_tensor apus_linear(apus_tensor x, apus_tensor weight, apus_tensor bias);
/// beta·input + alpha·(a·b).
apus_tensor apus_addmm(
    apus_tensor input, apus_tensor a, apus_tensor b, double beta, double alpha);
apus_tensor apus_baddbmm(
    apus_tensor input, apus_tensor a, apus_tensor b, double beta, double alpha);
/// Normalizes over the last `rank` dims; weight and bias may be NULL.
apus_tensor apus_layer_norm(
    apus_tensor x, const int64_t *sizes, int64_t rank, apus_tensor weight, apus_tensor bias,
    double epsilon);
apus_tensor apus_embedding(apus_tensor weight, apus_tensor indices);
apus_tensor apus_conv2d(
    apus_tensor x, apus_tensor weight, apus_tensor bias, int64_t stride, int64_t padding,
    int64_t groups);
/// Mean cross entropy of logits [N, C] and classes [N]; `ignored` rows count nothing.
apus_tensor apus_cross_entropy(
    apus_tensor logits, apus_tensor classes, int64_t ignored, double label_smoothing, bool sum);

// MARK: Attention over rows without padding, on the processor (Attention.cpp)

/// Examples one behind the other: queries [T, K·G·d], keys and values [S, K·d], all float32 or all
/// bfloat16; computed in float32.
typedef struct apus_attention_plan {
  const int64_t *lengths;      // queries of each example
  const int64_t *key_lengths;  // NULL for as many keys as queries
  int64_t examples;
  int64_t key_heads;        // K
  int64_t queries_per_key;  // G
  double scale;
  bool causal;     // keys behind a query's own place are hidden
  int64_t window;  // if causal, keys that are looked back at, the own included; 0 for all
  double dropout;  // share of the scores that becomes zero, the others are scaled
  uint64_t seed;   // of the dropout
} apus_attention_plan;

/// The context [T, K·G·d]; `log_sums` [T, K·G] is what the backward needs, and may be NULL.
apus_tensor apus_attend(
    apus_tensor queries, apus_tensor keys, apus_tensor values, const apus_attention_plan *plan,
    apus_tensor *log_sums);
/// Gradients of queries, keys and values, in that order.
bool apus_attend_backward(
    apus_tensor gradient, apus_tensor queries, apus_tensor keys, apus_tensor values,
    apus_tensor log_sums, const apus_attention_plan *plan, apus_tensor *gradients);
/// What the dropout multiplies the shares of one example by [K·G, queries, keys].
apus_tensor apus_attention_mask(const apus_attention_plan *plan, int64_t example);

// MARK: Products of bytes, on the processor (IntegerProducts.cpp)

/// x·Wᵀ + b of a matrix in bytes: codes [N, K] int8 times the scales of its rows [N]; x […, K]
/// float32 or bfloat16, whose rows become bytes too. The bias may be NULL. `turned` gives x·W of
/// x […, N], without a bias.
apus_tensor apus_integer_linear(
    apus_tensor x, apus_tensor codes, apus_tensor scales, apus_tensor bias, bool turned);
/// The exact int32 product of codes −127…127, [M, K] and [K, N] int8; in whole numbers of float32 on
/// processors whose products of bytes are not exact, and if asked for.
apus_tensor apus_integer_product(apus_tensor a, apus_tensor b, bool in_floats);

// MARK: Linear algebra (LinearAlgebra.cpp)

bool apus_svd(apus_tensor x, apus_tensor *u, apus_tensor *s, apus_tensor *vh);
bool apus_qr(apus_tensor x, apus_tensor *q, apus_tensor *r);
bool apus_eigh(apus_tensor x, apus_tensor *values, apus_tensor *vectors);
apus_tensor apus_cholesky(apus_tensor x);
apus_tensor apus_solve(apus_tensor a, apus_tensor b);
apus_tensor apus_lstsq(apus_tensor a, apus_tensor b);

// MARK: Random (Random.cpp); every draw names its seed

apus_tensor apus_uniform(
    const int64_t *sizes, int64_t rank, double low, double high, uint64_t seed, apus_dtype dtype,
    apus_device_kind kind, int index);
/// As torch.manual_seed(seed) and uniform_ in Python do it: float32, on the CPU.
apus_tensor apus_uniform_as_python(
    const int64_t *sizes, int64_t rank, double low, double high, uint64_t seed);
apus_tensor apus_normal(
    const int64_t *sizes, int64_t rank, double mean, double deviation, uint64_t seed,
    apus_dtype dtype, apus_device_kind kind, int index);
/// Ones with probability `probability`, else zeros.
apus_tensor apus_bernoulli(
    const int64_t *sizes, int64_t rank, double probability, uint64_t seed, apus_dtype dtype,
    apus_device_kind kind, int index);

/// x [any shape] float32 or bfloat16, on the processor, with elements set to zero at random and the
/// others scaled; the seed alone decides which (Dropout.cpp).
apus_tensor apus_dropout(apus_tensor x, double probability, uint64_t seed);

// MARK: Gradients (Autograd.cpp)

/// Sets whether this thread records a graph; returns the former setting.
bool apus_set_grad_mode(bool enabled);
bool apus_grad_mode(void);
void apus_set_requires_grad(apus_tensor tensor, bool required);
bool apus_requires_grad(apus_tensor tensor);
/// Gradients of the outputs' inner product with `seeds` (NULL entries: ones, scalars only).
/// Writes one handle an input, NULL where the output does not depend on it; false on failure.
bool apus_gradients(
    const apus_tensor *outputs, const apus_tensor *seeds, int64_t output_count,
    const apus_tensor *inputs, int64_t input_count, bool keep_graph, bool create_graph,
    apus_tensor *gradients);

/// Backward of a custom operation: reads the outputs' gradients (NULL: none), writes one owned
/// handle an input (NULL: no gradient); false if it failed.
typedef bool (*apus_backward)(
    void *context, const apus_tensor *output_gradients, int64_t output_count,
    apus_tensor *input_gradients, int64_t input_count);
/// Makes `outputs`, computed without a graph, results of `inputs` with the given backward.
/// `release(context)` is called once, also when no input needs a gradient.
void apus_attach_backward(
    const apus_tensor *outputs, int64_t output_count, const apus_tensor *inputs,
    int64_t input_count, void *context, apus_backward backward, void (*release)(void *context));

#ifdef __cplusplus
}
#endif

#endif
