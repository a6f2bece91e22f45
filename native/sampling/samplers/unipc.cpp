// Zhao et al., UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion Models; multistep, on
// predictions of x0, orders up to 3 that fall again at the end.
#include <algorithm>
#include <array>

#include "base/math.h"
#include "sampling/sampler.h"

namespace sdgen {
namespace {

constexpr int kMaxOrder = 3;
using Row = std::array<double, kMaxOrder>;

/// Solves sum_k rho[k]·nodes[k]^i = b[i] for i < n: Gauss' elimination from the top, in place.
Row solve(int n, const Row& nodes, Row b) {
  std::array<Row, kMaxOrder> a{};
  for (int k = 0; k < n; ++k) {
    double power = 1;
    for (int i = 0; i < n; ++i, power *= nodes[k]) a[i][k] = power;
  }
  for (int p = 0; p < n; ++p) {
    for (int i = p + 1; i < n; ++i) {
      const double factor = a[i][p] / a[p][p];
      for (int k = p; k < n; ++k) a[i][k] -= factor * a[p][k];
      b[i] -= factor * b[p];
    }
  }
  for (int p = n - 1; p >= 0; --p) {
    for (int k = p + 1; k < n; ++k) b[p] -= a[p][k] * b[k];
    b[p] /= a[p][p];
  }
  return b;
}

double lambda(VpPoint p) { return math::log_f64(p.alpha / p.sigma); }

/// One step of order n to `to`: x0 of the points behind, newest first, weighs `predict` before it is known at `to` and
/// `correct` after, where index n is that of `to` itself.
struct Weights {
  double x;
  std::array<double, kMaxOrder + 1> predict{}, correct{};
};

/// The variant of varying coefficients: the step's exact integral of the polynomial through x0 of the points. Its corrector
/// is that of the authors' code, which takes of x0 at `to` one product and leaves the row of the highest power out: with two
/// points or more it is not the polynomial's.
Weights weigh_varying(int n, const std::array<VpPoint, kMaxOrder>& behind, VpPoint to) {
  const double start = lambda(behind[0]), h = lambda(to) - start;
  Weights w{to.sigma / behind[0].sigma};
  double term = math::expm1_f64(-h), factorial = 1;
  w.predict[0] = w.correct[0] = -to.alpha * term;
  if (to.sigma == 0) return w;
  Row nodes{};
  std::array<double, kMaxOrder> factorials{}, phi{};  // (k + 1)!, and of the k-th derivative
  for (int k = 0; k < n; ++k) {
    nodes[k] = k + 1 < n ? (lambda(behind[k + 1]) - start) / h : 1;
    term = term / -h - 1 / factorial;
    phi[k] = term;
    factorials[k] = factorial;
    factorial *= k + 2;
  }
  const auto row = [&](int count, int k) {  // what the differences over the nodes weigh in the k-th derivative
    Row unit{};
    unit[k] = factorials[k];
    return solve(count, nodes, unit);
  };
  const auto add = [&](auto& weights, double weight, int k) {
    weights[0] -= weight;
    weights[k + 1] += weight;
  };
  for (int k = 0; k + 1 < n; ++k) {
    const Row predict = row(n - 1, k), correct = row(n, k);
    for (int j = 0; j + 1 < n; ++j) {
      add(w.predict, -to.alpha * phi[k] * predict[j] / nodes[j], j);
      add(w.correct, -to.alpha * phi[k] * correct[j] / nodes[j], j);
    }
  }
  add(w.correct, -to.alpha * phi[n - 1] * row(n, std::max(n - 2, 0))[n - 1], n - 1);
  return w;
}

Weights weigh(UniPcVariant variant, int n, const std::array<VpPoint, kMaxOrder>& behind, VpPoint to) {
  if (variant == UniPcVariant::kVaryCoeff) return weigh_varying(n, behind, to);
  const double start = lambda(behind[0]), h = lambda(to) - start, phi = math::expm1_f64(-h);
  Weights w{to.sigma / behind[0].sigma};
  w.predict[0] = w.correct[0] = -to.alpha * phi;
  if (to.sigma == 0) return w;
  const double base = variant == UniPcVariant::kBh1 ? -h : phi;
  Row nodes{}, b{};
  double term = phi / -h - 1, factorial = 1;
  for (int i = 0; i < n; ++i) {
    nodes[i] = i + 1 < n ? (lambda(behind[i + 1]) - start) / h : 1;
    b[i] = term * factorial / base;
    factorial *= i + 2;
    term = term / -h - 1 / factorial;
  }
  const Row predict = n == 2 ? Row{0.5} : solve(n - 1, nodes, b), correct = n == 1 ? Row{0.5} : solve(n, nodes, b);
  // x - alpha·B·Σ rho_k·(m_k - m_0)/r_k
  const auto add = [&](auto& weights, const Row& rho, int count) {
    for (int k = 0; k < count; ++k) {
      const double weight = -to.alpha * base * rho[k] / nodes[k];
      weights[0] -= weight;
      weights[k + 1] += weight;
    }
  };
  add(w.predict, predict, n - 1);
  add(w.correct, correct, n);
  return w;
}

}  // namespace

void sample_unipc(SamplerRun& run) {
  constexpr int kKept = kMaxOrder + 1;
  const Vec ahead = run.vectors.make();
  std::array<Vec, kKept> m;  // x0 of step i is m[i mod 4]
  for (Vec& v : m) v = run.vectors.make();
  const auto predict_x0 = [&](Vec out, Vec x, int i) {
    const VpPoint p = run.trained.point(run.timestep(i));
    run.predict(out, x, run.timestep(i));
    run.vectors.lincomb(out, {{-p.sigma / p.alpha, out}, {1 / p.alpha, x}});
  };
  predict_x0(m[0], run.x, 0);
  for (int i = 0; i < run.steps(); ++i) {
    const int order = std::min({i + 1, run.options.unipc_order, run.steps() - i, kMaxOrder});
    std::array<VpPoint, kMaxOrder> behind{};
    for (int k = 0; k < order; ++k) behind[k] = run.trained.point(run.timestep(i - k));
    const Weights w = weigh(run.options.unipc_variant, order, behind, run.trained.point(run.timestep(i + 1)));
    const auto combine = [&](Vec out, const auto& weights, int count) {
      std::vector<Term> terms{{w.x, run.x}};
      for (int k = 0; k < count; ++k) terms.push_back({weights[k], m[(i + kKept - k) % kKept]});
      if (count == order && &weights == &w.correct) terms.push_back({weights[order], m[(i + 1) % kKept]});
      run.vectors.lincomb(out, terms);
    };
    if (i + 1 == run.steps()) {
      combine(run.x, w.predict, order);
    } else {
      combine(ahead, w.predict, order);
      predict_x0(m[(i + 1) % kKept], ahead, i + 1);
      combine(run.x, w.correct, order);
    }
    run.done(i);
  }
}

}  // namespace sdgen
